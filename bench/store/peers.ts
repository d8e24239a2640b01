/** Peers of the stores, from `ci/`: npm's etcd3, lmdb, and h2load as the fastest client that an etcd can have. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import type { Rate } from './rates.js';

const require = createRequire(path.resolve('ci/package.json'));

/** Undefined when `cd ci && npm ci` was not done. */
export function peer<T>(name: string): T | undefined {
  try {
    return require(name) as T;
  } catch {
    return undefined;
  }
}

export const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

export interface Etcd {
  readonly url: string;
  /** Processor time so far, in microseconds. */
  cpuMicros(): number;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** One member on loopback, its data in the directory, flushing as it does by default. */
export async function startEtcd(directory: string): Promise<Etcd> {
  const [port, peerPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const child: ChildProcess = spawn(
    'etcd',
    [
      ...['--data-dir', directory, '--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', `http://127.0.0.1:${peerPort}`, '--quota-backend-bytes', String(8 * 2 ** 30)],
      ...['--initial-advertise-peer-urls', `http://127.0.0.1:${peerPort}`, '--log-level', 'error', '--logger', 'zap'],
      ...['--initial-cluster', `default=http://127.0.0.1:${peerPort}`],
    ],
    { stdio: 'ignore' },
  );
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()));
  for (let i = 0; ; i++) {
    const open = await new Promise<boolean>(resolve => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true));
      socket.once('connect', () => socket.destroy()).once('error', () => resolve(false));
    });
    if (open) break;
    if (i > 500) throw new Error('etcd does not start');
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return {
    url,
    cpuMicros() {
      const fields = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return (Number(fields[11]) + Number(fields[12])) * 10_000;
    },
    async stop() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Puts per second of prebuilt frames on one connection; undefined when some were refused. */
export function h2loadPuts(url: string, value: Buffer, inFlight: number, directory: string): number | undefined {
  const key = Buffer.from('h2load');
  const length = (of: Buffer) => {
    const bytes: number[] = [];
    let left = of.length;
    while (left >= 0x80) {
      bytes.push((left & 0x7f) | 0x80);
      left >>= 7;
    }
    return Buffer.from([...bytes, left]);
  };
  const message = Buffer.concat([Buffer.from([0x0a]), length(key), key, Buffer.from([0x12]), length(value), value]);
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  const file = path.join(directory, 'put.frame');
  fs.writeFileSync(file, frame);
  const { stdout } = spawnSync(
    'h2load',
    [
      ...[
        '-D',
        '2',
        '-c',
        '1',
        '-m',
        String(inFlight),
        '-d',
        file,
        '-H',
        'content-type: application/grpc',
        '-H',
        'te: trailers',
      ],
      `${url}/etcdserverpb.KV/Put`,
    ],
    { encoding: 'utf8' },
  );
  const done = /requests: \d+ total, .* (\d+) succeeded/.exec(stdout)?.[1];
  return done === undefined ? undefined : Number(done) / 2;
}

/** A Node.js that has SQLite; Node 20 has not. */
const newerNode = path.resolve('ci/node_modules/node24/bin/node');
export const hasSqlite = fs.existsSync(newerNode);

/** Puts to SQLite in a process of its own: one commit for all that wait (`group`), or one for each. */
export function sqlitePuts(file: string, writers: number, mode: 'group' | 'each', slowerMs: number, ms: number): Rate {
  const words = [
    path.resolve('bench/store/sqlite-peer.mjs'),
    file,
    String(writers),
    mode,
    String(slowerMs),
    String(ms),
  ];
  const { status, stdout, stderr } = spawnSync(newerNode, ['--no-warnings', ...words], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`SQLite ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Rate;
}
