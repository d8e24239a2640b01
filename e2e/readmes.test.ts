/** The first TypeScript example of these packages' READMEs runs, in at most 15 lines, and prints what its comments say. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, expect, it, vi } from 'vitest';

const here = fileURLToPath(new URL('.', import.meta.url));
afterEach(() => vi.restoreAllMocks());

it.each(['scheduler', 'galaxy', 'cli'])('the example of %s', async name => {
  const text = readFileSync(join(here, '..', 'packages', name, 'README.md'), 'utf8');
  const code = /```ts\n(.*?)```/s.exec(text)?.[1] ?? '';
  expect(code.split('\n').filter(line => line.trim()).length).toBeLessThanOrEqual(16);
  const expected = [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(match => match[1]!);
  expect(expected).toHaveLength(1);
  const folder = mkdtempSync(join(here, '.readme-'));
  const printed: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(values.join(' ')));
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  try {
    const file = join(folder, 'example.ts');
    writeFileSync(file, code);
    await import(/* @vite-ignore */ pathToFileURL(file).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
  for (const [index, part] of expected[0]!.split(' … ').entries())
    expect(printed.join('\n'), `part ${index}`).toContain(part);
});
