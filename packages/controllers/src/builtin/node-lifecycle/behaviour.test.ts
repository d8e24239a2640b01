/** What happens to nodes and their pods, case by case, after the documentation of nodes, taints and tolerations. The clock is the test's. */
import { Event, findCondition, formatTime, type ManualClock, manualClock, Node, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { nodeLifecycle } from './node-lifecycle.js';

const namespace = 'default';
const hour = 3_600_000;
/** Nobody falls silent: what nodes say of themselves decides. */
const talking = { gracePeriodMs: hour, startupGracePeriodMs: hour };

async function start(names: readonly string[], zoneOf: (name: string) => string = () => 'a') {
  const clock = manualClock();
  const plane = await createTestControlPlane({ controllers: [nodeLifecycle(talking)], clock });
  const { client } = plane;
  const say = async (name: string, ready: 'True' | 'False' | 'Unknown') => {
    const node = await client.get(Node, { name });
    const time = formatTime(clock.now());
    const conditions = [{ type: 'Ready', status: ready, lastHeartbeatTime: time, lastTransitionTime: time }];
    await client.updateStatus(Node, { ...node, status: { ...node.status, conditions } });
  };
  for (const name of names) {
    const labels = { 'topology.kubernetes.io/zone': zoneOf(name) };
    await client.create(Node, { metadata: { name, labels } });
    await say(name, 'True');
  }
  const pod = async (name: string, nodeName: string, tolerations: object[] = []) => {
    const made = await client.create(Pod, {
      metadata: { name, namespace },
      spec: { nodeName, containers: [{ name: 'main', image: 'x' }], tolerations } as never,
    });
    const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }];
    await client.updateStatus(Pod, { ...made, status: { ...made.status, phase: 'Running', conditions } });
  };
  /** Nodes with a taint of this effect that the controller put there. */
  const tainted = async (effect: string) =>
    (await client.list(Node)).items
      .filter(node =>
        node.spec.taints?.some(taint => taint.effect === effect && /not-ready|unreachable/.test(taint.key)),
      )
      .map(({ metadata }) => metadata.name);
  const until = (check: () => Promise<boolean>) =>
    plane.eventually(async () => {
      if (await check()) return true;
      await clock.advance(5);
      return false;
    });
  const leaving = async (name: string) =>
    (await client.get(Pod, { name, namespace })).metadata.deletionTimestamp !== undefined;
  return { plane, client, clock, say, pod, tainted, until, leaving };
}
/** Time passes; between the steps what was written arrives. */
async function pass(clock: ManualClock, seconds: number, look: () => Promise<unknown>) {
  for (let i = 0; i < seconds; i++) {
    await clock.advance(1_000);
    await look();
  }
}
const numbered = (count: number, prefix = 'n') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('how fast', () => {
  it('a node every ten seconds while most of its zone is well; NoSchedule at once', async () => {
    const names = numbered(9);
    const { plane, clock, say, tainted, until } = await start(names);
    await using _ = plane;
    await clock.advance(5_000);
    const failing = names.slice(0, 3);
    for (const name of failing) await say(name, 'False');
    await until(async () => (await tainted('NoSchedule')).length === 3);
    await until(async () => (await tainted('NoExecute')).length === 1);
    const look = () => tainted('NoExecute');
    await pass(clock, 8, look);
    expect(await look()).toHaveLength(1);
    await pass(clock, 8, look);
    await until(async () => (await look()).length === 2);
    await pass(clock, 12, look);
    await until(async () => (await look()).length === 3);
  });

  it('a zone of its own does not wait for another', async () => {
    const names = [...numbered(4, 'a'), ...numbered(4, 'b')];
    const { plane, clock, say, tainted, until } = await start(names, name => name[0]!);
    await using _ = plane;
    await clock.advance(5_000);
    for (const name of ['a0', 'b0']) await say(name, 'Unknown');
    await until(async () => (await tainted('NoExecute')).join() === 'a0,b0');
  });

  it('a node that is back before its turn keeps its pods', async () => {
    const names = numbered(9);
    const { plane, clock, say, pod, tainted, until, leaving } = await start(names);
    await using _ = plane;
    await clock.advance(5_000);
    for (const name of ['n0', 'n1']) await pod(`on-${name}`, name, [{ key: 'none', operator: 'Exists' }]);
    await say('n0', 'False');
    await until(async () => (await tainted('NoExecute')).length === 1);
    await say('n1', 'False');
    await until(async () => (await tainted('NoSchedule')).length === 2);
    await say('n1', 'True');
    await until(async () => (await tainted('NoSchedule')).length === 1);
    await pass(clock, 30, () => tainted('NoExecute'));
    expect(await tainted('NoExecute')).toEqual(['n0']);
    expect(await leaving('on-n1')).toBe(false);
  });
});

