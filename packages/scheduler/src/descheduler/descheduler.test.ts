import { createTestControlPlane } from '@orbitkit/controllers/testing';
import { type Client, Event, Node, Pod, PodDisruptionBudget } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { testNode } from '../testing/fixtures.js';
import { descheduler } from './descheduler.js';
import { removePodsViolatingNodeAffinity } from './violations.js';

async function cluster(client: Client): Promise<void> {
  for (const name of ['a', 'b']) {
    const { metadata, spec, status } = testNode(name, { labels: { disk: 'ssd' } });
    const made = await client.create(Node, { metadata: { name, labels: metadata.labels! }, spec });
    await client.updateStatus(Node, { ...made, status });
  }
}

/** Its pods do not belong on node `a` any more. */
const relabel = (client: Client) =>
  client.patch(Node, { name: 'a' }, { type: 'merge', patch: { metadata: { labels: { disk: null } } } });

async function place(client: Client, name: string, labels: Record<string, string> = {}): Promise<void> {
  const made = await client.create(Pod, {
    metadata: {
      name,
      namespace: 'default',
      labels,
      ownerReferences: [{ apiVersion: 'example.com/v1', kind: 'Owner', name: 'o', uid: 'o' }],
    },
    spec: {
      nodeName: 'a',
      nodeSelector: { disk: 'ssd' },
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'i' }],
    },
  });
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  await client.updateStatus(Pod, { ...made, status: status as any });
}
const names = async (client: Client) =>
  (await client.list(Pod, { namespace: 'default' })).items.map(each => each.metadata.name).sort();

describe('the live descheduler', () => {
  it('evicts through the API, which keeps budgets, and says why', async () => {
    const mover = descheduler({ strategies: [removePodsViolatingNodeAffinity()], intervalMs: 50 });
    await using plane = await createTestControlPlane({ components: [mover], housekeeping: false });
    const { client } = plane;
    await cluster(client);
    await client.create(PodDisruptionBudget, {
      metadata: { name: 'held', namespace: 'default' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'held' } } },
    });
    await place(client, 'held', { app: 'held' });
    await place(client, 'free');
    expect(await names(client)).toEqual(['free', 'held']);
    await relabel(client);
    await expect.poll(() => names(client), { timeout: 8_000 }).toEqual(['held']);
    await expect
      .poll(
        async () =>
          (await client.list(Event, { namespace: 'default', fieldSelector: 'reason=Descheduled' })).items[0]?.message,
        { timeout: 8_000 },
      )
      .toContain('pod evicted from a by RemovePodsViolatingNodeAffinity');
    // A round that begins after the eviction still keeps it.
    const { lastPlan } = mover;
    await expect.poll(() => mover.lastPlan !== lastPlan, { timeout: 8_000 }).toBe(true);
    expect(await names(client)).toEqual(['held']);
  });

  it('only plans when told so', async () => {
    const mover = descheduler({ strategies: [removePodsViolatingNodeAffinity()], intervalMs: 50, dryRun: true });
    await using plane = await createTestControlPlane({ components: [mover], housekeeping: false });
    await cluster(plane.client);
    await place(plane.client, 'free');
    await relabel(plane.client);
    await expect
      .poll(() => mover.lastPlan?.map(({ pod, target }) => `${pod.metadata.name} → ${target}`), { timeout: 8_000 })
      .toEqual(['free → b']);
    expect(await names(plane.client)).toEqual(['free']);
  });

  it('must be told what to do', () => {
    expect(() => descheduler({ strategies: [] })).toThrow(/at least one/);
    expect(() => descheduler({ strategies: [removePodsViolatingNodeAffinity()], intervalMs: 0 })).toThrow(
      /intervalMs: 0/,
    );
  });
});
