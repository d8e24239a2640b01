import { ConfigMap, Deployment, Lease, Node, Pod, Secret } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AdmissionPlugin } from '../admission/contract.js';
import { defaultAdmission } from '../admission/index.js';
import { configMap, type Fixture, fixture, pod } from './resources-fixture.js';

let cluster: Fixture;
beforeEach(async () => {
  cluster = await fixture();
});
afterEach(() => cluster[Symbol.asyncDispose]());

const key = (name: string) => ({ name, namespace: 'default' });
const revision = async () => (await cluster.store.get('x')).revision;
const refusal = (write: Promise<unknown>) =>
  write.then(
    () => undefined,
    error => error,
  );
const deployment = (name: string, more: Record<string, any> = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, ...more['metadata'] },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'c', image: 'busybox' }] } },
    ...more['spec'],
  },
});

describe('create', () => {
  it('fills in what the server owns, whatever the client says of it', async () => {
    const made = await cluster.create(Deployment, {
      ...deployment('d'),
      metadata: {
        name: 'd',
        uid: 'mine',
        creationTimestamp: '1999-01-01T00:00:00Z',
        deletionTimestamp: '1999-01-01T00:00:00Z',
        generation: 77,
        managedFields: [{ manager: 'm' }],
      },
      status: { replicas: 99 },
    });
    expect(made.metadata).toEqual({
      name: 'd',
      namespace: 'default',
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      creationTimestamp: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
      generation: 1,
      resourceVersion: String(await revision()),
      managedFields: [expect.objectContaining({ manager: 'orbitkit', operation: 'Update' })],
    });
    expect(made['status']).toEqual({});
    expect(made['spec'].strategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' },
    });
  });

  it('fills in kind and apiVersion', async () => {
    const made = await cluster.create(ConfigMap, { metadata: { name: 'c' } });
    expect(made).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1' });
  });

  it.each<[string, object, number, string, string]>([
    [
      'with resourceVersion',
      configMap('a', {}, { resourceVersion: '5' }),
      500,
      '',
      'resourceVersion should not be set on objects to be created',
    ],
    [
      'without name',
      { metadata: {} },
      422,
      'Invalid',
      'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ],
    ['with a bad name', configMap('Bad_Name'), 422, 'Invalid', 'RFC 1123'],
    [
      'in another namespace',
      configMap('a', {}, { namespace: 'other' }),
      400,
      'BadRequest',
      'the namespace of the provided object does not match the namespace sent on the request',
    ],
    [
      'of another kind',
      { kind: 'Secret', apiVersion: 'v1', metadata: { name: 'a' } },
      400,
      'BadRequest',
      'cannot be handled as a ConfigMap',
    ],
    [
      'with a wrong type',
      { metadata: { name: 'a' }, data: 5 },
      400,
      'BadRequest',
      'json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string',
    ],
  ])('%s is refused', async (_, object, code, reason, message) => {
    const before = await revision();
    const error = await refusal(
      cluster.resources.create(cluster.context, ConfigMap as any, { namespace: 'default' }, { value: object }),
    );
    expect(error).toMatchObject({ code, reason });
    expect(error.message).toContain(message);
    expect(await revision()).toBe(before);
  });

  it('names every field that is wrong', async () => {
    const error = await refusal(cluster.create(ConfigMap, configMap('Bad_Name', {}, { labels: { '-x': 'y' } })));
    expect(error.details.causes.map((each: any) => each.field)).toEqual(['metadata.name', 'metadata.labels']);
    expect(error.details).toMatchObject({ kind: 'ConfigMap', name: 'Bad_Name' });
  });

  it('of what exists is 409, and into a missing namespace 404', async () => {
    await cluster.create(ConfigMap, configMap('c1'));
    expect(await refusal(cluster.create(ConfigMap, configMap('c1')))).toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
      message: 'configmaps "c1" already exists',
      details: { name: 'c1', kind: 'configmaps' },
    });
    expect(await refusal(cluster.create(ConfigMap, configMap('c1'), { namespace: 'nonexist' }))).toMatchObject({
      code: 404,
      message: 'namespaces "nonexist" not found',
      details: { kind: 'namespaces' },
    });
  });

  it('generates names, and others when one is taken', async () => {
    const made = await Promise.all(
      Array.from({ length: 50 }, () => cluster.create(ConfigMap, { metadata: { generateName: 'gen-' } })),
    );
    const names = made.map(each => each.metadata.name);
    expect(new Set(names).size).toBe(50);
    for (const name of names) expect(name).toMatch(/^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    const long = await cluster.create(ConfigMap, { metadata: { generateName: 'x'.repeat(60) } });
    expect(long.metadata.name).toHaveLength(63);
  });

  it('gives up on a generated name after eight attempts', async () => {
    const taken: any = { ...cluster.store };
    let attempts = 0;
    for (const name of ['list', 'get', 'watch', 'grantLease'])
      taken[name] = (cluster.store as any)[name].bind(cluster.store);
    taken.txn = async (compare: any, write: any) => {
      if (!write.key.includes('gen-')) return cluster.store.txn(compare, write);
      attempts++;
      return { ok: false, revision: 1n, current: (await cluster.store.list('/registry/core/namespaces/')).entries[0] };
    };
    await using full = await fixture({ store: taken });
    expect(await refusal(full.create(ConfigMap, { metadata: { generateName: 'gen-' } }))).toMatchObject({
      code: 409,
      reason: 'AlreadyExists',
    });
    expect(attempts).toBe(8);
  });

  it('of an object that is too large is 413', async () => {
    const error = await refusal(
      cluster.create(Secret, { metadata: { name: 's' }, data: { a: 'QUFB'.repeat(100_000) } }),
    );
    expect(error).toBeUndefined();
    const annotations = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`a${i}`, 'x'.repeat(10_000)]));
    const labels = Object.fromEntries(
      Array.from({ length: 30_000 }, (_, i) => [`label-${i}-${'x'.repeat(20)}`, 'y'.repeat(30)]),
    );
    const large = await refusal(cluster.create(Pod, pod('p', { metadata: { annotations, labels } })));
    expect(large).toMatchObject({ code: 413, reason: 'RequestEntityTooLarge' });
    expect(large.message).toMatch(/Pod "p" is too large: \d+ bytes to store, at most 1572864/);
  });

  it('is not possible for kinds that cannot be created', async () => {
    const readOnly = { ...ConfigMap, verbs: ['get', 'list'] } as any;
    expect(await refusal(cluster.create(readOnly, configMap('a')))).toMatchObject({
      code: 405,
      reason: 'MethodNotAllowed',
    });
  });
});

