import {
  findCondition,
  formatMicroTime,
  formatTime,
  Lease,
  type ManualClock,
  manualClock,
  Node,
  Pod,
} from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { type NodeLifecycleOptions, nodeLifecycle } from './node-lifecycle.js';
import { readiness, unreachableTaint } from './node-taints.js';

const namespace = 'default';
const leases = 'kube-node-lease';
type Plane = Pick<Awaited<ReturnType<typeof createTestControlPlane>>, 'client'>;

async function start(options: NodeLifecycleOptions = {}) {
  const manual = manualClock();
  let skipped = 0;
  const clock: ManualClock & { jump(ms: number): void } = {
    ...manual,
    now: () => manual.now() + skipped,
    /** Time goes on without any timer, as while a laptop is suspended. */
    jump(ms) {
      skipped += ms;
    },
  };
  const plane = await createTestControlPlane({ controllers: [nodeLifecycle(options)], clock });
  /** Lets a little time pass between tries: a write that met a conflict is tried again after 5 ms. */
  const eventually = (check: () => Promise<boolean>) =>
    plane.eventually(async () => {
      if (await check()) return true;
      await clock.advance(5);
      return false;
    });
  return { plane: { ...plane, eventually, [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose]() }, clock };
}
async function join({ client }: Plane, clock: ManualClock, name: string) {
  const node = await client.create(Node, { metadata: { name }, spec: {} });
  const time = formatTime(clock.now());
  const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: time, lastTransitionTime: time }];
  await client.updateStatus(Node, { ...node, status: { ...node.status, conditions } });
  await client.create(Lease, {
    metadata: { name, namespace: leases },
    spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: formatMicroTime(clock.now()) },
  });
}
const renew = ({ client }: Plane, clock: ManualClock, name: string) =>
  client.patch(
    Lease,
    { name, namespace: leases },
    {
      type: 'merge',
      patch: { spec: { renewTime: formatMicroTime(clock.now()) } },
    },
  );
async function podOn({ client }: Plane, nodeName: string, name: string, tolerationSeconds?: number) {
  const tolerations =
    tolerationSeconds === undefined
      ? {}
      : {
          tolerations: ['not-ready', 'unreachable'].map(key => ({
            key: `node.kubernetes.io/${key}`,
            operator: 'Exists' as const,
            effect: 'NoExecute' as const,
            tolerationSeconds,
          })),
        };
  const pod = await client.create(Pod, {
    metadata: { name, namespace },
    spec: { nodeName, containers: [{ name: 'main', image: 'x' }], ...tolerations },
  });
  const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
  return client.updateStatus(Pod, { ...pod, status: { ...pod.status, phase: 'Running', conditions } });
}
/** Time passes second by second; `alive` renew their leases every 10 s. Between the steps everything settles. */
async function pass(plane: Plane, clock: ManualClock, seconds: number, alive: readonly string[]) {
  for (let i = 0; i < seconds; i += 5) {
    if (i % 10 === 0) for (const name of alive) await renew(plane, clock, name);
    await clock.advance(5_000);
    await plane.client.list(Node);
  }
}
const nodeOf = ({ client }: Plane, name: string) => client.get(Node, { name });
const isDeleted = async ({ client }: Plane, name: string) =>
  (await client.get(Pod, { name, namespace })).metadata.deletionTimestamp !== undefined;

