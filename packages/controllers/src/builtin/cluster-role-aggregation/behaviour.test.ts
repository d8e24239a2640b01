/**
 * What aggregated roles may do, case by case, after the documentation of aggregated ClusterRoles.
 *
 * `x: pods` is a role labelled `x` that may get pods; a role adds up what its selectors choose.
 */
import { type Client, ClusterRole, type LabelSelector, type rbacv1 } from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { clusterRoleAggregation } from './cluster-role-aggregation.js';

let plane: TestControlPlane;
let client: Client;
beforeAll(async () => {
  plane = await createTestControlPlane({ controllers: [clusterRoleAggregation()], housekeeping: false });
  client = plane.client;
});
afterAll(() => plane[Symbol.asyncDispose]());

const rule = (resource: string): rbacv1.PolicyRule => ({ apiGroups: [''], resources: [resource], verbs: ['get'] });
const key = 'example.com/part-of';
const labelled = (...values: string[]): LabelSelector => ({
  matchExpressions: [{ key, operator: 'In', values }],
});

let rows = 0;
it.each<[string, Record<string, string>, LabelSelector[], string]>([
  ['one that is chosen', { x: 'pods' }, [labelled('x')], 'pods'],
  ['none that is not', { x: 'pods', y: 'nodes' }, [labelled('x')], 'pods'],
  ['several by one selector, by their names', { y: 'nodes', x: 'pods' }, [labelled('x', 'y')], 'pods nodes'],
  ['several selectors, one after the other', { x: 'pods', y: 'nodes' }, [labelled('y'), labelled('x')], 'nodes pods'],
  ['a rule of two roles once', { x: 'pods', y: 'pods nodes' }, [labelled('x', 'y')], 'pods nodes'],
  ['a role that two selectors choose once', { x: 'pods' }, [labelled('x'), labelled('x')], 'pods'],
  ['nothing by a selector that chooses none', { x: 'pods' }, [labelled('z')], ''],
])('%s', async (_what, roles, clusterRoleSelectors, expected) => {
  const row = `row${rows++}`;
  for (const [label, resources] of Object.entries(roles))
    await client.create(ClusterRole, {
      metadata: { name: `${row}-${label}`, labels: { [key]: label, row } },
      rules: resources.split(' ').map(rule),
    });
  const inRow = clusterRoleSelectors.map(selector => ({ ...selector, matchLabels: { row } }));
  // What is written into it by hand does not last.
  await client.create(ClusterRole, {
    metadata: { name: row },
    aggregationRule: { clusterRoleSelectors: inRow },
    rules: [rule('secrets')],
  });
  await plane.eventually(async () => {
    const { rules } = await client.get(ClusterRole, { name: row });
    const found = (rules ?? []).flatMap(({ resources = [] }) => resources).join(' ');
    if (found !== expected) throw new Error(`it may get "${found}"`);
    return true;
  });
});

it('a role without an aggregation rule is its author’s', async () => {
  await client.create(ClusterRole, { metadata: { name: 'plain', labels: { [key]: 'x' } }, rules: [rule('secrets')] });
  await plane.consistently(
    async () => (await client.get(ClusterRole, { name: 'plain' })).rules?.[0]?.resources?.[0] === 'secrets',
    { forMs: 50 },
  );
  expect((await client.get(ClusterRole, { name: 'plain' })).rules).toHaveLength(1);
});
