/**
 * Passes TCP connections on: both directions, with back-pressure, half-closed connections included. An error on one side
 * ends the other.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A backend that does not answer within this is given up. */
const connectMs = 5_000;

export interface RelayTarget {
  host: string;
  port: number;
}

/** Connects to the first target that accepts. Rejects with the last refusal when none does. */
async function connectFirst(targets: readonly RelayTarget[], timeoutMs = connectMs): Promise<Socket> {
  let last: unknown = new Error('there is no target');
  for (const target of targets) {
    try {
      return await connectTo(target, timeoutMs);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

export function connectTo({ host, port }: RelayTarget, timeoutMs = connectMs): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    const timer = setTimeout(
      () => socket.destroy(new Error(`${host}:${port} did not accept within ${timeoutMs} ms`)),
      timeoutMs,
    );
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
    socket.once('close', () => clearTimeout(timer));
  });
}

/** Joins two connections; each ends when the other has. */
function joinSockets(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => {
      if (!from.readableEnded) to.destroy();
    });
    from.pipe(to);
  }
}

export interface TcpRelay {
  readonly address: string;
  readonly port: number;
  /** Stops listening and ends every connection. Twice is harmless. */
  close(): Promise<void>;
}

/** Listens on one address; `targetsOf` is asked for each connection. Rejects with the system's error (`EADDRINUSE`, …). */
export function tcpRelay(
  address: string,
  port: number,
  targetsOf: (client: Socket) => readonly RelayTarget[],
): Promise<TcpRelay> {
  const connections = new Set<Socket>();

  async function accept(client: Socket): Promise<void> {
    connections.add(client);
    client.on('close', () => connections.delete(client));
    client.on('error', () => {});
    try {
      const backend = await connectFirst(targetsOf(client));
      connections.add(backend);
      backend.on('close', () => connections.delete(backend));
      if (client.destroyed) backend.destroy();
      else joinSockets(client, backend);
    } catch {
      // No backend: the client sees a reset, as from a port where nothing listens.
      client.resetAndDestroy();
    }
  }

  const server: Server = createServer(
    { allowHalfOpen: true, noDelay: true, pauseOnConnect: true },
    client => void accept(client),
  );
  let closing: Promise<void> | undefined;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, backlog: 1_024 }, () => {
      server.off('error', reject);
      // Accepting can fail for want of descriptors: the listener stays, the client retries.
      server.on('error', () => {});
      const bound = server.address();
      resolve({
        address,
        port: typeof bound === 'object' && bound ? bound.port : port,
        close() {
          closing ??= new Promise(done => {
            server.close(() => done());
            for (const socket of connections) socket.destroy();
          });
          return closing;
        },
      });
    });
  });
}