describe('fields that a kind does not have', () => {
  const write = (fieldValidation?: 'Strict' | 'Warn' | 'Ignore') =>
    cluster.resources.create(
      cluster.context,
      ConfigMap as any,
      { namespace: 'default' },
      { value: { metadata: { name: 'u', foo: 1 }, bar: 2, data: { a: '2' } }, duplicateFields: ['data.a'] },
      { fieldValidation },
    );

  it('are refused by Strict', async () => {
    expect(await refusal(write('Strict'))).toMatchObject({
      code: 400,
      message:
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "metadata.foo", unknown field "bar", duplicate field "data.a"',
    });
  });

  it('are warned of by Warn, which is the default', async () => {
    const { object } = await write();
    expect(cluster.warnings).toEqual([
      'unknown field "metadata.foo"',
      'unknown field "bar"',
      'duplicate field "data.a"',
    ]);
    expect(object.object()).not.toHaveProperty('bar');
  });

  it('are dropped silently by Ignore', async () => {
    await write('Ignore');
    expect(cluster.warnings).toEqual([]);
  });

  it('are refused and warned of in patches, once', async () => {
    await cluster.create(Deployment, deployment('d'));
    const patch = { spec: { template: { spec: { containers: [{ name: 'c', foo: 1 }] } } } };
    expect(
      await refusal(cluster.patch(Deployment, key('d'), patch, 'strategic', { fieldValidation: 'Strict' })),
    ).toMatchObject({
      code: 400,
      message: 'strict decoding error: unknown field "spec.template.spec.containers[0].foo"',
    });
    await cluster.patch(Deployment, key('d'), patch, 'strategic');
    expect(cluster.warnings).toEqual(['unknown field "spec.template.spec.containers[0].foo"']);
  });
});

