import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const blocks = [...readFileSync(`${root}README.md`, 'utf8').matchAll(/```ts\n(.*?)```/gs)].map(match => match[1]!);

afterEach(() => vi.restoreAllMocks());

/** Runs a block as a module of this package; answers what it printed. */
async function run(code: string): Promise<{ printed: string[]; exported: Record<string, unknown> }> {
  const folder = mkdtempSync(join(root, '.readme-'));
  try {
    const printed: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((...values: unknown[]) => {
      printed.push(values.map(value => (typeof value === 'string' ? value : inspect(value))).join(' '));
    });
    const file = join(folder, 'example.ts');
    writeFileSync(file, code);
    return { printed, exported: await import(/* @vite-ignore */ pathToFileURL(file).href) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the first example runs and prints what its comments say, in at most 15 lines', async () => {
  const code = blocks[0]!;
  expect(
    code
      .trim()
      .split('\n')
      .filter(line => line.trim()).length,
  ).toBeLessThanOrEqual(15);
  const expected = [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(match => match[1]);
  expect(expected.length).toBeGreaterThan(3);
  expect((await run(code)).printed).toEqual(expected);
});

test("the example of a kind of one's own defines one", async () => {
  const { exported } = await run(blocks[1]!);
  expect(exported['Widget']).toMatchObject({ plural: 'widgets', group: 'example.com' });
});
