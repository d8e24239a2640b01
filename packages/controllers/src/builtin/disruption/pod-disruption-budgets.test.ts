import {
  ConfigMap,
  controllerReference,
  Deployment,
  Event,
  findCondition,
  formatTime,
  manualClock,
  Pod,
  PodDisruptionBudget,
} from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane, playedPods } from '../../testing/index.js';
import { deployments } from '../deployment/deployments.js';
import { replicaSets } from '../replica-set/replica-sets.js';
import { podDisruptionBudgets } from './pod-disruption-budgets.js';

const namespace = 'default';
const labels = { app: 'web' };
const podSpec = { containers: [{ name: 'main', image: 'orbitkit/echo' }] };

async function start(spec: Partial<PodDisruptionBudget['spec']>, replicas = 4) {
  const plane = await createTestControlPlane({
    controllers: [podDisruptionBudgets(), deployments(), replicaSets(), playedPods()],
  });
  const { client, eventually } = plane;
  await client.create(Deployment, {
    metadata: { name: 'web', namespace },
    spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: podSpec } },
  });
  const metadata = { name: 'web', namespace };
  await client.create(PodDisruptionBudget, { metadata, spec: { selector: { matchLabels: labels }, ...spec } });
  const until = (check: (status: PodDisruptionBudget['status']) => boolean) =>
    eventually(async () => {
      const { status } = await client.get(PodDisruptionBudget, metadata);
      return check(status) && status;
    });
  return { plane, client, eventually, until };
}

describe('the arithmetic', () => {
  it.each<[Partial<PodDisruptionBudget['spec']>, number, number, number]>([
    [{ minAvailable: 3 }, 4, 3, 1],
    [{ minAvailable: '50%' }, 4, 2, 2],
    [{ maxUnavailable: 1 }, 4, 3, 1],
    [{ maxUnavailable: '30%' }, 4, 2, 2],
    [{ maxUnavailable: 0 }, 4, 4, 0],
    [{ minAvailable: 9 }, 4, 9, 0],
  ])('%j of 4: expected %i, desired %i, allowed %i', async (spec, expected, desired, disruptions) => {
    const { plane, until } = await start(spec);
    await using _plane = plane;
    const status = await until(now => now.currentHealthy === 4);
    expect(status).toMatchObject({ expectedPods: expected, desiredHealthy: desired, disruptionsAllowed: disruptions });
    const condition = findCondition(status.conditions, 'DisruptionAllowed');
    expect(condition).toMatchObject(
      disruptions > 0 ? { status: 'True', reason: 'SufficientPods' } : { status: 'False', reason: 'InsufficientPods' },
    );
  });
});

it('an eviction spends the allowance, the next one is refused until a pod has taken its place', async () => {
  const { plane, client, until } = await start({ minAvailable: 3 });
  await using _plane = plane;
  await until(now => now.disruptionsAllowed === 1);
  const { items } = await client.list(Pod, { namespace });
  const evict = (pod: Pod) =>
    client.createSubresource(Pod, pod.metadata, 'eviction', { metadata: { name: pod.metadata.name, namespace } });
  await evict(items[0]!);
  await expect(evict(items[1]!)).rejects.toMatchObject({ reason: 'TooManyRequests' });
  await until(now => now.currentHealthy === 4 && now.disruptionsAllowed === 1);
  await evict(items[1]!);
});

const lone = (name: string, more: object = {}) => ({ metadata: { name, namespace, labels, ...more }, spec: podSpec });

describe('pods that nobody wants a number of', () => {
  it.each<[Partial<PodDisruptionBudget['spec']>, number, number, number, boolean]>([
    [{ maxUnavailable: 1 }, 2, 1, 2, true],
    [{ minAvailable: '100%' }, 2, 2, 1, true],
    // A number counts the pods that are there, whoever made them.
    [{ minAvailable: 2 }, 3, 2, 1, false],
  ])('%j: expected %i, desired %i, allowed %i; an event: %s', async (spec, expected, desired, allowed, told) => {
    const { plane, client, until, eventually } = await start(spec, 2);
    await using _plane = plane;
    await client.create(Pod, lone('alone'));
    const status = await until(now => now.currentHealthy === 3);
    expect(status).toMatchObject({ expectedPods: expected, desiredHealthy: desired, disruptionsAllowed: allowed });
    const events = async () =>
      (await client.list(Event, { namespace })).items.filter(({ reason }) => reason === 'UnmanagedPods');
    if (told) await eventually(async () => (await events())[0]?.message?.includes('alone'));
    else expect(await events()).toEqual([]);
  });
});

it('allows nothing when it cannot tell how many there should be', async () => {
  const { plane, client, until } = await start({ maxUnavailable: 1 }, 1);
  await using _plane = plane;
  const owner = await client.create(ConfigMap, { metadata: { name: 'odd', namespace } });
  await client.create(Pod, lone('owned', { ownerReferences: [controllerReference(owner)] }));
  const status = await until(now => findCondition(now.conditions, 'DisruptionAllowed')?.reason === 'SyncFailed');
  expect(status.disruptionsAllowed).toBe(0);
  expect(findCondition(status.conditions, 'DisruptionAllowed')?.message).toContain('ConfigMap odd');
});

it.each([
  ['of an eviction that was not followed up: it goes after two minutes', { reason: 'EvictionByEvictionAPI' }, {}, true],
  ['of a node agent: it stays', { reason: 'TerminationByKubelet' }, {}, false],
  ['of a pod that is over: it stays', { reason: 'EvictionByEvictionAPI' }, { phase: 'Failed' as const }, false],
])('the mark DisruptionTarget %s', async (_, mark, more, goes) => {
  const clock = manualClock(Date.now());
  await using plane = await createTestControlPlane({ controllers: [podDisruptionBudgets()], clock });
  const { client, eventually } = plane;
  const marked = async (name: string, condition: object, status: object) => {
    const pod = await client.create(Pod, lone(name));
    const lastTransitionTime = formatTime(clock.now());
    const conditions = [{ type: 'DisruptionTarget', status: 'True', lastTransitionTime, ...condition }];
    await client.updateStatus(Pod, { ...pod, status: { ...pod.status, ...status, conditions } });
  };
  const stateOf = async (name: string) =>
    findCondition((await client.get(Pod, { name, namespace })).status.conditions, 'DisruptionTarget')?.status;
  await marked('subject', mark, more);
  // What shows that time has come.
  await marked('witness', { reason: 'PreemptionByScheduler' }, {});
  await clock.advance(100_000);
  expect([await stateOf('subject'), await stateOf('witness')]).toEqual(['True', 'True']);
  await eventually(
    async () => (await stateOf('witness')) === 'False' && (!goes || (await stateOf('subject')) === 'False'),
    { clock, timeoutMs: 60_000 },
  );
  expect(await stateOf('subject')).toBe(goes ? 'False' : 'True');
});
