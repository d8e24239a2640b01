/**
 * A polite client that sends one get after the other, alone and beside a greedy one with 1,000 lists of 500 pods under way at any time; with fair
 * queueing and without. The greedy client's lists that are refused (429) are asked for again.
 */
import { spawn } from 'node:child_process';
import { connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { median, percentile } from '../samples.js';
import { podBody, podsPath } from './pod.js';
import { serverProcess } from './server-process.js';
import type { Address } from './servers.js';

const pods = 500;
const seconds = 8;

async function polite({ port, authority, token }: Address, forMs: number): Promise<number[]> {
  const session = connect(`https://127.0.0.1:${port}`, { ca: authority! });
  const waits: number[] = [];
  const ask = (method: string, path: string, body?: string) =>
    new Promise<void>((resolve, reject) => {
      const headers = { ':method': method, ':path': path, authorization: `Bearer ${token}` };
      const stream = session.request(
        { ...headers, 'content-type': 'application/json' },
        { endStream: body === undefined },
      );
      stream.on('error', reject);
      stream.on('close', resolve);
      stream.resume();
      if (body !== undefined) stream.end(body);
    });
  try {
    if (forMs === 0) for (let i = 0; i < pods; i++) await ask('POST', podsPath, podBody({ name: `pod-${i}` }));
    for (const end = performance.now() + forMs; performance.now() < end; ) {
      const began = performance.now();
      await ask('GET', `${podsPath}/pod-1`);
      waits.push(performance.now() - began);
      await sleep(10);
    }
    return waits;
  } finally {
    session.close();
  }
}

async function measure(what: string): Promise<void> {
  const server = await serverProcess<Address>(what);
  try {
    await polite(server.address, 0);
    await polite(server.address, 2_000);
    const alone = await polite(server.address, 4_000);
    const words = ['-c10', '-m100', `-D${seconds + 4}`, '-H', `authorization: Bearer ${server.address.token}-greedy`];
    const greedy = spawn('h2load', [...words, `https://127.0.0.1:${server.address.port}${podsPath}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    greedy.stdout.on('data', part => {
      said += part;
    });
    const ended = new Promise(resolve => greedy.once('close', resolve));
    await sleep(2_000);
    const beside = await polite(server.address, seconds * 1_000);
    await ended;
    const codes = /status codes: (.*)/.exec(said)?.[1];
    console.log(
      `  ${what.padEnd(16)} alone p50 ${median(alone).toFixed(1)}, p99 ${percentile(alone, 0.99).toFixed(1)} ms; beside the greedy one p50 ${median(beside).toFixed(1)}, p99 ${percentile(beside, 0.99).toFixed(1)} ms (${beside.length} gets; its lists: ${codes})`,
    );
  } finally {
    await server.stop();
  }
}

/** Needs h2load. */
export async function fairness(): Promise<void> {
  console.log(`fairness: a client with one get at a time, beside one with 1,000 lists of ${pods} pods at a time`);
  await measure('orbitkit');
  await measure('orbitkit-unfair');
}
