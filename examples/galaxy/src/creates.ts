/**
 * Creates per second through a Galaxy of separate processes with simulated sandboxes, and what becomes of each when a scheduler is killed in the
 * middle. `runCreates` is shared by the benchmark and by the end-to-end test.
 */
import { Agent, request } from 'node:http';
import type { GalaxyProcesses } from './processes.js';

export interface CreatesResult {
  seconds: number;
  /** Milliseconds, sorted. */
  latencies: number[];
  created: { key: string; id: string }[];
  errors: { key: string; status: number; body: string }[];
}

export interface CreatesOptions {
  count: number;
  clients: number;
  /** Before each idempotency key, so that two runs do not meet. Default `key`. */
  prefix?: string;
  /** Called once after this many answers. */
  after?: { answers: number; run(): Promise<void> };
}

export async function runCreates(galaxy: GalaxyProcesses, options: CreatesOptions): Promise<CreatesResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: options.clients });
  const latencies: number[] = [];
  const created: CreatesResult['created'] = [];
  const errors: CreatesResult['errors'] = [];
  let next = 0;
  let answers = 0;
  let disturbance: Promise<void> | undefined;
  const post = (key: string): Promise<{ status: number; text: string }> =>
    new Promise((resolve, reject) => {
      const url = new URL('/v1/instances', galaxy.gateways[next % galaxy.gateways.length]);
      const call = request(
        url,
        { method: 'POST', agent, headers: { authorization: `Bearer ${galaxy.token}`, 'idempotency-key': key } },
        response => {
          const chunks: Buffer[] = [];
          response.on('data', chunk => chunks.push(chunk));
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
          );
          response.on('error', reject);
        },
      );
      call.on('error', reject);
      call.end(JSON.stringify({ function: `f-${key}`, image: 'bench' }));
    });
  async function one(): Promise<void> {
    while (next < options.count) {
      const key = `${options.prefix ?? 'key'}-${next++}`;
      const began = performance.now();
      const { status, text } = await post(key);
      latencies.push(performance.now() - began);
      if (status === 201) created.push({ key, id: JSON.parse(text).id });
      else errors.push({ key, status, body: text });
      answers += 1;
      if (options.after && answers === options.after.answers) disturbance = options.after.run();
    }
  }
  const began = performance.now();
  await Promise.all(Array.from({ length: options.clients }, one));
  const seconds = (performance.now() - began) / 1000;
  await disturbance;
  agent.destroy();
  latencies.sort((a, b) => a - b);
  return { seconds, latencies, created, errors };
}

export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;

/** Instances by idempotency key, as the nodes have them. */
export async function instancesByKey(galaxy: GalaxyProcesses): Promise<Map<string, string[]>> {
  const response = await fetch(`${galaxy.gateways[0]}/v1/instances`, {
    headers: { authorization: `Bearer ${galaxy.token}` },
  });
  const { items, unanswered } = (await response.json()) as {
    items: { key: string; id: string; state: string }[];
    unanswered: string[];
  };
  if (unanswered.length > 0) throw new Error(`nodes did not answer: ${unanswered.join(', ')}`);
  const byKey = new Map<string, string[]>();
  for (const { key, id, state } of items) if (state === 'running') byKey.set(key, [...(byKey.get(key) ?? []), id]);
  return byKey;
}
