/** The first example of the README runs, and prints what its comments say. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const example = /```ts\n(.*?)```/s.exec(readFileSync(`${root}README.md`, 'utf8'))![1]!;

afterEach(() => vi.restoreAllMocks());

test('the example has at most 15 lines and prints what its comments say', async () => {
  expect(example.split('\n').filter(line => line.trim()).length).toBeLessThanOrEqual(15);
  const expected = [...example.matchAll(/console\.log\(.*; \/\/ (.*)$/gm)].map(match => match[1]);
  expect(expected).toHaveLength(2);
  const printed: unknown[] = [];
  vi.spyOn(console, 'log').mockImplementation((...values: unknown[]) => void printed.push(values.join(' ')));
  const folder = mkdtempSync(join(root, '.readme-'));
  try {
    const file = join(folder, 'example.ts');
    writeFileSync(file, example);
    await import(/* @vite-ignore */ pathToFileURL(file).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(printed).toEqual(expected);
});
