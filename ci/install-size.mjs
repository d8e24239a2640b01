// What `@orbitkit/informer` costs to install and to import: packs it and core as they are built, installs both into an empty folder, and
// measures. Fails above 6 MB on disk. The time of the import is printed, not judged: it is the machine's as much as ours.
// Build first, from a clean checkout: an old `dist` holds chunks of earlier builds.
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const mostBytes = 6_000_000;
const goalMs = 50;
const root = fileURLToPath(new URL('..', import.meta.url));

/** As it takes room on a disk of 4 KB blocks. */
function bytesOf(path) {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return Math.ceil(stat.size / 4096) * 4096;
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 4096);
}

const folder = mkdtempSync(join(tmpdir(), 'orbitkit-size-'));
try {
  const tarballs = ['core', 'informer'].map(name =>
    join(
      folder,
      execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {
        cwd: join(root, 'packages', name),
        encoding: 'utf8',
      }).trim(),
    ),
  );
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}');
  execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', '--omit=peer', ...tarballs], { cwd: folder });
  const bytes = bytesOf(join(folder, 'node_modules'));
  const code = 'const t = performance.now(); await import("@orbitkit/informer"); console.log(performance.now() - t)';
  const times = Array.from({ length: 9 }, () =>
    Number(execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: folder, encoding: 'utf8' })),
  ).sort((a, b) => a - b);
  console.log(`installed: ${(bytes / 1e6).toFixed(2)} MB (at most ${mostBytes / 1e6})`);
  console.log(`imported in ${times[4].toFixed(1)} ms, at best ${times[0].toFixed(1)} ms (aim ${goalMs})`);
  if (bytes > mostBytes) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
