import { Node } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { nodeIpam } from './node-ipam.js';

it('gives every node a block of its own, respects those that are there, and takes back those of nodes that go', async () => {
  const options = { clusterCIDR: '10.244.0.0/22', nodeMaskSize: 24, reserved: ['10.244.3.0/24'] };
  await using plane = await createTestControlPlane({ controllers: [nodeIpam(options)] });
  const { client, eventually } = plane;
  await client.create(Node, {
    metadata: { name: 'settled' },
    spec: { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24'] },
  });
  for (const name of ['a', 'b', 'c']) await client.create(Node, { metadata: { name }, spec: {} });
  const blocks = async () => {
    const { items } = await client.list(Node);
    return Object.fromEntries(items.map(node => [node.metadata.name, node.spec.podCIDR]));
  };
  await eventually(async () => Object.values(await blocks()).filter(Boolean).length === 3);
  const before = await blocks();
  expect(before['settled']).toBe('10.244.1.0/24');
  expect(Object.values(before).filter(Boolean).sort()).toEqual(['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24']);
  const [late] = Object.entries(before).find(([, block]) => block === undefined)!;
  await client.delete(Node, { name: 'settled' });
  await eventually(async () => (await blocks())[late] === '10.244.1.0/24');
  expect((await client.get(Node, { name: late })).spec.podCIDRs).toEqual(['10.244.1.0/24']);
});

it('two families give two blocks; senseless options are refused at once', async () => {
  const both = nodeIpam({ clusterCIDR: '10.0.0.0/16,fd00:1::/56', nodeMaskSize: [24, 64] });
  await using plane = await createTestControlPlane({ controllers: [both] });
  await plane.client.create(Node, { metadata: { name: 'a' }, spec: {} });
  const node = await plane.eventually(async () => {
    const current = await plane.client.get(Node, { name: 'a' });
    return current.spec.podCIDR !== undefined && current;
  });
  expect(node.spec.podCIDRs).toEqual(['10.0.0.0/24', 'fd00:1::/64']);
  expect(() => nodeIpam({ clusterCIDR: 'nonsense' })).toThrow(/is not a CIDR/);
  expect(() => nodeIpam({ clusterCIDR: '10.0.0.0/24', nodeMaskSize: 16 })).toThrow(/do not fit/);
});
