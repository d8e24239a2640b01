import type { KubeObject, ResourceRef } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { foregroundFinalizer, OwnerGraph, orphanFinalizer } from './owner-graph.js';

const kind: ResourceRef = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
const object = (uid: string, owners: string[] = [], more: Partial<KubeObject['metadata']> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: uid,
    namespace: 'default',
    uid,
    resourceVersion: '1',
    creationTimestamp: '',
    ownerReferences: owners.map(owner => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: owner,
      uid: owner,
      blockOwnerDeletion: true,
    })),
    ...more,
  },
});

it('asks for a look at those whose owner is unknown or goes, and at owners that wait for them', () => {
  const graph = new OwnerGraph();
  expect(graph.observe(kind, object('child', ['parent'])).look).toEqual(['child']);
  expect(graph.withUnknownOwner()).toEqual(['child']);
  expect(graph.observe(kind, object('parent')).look).toEqual([]);
  expect(graph.withUnknownOwner()).toEqual([]);
  expect(graph.observe(kind, object('second', ['parent'])).look).toEqual([]);
  const waiting = { deletionTimestamp: 'now', finalizers: [foregroundFinalizer] };
  expect(graph.observe(kind, object('parent', [], waiting)).look.sort()).toEqual(['child', 'parent', 'second']);
  expect(graph.blockersOf('parent').map(node => node.uid)).toEqual(['child', 'second']);
  expect(graph.remove('child').look).toEqual(['parent']);
  expect(graph.remove('parent').look).toEqual(['second']);
  expect(graph.remove('unknown').look).toEqual([]);
});

it('asks for a look at what names an owner of another namespace', () => {
  const graph = new OwnerGraph();
  graph.observe(kind, object('parent', [], { namespace: 'elsewhere' }));
  expect(graph.observe(kind, object('child', ['parent'])).look).toEqual(['child']);
  expect(graph.observe(kind, object('at-home', ['parent'], { namespace: 'elsewhere' })).look).toEqual([]);
});

it('asks to orphan once, when the deletion begins', () => {
  const graph = new OwnerGraph();
  graph.observe(kind, object('parent'));
  const orphaning = object('parent', [], { deletionTimestamp: 'now', finalizers: [orphanFinalizer] });
  expect(graph.observe(kind, orphaning).orphan).toEqual(['parent']);
  expect(graph.observe(kind, orphaning).orphan).toEqual([]);
});

it('follows changes of owners and keeps nothing of what is gone', () => {
  const graph = new OwnerGraph();
  graph.observe(kind, object('a'));
  graph.observe(kind, object('b'));
  graph.observe(kind, object('child', ['a']));
  graph.observe(kind, object('child', ['b']));
  expect(graph.dependentsOf('a')).toEqual([]);
  expect(graph.dependentsOf('b').map(node => node.uid)).toEqual(['child']);
  for (const uid of ['child', 'a', 'b']) graph.remove(uid);
  expect(graph.size).toBe(0);
  expect(graph.dependentsOf('b')).toEqual([]);
});
