/**
 * What an older system of shard schedulers got wrong, each fact as a test that passes here: room that never came back, newest first and the system's own last,
 * half of a shard taken by each new scheduler, and a scheduler that stood still while one container started or ran.
 */
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { type Client, compose, manualClock, Node, Pod, silentLogger } from '@orbitkit/core';
import { expect, it } from 'vitest';
import type { Plugin } from './framework/plugin.js';
import { profile } from './framework/profile.js';
import { firstFitShard, rendezvousShard } from './plugins/first-fit-shard.js';
import { resourceFit } from './plugins/resource-fit.js';
import { defaultPlugins } from './profiles.js';
import { schedulingQueue } from './queue/scheduling-queue.js';
import { scheduler } from './scheduler.js';
import { boundTo, testNode, testPod } from './testing/fixtures.js';
import { policyTest } from './testing/policy-test.js';

const never = new AbortController().signal;

it('room comes back: a node with four cores serves more than four cores’ worth of pods in its life, whether they end, are deleted or could not be bound', () => {
  const test = policyTest({
    plugins: [resourceFit(), firstFitShard({ shard: 'a', shards: ['a'] })],
    nodes: [testNode('n', { allocatable: { cpu: '4' } })],
  });
  for (let round = 0; round < 3; round++) {
    const pods = Array.from({ length: 6 }, (_, i) => testPod(`p${round}-${i}`, { requests: { cpu: '1' } }));
    expect(test.trace(pods)).toEqual(['n', 'n', 'n', 'n', 'Pending', 'Pending']);
    test.state.setPod({ ...boundTo(pods[0]!, 'n'), status: { phase: 'Succeeded' } });
    test.state.setPod({ ...boundTo(pods[1]!, 'n'), status: { phase: 'Failed' } });
    test.remove(pods[2]!);
    test.unbind(pods[3]!, 'n');
    expect([...test.state.nodes[0]!.requested.values()].every(used => used === 0)).toBe(true);
  }
});

it('a negative request adds no capacity', () => {
  const test = policyTest({ plugins: [resourceFit()], nodes: [testNode('n', { allocatable: { cpu: '1' } })] });
  test.place(testPod('thief', { requests: { cpu: '-2' } }));
  expect(test.trace([testPod('one', { requests: { cpu: '1' } }), testPod('two', { requests: { cpu: '1' } })])).toEqual([
    'n',
    'Pending',
  ]);
});

it('first come, first served, not newest first; and the system’s own go before all, not after', async () => {
  const queue = schedulingQueue({ profile: profile({ plugins: defaultPlugins() }), clock: manualClock(0) });
  for (const name of ['first', 'second', 'third']) queue.add(testPod(name));
  queue.add(testPod('system', { spec: { priority: 2_000_000_000 } }));
  const order: string[] = [];
  for (let i = 0; i < 4; i++) order.push((await queue.pop(never))!.pod.metadata.name);
  expect(order).toEqual(['system', 'first', 'second', 'third']);
});

it('a scheduler that joins one takes half of its nodes, one that joins nine a tenth: never half of every shard', () => {
  const nodes = Array.from({ length: 4_000 }, (_, i) => `node-${i}`);
  for (const k of [1, 3, 9]) {
    const before = Array.from({ length: k }, (_, i) => `scheduler-${i}`);
    const taken = nodes.filter(node => rendezvousShard(node, [...before, 'new']) === 'new');
    expect(Math.abs(taken.length / nodes.length - 1 / (k + 1))).toBeLessThan(0.03);
    for (const shard of before) {
      const owned = nodes.filter(node => rendezvousShard(node, before) === shard);
      const lost = owned.filter(node => rendezvousShard(node, [...before, 'new']) !== shard);
      expect(Math.abs(lost.length / owned.length - 1 / (k + 1))).toBeLessThan(0.08);
    }
  }
});

async function withScheduler(plugin: Plugin, test: (client: Client) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const server = apiServer({ store: memoryStore(), listen: false });
  const composition = compose({ log: silentLogger }, server, scheduler({ plugins: [...defaultPlugins(), plugin] }));
  const running = composition.run({ signal: stop.signal });
  try {
    await composition.ready;
    const client = server.clientFor({ username: 'admin', groups: ['system:masters'] });
    for (const name of ['n1', 'n2', 'n3']) {
      const { metadata, status } = testNode(name);
      const node = await client.create(Node, { metadata: { name, labels: metadata.labels! } } as never);
      await client.updateStatus(Node, { ...node, status });
    }
    await test(client);
  } finally {
    stop.abort();
    await running;
  }
}
const add = (client: Client, name: string) =>
  client.create(Pod, { metadata: { name, namespace: 'default' }, spec: testPod(name).spec } as never);
async function bound(client: Client, name: string): Promise<string> {
  const end = Date.now() + 10_000;
  for (;;) {
    const { spec } = await client.get(Pod, { namespace: 'default', name });
    if (spec.nodeName) return spec.nodeName;
    if (Date.now() > end) throw new Error(`${name} is not bound after 10 s`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

it('one start that takes for ever holds nobody up: the pods after it are decided and bound', async () => {
  let begun = 0;
  const slow: Plugin = {
    name: 'NeverStarts',
    preBind: (pod, _node, signal) =>
      pod.metadata.name !== 'stuck'
        ? Promise.resolve()
        : new Promise((_, reject) => {
            begun += 1;
            signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
          }),
  };
  await withScheduler(slow, async client => {
    await add(client, 'stuck');
    for (let i = 0; i < 5; i++) {
      await add(client, `after-${i}`);
      await bound(client, `after-${i}`);
    }
    expect(begun).toBe(1);
    expect((await client.get(Pod, { namespace: 'default', name: 'stuck' })).spec.nodeName).toBeUndefined();
  });
}, 30_000);

it('three slow starts over three nodes go on together, not one after the other', async () => {
  let under = 0;
  let go = (): void => {};
  const all = new Promise<void>(resolve => {
    go = resolve;
  });
  const together: Plugin = {
    name: 'SlowStart',
    preBind(_pod, _node, signal) {
      under += 1;
      // Nobody is let go before the third is there: one after the other would never end.
      if (under === 3) go();
      return Promise.race([
        all,
        new Promise<void>((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
        }),
      ]);
    },
  };
  await withScheduler(together, async client => {
    for (const name of ['a', 'b', 'c']) await add(client, name);
    const nodes = await Promise.all(['a', 'b', 'c'].map(name => bound(client, name)));
    expect(new Set(nodes).size).toBe(3);
  });
}, 30_000);
