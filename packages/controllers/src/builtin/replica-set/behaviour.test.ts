/** What becomes of pods, case by case, after the documentation of ReplicaSets. Each row has a namespace and a set of two replicas of its own. */
import { type Client, controllerOf, controllerReference, type Draft, Namespace, Pod, ReplicaSet } from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { replicaSets } from './replica-sets.js';

let plane: TestControlPlane;
let client: Client;
beforeAll(async () => {
  plane = await createTestControlPlane({ controllers: [replicaSets()], housekeeping: false });
  client = plane.client;
});
afterAll(() => plane[Symbol.asyncDispose]());

interface PodWish {
  labels?: Record<string, string>;
  phase?: string;
  /** `other`: another set controls it; `unowned reference`: an owner that controls nothing. */
  owner?: 'other' | 'unowned reference';
  leaving?: boolean;
}
const labels = { app: 'web' };
let rows = 0;

async function pod(namespace: string, name: string, wish: PodWish): Promise<void> {
  const other = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name: 'x',
    uid: 'x',
    ...(wish.owner === 'other' ? { controller: true } : {}),
  };
  const made = await client.create(Pod, {
    metadata: { name, namespace, labels: wish.labels ?? labels, ...(wish.owner ? { ownerReferences: [other] } : {}) },
    spec: { nodeName: 'n1', containers: [{ name: 'main', image: 'x' }] },
  } as Draft<Pod>);
  const status = { ...made.status, phase: wish.phase ?? 'Running' } as Pod['status'];
  await client.updateStatus(Pod, { ...made, status });
  if (wish.leaving) await client.delete(Pod, made.metadata);
}

it.each<[string, PodWish[], { made: number; gone: number; adopted: string[] }]>([
  ['none are there', [], { made: 2, gone: 0, adopted: [] }],
  ['one that matches is adopted', [{}], { made: 1, gone: 0, adopted: ['p0'] }],
  ['too many that match: the surplus goes', [{}, {}, {}], { made: 0, gone: 1, adopted: ['any', 'any'] }],
  ['one of other labels is left alone', [{ labels: { app: 'db' } }], { made: 2, gone: 0, adopted: [] }],
  ['one of another controller is left alone', [{ owner: 'other' }], { made: 2, gone: 0, adopted: [] }],
  [
    'one of an owner that does not control it is adopted',
    [{ owner: 'unowned reference' }],
    { made: 1, gone: 0, adopted: ['p0'] },
  ],
  ['one that failed does not count, and stays', [{ phase: 'Failed' }], { made: 2, gone: 0, adopted: [] }],
  ['one that succeeded does not count, and stays', [{ phase: 'Succeeded' }], { made: 2, gone: 0, adopted: [] }],
  ['one that is on its way out does not count', [{ leaving: true }], { made: 2, gone: 0, adopted: [] }],
  ['one that is not running yet counts', [{ phase: 'Pending' }], { made: 1, gone: 0, adopted: ['p0'] }],
])('%s', async (_what, wishes, expected) => {
  const namespace = `row${rows++}`;
  await client.create(Namespace, { metadata: { name: namespace } });
  for (const [i, wish] of wishes.entries()) await pod(namespace, `p${i}`, wish);
  const set = await client.create(ReplicaSet, {
    metadata: { name: 'web', namespace },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'x' }] } },
    },
  });
  await plane.eventually(async () => (await client.get(ReplicaSet, set.metadata)).status.replicas === 2);
  const { items } = await client.list(Pod, { namespace });
  const isOurs = (each: Pod) => controllerOf(each)?.uid === controllerReference(set).uid;
  const given = items.filter(({ metadata }) => /^p\d$/.test(metadata.name));
  const left = given.filter(({ metadata }) => metadata.deletionTimestamp === undefined || wishes.some(w => w.leaving));
  expect(items.filter(each => isOurs(each) && !given.includes(each))).toHaveLength(expected.made);
  expect(wishes.length - left.length).toBe(expected.gone);
  const adopted = left.filter(isOurs).map(({ metadata }) => metadata.name);
  if (expected.adopted.includes('any')) expect(adopted).toHaveLength(expected.adopted.length);
  else expect(adopted).toEqual(expected.adopted);
});
