import type { Pod, Service } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { mostAddresses, subsetsOf } from './endpoints.js';

const service = {
  metadata: { name: 'web', namespace: 'default' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
} as unknown as Service;
const pod = (i: number, ready: boolean) =>
  ({
    metadata: { name: `p${String(i).padStart(5, '0')}`, namespace: 'default', uid: `u${i}` },
    spec: { containers: [] },
    status: {
      phase: 'Running',
      podIP: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    },
  }) as unknown as Pod;

it('holds at most a thousand addresses, ready ones first, and says so', () => {
  const pods = Array.from({ length: mostAddresses + 5 }, (_, i) => pod(i, i >= 10));
  const { subsets, over } = subsetsOf(service, pods);
  expect(over).toBe(true);
  expect(subsets[0]!.addresses!.length).toBe(mostAddresses - 5);
  expect(subsets[0]!.notReadyAddresses!.length).toBe(5);
  expect(subsetsOf(service, pods.slice(0, 20)).over).toBe(false);
});

it('does not depend on the order in which pods are found', () => {
  const pods = [3, 1, 2].map(i => pod(i, i !== 2));
  expect(subsetsOf(service, pods)).toEqual(subsetsOf(service, [...pods].reverse()));
});
