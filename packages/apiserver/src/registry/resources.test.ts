import { ConfigMap, Pod } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { configMap, fixture, pod } from './resources-fixture.js';

it('creates, reads, updates, deletes', async () => {
  await using cluster = await fixture();
  const made = await cluster.create(ConfigMap, configMap('c1', { a: '1' }));
  expect(made.metadata).toMatchObject({ name: 'c1', namespace: 'default' });
  expect(await cluster.get(ConfigMap, { name: 'c1', namespace: 'default' })).toEqual(made);
  const p = await cluster.create(Pod, pod('p1'));
  console.log(JSON.stringify(p, null, 1));
});
