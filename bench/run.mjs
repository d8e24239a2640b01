// Runs a benchmark: `node bench/run.mjs store.ts [words…]`. The file is bundled, the packages stay as they are built; build them first.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = fileURLToPath(new URL('.', import.meta.url));
const [entry, ...words] = process.argv.slice(2);
if (!entry) throw new Error('usage: node bench/run.mjs FILE.ts');
const outfile = join(here, 'dist', entry.replace(/\.ts$/, '.mjs'));
mkdirSync(join(here, 'dist'), { recursive: true });
await build({
  entryPoints: [join(here, entry)],
  outfile,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'warning',
});
process.exitCode =
  spawnSync(process.execPath, [...process.execArgv, outfile, ...words], { stdio: 'inherit' }).status ?? 1;
