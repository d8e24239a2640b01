import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const out = mkdtempSync(join(tmpdir(), 'orbitkit-generated-'));
afterAll(() => rmSync(out, { recursive: true, force: true }));

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();

test('what is committed is what the generator writes', () => {
  const generator = fileURLToPath(new URL('../../generate/generate.mjs', import.meta.url));
  const committed = fileURLToPath(new URL('./generated', import.meta.url));
  execFileSync(process.execPath, [generator, '--out', out]);
  expect(filesOf(out)).toEqual(filesOf(committed));
  for (const file of filesOf(out)) {
    const same = readFileSync(join(out, file), 'utf8') === readFileSync(join(committed, file), 'utf8');
    expect(same, `${file} differs: run \`npm run generate\` and commit the result`).toBe(true);
  }
});
