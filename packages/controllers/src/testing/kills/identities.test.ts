/** Who is who, after the death of a manager at any moment: accounts, their tokens, the authority, roles that add up. */
import {
  ClusterRole,
  ConfigMap,
  type Draft,
  type DynamicObject,
  isNotFound,
  Namespace,
  Secret,
  ServiceAccount,
} from '@orbitkit/core';
import { expect, it } from 'vitest';
import { clusterRoleAggregation } from '../../builtin/cluster-role-aggregation/cluster-role-aggregation.js';
import { rootCAPublisher } from '../../builtin/root-ca/root-ca-publisher.js';
import { serviceAccountTokens } from '../../builtin/service-account/service-account-tokens.js';
import { serviceAccounts } from '../../builtin/service-account/service-accounts.js';
import { killEverywhere } from './kill-everywhere.js';

const minuteMs = 120_000;
const gone = (error: unknown) => {
  if (isNotFound(error)) return true;
  throw error;
};

it('every namespace gets its accounts and the authority', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [
      serviceAccounts({ names: ['default', 'builder'] }),
      rootCAPublisher({ certificateAuthority: 'PEM' }),
    ],
    kinds: [Namespace, ServiceAccount, ConfigMap],
    async scenario({ client, until }) {
      await client.create(Namespace, { metadata: { name: 'shop' } });
      const accounts = async () => (await client.list(ServiceAccount, { namespace: 'shop' })).items.length;
      await until(async () => (await accounts()) === 2);
      await client.delete(ServiceAccount, { name: 'default', namespace: 'shop' });
      await until(async () => (await accounts()) === 2);
      const authority = { name: 'kube-root-ca.crt', namespace: 'shop' };
      await until(async () => (await client.get(ConfigMap, authority)).data?.['ca.crt'] === 'PEM');
      await client.patch(ConfigMap, authority, { type: 'merge', patch: { data: { 'ca.crt': 'mine' } } });
      await until(async () => (await client.get(ConfigMap, authority)).data?.['ca.crt'] === 'PEM');
    },
  });
  expect(kills).toBeGreaterThanOrEqual(4);
});

it('a Secret gets its token, and goes with its account', { timeout: minuteMs }, async () => {
  const namespace = 'default';
  const secret = (name: string, account: string): Draft<Secret> => ({
    metadata: { name, namespace, annotations: { 'kubernetes.io/service-account.name': account } },
    type: 'kubernetes.io/service-account-token',
  });
  /** No two tokens are the same. */
  const normalise = (object: DynamicObject): DynamicObject => {
    const { data } = object as DynamicObject & { data?: Record<string, string> };
    if (data?.['token']) data['token'] = '<token>';
    return object;
  };
  const { kills } = await killEverywhere({
    controllers: () => [serviceAccountTokens({ certificateAuthority: 'PEM' })],
    kinds: [Secret, ServiceAccount],
    normalise,
    async scenario({ client, until }) {
      await client.create(ServiceAccount, { metadata: { name: 'robot', namespace } });
      await client.create(Secret, secret('of-robot', 'robot'));
      await until(async () => (await client.get(Secret, { name: 'of-robot', namespace })).data?.['token']);
      await client.delete(ServiceAccount, { name: 'robot', namespace });
      await until(() => client.get(Secret, { name: 'of-robot', namespace }).then(() => false, gone));
    },
  });
  expect(kills).toBeGreaterThanOrEqual(5);
});

it('roles add up', { timeout: minuteMs }, async () => {
  const part = (name: string, resource: string) => ({
    metadata: { name, labels: { part: 'yes' } },
    rules: [{ apiGroups: [''], resources: [resource], verbs: ['get'] }],
  });
  const { kills } = await killEverywhere({
    controllers: () => [clusterRoleAggregation()],
    kinds: [ClusterRole],
    async scenario({ client, until }) {
      const sums = async (count: number) => (await client.get(ClusterRole, { name: 'sum' })).rules?.length === count;
      await client.create(ClusterRole, part('a', 'pods'));
      await client.create(ClusterRole, {
        metadata: { name: 'sum' },
        aggregationRule: { clusterRoleSelectors: [{ matchLabels: { part: 'yes' } }] },
      });
      await until(() => sums(1));
      await client.create(ClusterRole, part('b', 'nodes'));
      await until(() => sums(2));
    },
  });
  expect(kills).toBeGreaterThanOrEqual(2);
});
