import { Namespace, ServiceAccount } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { serviceAccounts } from './service-accounts.js';

it('every namespace has its default account, also after it was deleted', async () => {
  await using plane = await createTestControlPlane({ controllers: [serviceAccounts()] });
  const { client, eventually } = plane;
  await client.create(Namespace, { metadata: { name: 'team' }, spec: {} });
  const accounts = async () => {
    const { items } = await client.list(ServiceAccount);
    return items.filter(each => each.metadata.name === 'default').map(each => each.metadata.namespace);
  };
  const spaces = (await client.list(Namespace)).items.map(each => each.metadata.name);
  await eventually(async () => (await accounts()).length === spaces.length);
  expect((await accounts()).sort()).toEqual(spaces.sort());
  const first = await client.get(ServiceAccount, { name: 'default', namespace: 'team' });
  await client.delete(ServiceAccount, first.metadata);
  await eventually(async () => {
    const again = await client.get(ServiceAccount, { name: 'default', namespace: 'team' });
    return again.metadata.uid !== first.metadata.uid;
  });
});
