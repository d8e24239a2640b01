/** The example of packages/node/README.md runs against an API server of this process, in at most 15 lines, and prints what it says. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, expect, it, vi } from 'vitest';

const here = fileURLToPath(new URL('.', import.meta.url));
afterEach(() => vi.restoreAllMocks());

it('the example of node', async () => {
  const text = readFileSync(join(here, '..', 'packages', 'node', 'README.md'), 'utf8');
  const code = /```ts\n(.*?)```/s.exec(text)![1]!;
  expect(code.split('\n').filter(line => line.trim()).length).toBeLessThanOrEqual(15);
  const [, expected] = /^console\.log\(.*\); \/\/ (.*)$/m.exec(code)!;
  const folder = mkdtempSync(join(here, '.readme-'));
  const printed: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(values.join(' ')));
  try {
    const file = join(folder, 'example.ts');
    writeFileSync(file, code.replace("'./data'", JSON.stringify(join(folder, 'data'))));
    await import(/* @vite-ignore */ pathToFileURL(file).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(printed).toEqual([expected]);
});
