/** Every sample of docs/migrating.md compiles; the one that needs no cluster runs, and prints what it says. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterAll, expect, it, vi } from 'vitest';

const here = fileURLToPath(new URL('.', import.meta.url));
const text = readFileSync(join(here, '..', 'docs', 'migrating.md'), 'utf8');
const samples = [...text.matchAll(/```ts\n(.*?)```/gs)].map(match => match[1]!);
const folder = mkdtempSync(join(here, '.migrating-'));
const files = samples.map((sample, i) => {
  const file = join(folder, `sample${i}.ts`);
  writeFileSync(file, sample);
  return file;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('the samples compile', () => {
  expect(samples.length).toBeGreaterThanOrEqual(5);
  const program = ts.createProgram(files, {
    ...{ strict: true, noEmit: true, exactOptionalPropertyTypes: true, skipLibCheck: true },
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    customConditions: ['@orbitkit/source'],
    types: ['node'],
  });
  const problems = files
    .map(file => program.getSourceFile(file)!)
    .flatMap(file => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
    .map(({ messageText, file, start }) => [
      file?.text.slice(start ?? 0, (start ?? 0) + 60),
      ts.flattenDiagnosticMessageText(messageText, '\n'),
    ]);
  expect(problems).toEqual([]);
}, 120_000);

it('the last one runs', async () => {
  const printed: unknown[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(values.join(' ')));
  try {
    await import(/* @vite-ignore */ pathToFileURL(files.at(-1)!).href);
  } finally {
    log.mockRestore();
  }
  expect(printed).toEqual(['2']);
}, 120_000);