describe('update', () => {
  it('with the current version replaces the object, with another is 409 and writes nothing', async () => {
    const made = await cluster.create(ConfigMap, configMap('c1', { a: '1' }));
    const next = await cluster.update(ConfigMap, { ...made, data: { a: '2' } });
    expect(next['data']).toEqual({ a: '2' });
    const before = await revision();
    expect(await refusal(cluster.update(ConfigMap, { ...made, data: { a: '3' } }))).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on configmaps "c1": the object has been modified; please apply your changes to the latest version and try again',
    });
    expect(await revision()).toBe(before);
  });

  it('without version replaces whatever there is', async () => {
    await cluster.create(ConfigMap, configMap('c1', { a: '1' }));
    const next = await cluster.update(ConfigMap, configMap('c1', { b: '2' }, { namespace: 'default' }));
    expect(next['data']).toEqual({ b: '2' });
    const zero = await cluster.update(
      ConfigMap,
      configMap('c1', { c: '2' }, { namespace: 'default', resourceVersion: '0' }),
    );
    expect(zero['data']).toEqual({ c: '2' });
  });

  it('that changes nothing keeps the version, in whatever order the members come', async () => {
    const made = await cluster.create(ConfigMap, configMap('c1', { a: '1', b: '2' }, { labels: { x: 'y' } }));
    const before = await revision();
    expect(await cluster.update(ConfigMap, made)).toEqual(made);
    const { resourceVersion: _, ...metadata } = made.metadata;
    const turned = {
      data: { b: '2', a: '1' },
      metadata: Object.fromEntries(Object.entries(metadata).reverse()),
      kind: made.kind,
      apiVersion: 'v1',
    };
    expect((await cluster.update(ConfigMap, turned)).metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    expect(await revision()).toBe(before);
  });

  it('of another uid is 409, of another name 400, of nothing 404', async () => {
    const made = await cluster.create(ConfigMap, configMap('c1'));
    const uid = await refusal(cluster.update(ConfigMap, { ...made, metadata: { ...made.metadata, uid: 'bad' } }));
    expect(uid).toMatchObject({ code: 409, reason: 'Conflict' });
    expect(uid.message).toContain(
      `Precondition failed: UID in precondition: bad, UID in object meta: ${made.metadata.uid}`,
    );
    const name = await refusal(
      cluster.resources.update(cluster.context, ConfigMap as any, key('c1'), { value: configMap('c2') }),
    );
    expect(name).toMatchObject({
      code: 400,
      message: 'the name of the object (c2) does not match the name on the URL (c1)',
    });
    expect(await refusal(cluster.update(ConfigMap, configMap('none', {}, { namespace: 'default' })))).toMatchObject({
      code: 404,
      message: 'configmaps "none" not found',
    });
  });

  it('creates a Lease that does not exist', async () => {
    const lease = { metadata: { name: 'l', namespace: 'default' }, spec: { holderIdentity: 'me' } };
    const first = await cluster.resources.update(cluster.context, Lease as any, key('l'), {
      value: structuredClone(lease),
    });
    expect(first.created).toBe(true);
    const { resourceVersion } = first.object.object().metadata;
    const second = await cluster.resources.update(cluster.context, Lease as any, key('l'), {
      value: { metadata: { ...lease.metadata, resourceVersion }, spec: { holderIdentity: 'you' } },
    });
    expect(second.created).toBe(false);
    expect(second.object.object()['spec'].holderIdentity).toBe('you');
  });

  it('demands a version where upstream does, and replaces the newest where it does not', async () => {
    const lease = { metadata: { name: 'v', namespace: 'default' }, spec: { holderIdentity: 'me' } };
    await cluster.resources.update(cluster.context, Lease as any, key('v'), { value: structuredClone(lease) });
    await expect(
      cluster.resources.update(cluster.context, Lease as any, key('v'), { value: structuredClone(lease) }),
    ).rejects.toThrow(
      'leases.coordination.k8s.io "v" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update',
    );
    const made = await cluster.create(Deployment, deployment('v'));
    const { resourceVersion: _version, ...metadata } = made.metadata;
    await cluster.update(Deployment, { ...made, metadata } as never);
  });

  it('keeps status out of the object, and the object out of status', async () => {
    const made = await cluster.create(Deployment, deployment('d'));
    const main = await cluster.update(Deployment, {
      ...made,
      status: { replicas: 5 },
      metadata: { ...made.metadata, labels: { a: 'b' } },
    });
    expect(main['status']).toEqual({});
    expect(main.metadata.labels).toEqual({ a: 'b' });
    const { object } = await cluster.resources.updateSubresource(
      cluster.context,
      Deployment as any,
      key('d'),
      'status',
      {
        value: {
          ...main,
          metadata: { ...main.metadata, labels: { c: 'd' } },
          spec: { ...main['spec'], replicas: 9 },
          status: { replicas: 5 },
        },
      },
    );
    const status: any = object.object();
    expect(status.status).toEqual({ replicas: 5 });
    expect(status.spec.replicas).toBe(2);
    expect(status.metadata.labels).toEqual({ a: 'b' });
    expect(status.metadata.generation).toBe(1);
    const kept = await cluster.patch(Deployment, key('d'), {
      status: { replicas: 77 },
      metadata: { annotations: { x: 'y' } },
    });
    expect(kept['status']).toEqual({ replicas: 5 });
  });

  it('counts generations by changes of the spec alone', async () => {
    const made = await cluster.create(Deployment, deployment('d'));
    const labelled = await cluster.patch(Deployment, key('d'), { metadata: { labels: { a: 'b' }, generation: 50 } });
    expect(labelled.metadata.generation).toBe(1);
    const scaled = await cluster.patch(Deployment, key('d'), { spec: { replicas: 3 } });
    expect(scaled.metadata.generation).toBe(2);
    expect(
      (await cluster.update(Deployment, { ...made, metadata: { ...made.metadata, resourceVersion: undefined } }))
        .metadata.generation,
    ).toBe(3);
    const node = await cluster.create(Node, { metadata: { name: 'n' } });
    expect(node.metadata.generation).toBeUndefined();
  });

  it('keeps what the server owns when the client leaves it out', async () => {
    const made = await cluster.create(ConfigMap, configMap('c1'));
    const next = await cluster.update(
      ConfigMap,
      configMap('c1', { a: '1' }, { namespace: 'default', deletionTimestamp: '2020-01-01T00:00:00Z' }),
    );
    const { managedFields, ...rest } = next.metadata;
    expect(rest).toEqual({ ...made.metadata, resourceVersion: next.metadata.resourceVersion });
    expect(managedFields).toHaveLength(1);
  });

  it('is bound by what may not change', async () => {
    const made = await cluster.create(Deployment, deployment('d'));
    const error = await refusal(
      cluster.update(Deployment, { ...made, spec: { ...made['spec'], selector: { matchLabels: { app: 'x' } } } }),
    );
    expect(error).toMatchObject({ code: 422, reason: 'Invalid' });
    expect(error.message).toContain('Deployment.apps "d" is invalid');
    expect(error.message).toContain('field is immutable');
  });
});

