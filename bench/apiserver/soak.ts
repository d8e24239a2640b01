/**
 * G16: a mix of creates, gets, lists and deletes over TLS and HTTP/2 at 30 % of what the server does at most, for ten minutes: how much its memory
 * grows a minute, and whether the last minute is as quick as the first. Creates are deleted again, so that the store stays as large as it is.
 *
 *     node bench/run.mjs apiserver/main.ts soak [MINUTES]
 */
import { type ClientHttp2Session, connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../samples.js';
import { podBody, podsPath } from './pod.js';
import { serverProcess } from './server-process.js';
import type { Address } from './servers.js';

const goals = { slope: 1, ratio: 1.2 };
const share = 0.3;
const lanes = 16;
/** Writes of about 3.5 KB, two a turn, until the history is full. */
const historyTurns = 12_000;

/** Least squares: MB a minute. */
function slopeOf(samples: readonly (readonly [minute: number, megabytes: number])[]): number {
  const n = samples.length;
  const mean = (at: 0 | 1) => samples.reduce((sum, sample) => sum + sample[at], 0) / n;
  const [x, y] = [mean(0), mean(1)];
  const across = samples.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0);
  return across / samples.reduce((sum, [a]) => sum + (a - x) ** 2, 0);
}

export async function soak(minutes: number): Promise<void> {
  const server = await serverProcess<Address>('orbitkit');
  const sessions: ClientHttp2Session[] = [];
  try {
    const { port, authority, token } = server.address;
    const authorization = `Bearer ${token}`;
    const ask = (session: ClientHttp2Session, method: string, path: string, body?: string) =>
      new Promise<void>((resolve, reject) => {
        const headers = { ':method': method, ':path': path, authorization, 'content-type': 'application/json' };
        const stream = session.request(headers, { endStream: body === undefined });
        let status = 0;
        stream.on('response', answer => {
          status = Number(answer[':status']);
        });
        stream.on('error', reject);
        stream.on('close', () =>
          status >= 200 && status < 300 ? resolve() : reject(new Error(`${method} ${path}: ${status}`)),
        );
        stream.resume();
        if (body !== undefined) stream.end(body);
      });
    let named = 0;
    /** One turn: six requests of every kind. */
    async function turn(session: ClientHttp2Session, note: (ms: number) => void): Promise<void> {
      const name = `soak-${named++}`;
      const timed = async (method: string, path: string, body?: string) => {
        const began = performance.now();
        await ask(session, method, path, body);
        note(performance.now() - began);
      };
      await timed('POST', podsPath, podBody({ name }));
      for (let i = 0; i < 3; i++) await timed('GET', `${podsPath}/${name}`);
      await timed('GET', `${podsPath}?limit=20`);
      await timed('DELETE', `${podsPath}/${name}?gracePeriodSeconds=0`);
    }
    for (let i = 0; i < lanes; i++) sessions.push(connect(`https://127.0.0.1:${port}`, { ca: authority! }));

    // The store keeps its last 64 MiB of history, whatever becomes of the objects: that much comes first.
    await Promise.all(
      sessions.map(async session => {
        while (named < historyTurns) await turn(session, () => undefined);
      }),
    );
    // How many turns it does at most.
    let turns = 0;
    const full = performance.now() + 15_000;
    await Promise.all(
      sessions.map(async session => {
        while (performance.now() < full) {
          await turn(session, () => undefined);
          turns++;
        }
      }),
    );
    const most = turns / 15;
    const rate = most * share;
    console.log(
      `soak: at most ${(most * 6).toFixed(0)} requests/s of a client in one process; ${minutes} min at ${(rate * 6).toFixed(0)}/s`,
    );

    const memory: (readonly [number, number])[] = [];
    const byMinute: number[][] = [];
    const began = performance.now();
    const end = began + minutes * 60_000;
    const pace = (lanes / rate) * 1_000;
    const watchMemory = (async () => {
      while (performance.now() < end) {
        memory.push([(performance.now() - began) / 60_000, (await server.memory()) / 2 ** 20]);
        await sleep(2_000);
      }
    })();
    await Promise.all([
      watchMemory,
      ...sessions.map(async (session, lane) => {
        for (let n = 0; ; n++) {
          const at = began + (lane / lanes) * pace + n * pace;
          if (at >= end) return;
          await sleep(Math.max(0, at - performance.now()));
          const minute = Math.min(minutes - 1, Math.floor((performance.now() - began) / 60_000));
          byMinute[minute] ??= [];
          await turn(session, ms => byMinute[minute]!.push(ms));
        }
      }),
    ]);
    // Between collections memory goes up and down: what counts is the least of each minute. The first ones grow the heap to its size.
    const floors = Array.from({ length: minutes }, (_, minute) => {
      const within = memory.filter(([at]) => Math.floor(at) === minute).map(([, megabytes]) => megabytes);
      return [minute, Math.min(...within)] as const;
    });
    const slope = slopeOf(floors.slice(Math.floor(Math.min(2, minutes / 3))));
    const first = percentile(byMinute[0]!, 0.99);
    const last = percentile(byMinute.at(-1)!, 0.99);
    console.log(
      `  memory ${memory[0]![1].toFixed(0)} MB at first, ${memory.at(-1)![1].toFixed(0)} MB at last, ${slope.toFixed(2)} MB/min on the floor of each minute (${floors.map(([, megabytes]) => megabytes.toFixed(0)).join(' ')}); goal < ${goals.slope}: ${slope < goals.slope ? 'met' : 'NOT met'}`,
    );
    console.log(
      `  p99 ${first.toFixed(1)} ms in the first minute, ${last.toFixed(1)} ms in the last; goal <= ${goals.ratio}x: ${last <= first * goals.ratio ? 'met' : 'NOT met'}`,
    );
    if (slope >= goals.slope || last > first * goals.ratio) process.exitCode = 1;
  } finally {
    for (const session of sessions) session.destroy();
    await server.stop();
  }
}
