import {
  ConfigMap,
  controllerReference,
  Deployment,
  Event,
  isNotFound,
  type KubeObject,
  Namespace,
  type OwnerReference,
  Pod,
  ReplicaSet,
  type ResourceRef,
  Secret,
} from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { deployments } from '../deployment/deployments.js';
import { replicaSets } from '../replica-set/replica-sets.js';
import { garbageCollector } from './garbage-collector.js';

const namespace = 'default';
const key = (name: string) => ({ name, namespace });
const spec = { containers: [{ name: 'main', image: 'x' }] };
const start = () => createTestControlPlane({ controllers: [garbageCollector()] });
type Plane = Awaited<ReturnType<typeof start>>;

const owner = (object: KubeObject, more: Partial<OwnerReference> = {}): OwnerReference => ({
  apiVersion: object.apiVersion,
  kind: object.kind,
  name: object.metadata.name,
  uid: object.metadata.uid,
  ...more,
});
const make = ({ client }: Plane, name: string, ownerReferences: OwnerReference[] = [], finalizers: string[] = []) =>
  client.create(ConfigMap, { metadata: { ...key(name), ownerReferences, finalizers } }) as Promise<
    ConfigMap & KubeObject
  >;
const exists = async ({ client }: Plane, name: string, kind: ResourceRef<any> = ConfigMap) => {
  try {
    return await client.get(kind, key(name));
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
};
const gone = (plane: Plane, ...names: string[]) =>
  plane.eventually(async () => (await Promise.all(names.map(name => exists(plane, name)))).every(object => !object));
/** Makes sure that the collector has worked on something that came later. */
async function settled(plane: Plane, name: string) {
  const parent = await make(plane, `${name}-probe`);
  await make(plane, `${name}-probe-child`, [owner(parent)]);
  await plane.client.delete(ConfigMap, parent.metadata);
  await gone(plane, `${name}-probe-child`);
}

it('background: dependents follow, through generations and kinds; others stay', async () => {
  await using plane = await start();
  const root = await make(plane, 'root');
  const child = await make(plane, 'child', [owner(root)]);
  await make(plane, 'grandchild', [owner(child)]);
  await plane.client.create(Secret, { metadata: { ...key('secret'), ownerReferences: [owner(child)] } });
  await make(plane, 'stranger');
  await plane.client.delete(ConfigMap, root.metadata);
  await gone(plane, 'root', 'child', 'grandchild');
  await plane.eventually(async () => !(await exists(plane, 'secret', Secret)));
  expect(await exists(plane, 'stranger')).toBeDefined();
});

it('an object with two owners goes with the last of them, and loses the reference to the first', async () => {
  await using plane = await start();
  const one = await make(plane, 'one');
  const two = await make(plane, 'two');
  await make(plane, 'shared', [owner(one), owner(two)]);
  await plane.client.delete(ConfigMap, one.metadata);
  await plane.eventually(async () => (await exists(plane, 'shared'))?.metadata.ownerReferences?.length === 1);
  expect((await exists(plane, 'shared'))!.metadata.ownerReferences![0]!.uid).toBe(two.metadata.uid);
  await plane.client.delete(ConfigMap, two.metadata);
  await gone(plane, 'shared');
});

it('foreground: the owner stays until its blocking dependents are gone', async () => {
  await using plane = await start();
  const { client } = plane;
  const root = await make(plane, 'root');
  const slow = await make(plane, 'slow', [owner(root, { blockOwnerDeletion: true })], ['example.com/hold']);
  await make(plane, 'loose', [owner(root)], ['example.com/hold']);
  await client.delete(ConfigMap, root.metadata, { propagationPolicy: 'Foreground' });
  await plane.eventually(async () => (await exists(plane, 'slow'))?.metadata.deletionTimestamp !== undefined);
  await settled(plane, 'first');
  expect((await exists(plane, 'root'))?.metadata.finalizers).toEqual(['foregroundDeletion']);
  await client.patch(ConfigMap, slow.metadata, { type: 'merge', patch: { metadata: { finalizers: null } } });
  // The one that does not block is still there.
  await gone(plane, 'root');
  expect((await exists(plane, 'loose'))?.metadata.deletionTimestamp).toBeDefined();
});

it('orphan: dependents lose their owner and stay', async () => {
  await using plane = await start();
  const root = await make(plane, 'root');
  await make(plane, 'child', [owner(root, { controller: true })]);
  await make(plane, 'other', [owner(root)]);
  await settled(plane, 'before');
  await plane.client.delete(ConfigMap, root.metadata, { propagationPolicy: 'Orphan' });
  await gone(plane, 'root');
  await settled(plane, 'after');
  for (const name of ['child', 'other'])
    expect((await exists(plane, name))!.metadata.ownerReferences ?? []).toEqual([]);
});

it('an owner that was never there is verified live; one made again under the same name is another', async () => {
  await using plane = await start();
  const real = await make(plane, 'real');
  await make(plane, 'child', [owner(real)]);
  await make(plane, 'ghost', [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'nobody', uid: 'no-such-uid' }]);
  await make(plane, 'mistaken', [owner(real, { uid: 'uid-of-an-earlier-life' })]);
  await gone(plane, 'ghost', 'mistaken');
  expect(await exists(plane, 'child')).toBeDefined();
});

