/**
 * G12: what an object costs in the memory of the whole server, and whether creates are as quick, and as even, when 200,000 pods are there. Pods are
 * created over TLS and HTTP/2 with durable writes; the rate is taken over the first stage and over the last one.
 */
import { percentile } from '../samples.js';
import { runH2Load } from './h2-load.js';
import { podBody, podsPath } from './pod.js';
import { serverProcess } from './server-process.js';
import type { Address } from './servers.js';

const goals = { bytes: 7_000, rate: 0.85, stallMs: 150 };
const objects = 200_000;
const stageSeconds = 5;
/** The engine compiles, and the history of writes (64 MiB) fills, before anything is counted. */
const warmUp = 20_000;

export async function capacity(): Promise<void> {
  const server = await serverProcess<Address>('orbitkit');
  try {
    const body = podBody({ generateName: 'capacity-' });
    const stage = async () => {
      const before = await server.cpuMicros();
      const { count, seconds, latencies } = await runH2Load({
        address: server.address,
        path: podsPath,
        body,
        connections: 8,
        streams: 8,
        seconds: stageSeconds,
      });
      const cpu = ((await server.cpuMicros()) - before) / count;
      return {
        count,
        rate: count / seconds,
        cpu,
        p99: percentile(latencies, 0.99),
        longest: latencies.reduce((a, b) => Math.max(a, b), 0),
      };
    };
    let created = 0;
    while (created < warmUp) created += (await stage()).count;
    const [startMemory, startObjects] = [await server.memory(), created];
    const first = await stage();
    created += first.count;
    let last = first;
    let longest = 0;
    while (created < objects) {
      last = await stage();
      created += last.count;
      longest = Math.max(longest, last.longest);
    }
    const bytes = ((await server.memory()) - startMemory) / (created - startObjects);
    const share = last.rate / first.rate;
    const met = (good: boolean) => (good ? 'met' : 'NOT met');
    console.log(`capacity: ${created} pods, 64 creates in flight`);
    for (const [name, { rate, cpu, p99, longest: most }] of [
      ['first', first],
      ['last', last],
    ] as const)
      console.log(
        `  ${name} ${stageSeconds} s: ${rate.toFixed(0)}/s, ${cpu.toFixed(0)} us CPU each, p99 ${p99.toFixed(1)} ms, longest ${most.toFixed(0)} ms`,
      );
    console.log(
      `  rate at the end ${share.toFixed(2)}x of the first; goal >= ${goals.rate}: ${met(share >= goals.rate)}`,
    );
    console.log(
      `  longest answer of all stages ${longest.toFixed(0)} ms; goal <= ${goals.stallMs}: ${met(longest <= goals.stallMs)}`,
    );
    console.log(
      `  ${(bytes / 1_000).toFixed(1)} KB resident memory for each pod; goal <= ${goals.bytes / 1_000}: ${met(bytes <= goals.bytes)}`,
    );
  } finally {
    await server.stop();
  }
}
