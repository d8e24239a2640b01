import { Pod, PodDisruptionBudget } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Fixture, fixture, pod } from './resources-fixture.js';

let cluster: Fixture;
beforeEach(async () => {
  cluster = await fixture();
});
afterEach(() => cluster[Symbol.asyncDispose]());

const key = (name: string) => ({ name, namespace: 'default' });
const evict = (name: string, more: object = {}) =>
  cluster.resources.createSubresource(cluster.context, Pod as any, key(name), 'eviction', {
    value: { metadata: { name }, ...more },
  });
const refusal = (write: Promise<unknown>) =>
  write.then(
    () => undefined,
    error => error,
  );
const report = (kind: any, name: string, status: object) =>
  cluster.resources.patchSubresource(cluster.context, kind, key(name), 'status', {
    contentType: 'application/merge-patch+json',
    value: { status },
  });
const budget = (name: string, spec: object = {}) =>
  cluster.create(PodDisruptionBudget, {
    metadata: { name },
    spec: { minAvailable: 1, selector: { matchLabels: { app: 'a' } }, ...spec },
  });
const allowing = (name: string, disruptionsAllowed: number, more: object = {}) =>
  report(PodDisruptionBudget, name, {
    observedGeneration: 1,
    disruptionsAllowed,
    currentHealthy: 1,
    desiredHealthy: 2,
    ...more,
  });
async function running(name: string, ready = true) {
  await cluster.create(Pod, pod(name, { metadata: { labels: { app: 'a' } } }));
  await report(Pod, name, { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] });
}
const names = async () => (await cluster.list(Pod)).map(each => each.metadata.name);

const violated = "Cannot evict pod as it would violate the pod's disruption budget.";

describe('eviction', () => {
  it('is refused while the budget allows none, and says what it needs', async () => {
    await running('p');
    await budget('b');
    expect(await refusal(evict('p'))).toMatchObject({
      code: 429,
      reason: 'TooManyRequests',
      message: violated,
      details: {
        causes: [
          { reason: 'DisruptionBudget', message: 'The disruption budget b is still being processed by the server.' },
        ],
      },
    });
    await allowing('b', 0);
    expect(await refusal(evict('p'))).toMatchObject({
      code: 429,
      details: {
        causes: [
          { reason: 'DisruptionBudget', message: 'The disruption budget b needs 2 healthy pods and has 1 currently' },
        ],
      },
    });
    expect(await names()).toEqual(['p']);
  });

  it('is charged to the budget before the pod goes, so that nobody uses the same allowance', async () => {
    await running('p');
    await running('q');
    await running('r');
    await budget('b');
    await allowing('b', 2);
    const results = await Promise.all(['p', 'q', 'r'].map(name => refusal(evict(name))));
    expect(results.filter(error => error === undefined)).toHaveLength(2);
    expect(results.find(error => error !== undefined)).toMatchObject({ code: 429 });
    expect(await names()).toHaveLength(1);
    const { status }: any = await cluster.get(PodDisruptionBudget, key('b'));
    expect(status.disruptionsAllowed).toBe(0);
    expect(Object.keys(status.disruptedPods)).toHaveLength(2);
  });

  it('of a dry run charges nothing', async () => {
    await running('p');
    await budget('b');
    await allowing('b', 1);
    await evict('p', { deleteOptions: { dryRun: ['All'] } });
    expect(await names()).toEqual(['p']);
    expect((await cluster.get(PodDisruptionBudget, key('b')))['status'].disruptionsAllowed).toBe(1);
  });

  it('concerns pods that serve, and budgets that select them', async () => {
    await cluster.create(Pod, pod('pending', { metadata: { labels: { app: 'a' } } }));
    await running('other');
    await cluster.patch(Pod, key('other'), { metadata: { labels: { app: 'b' } } });
    await budget('b');
    await allowing('b', 0);
    await evict('pending');
    await evict('other');
    expect(await names()).toEqual([]);
  });

  it('of a pod that is not ready is free while the budget is kept, or when it always is', async () => {
    await running('p', false);
    await budget('b');
    await allowing('b', 0, { currentHealthy: 1, desiredHealthy: 2 });
    expect(await refusal(evict('p'))).toMatchObject({ code: 429 });
    await allowing('b', 0, { currentHealthy: 2, desiredHealthy: 2 });
    await evict('p');
    await running('q', false);
    await cluster.patch(PodDisruptionBudget, key('b'), { spec: { unhealthyPodEvictionPolicy: 'AlwaysAllow' } });
    await evict('q');
    expect(await names()).toEqual([]);
  });

  it('knows no way to obey two budgets', async () => {
    await running('p');
    await budget('b');
    await budget('c');
    expect(await refusal(evict('p'))).toMatchObject({
      code: 500,
      message: 'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    });
  });
});
