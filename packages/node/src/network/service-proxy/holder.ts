/**
 * One user-space proxy per cluster and machine: the nodes that run on one machine share its loopback addresses, so one of
 * them serves and the others stand by.
 *
 * The lock is a name in the kernel's abstract socket space. It is free again the moment its holder ends, however it ends.
 */
import { createServer, type Server } from 'node:net';
import type { Clock } from '@orbitkit/core';

const retryMs = 250;

/** Resolves when it is ours; rejects with `signal.reason`. `waiting` is called once when another holds it. */
export async function holdAlone(
  name: string,
  clock: Clock,
  signal: AbortSignal,
  waiting: () => void,
): Promise<{ release(): Promise<void> }> {
  for (let first = true; ; first = false) {
    signal.throwIfAborted();
    const server = await tryHold(`\0orbitkit-services-${process.getuid?.() ?? 0}-${name}`);
    if (server) return { release: () => new Promise(resolve => server.close(() => resolve())) };
    if (first) waiting();
    await clock.sleep(retryMs, signal);
  }
}

function tryHold(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(name, () => resolve(server));
  });
}
