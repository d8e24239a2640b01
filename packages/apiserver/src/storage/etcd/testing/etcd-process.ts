/**
 * Real etcd members for tests: on loopback, on ports that were free a moment ago, data in a temporary directory. They can be killed,
 * started again, stopped still and let go on. `dispose` leaves nothing behind.
 *
 * In CI a missing etcd is a failure; elsewhere tests that need one are skipped with a line on how to install it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

export const hasEtcd = spawnSync('etcd', ['--version']).status === 0;
if (!hasEtcd && process.env['ORBITKIT_CI']) throw new Error('etcd is missing: apt-get install etcd-server etcd-client');

export interface EtcdClusterOptions {
  /** Default 1. */
  members?: number;
  /** Further flags of every member. */
  flags?: readonly string[];
  /** Default http. */
  scheme?: 'http' | 'https';
}

export interface EtcdMember {
  readonly name: string;
  /** Where clients come to. */
  readonly url: string;
  readonly port: number;
  readonly running: boolean;
  kill(): Promise<void>;
  /** Starts it again on its data. */
  start(): Promise<void>;
  /** The process stands still, its connections stay open. */
  freeze(): void;
  thaw(): void;
  /** Its output so far. */
  log(): string;
}

export interface EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly urls: readonly string[];
  /** Runs etcdctl on all members, or on those that `--endpoints` names; its output. @throws Error when it fails */
  ctl(...words: string[]): string;
  dispose(): Promise<void>;
}

const startMs = 20_000;

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = net.createServer();
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map(server => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}

export async function startEtcd(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
  const { members: count = 1, flags = [], scheme = 'http' } = options;
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-etcd-'));
  const ports = await freePorts(count * 2);
  const peers = Array.from({ length: count }, (_, i) => `m${i}=http://127.0.0.1:${ports[count + i]}`).join(',');
  const members = Array.from({ length: count }, (_, i) =>
    member({
      name: `m${i}`,
      scheme,
      port: ports[i]!,
      peerPort: ports[count + i]!,
      peers,
      directory: path.join(directory, `m${i}`),
      flags,
    }),
  );
  const urls = members.map(({ url }) => url);
  const cluster: EtcdCluster = {
    members,
    urls,
    ctl(...words) {
      const all = words.includes('--endpoints') ? words : ['--endpoints', urls.join(','), ...words];
      const { status, stdout, stderr } = spawnSync('etcdctl', all, {
        env: { ...process.env, ETCDCTL_API: '3' },
        encoding: 'utf8',
        timeout: 20_000,
      });
      if (status !== 0) throw new Error(`etcdctl ${words.join(' ')}: ${stderr || stdout}`);
      return stdout;
    },
    async dispose() {
      await Promise.all(members.map(each => each.kill()));
      await fs.rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await Promise.all(members.map(each => each.start()));
  } catch (error) {
    await cluster.dispose();
    throw error;
  }
  return cluster;
}

interface MemberOptions {
  name: string;
  scheme: string;
  port: number;
  peerPort: number;
  peers: string;
  directory: string;
  flags: readonly string[];
}

function member({ name, scheme, port, peerPort, peers, directory, flags }: MemberOptions): EtcdMember {
  const url = `${scheme}://127.0.0.1:${port}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  let child: ChildProcess | undefined;
  let output = '';
  const words = [
    ...['--name', name, '--data-dir', directory, '--logger', 'zap', '--log-level', 'warn'],
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    ...['--initial-cluster', peers, '--initial-cluster-state', 'new'],
    ...['--heartbeat-interval', '50', '--election-timeout', '500'],
    ...flags,
  ];
  return {
    name,
    url,
    port,
    get running() {
      return child !== undefined;
    },
    async start() {
      const started = spawn('etcd', words, { stdio: ['ignore', 'pipe', 'pipe'] });
      child = started;
      const keep = (chunk: Buffer): void => {
        output = (output + chunk.toString()).slice(-20_000);
      };
      started.stdout.on('data', keep);
      started.stderr.on('data', keep);
      const ended = new Promise<never>((_, reject) => {
        started.once('error', reject);
        started.once('exit', code => {
          if (child === started) child = undefined;
          reject(new Error(`etcd ${name} ended with code ${code}: ${output}`));
        });
      });
      ended.catch(() => undefined);
      await Promise.race([listening(port), ended]);
    },
    async kill() {
      const running = child;
      if (running === undefined) return;
      const gone = new Promise<void>(resolve => running.once('exit', () => resolve()));
      running.kill('SIGKILL');
      await gone;
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    log: () => output,
  };
}

/** Its client port is open: from then on calls wait for a leader. */
async function listening(port: number): Promise<void> {
  const until = performance.now() + startMs;
  for (;;) {
    const open = await new Promise<boolean>(resolve => {
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    if (performance.now() > until) throw new Error(`no etcd on port ${port} within ${startMs} ms`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