it('a silent node becomes Unknown after 40 s, its pods not ready; after their tolerationSeconds they are driven away', async () => {
  const { plane, clock } = await start();
  await using _ = plane;
  for (const name of ['good', 'lost']) await join(plane, clock, name);
  await podOn(plane, 'lost', 'web', 60);
  await podOn(plane, 'lost', 'usual');
  await podOn(plane, 'good', 'other', 60);
  await pass(plane, clock, 40, ['good', 'lost']);
  await pass(plane, clock, 30, ['good']);
  expect(readiness(await nodeOf(plane, 'lost'))).toBe('True');
  await pass(plane, clock, 20, ['good']);
  await plane.eventually(async () => readiness(await nodeOf(plane, 'lost')) === 'Unknown');
  const ready = findCondition((await nodeOf(plane, 'lost')).status.conditions, 'Ready');
  expect(ready).toMatchObject({ reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.' });
  await plane.eventually(async () => {
    const taints = (await nodeOf(plane, 'lost')).spec.taints ?? [];
    return taints.filter(taint => taint.key === unreachableTaint).length === 2;
  });
  await plane.eventually(async () => {
    const { status } = await plane.client.get(Pod, { name: 'web', namespace });
    return findCondition(status.conditions, 'Ready')?.status === 'False';
  });
  expect(await isDeleted(plane, 'web')).toBe(false);
  await pass(plane, clock, 70, ['good']);
  await plane.eventually(() => isDeleted(plane, 'web'));
  const { status } = await plane.client.get(Pod, { name: 'web', namespace });
  expect(findCondition(status.conditions, 'DisruptionTarget')?.reason).toBe('DeletionByTaintManager');
  // The API's default tolerations are 300 s.
  expect(await isDeleted(plane, 'usual')).toBe(false);
  expect(await isDeleted(plane, 'other')).toBe(false);
  expect((await nodeOf(plane, 'good')).spec.taints ?? []).toEqual([]);
  await pass(plane, clock, 260, ['good']);
  await plane.eventually(() => isDeleted(plane, 'usual'));
}, 60_000);

it('a node that comes back in time keeps its pods and loses its taints', async () => {
  const { plane, clock } = await start();
  await using _ = plane;
  for (const name of ['good', 'shaky']) await join(plane, clock, name);
  await podOn(plane, 'shaky', 'web', 60);
  await pass(plane, clock, 55, ['good']);
  await plane.eventually(async () => ((await nodeOf(plane, 'shaky')).spec.taints ?? []).length === 2);
  // The agent is back and posts its status.
  const node = await nodeOf(plane, 'shaky');
  const time = formatTime(clock.now());
  const conditions = [{ type: 'Ready', status: 'True', lastHeartbeatTime: time, lastTransitionTime: time }];
  await plane.client.updateStatus(Node, { ...node, status: { ...node.status, conditions } });
  await plane.eventually(async () => ((await nodeOf(plane, 'shaky')).spec.taints ?? []).length === 0);
  await pass(plane, clock, 120, ['good', 'shaky']);
  expect(await isDeleted(plane, 'web')).toBe(false);
});

it('quick options for demonstrations: gone in seconds', async () => {
  const { plane, clock } = await start({ gracePeriodMs: 4_000, monitorPeriodMs: 500, tolerationSeconds: 1 });
  await using _ = plane;
  for (const name of ['good', 'lost']) await join(plane, clock, name);
  await podOn(plane, 'lost', 'web');
  for (let i = 0; i < 14; i++) {
    await renew(plane, clock, 'good');
    await clock.advance(500);
    await plane.client.list(Node);
  }
  await plane.eventually(() => isDeleted(plane, 'web'));
});

it('when no node at all is heard, nobody is driven away; when one is back the others get time', async () => {
  const { plane, clock } = await start();
  await using _ = plane;
  for (const name of ['one', 'two']) await join(plane, clock, name);
  await podOn(plane, 'one', 'web', 0);
  await pass(plane, clock, 120, []);
  await plane.eventually(async () => readiness(await nodeOf(plane, 'one')) === 'Unknown');
  await plane.eventually(async () => readiness(await nodeOf(plane, 'two')) === 'Unknown');
  const { taints = [] } = (await nodeOf(plane, 'one')).spec;
  expect(taints.filter(taint => taint.effect === 'NoExecute')).toEqual([]);
  expect(await isDeleted(plane, 'web')).toBe(false);
});

it('while it could not hear, it judges nobody: a process that stood still gives everyone the time back', async () => {
  const { plane, clock } = await start();
  await using _ = plane;
  for (const name of ['one', 'two']) await join(plane, clock, name);
  await pass(plane, clock, 20, ['one', 'two']);
  // The clock jumps, as after a suspended laptop: no timer ran in between.
  clock.jump(300_000);
  await plane.client.list(Node);
  await clock.advance(10_000);
  expect(readiness(await nodeOf(plane, 'one'))).toBe('True');
  expect(readiness(await nodeOf(plane, 'two'))).toBe('True');
});

it('pods whose node object is gone are deleted for good', async () => {
  const { plane, clock } = await start({ nodeQuarantineMs: 10_000 });
  await using _ = plane;
  for (const name of ['good', 'removed']) await join(plane, clock, name);
  await podOn(plane, 'removed', 'web');
  await pass(plane, clock, 20, ['good', 'removed']);
  await plane.client.delete(Node, { name: 'removed' });
  await plane.eventually(async () => {
    await clock.advance(5_000);
    return (await plane.client.list(Pod, { namespace })).items.length === 0;
  });
});

it('cordoned nodes are tainted, uncordoned ones not', async () => {
  const { plane, clock } = await start();
  await using _ = plane;
  await join(plane, clock, 'n');
  const cordon = (unschedulable: boolean) =>
    plane.client.patch(Node, { name: 'n' }, { type: 'merge', patch: { spec: { unschedulable } } });
  await cordon(true);
  await plane.eventually(
    async () => (await nodeOf(plane, 'n')).spec.taints?.[0]?.key === 'node.kubernetes.io/unschedulable',
  );
  await cordon(false);
  await plane.eventually(async () => ((await nodeOf(plane, 'n')).spec.taints ?? []).length === 0);
});
