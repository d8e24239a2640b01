/**
 * G6: from the request of a create until the event has arrived at a watcher, at 200 creates a second, with one watcher and with 100. Over TLS
 * and HTTP/2; the writer has a connection of its own, ten watchers share one. Durable, with RBAC and validation, as always.
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, percentile } from '../samples.js';
import { podBody, podsPath } from './pod.js';
import { serverProcess } from './server-process.js';
import type { Address } from './servers.js';

const perSecond = 200;
const seconds = 8;
const goal = { p50: 1, p99: 10 };

async function measure({ port, authority, token }: Address, watchers: number, round: number): Promise<number[]> {
  const sessions: ClientHttp2Session[] = [];
  const session = () => {
    const made = connect(`https://127.0.0.1:${port}`, { ca: authority! });
    sessions.push(made);
    return made;
  };
  const authorization = `Bearer ${token}`;
  const sentAt = new Map<string, number>();
  const latencies: number[] = [];
  try {
    const version = await newestVersion(session(), authorization);
    let shared = session();
    for (let i = 0; i < watchers; i++) {
      if (i % 10 === 9) shared = session();
      const stream = shared.request({ ':path': `${podsPath}?watch=true&resourceVersion=${version}`, authorization });
      stream.setEncoding('utf8');
      let rest = '';
      stream.on('data', (text: string) => {
        const now = performance.now();
        const lines = (rest + text).split('\n');
        rest = lines.pop()!;
        for (const line of lines) {
          const sent = sentAt.get(/"name":"(lat-\d+-\d+)"/.exec(line)?.[1] ?? '');
          if (sent !== undefined) latencies.push(now - sent);
        }
      });
      await new Promise((resolve, reject) => {
        stream.once('response', resolve);
        stream.once('error', reject);
      });
    }
    await sleep(1_500);
    const writer = session();
    const began = performance.now();
    for (let n = 0; n < perSecond * seconds; n++) {
      const wait = began + (n * 1_000) / perSecond - performance.now();
      if (wait > 0) await sleep(wait);
      const name = `lat-${round}-${String(n).padStart(6, '0')}`;
      const stream = writer.request({
        ':method': 'POST',
        ':path': podsPath,
        'content-type': 'application/json',
        authorization,
      });
      // The first second warms up.
      if (n >= perSecond) sentAt.set(name, performance.now());
      stream.end(podBody({ name }));
      stream.on('error', () => undefined);
      stream.resume();
    }
    const expected = perSecond * (seconds - 1) * watchers;
    for (let i = 0; i < 100 && latencies.length < expected; i++) await sleep(100);
    return latencies;
  } finally {
    for (const each of sessions) each.destroy();
  }
}

function newestVersion(session: ClientHttp2Session, authorization: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': `${podsPath}?limit=1`, authorization });
    let text = '';
    stream.setEncoding('utf8');
    stream.on('data', part => {
      text += part;
    });
    stream.on('error', reject);
    stream.on('end', () => resolve(JSON.parse(text).metadata.resourceVersion));
  });
}

/** What the disk alone takes for a pod: an append and `fdatasync`, one after the other. Milliseconds. */
async function bareSync(): Promise<number[]> {
  const dir = await mkdtemp(join(tmpdir(), 'orbitkit-bench-sync-'));
  const file = await open(join(dir, 'log'), 'w');
  try {
    const bytes = Buffer.alloc(4_096, 1);
    const took: number[] = [];
    for (let i = 0; i < 400; i++) {
      const began = performance.now();
      await file.write(bytes, 0, bytes.length, i * bytes.length);
      await file.datasync();
      took.push(performance.now() - began);
      await sleep(2);
    }
    return took;
  } finally {
    await file.close();
    await rm(dir, { recursive: true, force: true });
  }
}

export async function latency(): Promise<void> {
  const server = await serverProcess<Address>('orbitkit');
  try {
    const sync = await bareSync();
    console.log(
      `latency: create to watch event, ${perSecond}/s for ${seconds} s; the disk alone: p50 ${median(sync).toFixed(2)} ms  p99 ${percentile(sync, 0.99).toFixed(2)} ms`,
    );
    for (const [round, watchers] of [1, 100].entries()) {
      const samples = await measure(server.address, watchers, round);
      const expected = perSecond * (seconds - 1) * watchers;
      if (samples.length < expected) throw new Error(`${samples.length} of ${expected} events arrived`);
      const [p50, p99] = [median(samples), percentile(samples, 0.99)];
      const met = p50 <= goal.p50 && p99 <= goal.p99;
      console.log(
        `  ${String(watchers).padStart(3)} watchers  p50 ${p50.toFixed(2)} ms  p99 ${p99.toFixed(2)} ms  (${samples.length} events)${watchers === 1 ? `  goal ${goal.p50} and ${goal.p99} ms: ${met ? 'met' : 'NOT met'}` : ''}`,
      );
    }
  } finally {
    await server.stop();
  }
}
