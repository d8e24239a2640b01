import { type Component, ConfigMap, compose, manualClock } from '@orbitkit/core';
import { expect, it } from 'vitest';
import type { Controller } from './controller.js';
import { controller } from './controller-builder.js';
import { controllerManager } from './controller-manager.js';
import { createTestControlPlane } from './testing/index.js';

it('a controller that crashes is started again with back-off, the others go on', async () => {
  const clock = manualClock();
  const starts: number[] = [];
  const crashing: Controller = {
    name: 'crashing',
    async run({ ready }) {
      starts.push(clock.now());
      ready();
      throw new Error('bug');
    },
  };
  const seen: string[] = [];
  const healthy = controller(ConfigMap)
    .named('healthy')
    .reconcile(({ name }) => void seen.push(name));
  await using plane = await createTestControlPlane({ controllers: [crashing, healthy], clock });
  await clock.advance(10_000);
  expect(starts.length).toBeGreaterThanOrEqual(4);
  const waits = starts.slice(1).map((at, i) => at - starts[i]!);
  expect(waits[0]).toBeGreaterThanOrEqual(500);
  expect(waits[2]).toBeGreaterThanOrEqual(2_000);
  await plane.client.create(ConfigMap, { metadata: { name: 'a', namespace: 'default' } });
  await plane.eventually(() => seen.includes('a'));
});

it('is ready when all its controllers are', async () => {
  let letGo = () => {};
  const slow: Controller = {
    name: 'slow',
    run: ({ ready, signal }) =>
      new Promise(resolve => {
        letGo = ready;
        signal.addEventListener('abort', () => resolve(), { once: true });
      }),
  };
  await using plane = await createTestControlPlane();
  const client = plane.client;
  const stop = new AbortController();
  const composition = compose({ client }, controllerManager([slow]));
  const run = composition.run({ signal: stop.signal });
  let ready = false;
  void composition.ready.then(() => {
    ready = true;
  });
  for (let i = 0; i < 20; i++) await new Promise(resolve => setImmediate(resolve));
  expect(ready).toBe(false);
  letGo();
  await composition.ready;
  stop.abort();
  await run;
});

it('refuses two controllers of one name, and one that does nothing', () => {
  const one: Controller = { name: 'x', run: async () => {} };
  expect(() => controllerManager([one, one])).toThrow(/two controllers are named "x"/);
  // What a program in plain JavaScript may do.
  expect(() => controllerManager([controller(ConfigMap) as never])).toThrow(/end it with \.reconcile/);
});

it('stops in time, also in the middle of a reconciliation, and leaves no timer', async () => {
  const clock = manualClock();
  const started: string[] = [];
  const waiting = controller(ConfigMap)
    .named('waiting')
    .reconcile(async ({ signal, clock, name }) => {
      started.push(name);
      await clock.sleep(1_000_000, signal);
    });
  const plane = await createTestControlPlane();
  const composition = compose(
    { client: plane.client, clock, stopTimeoutMs: 2_000 },
    controllerManager([waiting]) satisfies Component,
  );
  const stop = new AbortController();
  const run = composition.run({ signal: stop.signal });
  await composition.ready;
  await plane.client.create(ConfigMap, { metadata: { name: 'a', namespace: 'default' } });
  await plane.eventually(() => started.length === 1);
  stop.abort();
  await run;
  expect(clock.pending).toBe(0);
  await plane[Symbol.asyncDispose]();
});
