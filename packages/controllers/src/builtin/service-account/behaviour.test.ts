/** Accounts and the Secrets of their tokens, case by case, after the documentation of service accounts and of `kubernetes.io/service-account-token`. */
import { type Client, ConfigMap, isNotFound, Namespace, Secret, ServiceAccount } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { serviceAccountTokens } from './service-account-tokens.js';
import { serviceAccounts } from './service-accounts.js';

let plane: TestControlPlane;
let client: Client;
beforeAll(async () => {
  const names = ['default', 'builder'];
  plane = await createTestControlPlane({
    controllers: [serviceAccounts({ names }), serviceAccountTokens({ certificateAuthority: 'PEM' })],
    housekeeping: false,
  });
  client = plane.client;
});
afterAll(() => plane[Symbol.asyncDispose]());
const find = <T>(answer: Promise<T>) =>
  answer.catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('the accounts of a namespace', () => {
  const accountsOf = async (namespace: string) =>
    (await client.list(ServiceAccount, { namespace })).items.map(({ metadata }) => metadata.name).join();
  it.each<[string, string, (namespace: string) => Promise<unknown>]>([
    ['are made with it', 'fresh', async () => {}],
    [
      'come back when one is deleted',
      'robbed',
      ns => client.delete(ServiceAccount, { name: 'default', namespace: ns }),
    ],
    ['others may be there', 'shared', ns => client.create(ServiceAccount, { metadata: { name: 'a', namespace: ns } })],
  ])('%s', async (_what, namespace, then) => {
    await client.create(Namespace, { metadata: { name: namespace } });
    await plane.eventually(async () => (await accountsOf(namespace)) === 'builder,default');
    await then(namespace);
    await plane.eventually(async () => /builder,default$/.test(await accountsOf(namespace)));
  });

  it('do not come back into one that is on its way out', async () => {
    const namespace = 'leaving';
    await client.create(Namespace, { metadata: { name: namespace } });
    await plane.eventually(async () => (await accountsOf(namespace)) === 'builder,default');
    await client.delete(Namespace, { name: namespace });
    await client.delete(ServiceAccount, { name: 'default', namespace });
    await plane.consistently(async () => (await accountsOf(namespace)) === 'builder', { forMs: 100 });
  });
});

describe('a Secret', () => {
  const namespace = 'default';
  const type = 'kubernetes.io/service-account-token';
  const account = 'kubernetes.io/service-account.name';
  const uid = 'kubernetes.io/service-account.uid';
  const own = base64('my own');
  const all = ['ca.crt', 'namespace', 'token'];
  interface Row {
    secret: Partial<Secret> & { annotations?: Record<string, string> };
    /** Its keys then; undefined: it is deleted. */
    keys: string[] | undefined;
    /** Values that stay as they are. */
    kept?: Record<string, string>;
  }
  it.each<[string, Row]>([
    ['of an account is filled', { secret: { type, annotations: { [account]: 'robot' } }, keys: all }],
    [
      'what is in it already stays, what is missing is added',
      {
        secret: { type, annotations: { [account]: 'robot' }, data: { token: own, more: own } },
        keys: ['ca.crt', 'more', 'namespace', 'token'],
        kept: { token: own, more: own },
      },
    ],
    [
      'an authority of its author stays',
      {
        secret: { type, annotations: { [account]: 'robot' }, data: { 'ca.crt': own } },
        keys: all,
        kept: { 'ca.crt': own },
      },
    ],
    [
      'of an account that is not there goes',
      { secret: { type, annotations: { [account]: 'nobody' } }, keys: undefined },
    ],
    [
      'of an account of another uid goes',
      { secret: { type, annotations: { [account]: 'robot', [uid]: 'another' } }, keys: undefined },
    ],
    ['of another type is left alone', { secret: { type: 'Opaque', annotations: { [account]: 'robot' } }, keys: [] }],
  ])('%s', async (what, { secret, keys, kept = {} }) => {
    await find(client.delete(ServiceAccount, { name: 'robot', namespace }));
    const robot = await client.create(ServiceAccount, { metadata: { name: 'robot', namespace } });
    const { annotations = {}, ...rest } = secret;
    const name = what.replace(/\W+/g, '-');
    await client.create(Secret, { metadata: { name, namespace, annotations }, ...rest });
    // Another that is filled: this one was looked at before.
    await client.create(Secret, {
      metadata: { name: `${name}-after`, namespace, annotations: { [account]: 'robot' } },
      type,
    });
    await plane.eventually(
      async () => (await client.get(Secret, { name: `${name}-after`, namespace })).data?.['token'],
    );
    const found = await plane.eventually(async () => {
      const now = await find(client.get(Secret, { name, namespace }));
      const have = now && Object.keys(now.data ?? {}).sort();
      return JSON.stringify(have) === JSON.stringify(keys) && { now };
    });
    expect(found.now?.data ?? {}).toMatchObject(kept);
    if (keys?.includes('namespace')) {
      expect(found.now?.metadata.annotations?.[uid]).toBe(robot.metadata.uid);
      expect(found.now?.data?.['namespace']).toBe(base64(namespace));
    }
  });

  it('goes with its account', async () => {
    await client.create(ServiceAccount, { metadata: { name: 'brief', namespace } });
    const key = { name: 'of-brief', namespace };
    await client.create(Secret, { metadata: { ...key, annotations: { [account]: 'brief' } }, type });
    await plane.eventually(async () => (await client.get(Secret, key)).data?.['token']);
    await client.create(ConfigMap, { metadata: { name: 'stays', namespace, annotations: { [account]: 'brief' } } });
    await client.delete(ServiceAccount, { name: 'brief', namespace });
    await plane.eventually(async () => (await find(client.get(Secret, key))) === undefined);
    await client.get(ConfigMap, { name: 'stays', namespace });
  });
});
