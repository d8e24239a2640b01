import { type Client, isNotFound, Secret, ServiceAccount, TokenReview } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { serviceAccountTokens } from './service-account-tokens.js';

const namespace = 'default';
const secretOf = (account: string, name = 'robot-token', extra: object = {}): any => ({
  metadata: { name, namespace, annotations: { 'kubernetes.io/service-account.name': account } },
  type: 'kubernetes.io/service-account-token',
  ...extra,
});
const read = (client: Client, name = 'robot-token') => client.get(Secret, { name, namespace });
const text = (secret: Secret, key: string) => Buffer.from(secret.data?.[key] ?? '', 'base64').toString();
const planeOf = () =>
  createTestControlPlane({ controllers: [serviceAccountTokens({ certificateAuthority: () => 'PEM' })] });

describe('service account tokens', () => {
  it('are put into secrets that name an account, and hold', async () => {
    await using plane = await planeOf();
    const { client, eventually } = plane;
    const account = await client.create(ServiceAccount, { metadata: { name: 'robot', namespace } });
    await client.create(Secret, secretOf('robot'));
    const secret = await eventually(async () => {
      const found = await read(client);
      return found.data?.['token'] !== undefined && found;
    });
    expect(text(secret, 'namespace')).toBe('default');
    expect(text(secret, 'ca.crt')).toBe('PEM');
    expect(secret.metadata.annotations?.['kubernetes.io/service-account.uid']).toBe(account.metadata.uid);
    const review: any = await client.create(TokenReview, {
      metadata: {},
      spec: { token: text(secret, 'token') },
    } as never);
    expect(review.status).toMatchObject({
      authenticated: true,
      user: { username: 'system:serviceaccount:default:robot' },
    });
    await client.delete(Secret, secret.metadata);
    const later: any = await client.create(TokenReview, {
      metadata: {},
      spec: { token: text(secret, 'token') },
    } as never);
    expect(later.status.authenticated ?? false).toBe(false);
  });

  it('are left as they are once they are there, but for what is missing', async () => {
    await using plane = await planeOf();
    const { client, eventually } = plane;
    await client.create(ServiceAccount, { metadata: { name: 'robot', namespace } });
    const token = Buffer.from('my own').toString('base64');
    await client.create(Secret, secretOf('robot', 'robot-token', { data: { token } }));
    const secret = await eventually(async () => {
      const found = await read(client);
      return found.data?.['namespace'] !== undefined && found;
    });
    expect(text(secret, 'token')).toBe('my own');
  });

  it('go with their account, and with one of another uid', async () => {
    await using plane = await planeOf();
    const { client, eventually } = plane;
    const account = await client.create(ServiceAccount, { metadata: { name: 'robot', namespace } });
    await client.create(Secret, secretOf('robot'));
    await client.create(Secret, { metadata: { name: 'other', namespace }, stringData: { a: 'b' } } as never);
    await eventually(async () => (await read(client)).data?.['token'] !== undefined);
    await client.delete(ServiceAccount, account.metadata);
    const gone = (name: string) => () => read(client, name).then(() => false, isNotFound);
    await eventually(gone('robot-token'));
    await client.create(ServiceAccount, { metadata: { name: 'robot', namespace } });
    const former = secretOf('robot', 'former');
    former.metadata.annotations['kubernetes.io/service-account.uid'] = account.metadata.uid;
    await client.create(Secret, former);
    await eventually(gone('former'));
    await read(client, 'other');
  });
});
