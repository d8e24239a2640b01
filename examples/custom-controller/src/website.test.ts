/** The operator, whole, in this process: against a real API server in memory, with the built-in Deployment and ReplicaSet controllers. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAuthority, issueServingCertificate } from '@orbitkit/apiserver/pki';
import { controllerManager, deployments, replicaSets } from '@orbitkit/controllers';
import { createTestControlPlane, playedPods, type TestControlPlaneOptions } from '@orbitkit/controllers/testing';
import {
  ConfigMap,
  CustomResourceDefinition,
  compose,
  Deployment,
  discoverKinds,
  Event,
  findCondition,
  isNotFound,
  MutatingWebhookConfiguration,
  Secret,
  Service,
  StatusError,
  ValidatingWebhookConfiguration,
} from '@orbitkit/core';
import { loadManifests } from '@orbitkit/core/manifest';
import { describe, expect, it } from 'vitest';
import { Website, websiteDefinition } from './website.js';
import { websites } from './website-controller.js';
import { websiteWebhooks } from './website-webhook.js';

const key = { name: 'hello', namespace: 'default' };
const page = '<html><title>hi</title></html>';
const website = (spec: object = {}) => ({ metadata: key, spec: { html: page, ...spec } }) as never;

/** A cluster that serves the definition, with the operator in it; its servers are played. */
async function cluster(options: TestControlPlaneOptions = {}) {
  const published = new Map<string, string>();
  const registry = {
    publish: async (name: string, url: string) => void published.set(name, url),
    withdraw: async (name: string) => void published.delete(name),
  };
  const plane = await createTestControlPlane({
    controllers: [websites(registry), deployments(), replicaSets(), playedPods()],
    definitions: [websiteDefinition],
    ...options,
  });
  const ready = () =>
    plane.eventually(async () => {
      const { status, metadata } = await plane.client.get(Website, key);
      const condition = findCondition(status?.conditions, 'Ready');
      return condition?.status === 'True' && condition.observedGeneration === metadata.generation && status;
    });
  return Object.assign(plane, { published, ready });
}

describe('the website operator', () => {
  it('makes what a website needs, says when it is ready, and follows its changes', async () => {
    await using plane = await cluster();
    const { client, published } = plane;
    const made = await client.create(Website, website());
    expect(made.spec).toEqual({ html: page, replicas: 1, port: 8080, tier: 'small' });
    const status = await plane.ready();
    const service = await client.get(Service, key);
    expect(status).toMatchObject({ readyReplicas: 1, url: `http://${service.spec.clusterIP}:8080` });
    expect(published.get('default/hello')).toBe(status?.url);
    for (const kind of [ConfigMap, Service, Deployment]) {
      const { metadata } = await client.get<{ metadata: any } & any>(kind as never, key);
      expect(metadata.ownerReferences).toMatchObject([{ kind: 'Website', uid: made.metadata.uid, controller: true }]);
    }
    const before = findCondition(status?.conditions, 'Ready')?.lastTransitionTime;
    await client.patch(Website, key, { type: 'merge', patch: { spec: { replicas: 3, html: `${page}!` } } });
    await plane.eventually(async () => (await client.get(Website, key)).status?.readyReplicas === 3);
    await plane.ready();
    expect((await client.get(ConfigMap, key)).data).toEqual({ page: `${page}!` });
    expect((await client.get(Deployment, key)).spec.replicas).toBe(3);
    expect(before).toMatch(/Z$/);
    const scale = await client.getSubresource(Website, key, 'scale');
    expect(scale).toMatchObject({ spec: { replicas: 3 }, status: { replicas: 3 } });
  });

  it('puts right what others change, and says nothing when there is nothing to say', async () => {
    let writes = 0;
    await using plane = await cluster({
      intercept: {
        patch(next, kind, ...rest) {
          if ((kind as { kind: string }).kind === 'Website') writes += 1;
          return next(kind, ...rest);
        },
      },
    });
    const { client } = plane;
    await client.create(Website, website());
    await plane.ready();
    await client.patch(ConfigMap, key, { type: 'merge', patch: { data: { page: 'defaced' } } });
    await plane.eventually(async () => (await client.get(ConfigMap, key)).data?.['page'] === page);
    const settled = writes;
    await client.patch(Website, key, { type: 'merge', patch: { metadata: { labels: { touched: 'yes' } } } });
    await plane.consistently(() => writes === settled, { forMs: 100 });
  });

  it('withdraws its address before a website goes; the rest goes with it', async () => {
    await using plane = await cluster();
    const { client, published } = plane;
    await client.create(Website, website());
    await plane.ready();
    await client.delete(Website, key);
    await plane.eventually(async () => {
      const left = await Promise.all([
        client.list(Website),
        client.list(Deployment),
        client.list(ConfigMap, { labelSelector: 'app.kubernetes.io/name' }),
      ]);
      return left.every(({ items }) => items.length === 0);
    });
    expect(published.size).toBe(0);
    const reasons = (await client.list(Event)).items.map(({ reason }) => reason);
    expect(reasons).toEqual(expect.arrayContaining(['Published', 'Withdrawn']));
  });

  it('bears conflicts, lost answers and a registry that is away', async () => {
    let failures = 4;
    const fail = () => {
      if (failures-- > 0) throw new StatusError('Timeout', 'the answer was lost');
    };
    await using plane = await cluster({
      intercept: {
        async apply(next, ...call) {
          const made = await next(...call);
          fail();
          return made;
        },
      },
    });
    await plane.client.create(Website, website());
    await plane.ready();
    expect(failures).toBeLessThan(0);
    expect((await plane.client.list(Deployment)).items).toHaveLength(1);
  });
});

