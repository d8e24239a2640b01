/** Which pods are taken for nobody's, case by case, after the documentation of pod garbage collection and of non-graceful node shutdown. */
import { findCondition, formatTime, manualClock, Node, Pod } from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { podGarbageCollector } from './pod-garbage-collector.js';

type NodeState = 'ready' | 'not ready' | 'out of service' | 'out of service, but ready' | 'gone';
type PodState = 'running' | 'ended' | 'leaving';
type Fate = 'stays' | 'goes';

const table: [NodeState | 'none', PodState, Fate][] = [
  ['none', 'running', 'stays'],
  ['none', 'ended', 'stays'],
  ['none', 'leaving', 'goes'],
  ['ready', 'running', 'stays'],
  ['ready', 'ended', 'stays'],
  ['ready', 'leaving', 'stays'],
  ['not ready', 'running', 'stays'],
  ['not ready', 'leaving', 'stays'],
  ['out of service', 'running', 'stays'],
  ['out of service', 'leaving', 'goes'],
  ['out of service, but ready', 'leaving', 'stays'],
  ['gone', 'running', 'goes'],
  ['gone', 'ended', 'goes'],
  ['gone', 'leaving', 'goes'],
];

const namespace = 'default';
const slug = (text: string) => text.replace(/\W+/g, '-');
const nameOf = (node: string, pod: string) => `${slug(node)}.${slug(pod)}`;
const clock = manualClock();
let plane: TestControlPlane;
/** What was said of pods before they went. */
const said = new Map<string, string>();

beforeAll(async () => {
  plane = await createTestControlPlane({
    controllers: [podGarbageCollector()],
    clock,
    intercept: {
      async patch(next, kind, key, patch, options) {
        const written = await next(kind, key, patch, options);
        const { phase, conditions } = (written as unknown as Pod).status;
        said.set(key.name, `${phase} ${findCondition(conditions, 'DisruptionTarget')?.reason}`);
        return written;
      },
    },
  });
  const { client } = plane;
  const time = formatTime(clock.now());
  for (const state of new Set(table.map(([node]) => node))) {
    if (state === 'none' || state === 'gone') continue;
    const out = state.startsWith('out of service');
    const taints = out ? [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' as const }] : [];
    const node = await client.create(Node, { metadata: { name: slug(state) }, spec: { taints } });
    const status = state.endsWith('not ready') || state === 'out of service' ? 'False' : 'True';
    const conditions = [{ type: 'Ready', status, lastHeartbeatTime: time, lastTransitionTime: time }];
    await client.updateStatus(Node, { ...node, status: { ...node.status, conditions } as Node['status'] });
  }
  for (const [node, state] of table) {
    const bound = node === 'none' ? {} : { nodeName: slug(node) };
    // One without a node has no grace; the finalizer of another keeps it where it is.
    const held = node === 'none' && state === 'leaving';
    const pod = await client.create(Pod, {
      metadata: { name: nameOf(node, state), namespace, ...(held ? { finalizers: ['example.com/hold'] } : {}) },
      spec: { ...bound, containers: [{ name: 'main', image: 'x' }] },
    });
    const phase = state === 'ended' ? 'Succeeded' : 'Running';
    await client.updateStatus(Pod, { ...pod, status: { ...pod.status, phase } });
    if (state === 'leaving') await client.delete(Pod, pod.metadata);
  }
  for (let i = 0; i < 4; i++) {
    await clock.advance(20_000);
    await plane.consistently(() => true, { forMs: 100 });
  }
});
afterAll(() => plane[Symbol.asyncDispose]());

it.each(table)('node: %s, pod: %s, it %s', async (node, state, fate) => {
  const name = nameOf(node, state);
  const { client } = plane;
  if (node === 'none' && state === 'leaving') {
    // Nobody but its finalizer keeps it: it is over.
    await plane.eventually(() => said.get(name) === 'Failed DeletionByPodGC');
    return;
  }
  const there = async () => (await client.list(Pod, { namespace })).items.some(pod => pod.metadata.name === name);
  if (fate === 'stays') expect([await there(), said.get(name)]).toEqual([true, undefined]);
  else {
    await plane.eventually(async () => !(await there()));
    // What ended keeps its end.
    expect(said.get(name)).toBe(state === 'ended' ? undefined : 'Failed DeletionByPodGC');
  }
});
