/** A way to a port that can be cut, or go silent, for tests. */
import net from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Every connection of now breaks. */
  cut(): void;
  /** Bytes are neither taken nor given, until `flow`. Connections stay open. */
  stall(): void;
  flow(): void;
  /** New connections are refused, and those of now break, until it is opened again. */
  shut(): void;
  open(): void;
  close(): Promise<void>;
}

export async function tcpProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<readonly [net.Socket, net.Socket]>();
  let stalled = false;
  let closed = false;
  const server = net.createServer(client => {
    if (closed) {
      client.destroy();
      return;
    }
    const upstream = net.connect(target, '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.on('data', chunk => to.write(chunk));
      from.on('error', end);
      from.on('close', end);
      if (stalled) from.pause();
    }
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const [client, upstream] of [...pairs]) {
      client.destroy();
      upstream.destroy();
    }
  };
  const each = (work: (socket: net.Socket) => unknown): void => {
    for (const pair of pairs) for (const socket of pair) work(socket);
  };
  return {
    port: (server.address() as net.AddressInfo).port,
    cut,
    stall() {
      stalled = true;
      each(socket => socket.pause());
    },
    flow() {
      stalled = false;
      each(socket => socket.resume());
    },
    shut() {
      closed = true;
      cut();
    },
    open() {
      closed = false;
    },
    async close() {
      cut();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
