/** The example of the README runs, and prints what its comment says. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const example = /```ts\n(.*?)```/s.exec(readFileSync(`${root}README.md`, 'utf8'))![1]!;

afterEach(() => vi.restoreAllMocks());

test('the example has at most 15 lines and prints what its comment says', async () => {
  expect(example.split('\n').filter(line => line.trim()).length).toBeLessThanOrEqual(15);
  const expected = [...example.matchAll(/console\.log\(.*; \/\/ (.*)$/gm)].map(match => match[1]);
  expect(expected).toHaveLength(1);
  const printed: unknown[] = [];
  vi.spyOn(console, 'log').mockImplementation((...values: unknown[]) => {
    printed.push(values.map(value => inspect(value)).join(' '));
  });
  const folder = mkdtempSync(join(root, '.readme-'));
  try {
    writeFileSync(join(folder, 'example.ts'), example);
    await import(/* @vite-ignore */ pathToFileURL(join(folder, 'example.ts')).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(printed).toEqual(expected);
});