describe('the definition that was made of the zod schema', () => {
  it.each<[string, object, string]>([
    ['no page', { html: undefined }, 'spec.html: Required value'],
    ['an empty one', { html: '' }, 'spec.html: Invalid value'],
    ['too many replicas', { replicas: 10 }, 'spec.replicas: Invalid value'],
    ['a fraction', { replicas: 1.5 }, 'spec.replicas: Invalid value'],
    ['an unknown tier', { tier: 'huge' }, 'spec.tier: Unsupported value: "huge"'],
    ['what CEL forbids', { replicas: 4 }, 'a small website has at most 3 replicas'],
  ])('refuses %s', async (_what, spec, message) => {
    await using plane = await createTestControlPlane({ definitions: [websiteDefinition], housekeeping: false });
    await expect(plane.client.create(Website, website(spec))).rejects.toMatchObject({
      code: 422,
      message: expect.stringContaining(message),
    });
    await plane.client.create(Website, website({ tier: 'large', replicas: 9, unknown: 'dropped' }));
    expect(Object.keys((await plane.client.get(Website, key)).spec)).not.toContain('unknown');
  });
});

it('its webhooks judge and complete websites', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'website-'));
  try {
    const authority = await createAuthority({ dir });
    const pair = await issueServingCertificate(authority, { name: 'website', hosts: ['127.0.0.1'] });
    let url = '';
    const listening = (at: string) => {
      url = at;
    };
    const hooks = websiteWebhooks({ port: 0, host: '127.0.0.1', certificate: pair, listening });
    await using serving = compose(hooks);
    serving.run().catch(() => {});
    await serving.ready;
    await using plane = await createTestControlPlane({ definitions: [websiteDefinition], housekeeping: false });
    const { client } = plane;
    const caBundle = Buffer.from(authority.certificate).toString('base64');
    const { validating, mutating } = hooks.configurations('website', { url, caBundle });
    await client.create(ValidatingWebhookConfiguration, validating!);
    await client.create(MutatingWebhookConfiguration, mutating!);
    await expect(client.create(Website, website({ html: 'plain' }))).rejects.toThrow('a page begins with <html>');
    const made = await client.create(Website, website());
    expect(made.metadata.labels).toEqual({ 'app.kubernetes.io/part-of': 'websites' });
    await expect(client.get(Website, { ...key, name: 'none' })).rejects.toSatisfy(isNotFound);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

it('what manifests/rbac.yaml allows is enough, and no more than it needs for websites', async () => {
  const file = fileURLToPath(new URL('../manifests/rbac.yaml', import.meta.url));
  const operator = {
    username: 'system:serviceaccount:websites:website-operator',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:websites', 'system:authenticated'],
  };
  const plane = await createTestControlPlane({ rbac: true });
  const client = plane.clientFor(operator);
  const registry = { publish: async () => {}, withdraw: async () => {} };
  const manager = controllerManager([websites(registry)], { name: 'website', election: { namespace: 'kube-system' } });
  await using working = compose({ client }, manager);
  try {
    const kinds = await discoverKinds(plane.client);
    for (const { object } of loadManifests(await readFile(file, 'utf8'), { file })) {
      await plane.client.create(kinds.byKind(object.apiVersion, object.kind), object as never);
    }
    await plane.eventually(() =>
      client.apply(CustomResourceDefinition, websiteDefinition, { fieldManager: 'website' }),
    );
    await plane.eventually(() => plane.client.list(Website));
    working.run().catch(() => {});
    await working.ready;
    await plane.client.create(Website, website());
    await plane.eventually(
      async () => (await plane.client.get(Website, key)).status?.conditions?.[0]?.type === 'Ready',
    );
    for (const kind of [ConfigMap, Service, Deployment] as const) await plane.client.get(kind as typeof ConfigMap, key);
    await plane.client.delete(Website, key);
    await plane.eventually(() => plane.client.get(Website, key).then(() => false, isNotFound));
    await expect(client.list(Secret)).rejects.toMatchObject({ code: 403 });
    await expect(client.delete(Deployment, key)).rejects.toMatchObject({ code: 403 });
  } finally {
    await working[Symbol.asyncDispose]();
    await plane[Symbol.asyncDispose]();
  }
});