it('what was garbage before it started is collected too', async () => {
  const first = await createTestControlPlane();
  await using _ = first;
  await make(first, 'orphaned', [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'nobody', uid: 'no-such-uid' }]);
  const parent = await make(first, 'parent');
  await make(first, 'child', [owner(parent)]);
  const { controllerManager } = await import('../../controller-manager.js');
  const { compose } = await import('@orbitkit/core');
  await using later = compose({ client: first.client }, controllerManager([garbageCollector()]));
  later.run().catch(() => {});
  await later.ready;
  await gone(first, 'orphaned');
  expect(await exists(first, 'child')).toBeDefined();
});

it('an owner of an unknown kind keeps its dependents', async () => {
  await using plane = await start();
  await make(plane, 'kept', [{ apiVersion: 'example.com/v1', kind: 'Unknown', name: 'x', uid: 'x' }]);
  await settled(plane, 'after');
  expect(await exists(plane, 'kept')).toBeDefined();
});

it.each<[string, 'default' | 'elsewhere', boolean]>([
  ['of another namespace owns nothing: what names it goes, and an event says why', 'elsewhere', false],
  ['of the same namespace keeps what it owns', 'default', true],
])('an owner %s', async (_, of, stays) => {
  await using plane = await start();
  const { client, eventually } = plane;
  await client.create(Namespace, { metadata: { name: 'elsewhere' }, spec: {} });
  const parent = await client.create(ConfigMap, { metadata: { name: 'parent', namespace: of } });
  const child = await make(plane, 'child', [owner(parent)]);
  await settled(plane, 'after');
  if (stays) {
    expect(await exists(plane, 'child')).toBeDefined();
    return;
  }
  await gone(plane, 'child');
  const event = await eventually(async () =>
    (await client.list(Event, { namespace })).items.find(({ reason }) => reason === 'OwnerRefInvalidNamespace'),
  );
  expect(event).toMatchObject({ type: 'Warning', involvedObject: { name: 'child', uid: child.metadata.uid } });
  expect(event.message).toContain('does not exist in namespace "default"');
});

it('deployment, replica sets and pods go together, in foreground from below', async () => {
  await using plane = await createTestControlPlane({ controllers: [garbageCollector(), deployments(), replicaSets()] });
  const { client, eventually } = plane;
  const web = await client.create(Deployment, {
    metadata: key('web'),
    spec: { replicas: 3, selector: { matchLabels: { a: 'b' } }, template: { metadata: { labels: { a: 'b' } }, spec } },
  });
  await eventually(async () => (await client.list(Pod, { namespace })).items.length === 3);
  await client.delete(Deployment, web.metadata, { propagationPolicy: 'Foreground' });
  await eventually(async () => (await client.list(Deployment, { namespace })).items.length === 0);
  expect((await client.list(ReplicaSet, { namespace })).items).toEqual([]);
  expect((await client.list(Pod, { namespace })).items).toEqual([]);
});

it('owners in a circle that all block are deleted all the same', async () => {
  await using plane = await start();
  const { client } = plane;
  const a = await make(plane, 'a');
  const b = await make(plane, 'b', [owner(a, { blockOwnerDeletion: true })]);
  const back = [controllerReference(b)];
  await client.patch(ConfigMap, a.metadata, { type: 'merge', patch: { metadata: { ownerReferences: back } } });
  await settled(plane, 'before');
  await client.delete(ConfigMap, a.metadata, { propagationPolicy: 'Foreground' });
  await gone(plane, 'a', 'b');
});