describe('patch', () => {
  beforeEach(async () => void (await cluster.create(ConfigMap, configMap('c1', { a: '1', b: '2' }))));

  it('json, merge and strategic change the newest version', async () => {
    expect(
      (await cluster.patch(ConfigMap, key('c1'), [{ op: 'replace', path: '/data/a', value: '9' }], 'json'))['data'],
    ).toEqual({ a: '9', b: '2' });
    expect((await cluster.patch(ConfigMap, key('c1'), { data: { a: null, c: '3' } }))['data']).toEqual({
      b: '2',
      c: '3',
    });
    await cluster.create(Deployment, deployment('d'));
    const strategic = { spec: { template: { spec: { containers: [{ name: 'd', image: 'x' }] } } } };
    const merged = await cluster.patch(Deployment, key('d'), strategic, 'strategic');
    expect(merged['spec'].template.spec.containers.map((each: any) => each.name)).toEqual(['d', 'c']);
  });

  it('refuses what it cannot apply', async () => {
    const patch = (value: unknown, contentType: string) =>
      refusal(cluster.resources.patch(cluster.context, ConfigMap as any, key('c1'), { contentType, value }));
    const before = await revision();
    expect(await patch({}, 'application/json')).toMatchObject({ code: 415, reason: 'UnsupportedMediaType' });
    expect(await patch({}, 'application/apply-patch+yaml')).toMatchObject({ code: 400 });
    expect(await patch([{ op: 'test', path: '/data/a', value: 'no' }], 'application/json-patch+json')).toMatchObject({
      code: 422,
    });
    expect(await patch([{ op: 'remove', path: '/data/none' }], 'application/json-patch+json')).toMatchObject({
      code: 422,
    });
    expect(await patch({ a: 1 }, 'application/json-patch+json')).toMatchObject({ code: 400 });
    expect(await patch({ metadata: { resourceVersion: '1' } }, 'application/merge-patch+json')).toMatchObject({
      code: 409,
      reason: 'Conflict',
    });
    const uid = await patch({ metadata: { uid: 'x' } }, 'application/merge-patch+json');
    expect(uid).toMatchObject({ code: 422, reason: 'Invalid' });
    expect(uid.message).toContain('metadata.uid: Invalid value: "x": field is immutable');
    expect(await patch({ metadata: { name: 'x' } }, 'application/merge-patch+json')).toMatchObject({ code: 400 });
    expect(await patch({ data: { a: 1 } }, 'application/merge-patch+json')).toMatchObject({ code: 400 });
    expect(await revision()).toBe(before);
    expect(await refusal(cluster.patch(ConfigMap, key('none'), {}))).toMatchObject({ code: 404 });
  });

  it('that changes nothing keeps the version', async () => {
    const before = await cluster.get(ConfigMap, key('c1'));
    expect(await cluster.patch(ConfigMap, key('c1'), { data: { a: '1' } })).toEqual(before);
    expect(
      await cluster.patch(ConfigMap, key('c1'), { metadata: { resourceVersion: before.metadata.resourceVersion } }),
    ).toEqual(before);
  });

  it('does not offer strategic merge for kinds that keep unknown fields', async () => {
    const custom = {
      ...ConfigMap,
      schema: { ...ConfigMap.schema, fields: (ConfigMap.schema as any).fields, preserveUnknownFields: true },
    } as any;
    expect(await refusal(cluster.patch(custom, key('c1'), {}, 'strategic'))).toMatchObject({ code: 415 });
  });
});

