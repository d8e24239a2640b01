/** What becomes of namespaces that are deleted, case by case, after the documentation of namespaces and KEP-5080. */
import { type Client, ConfigMap, isNotFound, Namespace, Pod, Secret, StatusError } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { namespaces } from './namespaces.js';

let plane: TestControlPlane;
let client: Client;
beforeAll(async () => {
  plane = await createTestControlPlane({
    controllers: [namespaces({ recheckMs: 20 })],
    intercept: {
      async deleteCollection(next, kind, options) {
        if (options?.namespace?.startsWith('refused') && kind.plural === 'secrets')
          throw new StatusError('Forbidden', 'secrets are not yours');
        return next(kind, options);
      },
    },
  });
  client = plane.client;
});
afterAll(() => plane[Symbol.asyncDispose]());

const spec = { containers: [{ name: 'main', image: 'x' }] };
const things = {
  configMap: (namespace: string) => client.create(ConfigMap, { metadata: { name: 'c', namespace } }),
  held: (namespace: string) =>
    client.create(ConfigMap, { metadata: { name: 'h', namespace, finalizers: ['example.com/hold'] } }),
  secret: (namespace: string) => client.create(Secret, { metadata: { name: 's', namespace } }),
  /** With a grace, and nobody who ends it. */
  boundPod: (namespace: string) =>
    client.create(Pod, { metadata: { name: 'p', namespace }, spec: { ...spec, nodeName: 'n1' } }),
  pod: (namespace: string) => client.create(Pod, { metadata: { name: 'q', namespace }, spec }),
} as const;
type Thing = keyof typeof things;

/** Conditions that hold, with their reason. */
const holding = ({ status }: Namespace) =>
  (status.conditions ?? []).filter(each => each.status === 'True').map(({ type, reason }) => `${type} ${reason}`);
const remaining = 'NamespaceContentRemaining SomeResourcesRemain';
const finalizing = 'NamespaceFinalizersRemaining SomeFinalizersRemain';
const failing = 'NamespaceDeletionContentFailure ContentDeletionFailed';

async function deleted(name: string, content: readonly Thing[], finalizers: readonly string[] = []): Promise<void> {
  await client.create(Namespace, { metadata: { name, finalizers: [...finalizers] } });
  for (const each of content) await things[each](name);
  await client.delete(Namespace, { name });
}
const find = (name: string) =>
  client.get(Namespace, { name }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });

describe('goes', () => {
  it.each<[string, string, readonly Thing[]]>([
    ['when it is empty', 'empty', []],
    ['with what is in it', 'full', ['configMap', 'secret', 'pod']],
  ])('%s', async (_what, name, content) => {
    await deleted(name, content);
    await plane.eventually(async () => (await find(name)) === undefined);
  });
});

describe('stays', () => {
  it.each<[string, string, readonly Thing[], readonly string[], string]>([
    ['while something is held', 'held', ['held'], [remaining, finalizing], 'example.com/hold in 1 resource instances'],
    ['while a pod has its grace', 'grace', ['boundPod'], [remaining], 'pods. has 1 resource instances'],
    [
      'what is held is named by kind',
      'kinds',
      ['held', 'secret'],
      [remaining, finalizing],
      'configmaps. has 1 resource',
    ],
    ['while something cannot be deleted', 'refused', ['secret'], [failing], 'secrets: secrets are not yours'],
  ])('%s', async (_what, name, content, conditions, text) => {
    await deleted(name, content);
    const { status } = await plane.eventually(async () => {
      const found = await find(name);
      return found && holding(found).join() === conditions.join() && found;
    });
    expect(status.phase).toBe('Terminating');
    expect(status.conditions?.map(({ message }) => message).join('\n')).toContain(text);
    // And says of all else that it is well.
    expect(status.conditions).toHaveLength(4);
  });
});

it.each<[string, Thing, boolean]>([
  ['a secret', 'secret', true],
  ['a config map', 'configMap', true],
  ['a pod without a node', 'pod', false],
])('while a pod has its grace, %s is left: %s', async (_what, thing, isLeft) => {
  const name = `order-${thing.toLowerCase()}`;
  await deleted(name, ['boundPod', thing]);
  await plane.eventually(async () => (await find(name))?.status.conditions?.length === 4);
  const kind = thing === 'secret' ? Secret : thing === 'pod' ? Pod : ConfigMap;
  const names = async () => (await client.list<any>(kind, { namespace: name })).items.map(each => each.metadata.name);
  const own = thing === 'secret' ? 's' : thing === 'pod' ? 'q' : 'c';
  await plane.eventually(async () => (await names()).includes(own) === isLeft);
  await client.delete(Pod, { name: 'p', namespace: name }, { gracePeriodSeconds: 0 });
  await plane.eventually(async () => (await find(name)) === undefined);
});

it('a finalizer of somebody else keeps the empty namespace', async () => {
  await deleted('kept', ['configMap'], ['example.com/mine']);
  await plane.eventually(async () => !(await find('kept'))?.spec.finalizers?.length);
  expect((await client.list(ConfigMap, { namespace: 'kept' })).items).toEqual([]);
  await client.patch(Namespace, { name: 'kept' }, { type: 'merge', patch: { metadata: { finalizers: null } } });
  await plane.eventually(async () => (await find('kept')) === undefined);
});
