import { ConfigMap, isNotFound, Namespace } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { rootCAPublisher } from './root-ca-publisher.js';

const name = 'kube-root-ca.crt';
const start = async (certificateAuthority: string | (() => string) = 'PEM') => {
  const plane = await createTestControlPlane({ controllers: [rootCAPublisher({ certificateAuthority })] });
  const published = (namespace: string, text = 'PEM') =>
    plane.eventually(async () => {
      const { data, binaryData } = await plane.client.get(ConfigMap, { name, namespace });
      return JSON.stringify(data) === JSON.stringify({ 'ca.crt': text }) && binaryData === undefined;
    });
  return { plane, client: plane.client, published };
};

it('is in every namespace, new ones too', async () => {
  const { plane, client, published } = await start(() => 'asked for at the start');
  await using _ = plane;
  await published('default', 'asked for at the start');
  await client.create(Namespace, { metadata: { name: 'team' } });
  await published('team', 'asked for at the start');
  const { metadata } = await client.get(ConfigMap, { name, namespace: 'team' });
  expect(metadata.annotations?.['kubernetes.io/description']).toContain('kube-apiserver');
});

it.each<[string, object]>([
  ['another text', { data: { 'ca.crt': 'forged' } }],
  ['more than there should be', { data: { more: 'x' } }],
  ['nothing', { data: null }],
  ['binary data', { binaryData: { x: 'eA==' } }],
])('%s is put back', async (_what, patch) => {
  const { plane, client, published } = await start();
  await using _ = plane;
  await published('default');
  await client.patch(ConfigMap, { name, namespace: 'default' }, { type: 'merge', patch });
  await published('default');
});

it('comes back when it is deleted, but not into a namespace that is going', async () => {
  const { plane, client, published } = await start();
  await using _ = plane;
  await published('default');
  const before = await client.get(ConfigMap, { name, namespace: 'default' });
  await client.delete(ConfigMap, before.metadata);
  await published('default');
  expect((await client.get(ConfigMap, before.metadata)).metadata.uid).not.toBe(before.metadata.uid);
  await client.create(Namespace, { metadata: { name: 'team' } });
  await published('team');
  await client.delete(Namespace, { name: 'team' });
  await plane.eventually(() => client.get(Namespace, { name: 'team' }).then(() => false, isNotFound));
});
