/**
 * G5: 1,000 watchers over plain HTTP while 16 writers create pods. Counted are deliveries (a pod to a watcher) for each second of the server's
 * processor time, beside a server that makes each event into JSON for each watcher. A process of its own counts bytes and does nothing else.
 */
import { fork } from 'node:child_process';
import { connect } from 'node:net';
import { runLoad } from './keep-alive-load.js';
import { podBody, podsPath } from './pod.js';
import { type ServerProcess, serverProcess } from './server-process.js';
import type { Address } from './servers.js';

const watchers = 1_000;
const writers = 16;
const rounds = 3;
const durationMs = 4_000;

/** Runs in its own process: `count PORT VERSION`. Answers every message with the bytes received since the last. */
export async function countBytes(port: number, resourceVersion: string): Promise<void> {
  let bytes = 0;
  const open = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' }, () =>
        socket.write(`GET ${podsPath}?watch=true&resourceVersion=${resourceVersion} HTTP/1.1\r\nhost: bench\r\n\r\n`),
      );
      socket.once('data', () => resolve());
      socket.on('data', part => {
        bytes += part.length;
      });
      socket.on('error', reject);
      socket.on('close', () => process.disconnect?.());
    });
  for (let i = 0; i < watchers; i += 50) await Promise.all(Array.from({ length: 50 }, open));
  process.on('message', () => {
    process.send!(bytes);
    bytes = 0;
  });
  process.once('disconnect', () => process.exit());
  process.send!(0);
}

interface Fan {
  deliveries: number;
  perCpuSecond: number;
  perSecond: number;
  writesPerSecond: number;
}

async function measure(server: ServerProcess<Address>, round: number): Promise<Fan> {
  const { port } = server.address;
  const list = (await (await fetch(`http://127.0.0.1:${port}${podsPath}?limit=1`)).json()) as {
    metadata: { resourceVersion: string };
  };
  const counter = fork(process.argv[1]!, ['count', `${port}`, list.metadata.resourceVersion], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const next = () =>
    new Promise<number>((resolve, reject) => {
      const onExit = () => reject(new Error('the counting process ended'));
      counter.once('exit', onExit);
      counter.once('message', value => {
        counter.off('exit', onExit);
        resolve(value as number);
      });
    });
  const received = () => {
    const answer = next();
    counter.send('bytes');
    return answer;
  };
  try {
    await next();
    let size = 0;
    let named = 0;
    // Size of one event, from a single write.
    const create = () => {
      const body = podBody({ name: `pod-${round}-${String(named++).padStart(8, '0')}` });
      return `POST ${podsPath} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    };
    const post = (connections: number, ms: number) =>
      runLoad({ port, connections, durationMs: ms, status: 201, request: create });
    await new Promise(resolve => setTimeout(resolve, 1_000));
    await received();
    const single = await post(1, 1);
    await new Promise(resolve => setTimeout(resolve, 1_000));
    size = (await received()) / watchers / single.count;
    await post(writers, 1_000);
    await new Promise(resolve => setTimeout(resolve, 2_000));
    await received();
    const cpu = await server.cpuMicros();
    const began = performance.now();
    const { count } = await post(writers, durationMs);
    // Until everything has arrived.
    let bytes = 0;
    for (let still = 0; still < 3; ) {
      const more = await received();
      bytes += more;
      still = more === 0 ? still + 1 : 0;
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    const seconds = (performance.now() - began) / 1_000 - 0.2;
    const deliveries = bytes / size;
    const micros = (await server.cpuMicros()) - cpu;
    if (deliveries < count * watchers * 0.98)
      throw new Error(`${Math.round(deliveries)} deliveries of ${count * watchers}: watchers were cut off`);
    return {
      deliveries,
      perCpuSecond: deliveries / (micros / 1e6),
      perSecond: deliveries / seconds,
      writesPerSecond: count / seconds,
    };
  } finally {
    counter.disconnect();
    await new Promise(resolve => counter.once('exit', resolve));
  }
}

const middle = (fans: Fan[]): Fan => fans.sort((a, b) => a.perCpuSecond - b.perCpuSecond)[fans.length >> 1]!;
const row = (fan: Fan): string =>
  `${fan.perCpuSecond.toFixed(0).padStart(8)} deliveries a second of server CPU (${(1e6 / fan.perCpuSecond).toFixed(2)} us each), ${fan.perSecond.toFixed(0)}/s with the client beside it, ${fan.writesPerSecond.toFixed(0)} writes/s`;

export async function fanOut(): Promise<void> {
  const server = await serverProcess<Address>('orbitkit-plain');
  const peer = await serverProcess<Address>('fan-out');
  try {
    const ours: Fan[] = [];
    const theirs: Fan[] = [];
    // The peer sends the very objects that we do.
    const made = await fetch(`http://127.0.0.1:${server.address.port}${podsPath}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: podBody({ name: 'template' }),
    });
    const template = await made.text();
    await fetch(`http://127.0.0.1:${peer.address.port}/template`, { method: 'POST', body: template });
    for (let round = 0; round < rounds; round++) {
      ours.push(await measure(server, round));
      theirs.push(await measure(peer, round));
    }
    const [own, other] = [middle(ours), middle(theirs)];
    console.log(
      `fan-out: ${watchers} watchers over plain HTTP, ${writers} writers, pods of ${template.length} bytes; the CPU of the writes is in it`,
    );
    console.log(`  orbitkit               ${row(own)}`);
    console.log(
      `  stringify per watcher  ${row(other)}   orbitkit = ${(own.perCpuSecond / other.perCpuSecond).toFixed(1)}x`,
    );
  } finally {
    await Promise.all([server.stop(), peer.stop()]);
  }
}
