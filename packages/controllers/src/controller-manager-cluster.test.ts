/** What a manager is among others and to others: elected, fenced, looked at from outside, on several clusters. */
import { type Client, ConfigMap, compose, Lease, manualClock, Secret } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { controller } from './controller-builder.js';
import { type ControllerManagerOptions, controllerManager } from './controller-manager.js';
import { createTestControlPlane, interceptClient } from './testing/index.js';

const namespace = 'default';
const key = (name: string) => ({ name, namespace });

/** A manager of its own over a client, as another process would be one. */
function managed(
  client: Client,
  controllers: Parameters<typeof controllerManager>[0],
  options: ControllerManagerOptions,
) {
  const composition = compose({ client, stopTimeoutMs: 5_000 }, controllerManager(controllers, options));
  const run = composition.run();
  run.catch(() => {});
  return { composition, [Symbol.asyncDispose]: () => composition[Symbol.asyncDispose]() };
}

it('of several managers one works; the next one follows when it stops, in a later term', async () => {
  await using plane = await createTestControlPlane();
  const seen: string[] = [];
  const candidate = (identity: string) =>
    managed(
      plane.client,
      [
        controller(ConfigMap)
          .named('subject')
          .predicate(({ object }) => object.metadata.name.startsWith('my-'))
          .reconcile(({ name, term }) => void seen.push(`${identity}${term} ${name}`)),
      ],
      // Only how soon the next one asks is short: a slow machine must not cost the leader its lease.
      { election: { identity, retryPeriodMs: 100, renewDeadlineMs: 20_000, leaseDurationMs: 30_000 } },
    );
  await plane.client.create(ConfigMap, { metadata: key('my-a') });
  const a = candidate('a');
  await a.composition.ready;
  await plane.eventually(() => seen.includes('a0 my-a'));
  await using b = candidate('b');
  await b.composition.ready;
  expect(seen).toEqual(['a0 my-a']);
  await a[Symbol.asyncDispose]();
  await plane.eventually(() => seen.includes('b1 my-a'));
  const lease = await plane.client.get(Lease, { name: 'controller-manager', namespace: 'kube-system' });
  expect(lease.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  expect(lease.spec.renewTime).toMatch(/\.\d{6}Z$/);
});

it('writes nothing once its lease may be another one’s, whatever its reconciler goes on to do', async () => {
  await using plane = await createTestControlPlane();
  const clock = manualClock();
  const outcome: string[] = [];
  let goOn = () => {};
  const suspended = new Promise<void>(resolve => {
    goOn = resolve;
  });
  let cut = false;
  // Its requests for the lease get no answer: the network is gone for it, and it was asleep in the middle of a reconciliation.
  const client = interceptClient(plane.client, {
    update: (next, kind, object, options) =>
      cut && (kind as { kind: string }).kind === 'Lease' ? new Promise(() => {}) : next(kind, object, options),
  });
  const subject = controller(ConfigMap)
    .named('subject')
    .predicate(({ object }) => object.metadata.name === 'a')
    .reconcile(async ({ client }) => {
      await suspended;
      await client.create(Secret, { metadata: key('late') }, { signal: new AbortController().signal }).then(
        () => outcome.push('written'),
        error => outcome.push(error.message),
      );
    });
  const composition = compose({ client, clock }, controllerManager([subject], { election: { identity: 'a' } }));
  composition.run().catch(() => {});
  await plane.client.create(ConfigMap, { metadata: key('a') });
  await composition.ready;
  await new Promise(resolve => setImmediate(resolve));
  cut = true;
  await clock.advance(16_000);
  goOn();
  await plane.eventually(() => outcome.length > 0);
  expect(outcome).toEqual(['the leadership of term 0 is over; another may have followed']);
  const stopped = composition[Symbol.asyncDispose]();
  await clock.advance(60_000);
  await stopped;
});

it('answers for its health, readiness and metrics', async () => {
  let url = '';
  let healthy = true;
  const check = () => {
    if (!healthy) throw new Error('the disk is full');
  };
  const subject = controller(ConfigMap)
    .named('subject')
    .reconcile(({ name }) => {
      if (name === 'bug') throw new TypeError('x is undefined');
    });
  await using plane = await createTestControlPlane();
  const listening = (at: string) => {
    url = at;
  };
  const endpoints = { port: 0, checks: { disk: check }, listening };
  await using manager = managed(plane.client, [subject], { endpoints });
  await manager.composition.ready;
  const get = async (path: string) => {
    const answer = await fetch(url + path);
    return [answer.status, await answer.text()] as const;
  };
  expect([await get('/healthz'), await get('/readyz')]).toEqual([
    [200, 'ok'],
    [200, 'ok'],
  ]);
  healthy = false;
  expect(await get('/healthz')).toEqual([500, '[+]ping ok\n[-]disk failed']);
  expect((await get('/other'))[0]).toBe(404);
  await plane.client.create(ConfigMap, { metadata: key('bug') });
  const metrics = await plane.eventually(async () => {
    const [, text] = await get('/metrics');
    return text.includes('panics_total{controller="subject"} 0') ? undefined : text;
  });
  for (const name of [
    'controller_runtime_reconcile_total{controller="subject",result="error"}',
    'controller_runtime_reconcile_errors_total{controller="subject"}',
    'controller_runtime_terminal_reconcile_errors_total{controller="subject"} 0',
    'controller_runtime_reconcile_time_seconds_bucket{controller="subject"',
    'controller_runtime_max_concurrent_reconciles{controller="subject"} 1',
    'controller_runtime_active_workers{controller="subject"}',
    'workqueue_depth{name="subject"}',
  ])
    expect(metrics).toContain(name);
});

it('works on several clusters, and knows in which one it is', async () => {
  await using east = await createTestControlPlane();
  await using west = await createTestControlPlane();
  const seen = new Set<string>();
  // What is written in the east is there in the west too.
  const mirror = controller(ConfigMap)
    .named('mirror')
    .predicate(({ object }) => object.metadata.name.startsWith('my-'))
    .watches(Secret, secret => ({ cluster: 'east', name: secret.metadata.name, namespace }))
    .reconcile(async ({ cluster, name, object, inCluster }) => {
      seen.add(`${cluster} ${name}`);
      if (cluster !== 'east') return;
      const other = inCluster('west');
      if (other.read(ConfigMap).has(key(name))) return;
      await other.client.create(ConfigMap, { metadata: key(name), data: object.data ?? {} });
    });
  const plain = { name: 'plain', runs: 0 };
  const each = {
    name: 'plain',
    async run({ signal, ready }: { signal: AbortSignal; ready(): void }) {
      plain.runs += 1;
      ready();
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
    },
  };
  await using manager = managed(east.client, [mirror, each], { clusters: { east: east.client, west: west.client } });
  await manager.composition.ready;
  expect(plain.runs).toBe(2);
  await east.client.create(ConfigMap, { metadata: key('my-a'), data: { from: 'east' } });
  const copy = await west.eventually(() => west.client.get(ConfigMap, key('my-a')));
  expect(copy.data).toEqual({ from: 'east' });
  await west.eventually(() => seen.has('west my-a') && seen.has('east my-a'));
  seen.clear();
  await west.client.create(Secret, { metadata: key('my-a') });
  await west.eventually(() => seen.has('east my-a'));
  expect(() => controllerManager([], { clusters: { 'a|b': east.client } })).toThrow('cluster "a|b"');
});

it('names what does not stop in time', async () => {
  await using plane = await createTestControlPlane();
  const started: string[] = [];
  let letGo = () => {};
  const stubborn = controller(ConfigMap)
    .named('stubborn')
    .reconcile(async ({ name }) => {
      started.push(name);
      await new Promise<void>(resolve => {
        letGo = resolve;
      });
    });
  const clock = manualClock();
  const lines: unknown[] = [];
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (...line: unknown[]) => void lines.push(line),
    with: () => log,
  };
  const manager = controllerManager([stubborn], { stopTimeoutMs: 1_000 });
  const stop = new AbortController();
  const { metrics } = compose();
  const run = manager.run({
    ...{ client: plane.client, clock, metrics, log: log as never, signal: stop.signal },
    ready() {},
    provideClient() {},
  });
  const failed = expect(run).rejects.toThrow('stubborn did not stop within 1 s');
  await plane.client.create(ConfigMap, { metadata: key('a') });
  await plane.eventually(() => started.length > 0);
  stop.abort();
  await clock.advance(1_001);
  await failed;
  letGo();
});
