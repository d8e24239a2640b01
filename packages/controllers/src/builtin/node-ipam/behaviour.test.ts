/** Which blocks of addresses nodes get, case by case, after the documentation of `--cluster-cidr` and `--node-cidr-mask-size`. */
import { type Client, Event, Node } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { type NodeIpamOptions, nodeIpam } from './node-ipam.js';

const create = (client: Client, name: string, block?: string) =>
  client.create(Node, { metadata: { name }, spec: block ? { podCIDR: block, podCIDRs: [block] } : {} });
const blocksOf = async (client: Client) =>
  Object.fromEntries(
    (await client.list(Node)).items.map(({ metadata, spec }) => [metadata.name, (spec.podCIDRs ?? []).join()]),
  );
const whole = '10.244.0.0/22';

describe('a new node gets', () => {
  it.each<[string, NodeIpamOptions, string[], string]>([
    ['the first block', { clusterCIDR: whole }, [], '10.244.0.0/24'],
    ['the first that is free', { clusterCIDR: whole }, ['10.244.0.0/24'], '10.244.1.0/24'],
    ['none that is reserved', { clusterCIDR: whole, reserved: ['10.244.0.0/23'] }, [], '10.244.2.0/24'],
    ['none within a larger one that is taken', { clusterCIDR: whole }, ['10.244.0.0/23'], '10.244.2.0/24'],
    ['none around a smaller one that is taken', { clusterCIDR: whole }, ['10.244.0.128/25'], '10.244.1.0/24'],
    ['what others have elsewhere is no matter', { clusterCIDR: whole }, ['192.168.0.0/24'], '10.244.0.0/24'],
    ['a block of the size that was asked for', { clusterCIDR: whole, nodeMaskSize: 26 }, [], '10.244.0.0/26'],
    ['a whole range that is one block', { clusterCIDR: '10.9.0.0/24' }, [], '10.9.0.0/24'],
    ['one of IPv6', { clusterCIDR: 'fd00:1::/56' }, [], 'fd00:1::/64'],
    ['one of each family', { clusterCIDR: `${whole},fd00:1::/56` }, [], '10.244.0.0/24,fd00:1::/64'],
    [
      'of each family the size that was asked for',
      { clusterCIDR: `fd00:1::/112,${whole}`, nodeMaskSize: [120, 25] },
      [],
      'fd00:1::/120,10.244.0.0/25',
    ],
    ['nothing when all are taken', { clusterCIDR: '10.9.0.0/24' }, ['10.9.0.0/24'], ''],
    ['nothing when one family has none left', { clusterCIDR: `10.9.0.0/24,fd00:1::/56` }, ['10.9.0.0/24'], ''],
  ])('%s', async (_what, options, taken, expected) => {
    await using plane = await createTestControlPlane({ controllers: [nodeIpam(options)], housekeeping: false });
    const { client, eventually } = plane;
    for (const [i, block] of taken.entries()) await create(client, `old${i}`, block);
    await create(client, 'new');
    if (expected === '') {
      const told = await eventually(async () =>
        (await client.list(Event)).items.find(({ reason }) => reason === 'CIDRNotAvailable'),
      );
      expect(told).toMatchObject({ type: 'Warning', involvedObject: { kind: 'Node', name: 'new' } });
    }
    await eventually(async () => (await blocksOf(client))['new'] === expected);
    // Nobody else's is touched.
    for (const [i, block] of taken.entries()) expect((await blocksOf(client))[`old${i}`]).toBe(block);
  });
});

it('a block that comes back goes to the node that waits, and one given back rests while others are free', async () => {
  const options = { clusterCIDR: '10.244.0.0/23' };
  await using plane = await createTestControlPlane({ controllers: [nodeIpam(options)], housekeeping: false });
  const { client, eventually } = plane;
  const has = (name: string, block: string) => eventually(async () => (await blocksOf(client))[name] === block);
  await create(client, 'a');
  await has('a', '10.244.0.0/24');
  await client.delete(Node, { name: 'a' });
  await create(client, 'b');
  await has('b', '10.244.1.0/24');
  await create(client, 'c');
  await has('c', '10.244.0.0/24');
  await create(client, 'd');
  await eventually(async () => (await client.list(Event)).items.some(({ reason }) => reason === 'CIDRNotAvailable'));
  await client.delete(Node, { name: 'b' });
  await has('d', '10.244.1.0/24');
});
