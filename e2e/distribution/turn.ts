/**
 * One at a time: tests whose manifests name the same addresses and ports of a machine take turns. The turn is a name in the kernel's abstract
 * socket space, of this network namespace; it is free again the moment its holder ends, however it ends.
 */
import { createServer, type Server } from 'node:net';

const name = '\0orbitkit-minik8s-manifests';
const retryMs = 200;

/** @throws Error after the bound. The answer gives the turn back. */
export async function takeTurn(mostMs: number): Promise<() => Promise<void>> {
  const end = Date.now() + mostMs;
  for (;;) {
    const held = await hold();
    if (held) return () => new Promise(done => held.close(() => done()));
    if (Date.now() > end)
      throw new Error(`another test of the same manifests runs on this machine for more than ${mostMs} ms`);
    await new Promise(resolve => setTimeout(resolve, retryMs));
  }
}

function hold(): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer(socket => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(name, () => resolve(server));
  });
}