describe('dry run', () => {
  it('goes the whole way and stores nothing', async () => {
    const watch = await cluster.watch(ConfigMap);
    const before = await revision();
    const made = await cluster.create(ConfigMap, configMap('d', { a: '1' }), { dryRun: true });
    expect(made.metadata.uid).toBeDefined();
    expect(made.metadata.resourceVersion).toBeUndefined();
    expect(await refusal(cluster.create(ConfigMap, configMap('Bad_'), { dryRun: true }))).toMatchObject({ code: 422 });
    const stored = await cluster.create(ConfigMap, configMap('real', { a: '1' }));
    expect(await refusal(cluster.create(ConfigMap, configMap('real'), { dryRun: true }))).toMatchObject({ code: 409 });
    const updated = await cluster.update(ConfigMap, { ...stored, data: { a: '2' } }, { dryRun: true });
    expect(updated['data']).toEqual({ a: '2' });
    expect(updated.metadata.resourceVersion).toBe(stored.metadata.resourceVersion);
    await cluster.patch(ConfigMap, key('real'), { data: { a: '3' } }, 'merge', { dryRun: true });
    await cluster.delete(ConfigMap, key('real'), { dryRun: true });
    expect(await cluster.get(ConfigMap, key('real'))).toEqual(stored);
    expect(await revision()).toBe(before + 1n);
    expect(await watch.lines(1)).toEqual(['ADDED real']);
    await watch.close();
  });
});

describe('admission', () => {
  it('changes the object before it is stored, and refuses it before that', async () => {
    const seen: string[] = [];
    const plugin: AdmissionPlugin = {
      name: 'Test',
      admit({ operation, object, kind, oldObject }) {
        if (kind.plural !== 'configmaps') return;
        seen.push(`${operation}${oldObject ? ' old' : ''}`);
        if (object) object.metadata.labels = { ...object.metadata.labels, admitted: 'yes' };
      },
      async validate({ object, kind }) {
        if (kind.plural === 'configmaps' && object?.['data']?.bad) throw new Error('broken');
      },
    };
    await using guarded = await fixture({ admission: [...defaultAdmission(), plugin] });
    const made = await guarded.create(ConfigMap, configMap('a'));
    expect(made.metadata.labels).toEqual({ admitted: 'yes' });
    await guarded.patch(ConfigMap, key('a'), { data: { x: '1' } });
    expect(await refusal(guarded.patch(ConfigMap, key('a'), { data: { bad: '1' } }))).toMatchObject({
      code: 500,
      message: 'Internal error occurred: admission plugin "Test" failed: broken',
    });
    await guarded.delete(ConfigMap, key('a'));
    // The refused patch was decided twice: once on what the cache had, once on what the store confirmed.
    expect(new Set(seen)).toEqual(new Set(['CREATE', 'UPDATE old', 'DELETE old']));
  });

  it('gives pods what every pod has', async () => {
    const made = await cluster.create(Pod, pod('p'));
    expect(made['spec']).toMatchObject({
      serviceAccountName: 'default',
      serviceAccount: 'default',
      priority: 0,
      preemptionPolicy: 'PreemptLowerPriority',
    });
    expect(made['spec'].tolerations.map((each: any) => [each.key, each.tolerationSeconds])).toEqual([
      ['node.kubernetes.io/not-ready', 300],
      ['node.kubernetes.io/unreachable', 300],
    ]);
    const own = await cluster.create(
      Pod,
      pod('q', { spec: { tolerations: [{ operator: 'Exists' }], serviceAccountName: 'robot' } }),
    );
    expect(own['spec'].tolerations).toEqual([{ operator: 'Exists' }]);
    expect(own['spec'].serviceAccountName).toBe('robot');
  });
});
