/**
 * What goes and what stays, case by case, after the documentation of garbage collection and of owner references.
 *
 * `c<a!,b` is an object `c` with the owners `a`, whose deletion it blocks, and `b`; `c*` is held by a finalizer of somebody else. What is expected
 * is what is left, `†` is on its way out. `?` is an owner that was never there.
 */
import { randomUUID } from 'node:crypto';
import { ConfigMap, type DeleteOptions, Namespace, type OwnerReference } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { garbageCollector } from './garbage-collector.js';

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await createTestControlPlane({ controllers: [garbageCollector()] });
});
afterAll(() => plane[Symbol.asyncDispose]());

const hold = 'example.com/hold';
type Policy = NonNullable<DeleteOptions['propagationPolicy']>;

/** Puts a row's objects into a namespace of its own. */
async function given(namespace: string, texts: readonly string[]): Promise<void> {
  const { client } = plane;
  await client.create(Namespace, { metadata: { name: namespace } });
  const parsed = texts.map(text => {
    const [, name = '', held, owners = ''] = /^(\w+)(\*?)(?:<(.*))?$/.exec(text)!;
    return { name, held: held === '*', owners: owners === '' ? [] : owners.split(',') };
  });
  const uids = new Map<string, string>();
  for (const { name, held } of parsed) {
    const made = await client.create(ConfigMap, { metadata: { name, namespace, finalizers: held ? [hold] : [] } });
    uids.set(name, made.metadata.uid);
  }
  for (const { name, owners } of parsed) {
    const ownerReferences = owners.map((owner): OwnerReference => {
      const ownerName = owner.replace(/[!?]/g, '');
      const uid = owner.endsWith('?') ? randomUUID() : uids.get(ownerName)!;
      return { apiVersion: 'v1', kind: 'ConfigMap', name: ownerName, uid, blockOwnerDeletion: owner.endsWith('!') };
    });
    const patch = { metadata: { ownerReferences } };
    if (owners.length > 0) await client.patch(ConfigMap, { name, namespace }, { type: 'merge', patch });
  }
}

async function left(namespace: string): Promise<string> {
  const { items } = await plane.client.list(ConfigMap, { namespace });
  return items
    .map(({ metadata: { name, deletionTimestamp, ownerReferences = [] } }) => {
      const owners = ownerReferences.map(owner => owner.name).sort();
      return `${name}${deletionTimestamp ? '†' : ''}${owners.length > 0 ? `<${owners}` : ''}`;
    })
    .sort()
    .join(' ');
}

let rows = 0;
async function play(objects: string, remove: string | undefined, policy: Policy, expected: string): Promise<void> {
  const namespace = `row${rows++}`;
  await given(namespace, objects.split(' '));
  if (remove) await plane.client.delete(ConfigMap, { name: remove, namespace }, { propagationPolicy: policy });
  await plane.eventually(async () => {
    const now = await left(namespace);
    if (now !== expected) throw new Error(`left is "${now}", not "${expected}"`);
    return true;
  });
  await plane.consistently(async () => (await left(namespace)) === expected, { forMs: 30 });
}

describe.each<[Policy, [string, string, string, string][]]>([
  [
    'Background',
    [
      ['dependents follow', 'a b<a c<b', 'a', ''],
      ['others stay', 'a b<a c d<c', 'a', 'c d<c'],
      ['not those that have another owner', 'a b c<a,b', 'a', 'b c<b'],
      ['blocking makes no difference', 'a b<a!', 'a', ''],
      ['a dependent that is held waits, its owner does not', 'a b*<a', 'a', 'b†<a'],
      ['what a held dependent owns goes when that is gone', 'a b*<a c<b', 'a', 'b†<a c<b'],
      ['an owner that is held keeps its dependents', 'a* b<a', 'a', 'a† b<a'],
      ['owners in a circle', 'a<b b<a', 'a', ''],
      ['an owner of itself', 'a<a', 'a', ''],
    ],
  ],
  [
    'Foreground',
    [
      ['the owner goes with its dependents', 'a b<a! c<b!', 'a', ''],
      ['the owner waits for one that blocks', 'a b*<a!', 'a', 'a† b†<a'],
      ['and not for one that does not', 'a b*<a', 'a', 'b†<a'],
      ['the owner waits through generations', 'a b<a! c*<b!', 'a', 'a† b†<a c†<b'],
      ['one that has another owner is let go of, and does not block', 'a b c<a!,b', 'a', 'b c<b'],
      ['an owner without dependents', 'a', 'a', ''],
      ['owners in a circle that block', 'a<b! b<a!', 'a', ''],
    ],
  ],
  [
    'Orphan',
    [
      ['dependents stay, without their owner', 'a b<a c<b', 'a', 'b c<b'],
      ['and keep others', 'a b c<a,b', 'a', 'b c<b'],
      ['blocking makes no difference', 'a b<a!', 'a', 'b'],
      ['also one that is held', 'a b*<a', 'a', 'b'],
    ],
  ],
])('%s', (policy, table) => {
  it.each(table)('%s: of %s', (_what, objects, remove, expected) => play(objects, remove, policy, expected));
});

it.each([
  ['all owners were never there', 'b<a?', ''],
  ['one of two was never there', 'a b<a,c?', 'a b<a'],
  ['the owner is another one of the name', 'a b<a?', 'a'],
  ['a blocking owner that was never there', 'b<a?! c<b', ''],
])('without a deletion: %s', async (_what, objects, expected) => {
  await play(objects.replace('?!', '?'), undefined, 'Background', expected);
  expect(plane.components.every(({ state }) => state !== 'failed')).toBe(true);
});
