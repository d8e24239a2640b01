// Builds the oracle of server-side apply (main.go) and prints the path of its binary: `node ci/apply-oracle/build.mjs`.
//
// It needs Go and the sources of Kubernetes' own library: apt-get install golang-go golang-k8s-sigs-structured-merge-diff-dev.
// Nothing is downloaded. Ends with 2, and says why, when something is missing. The binary is kept in ci/.cache under a name that
// changes with the source.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const sources = '/usr/share/gocode';
const library = `${sources}/src/sigs.k8s.io/structured-merge-diff`;

function missing(why) {
  console.error(`${why} (apt-get install golang-go golang-k8s-sigs-structured-merge-diff-dev)`);
  process.exit(2);
}

const go = ['go', '/usr/local/go/bin/go', '/usr/lib/go/bin/go'].find(each => spawnSync(each, ['version']).status === 0);
if (go === undefined) missing('there is no Go compiler');
if (!existsSync(`${library}/merge/update.go`)) missing(`there is no structured-merge-diff in ${library}`);

const hash = createHash('sha256')
  .update(readFileSync(`${here}main.go`))
  .digest('hex')
  .slice(0, 16);
const cache = join(here, '../.cache');
const binary = join(cache, `apply-oracle-${hash}`);
if (!existsSync(binary)) {
  mkdirSync(cache, { recursive: true });
  // The library lies there without the version that its import path ends with.
  const paths = mkdtempSync(join(tmpdir(), 'apply-oracle-'));
  try {
    mkdirSync(join(paths, 'src/sigs.k8s.io/structured-merge-diff'), { recursive: true });
    symlinkSync(library, join(paths, 'src/sigs.k8s.io/structured-merge-diff/v4'));
    const temporary = `${binary}.${process.pid}`;
    const built = spawnSync(go, ['build', '-o', temporary, 'main.go'], {
      cwd: here,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: {
        ...process.env,
        GO111MODULE: 'off',
        GOFLAGS: '',
        GOPATH: `${paths}:${sources}`,
        GOCACHE: join(paths, 'cache'),
      },
    });
    if (built.status !== 0) process.exit(1);
    renameSync(temporary, binary);
  } finally {
    rmSync(paths, { recursive: true, force: true });
  }
}
console.log(binary);
