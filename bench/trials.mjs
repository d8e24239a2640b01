// The long run: `npm run trials`. What the gate (`npm test`) does a few times is done here often: hard kills of a whole cluster under load, hard kills of the
// store under 64 writers, the tours of the real clients in all their versions, and the workloads' end-to-end tests again and again. It prints a summary
// with date and exits with 1 when anything failed, took longer than its bound, or is not there. Counts can be lowered (or raised) through the environment
// variables below.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { ORBITKIT_KILLS = '50', ORBITKIT_KILL_ROUNDS = '1000', ORBITKIT_REPETITIONS = '10' } = process.env;
const { ORBITKIT_FUZZ_REQUESTS = '10000', ORBITKIT_SOAK_MINUTES = '10' } = process.env;
const { ORBITKIT_PATCH_CASES = '5000', ORBITKIT_APPLY_SEQUENCES = '10000' } = process.env;
const minute = 60_000;

const trials = [
  {
    title: `kill -9 of a whole cluster under load, ${ORBITKIT_KILLS} times`,
    file: 'e2e/restart.test.ts',
    env: { ORBITKIT_KILLS },
    boundMs: 45 * minute,
  },
  {
    title: `kill -9 of the store under 64 writers, ${ORBITKIT_KILL_ROUNDS} times`,
    file: 'packages/apiserver/src/storage/log/kill.test.ts',
    env: { ORBITKIT_KILL_ROUNDS },
    boundMs: 60 * minute,
  },
  {
    title: 'the store with everything lost that was not synced, cut at every byte of its last batch',
    file: 'packages/apiserver/src/storage/log/crash.test.ts',
    boundMs: 10 * minute,
  },
  {
    title: 'the real kubectl 1.27, 1.30, 1.33 and 1.35 through every everyday verb',
    file: 'e2e/tours/kubectl.test.ts',
    env: { ORBITKIT_TOURS: 'full' },
    boundMs: 30 * minute,
  },
  {
    title: 'the real Helm 4 and 3: install, upgrade, rollback, test, uninstall',
    file: 'e2e/tours/helm.test.ts',
    env: { ORBITKIT_TOURS: 'full' },
    boundMs: 10 * minute,
  },
  {
    title: 'the client library for JavaScript',
    file: 'e2e/tours/client-node.test.ts',
    boundMs: 5 * minute,
  },
  {
    title: `${ORBITKIT_PATCH_CASES} patches against kubectl patch --local`,
    file: 'e2e/patches.test.ts',
    env: { ORBITKIT_PATCH_CASES, ORBITKIT_PATCH_SEED: '2', ORBITKIT_CI: '1' },
    boundMs: 30 * minute,
  },
  {
    title: `${ORBITKIT_APPLY_SEQUENCES} sequences of server-side apply and update against structured-merge-diff`,
    file: 'packages/core/src/apply/apply-oracle.test.ts',
    env: { ORBITKIT_APPLY_SEQUENCES, ORBITKIT_APPLY_SEED: '2', ORBITKIT_CI: '1' },
    boundMs: 30 * minute,
  },
  {
    title: `${ORBITKIT_FUZZ_REQUESTS} hostile requests to the API server`,
    file: 'packages/apiserver/src/http/fuzz/hostile-requests.test.ts',
    env: { ORBITKIT_FUZZ_REQUESTS },
    boundMs: 20 * minute,
  },
  {
    title: `the API server for ${ORBITKIT_SOAK_MINUTES} minutes at 30 % load: memory, and the slowest of a hundred`,
    file: 'bench/apiserver/main.ts',
    command: [join(root, 'bench/run.mjs'), 'apiserver/main.ts', 'soak', ORBITKIT_SOAK_MINUTES],
    boundMs: (Number(ORBITKIT_SOAK_MINUTES) + 5) * minute,
  },
  {
    title: 'end-to-end workloads',
    file: 'e2e/workloads.test.ts',
    repetitions: Number(ORBITKIT_REPETITIONS),
    boundMs: 10 * minute,
  },
];

const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => stopped.abort());

/** The tests of one file, or a program that says good by its exit code, in a process group that is ended as a whole when the bound passes. */
async function runOnce({ file, command, env = {}, boundMs }, report) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const options = ['run', file, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const child = spawn(process.execPath, command ?? [vitest, ...options], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => output.push(chunk));
  let late = false;
  const end = signal => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  };
  let last;
  const stop = () => {
    end('SIGTERM');
    last = setTimeout(end, 20_000, 'SIGKILL');
  };
  const bound = setTimeout(() => {
    late = true;
    stop();
  }, boundMs);
  stopped.signal.addEventListener('abort', stop, { once: true });
  const code = await new Promise(resolve => child.once('close', (exit, signal) => resolve(exit ?? signal)));
  stopped.signal.removeEventListener('abort', stop);
  clearTimeout(bound);
  clearTimeout(last);
  if (command) {
    const said = Buffer.concat(output).toString().trim();
    return { good: code === 0 && !late, text: late ? `not done within ${boundMs / minute} min` : said };
  }
  const counted = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {};
  rmSync(report, { force: true });
  const { numPassedTests: passed = 0, numFailedTests: failed = 0, numPendingTests: skipped = 0 } = counted;
  const good = code === 0 && !late && passed > 0;
  if (!good) process.stderr.write(Buffer.concat(output).subarray(-20_000));
  const why = late ? `not done within ${boundMs / minute} min` : `exit code ${code}`;
  return { good, text: `${passed} passed, ${failed} failed, ${skipped} skipped${good ? '' : `; ${why}`}` };
}

const folder = mkdtempSync(join(tmpdir(), 'orbitkit-trials-'));
const summary = [];
let failures = 0;
const say = (good, text) => {
  if (!good) failures += 1;
  const line = `${good ? 'good  ' : 'FAILED'}  ${text}`;
  summary.push(line);
  console.log(line);
};
const startedAt = new Date();
try {
  for (const { title, repetitions = 1, ...trial } of trials) {
    if (!existsSync(join(root, trial.file))) {
      say(false, `${title}: ${trial.file} is not there`);
      continue;
    }
    for (let turn = 1; turn <= repetitions && !stopped.signal.aborted; turn++) {
      const began = Date.now();
      const { good, text } = await runOnce(trial, join(folder, 'report.json'));
      const which = repetitions > 1 ? `${title}, ${turn} of ${repetitions}` : title;
      say(good, `${which}: ${text}; ${((Date.now() - began) / 1_000).toFixed(0)} s`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const minutes = ((Date.now() - startedAt) / minute).toFixed(1);
console.log(`
trials of ${startedAt.toISOString().slice(0, 16)}Z, ${minutes} min; ${cpus().length} processors (${cpus()[0]?.model.trim()}), Node ${process.version}, load average ${loadavg()[0].toFixed(2)}
${summary.join('\n')}
${stopped.signal.aborted ? 'stopped early' : failures === 0 ? 'all good' : `${failures} failed`}`);
process.exitCode = failures > 0 || stopped.signal.aborted ? 1 : 0;
