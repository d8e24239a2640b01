/**
 * What `metadata.managedFields` costs: processor time of this process per create of a pod and per update of its status, through the
 * in-process client over the memory store, with ownership tracked and without; rounds interleaved, medians. Beside it the bytes that
 * an object grows by, and the time of the ownership walk alone. The client is in the same process, so its own work (JSON both ways) is in
 * the totals, and grows with the answers.
 *
 *     node bench/run.mjs managed-fields.ts
 */
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { type Client, compose, logger, Pod, recordCreate } from '@orbitkit/core';
import { machine, median } from './samples.js';

const rounds = 7;
const operations = 1_500;

const container = (name: string) => ({
  name,
  image: `registry.invalid/team/${name}:1.4.2`,
  env: ['LOG_LEVEL', 'REGION', 'FEATURES'].map(variable => ({ name: variable, value: variable.toLowerCase() })),
  resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
});
const pod = (name: string) => ({
  metadata: { name, namespace: 'default', labels: { app: 'bench', tier: 'web' } },
  spec: {
    containers: [
      {
        ...container('web'),
        ports: [{ name: 'http', containerPort: 8_080 }],
        readinessProbe: { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 5 },
      },
      container('proxy'),
    ],
  },
});

async function started(managedFields: boolean) {
  const server = apiServer({ store: memoryStore(), listen: false, resources: { managedFields } });
  let client: Client | undefined;
  const api = compose({ log: logger({ level: 'error' }) }, server, {
    name: 'bench',
    run: async context => {
      client = context.client;
      context.ready();
      await new Promise(resolve => context.signal.addEventListener('abort', resolve, { once: true }));
    },
  });
  const stop = new AbortController();
  const running = api.run({ signal: stop.signal });
  await Promise.race([api.ready, running]);
  while (client === undefined) await new Promise(resolve => setTimeout(resolve, 1));
  const close = async () => {
    stop.abort();
    await running;
  };
  return { client, close };
}

/** Microseconds of processor time per operation. */
async function cpu(run: (index: number) => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  for (let index = 0; index < operations; index++) await run(index);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / operations;
}

const sides = { with: await started(true), without: await started(false) };
type Side = keyof typeof sides;
const samples: Record<Side, { create: number[]; update: number[] }> = {
  with: { create: [], update: [] },
  without: { create: [], update: [] },
};
for (let round = 0; round <= rounds; round++) {
  for (const side of round % 2 ? (['with', 'without'] as const) : (['without', 'with'] as const)) {
    const { client } = sides[side];
    const name = (index: number) => `p-${round}-${index}`;
    const create = await cpu(index => client.create(Pod, pod(name(index)) as never));
    const update = await cpu(index =>
      client.patch(
        Pod,
        { name: name(index), namespace: 'default' },
        { type: 'merge', patch: { status: { phase: 'Running', podIP: '10.0.0.1' } } },
        { subresource: 'status', fieldManager: 'kubelet' },
      ),
    );
    // The first round warms up.
    if (round > 0) {
      samples[side].create.push(create);
      samples[side].update.push(update);
    }
    for (let index = 0; index < operations; index++) {
      await client.delete(Pod, { name: name(index), namespace: 'default' }, { gracePeriodSeconds: 0 });
    }
  }
}

const { client } = sides.with;
const made = await client.create(Pod, pod('sample') as never);
const bytes = JSON.stringify(made).length;
const bare = JSON.stringify({ ...made, metadata: { ...made.metadata, managedFields: undefined } }).length;
await Promise.all(Object.values(sides).map(({ close }) => close()));

const object = { apiVersion: 'v1', schema: Pod.schema, value: made as never };
const writer = { manager: 'bench', time: '2026-01-01T00:00:00Z' };
const walks: number[] = [];
for (let round = 0; round < 12; round++) {
  const begun = process.hrtime.bigint();
  for (let i = 0; i < 5_000; i++) recordCreate(object, writer);
  walks.push(Number(process.hrtime.bigint() - begun) / 5_000 / 1_000);
}

const row = (what: 'create' | 'update') => {
  const [on, off] = [median(samples.with[what]), median(samples.without[what])];
  return `${what.padEnd(8)} ${on.toFixed(0).padStart(6)} µs with, ${off.toFixed(0).padStart(6)} µs without: ${(on - off).toFixed(0)} µs more`;
};
console.log(`managedFields: processor time per operation, median of ${rounds} rounds of ${operations}
${row('create')}
${row('update')}   (a status patch of a pod)
the ownership walk of a create alone: ${median(walks).toFixed(1)} µs
a pod of two containers: ${bytes} bytes with, ${bare} without
${machine()}`);
