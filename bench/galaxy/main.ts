/** `npm run bench:galaxy`: prints rate and latency beside the original's figures (Go, no exec, 16 HTTP clients, this class of machine). */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { instancesByKey, percentile, runCreates } from '@orbitkit/example-galaxy/creates';
import { startGalaxy } from '@orbitkit/example-galaxy/processes';

const original = { rate: 1_843, p99: 516 };
const size = { gateways: 1, dispatchers: 1, schedulers: 2, nodes: 2, runtime: 'simulated' as const };

async function measure(title: string, kill: boolean): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'galaxy-bench-'));
  const galaxy = await startGalaxy(directory, size);
  try {
    await runCreates(galaxy, { count: 1_000, clients: 16, prefix: 'warm' }); // warm-up: just-in-time compilation, connections
    const count = kill ? 2_000 : 10_000;
    const offset = kill ? { answers: count / 2, run: () => galaxy.kill('scheduler-1', 'SIGKILL') } : undefined;
    const { seconds, latencies, created, errors } = await runCreates(galaxy, {
      count,
      clients: 16,
      ...(offset ? { after: offset } : {}),
    });
    const byKey = await instancesByKey(galaxy);
    const duplicates = [...byKey.values()].filter(ids => ids.length > 1).length;
    console.log(
      `${title}: ${(created.length / seconds).toFixed(0)} instances/s, p50 ${percentile(latencies, 0.5).toFixed(1)} ms, p99 ${percentile(latencies, 0.99).toFixed(1)} ms; ` +
        `${created.length} created, ${errors.length} errors, ${duplicates} duplicates (original: ${original.rate}/s, p99 ${original.p99} ms, simulated sandboxes on both sides)`,
    );
    for (const { status, body } of errors.slice(0, 3)) console.log(`  ${status} ${body.trim().slice(0, 200)}`);
  } finally {
    await galaxy.stop();
    await rm(directory, { recursive: true, force: true });
  }
}
console.log(
  `${cpus().length} processors (${cpus()[0]?.model}), Node ${process.version}; every role its own process, mutual TLS`,
);
await measure('10,000 creates, 16 clients', false);
await measure('2,000 creates, 16 clients, one scheduler killed half-way', true);
