/**
 * The helper program of the process runtime: one per data directory, started by the runtime, outliving it.
 *
 * It ends by itself when nothing runs and nobody is connected for five seconds; when told (`release`, `handOver`,
 * `shutdown`); and when another helper has the directory already. SIGTERM ends it and leaves the pods to the next one.
 * What it has to say goes to `helper.log` in the directory, by the descriptors that it was started with.
 *
 * Arguments: one JSON object, `HelperArguments`.
 */
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type HelperArguments, socketName } from '../helper-arguments.js';
import { rootIsolation } from '../isolation/root.js';
import { rootlessIsolation } from '../isolation/rootless.js';
import { nodeDigits } from '../node-digits.js';
import { defaultLogBounds } from './log-writer.js';
import { pods } from './pods.js';
import { records } from './records.js';
import { helperServer } from './server.js';

const idleMs = 5_000;

/** One helper per directory: a name in the kernel that ends with its holder. */
function lockDirectory(directory: string): Promise<boolean> {
  const { dev, ino } = statSync(directory);
  return new Promise((resolve, reject) => {
    const lock = createServer(socket => socket.destroy());
    lock.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    lock.listen(`\0orbitkit-helper-${dev}-${ino}`, () => resolve(true));
  });
}

async function main(): Promise<void> {
  const { directory, mode, podCIDR } = JSON.parse(process.argv[2] ?? '{}') as HelperArguments;
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  if (!(await lockDirectory(directory))) {
    console.error('another helper has this directory');
    process.exit(0);
  }
  // A path to a unix socket may have 107 bytes; relative to the directory it always fits.
  process.chdir(directory);
  chmodSync('.', 0o711);
  const state = join(directory, 'state');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const isolation =
    mode === 'root'
      ? rootIsolation(nodeDigits(directory), join(state, 'isolation'), podCIDR)
      : rootlessIsolation(podCIDR);
  const all = pods({
    isolation,
    records: records(state),
    workDirectory: join(directory, 'work'),
    logBounds: defaultLogBounds,
    now: Date.now,
    emit: event => {
      server.emit(event);
      watchIdle();
    },
  });
  const server = helperServer({ pods: all, isolation, onEnd: how => void end(how), onConnections: watchIdle });

  let idle: NodeJS.Timeout | undefined;
  function watchIdle(): void {
    clearTimeout(idle);
    idle = undefined;
    if (server.connections > 0 || all.busy) return;
    idle = setTimeout(() => void end('release'), idleMs);
  }

  let ending = false;
  async function end(how: 'shutdown' | 'handOver' | 'release'): Promise<void> {
    if (ending) return;
    ending = true;
    // Given a turn, the answer to the call that asked for it goes out.
    await new Promise(resolve => setImmediate(resolve));
    rmSync(socketName, { force: true });
    await server.close();
    await all.release();
    if (how === 'release') await isolation.teardown();
    if (how === 'shutdown') rmSync(directory, { recursive: true, force: true });
    process.exit(0);
  }

  process.on('SIGTERM', () => void end('handOver'));
  process.on('SIGINT', () => void end('handOver'));
  process.on('SIGHUP', () => {});

  await all.adopt();
  rmSync(socketName, { force: true });
  await server.listen(socketName);
  watchIdle();
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
