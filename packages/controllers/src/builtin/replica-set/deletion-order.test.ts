import type { Pod } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { deletionCostAnnotation, inDeletionOrder } from './deletion-order.js';

const now = Date.UTC(2026, 0, 10);
const ago = (minutes: number) => new Date(now - minutes * 60_000).toISOString();
interface Shape {
  node?: string;
  phase?: string;
  ready?: number | false;
  cost?: number;
  restarts?: number;
  created?: number;
}
const pod = (name: string, { node = 'n1', phase = 'Running', ready = 60, cost, restarts = 0, created = 100 }: Shape) =>
  ({
    metadata: {
      name,
      namespace: 'default',
      uid: name,
      creationTimestamp: ago(created),
      ...(cost === undefined ? {} : { annotations: { [deletionCostAnnotation]: String(cost) } }),
    },
    spec: node ? { nodeName: node } : {},
    status: {
      phase,
      conditions: ready === false ? [] : [{ type: 'Ready', status: 'True', lastTransitionTime: ago(ready) }],
      containerStatuses: [{ restartCount: restarts }],
    },
  }) as unknown as Pod;
const order = (pods: Pod[], related = pods) => inDeletionOrder(pods, related, now).map(each => each.metadata.name);

it.each<[string, Shape, Shape]>([
  ['not bound before bound', { node: '', phase: 'Pending', ready: false }, { phase: 'Pending', ready: false }],
  ['pending before unknown', { phase: 'Pending', ready: false }, { phase: 'Unknown', ready: false }],
  ['unknown before running', { phase: 'Unknown', ready: false }, { ready: false }],
  ['not ready before ready', { ready: false }, {}],
  ['lower deletion cost first', { cost: -5 }, { cost: 3 }],
  ['cheap goes even when it is ready longer', { cost: 0, ready: 5000 }, { cost: 1, ready: 1 }],
  ['ready for a shorter time first', { ready: 1 }, { ready: 60 }],
  ['more restarts first', { restarts: 5 }, { restarts: 1 }],
  ['younger first', { created: 1, ready: 1 }, { created: 100, ready: 1 }],
])('%s', (_, first, second) => {
  expect(order([pod('b', second), pod('a', first)])).toEqual(['a', 'b']);
  expect(order([pod('a', second), pod('b', first)])).toEqual(['b', 'a']);
});

it('where more of the set runs, one goes first; pods of sister sets count', () => {
  const pods = [pod('a', { node: 'n1' }), pod('b', { node: 'n2' })];
  expect(order(pods, [...pods, pod('sister', { node: 'n2' })])).toEqual(['b', 'a']);
});

it('ages of the same order of magnitude are the same: the uid decides, not the minute', () => {
  expect(order([pod('b', { ready: 50, created: 50 }), pod('a', { ready: 55, created: 55 })])).toEqual(['a', 'b']);
});
