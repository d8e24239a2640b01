import { ClusterRole, type rbacv1 } from '@orbitkit/core';
import { it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { clusterRoleAggregation } from './cluster-role-aggregation.js';

const rule = (resource: string): rbacv1.PolicyRule => ({ apiGroups: [''], resources: [resource], verbs: ['get'] });
const label = (to: string) => ({ [`aggregate-to-${to}`]: 'true' });
const role = (name: string, resources: string[], labels: Record<string, string> = {}) => ({
  metadata: { name, labels },
  rules: resources.map(rule),
});
const sum = (name: string, ...from: string[]) => ({
  metadata: { name },
  aggregationRule: { clusterRoleSelectors: from.map(each => ({ matchLabels: label(each) })) },
});
const start = () => createTestControlPlane({ controllers: [clusterRoleAggregation()] });
const reads = ({ client, eventually }: TestControlPlane, name: string, ...resources: string[]) =>
  eventually(async () => {
    const { rules } = await client.get(ClusterRole, { name });
    const found = (rules ?? []).flatMap(each => each.resources ?? []).join();
    if (found !== resources.join()) throw new Error(`${name} has ${found}`);
    return true;
  });

it('is the union of what its selectors choose, each rule once, roles in the order of their names', async () => {
  await using plane = await start();
  const { client } = plane;
  await client.create(ClusterRole, role('b', ['secrets', 'pods'], label('x')));
  await client.create(ClusterRole, role('a', ['pods'], label('x')));
  await client.create(ClusterRole, role('c', ['nodes'], label('y')));
  await client.create(ClusterRole, role('stranger', ['services']));
  await client.create(ClusterRole, sum('x', 'x'));
  await client.create(ClusterRole, sum('y-then-x', 'y', 'x'));
  await reads(plane, 'x', 'pods', 'secrets');
  await reads(plane, 'y-then-x', 'nodes', 'pods', 'secrets');
});

it('follows roles that change, lose their label, and go', async () => {
  await using plane = await start();
  const { client } = plane;
  await client.create(ClusterRole, sum('x', 'x'));
  await client.create(ClusterRole, role('a', ['pods'], label('x')));
  await client.create(ClusterRole, role('b', ['nodes'], label('x')));
  await reads(plane, 'x', 'pods', 'nodes');
  await client.patch(ClusterRole, { name: 'a' }, { type: 'merge', patch: { rules: [rule('secrets')] } });
  await reads(plane, 'x', 'secrets', 'nodes');
  const unlabelled = { metadata: { labels: { 'aggregate-to-x': null } } };
  await client.patch(ClusterRole, { name: 'a' }, { type: 'merge', patch: unlabelled });
  await reads(plane, 'x', 'nodes');
  await client.delete(ClusterRole, { name: 'b' });
  await reads(plane, 'x');
});

it('puts back what others write into an aggregated role, and goes through generations', async () => {
  await using plane = await start();
  const { client } = plane;
  await client.create(ClusterRole, role('leaf', ['pods'], label('x')));
  await client.create(ClusterRole, { ...sum('x', 'x'), metadata: { name: 'x', labels: label('z') } });
  await client.create(ClusterRole, sum('z', 'z'));
  await reads(plane, 'z', 'pods');
  await client.patch(ClusterRole, { name: 'x' }, { type: 'merge', patch: { rules: [rule('secrets')] } });
  await reads(plane, 'x', 'pods');
  await reads(plane, 'z', 'pods');
});
