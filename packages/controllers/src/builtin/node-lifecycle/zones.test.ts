import type { Node } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { Zones } from './zones.js';

const node = (zone: string, ready: boolean, i: number) =>
  ({
    metadata: { name: `${zone}-${i}`, labels: { 'topology.kubernetes.io/zone': zone } },
    spec: {},
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'Unknown' }] },
  }) as unknown as Node;
const zone = (name: string, ready: number, failed: number) =>
  Array.from({ length: ready + failed }, (_, i) => node(name, i < ready, i));

it('tells a zone in which a few fail from one that is cut off', () => {
  const zones = new Zones();
  const state = (ready: number, failed: number) => {
    const nodes = zone('a', ready, failed);
    zones.update(nodes);
    return zones.stateOf(nodes[0]!);
  };
  expect(state(5, 0)).toBe('normal');
  expect(state(1, 2)).toBe('normal');
  expect(state(2, 3)).toBe('partial');
  expect(state(5, 5)).toBe('normal');
  expect(state(0, 1)).toBe('full');
});

it('is all down only when every zone is', () => {
  const zones = new Zones();
  zones.update([...zone('a', 0, 2), ...zone('b', 1, 0)]);
  expect(zones.allDown).toBe(false);
  zones.update([...zone('a', 0, 2), ...zone('b', 0, 1)]);
  expect(zones.allDown).toBe(true);
  zones.update([]);
  expect(zones.allDown).toBe(false);
});

it('lets one node every ten seconds go, zone by zone; none in a small zone in trouble, few in a large one', () => {
  const zones = new Zones();
  const [a, b] = [zone('a', 3, 2), zone('b', 3, 1)];
  zones.update([...a, ...b]);
  expect(zones.mayEvict(a[4]!, 0)).toBe(true);
  expect(zones.mayEvict(a[3]!, 9_999)).toBe(false);
  expect(zones.mayEvict(b[3]!, 9_999)).toBe(true);
  expect(zones.mayEvict(a[3]!, 10_000)).toBe(true);
  const small = zone('a', 2, 8);
  zones.update(small);
  expect(zones.mayEvict(small[9]!, 1_000_000)).toBe(false);
  const large = zone('a', 20, 80);
  zones.update(large);
  expect(zones.mayEvict(large[99]!, 1_000_000)).toBe(true);
  expect(zones.mayEvict(large[98]!, 1_099_999)).toBe(false);
  expect(zones.mayEvict(large[98]!, 1_100_000)).toBe(true);
});