describe('which pods', () => {
  const exists = (key: string, seconds?: number) => ({
    key: `node.kubernetes.io/${key}`,
    operator: 'Exists',
    effect: 'NoExecute',
    ...(seconds === undefined ? {} : { tolerationSeconds: seconds }),
  });
  it.each<[string, object[], 'False' | 'Unknown', number | undefined]>([
    ['tolerates it for ten seconds', [exists('not-ready', 10)], 'False', 10],
    ['tolerates it for ever', [exists('not-ready')], 'False', undefined],
    ['tolerates everything', [{ operator: 'Exists' }], 'Unknown', undefined],
    ['tolerates the other outage only: the default of 300 s holds', [exists('unreachable', 10)], 'False', 300],
    ['tolerates it for no time', [exists('unreachable', 0)], 'Unknown', 0],
  ])('%s', async (_what, tolerations, ready, seconds) => {
    const { plane, clock, say, pod, tainted, until, leaving } = await start(['well', 'ill']);
    await using _ = plane;
    await clock.advance(5_000);
    await pod('p', 'ill', tolerations);
    await say('ill', ready);
    await until(async () => (await tainted('NoExecute')).length === 1);
    if (seconds === undefined) {
      await clock.advance(400_000);
      expect(await leaving('p')).toBe(false);
      return;
    }
    if (seconds > 2) {
      await clock.advance((seconds - 2) * 1_000);
      expect(await leaving('p')).toBe(false);
      await clock.advance(3_000);
    }
    await until(() => leaving('p'));
  });

  it('a toleration that is added in time counts', async () => {
    const { plane, client, clock, say, pod, tainted, until, leaving } = await start(['well', 'ill']);
    await using _ = plane;
    await clock.advance(5_000);
    await pod('p', 'ill', [exists('not-ready', 60)]);
    await say('ill', 'False');
    await until(async () => (await tainted('NoExecute')).length === 1);
    const { spec } = await client.get(Pod, { name: 'p', namespace });
    const tolerations = spec.tolerations!.map(each =>
      each.tolerationSeconds === 60 ? { ...each, tolerationSeconds: 5 } : each,
    );
    await client.patch(Pod, { name: 'p', namespace }, { type: 'merge', patch: { spec: { tolerations } } });
    await clock.advance(10_000);
    await until(() => leaving('p'));
  });

  it.each<[string, 'node' | 'pod']>([
    ['its node is back', 'node'],
    ['it tolerates the outage for ever by now', 'pod'],
  ])('a pod that was to go stays when %s, and that is said', async (_what, change) => {
    const { plane, client, clock, say, pod, tainted, until, leaving } = await start(['well', 'ill']);
    await using _ = plane;
    await clock.advance(5_000);
    await pod('p', 'ill', [exists('not-ready', 60)]);
    await say('ill', 'False');
    await until(async () => (await tainted('NoExecute')).length === 1);
    const said = async () =>
      (await client.list(Event)).items.filter(({ involvedObject }) => involvedObject.name === 'p').map(e => e.message);
    await pass(clock, 3, said);
    if (change === 'node') await say('ill', 'True');
    else {
      const { spec } = await client.get(Pod, { name: 'p', namespace });
      // Tolerations may only be added.
      const tolerations = [exists('not-ready'), ...spec.tolerations!.filter(each => each.tolerationSeconds !== 60)];
      await client.patch(Pod, { name: 'p', namespace }, { type: 'merge', patch: { spec: { tolerations } } });
    }
    await until(async () => (await said()).includes('Cancelling deletion of Pod default/p'));
    await clock.advance(100_000);
    expect(await leaving('p')).toBe(false);
  });

  it('of a node that is not ready are marked, and people are told', async () => {
    const { plane, client, clock, say, pod, until } = await start(['well', 'ill']);
    await using _ = plane;
    await clock.advance(5_000);
    await pod('p', 'ill');
    await say('ill', 'Unknown');
    await until(async () => {
      // The next round sees it, if this one came before the pod.
      await clock.advance(1_000);
      const { status } = await client.get(Pod, { name: 'p', namespace });
      return findCondition(status.conditions, 'Ready')?.status === 'False';
    });
    const said = async () =>
      (await client.list(Event)).items.map(event => `${event.involvedObject.name} ${event.reason}`);
    await until(async () => (await said()).includes('p NodeNotReady'));
    await client.delete(Node, { name: 'well' });
    await until(async () => {
      const now = await said();
      return now.includes('well RegisteredNode') && now.includes('well RemovingNode');
    });
  });
});
