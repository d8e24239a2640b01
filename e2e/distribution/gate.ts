/**
 * A way into a network namespace for a test that is not in it: a small program inside listens on a Unix socket, which namespaces of the
 * network do not separate, and connects where it is told. `connect` gives a stream to an address in there; `forward` opens a port of
 * loopback out here that leads to one in there. Without a namespace both go straight.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, connect as dial, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Reads `HOST PORT\n`, connects, answers `+`, and passes bytes on in both directions. */
const relay = `
const net = require('node:net');
net.createServer({ allowHalfOpen: true }, near => {
  let head = '';
  near.on('error', () => {});
  const onData = chunk => {
    head += chunk.toString('latin1');
    const end = head.indexOf('\\n');
    if (end < 0) return;
    near.off('data', onData);
    near.pause();
    const [host, port] = head.slice(0, end).split(' ');
    const far = net.connect({ host, port: Number(port), allowHalfOpen: true }, () => {
      near.write('+');
      near.pipe(far).pipe(near);
    });
    far.on('error', () => near.destroy());
    near.on('close', () => far.destroy());
  };
  near.on('data', onData);
}).listen(process.argv[1], () => console.log('ready'));
process.stdin.resume().on('end', () => process.exit(0));
`;

export interface Gate {
  connect(host: string, port: number): Promise<Duplex>;
  /** The local port. */
  forward(host: string, port: number): Promise<number>;
  close(): Promise<void>;
}

/** `enter`: the words that put a command into the namespace (`nsenter --net=…`); none for the one that we are in. */
export async function openGate(enter: readonly string[], socket: string): Promise<Gate> {
  const forwards = new Set<ReturnType<typeof createServer>>();
  const open = new Set<Duplex>();
  let inside: ChildProcess | undefined;
  if (enter.length > 0) {
    const [program, ...words] = [...enter, process.execPath, '-e', relay, socket];
    inside = spawn(program!, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise<void>((ready, fail) => {
      inside!.stdout!.once('data', () => ready());
      inside!.once('error', fail);
      inside!.once('exit', code => fail(new Error(`the relay in the namespace ended with ${code}`)));
    });
  }

  function keep<T extends Duplex>(stream: T): T {
    open.add(stream);
    stream.once('close', () => open.delete(stream));
    return stream;
  }

  function straight(host: string, port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const stream = dial({ host, port }, () => resolve(keep(stream)));
      stream.once('error', reject);
    });
  }

  function through(host: string, port: number): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const stream = dial(socket, () => stream.write(`${host} ${port}\n`));
      const refused = () => reject(Object.assign(new Error(`${host}:${port} refused`), { code: 'ECONNREFUSED' }));
      stream.once('error', reject);
      stream.once('close', refused);
      stream.once('readable', () => {
        if (stream.read(1) === null) return;
        stream.off('close', refused);
        resolve(keep(stream));
      });
    });
  }

  const connect = inside ? through : straight;
  return {
    connect,
    async forward(host, port) {
      const server = createServer({ allowHalfOpen: true }, near => {
        near.on('error', () => {});
        keep(near);
        connect(host, port).then(
          far => {
            far.on('error', () => near.destroy());
            near.pipe(far).pipe(near);
            near.once('close', () => far.destroy());
            far.once('close', () => near.destroy());
          },
          () => near.destroy(),
        );
      });
      await new Promise<void>((ready, fail) => server.once('error', fail).listen(0, '127.0.0.1', ready));
      forwards.add(server);
      return (server.address() as AddressInfo).port;
    },
    async close() {
      for (const stream of open) stream.destroy();
      await Promise.all([...forwards].map(server => new Promise(done => server.close(done))));
      if (!inside) return;
      const ended = new Promise(done => inside.once('exit', done));
      inside.kill('SIGKILL');
      await ended;
      rmSync(socket, { force: true });
    },
  };
}
