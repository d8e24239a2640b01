import { ConfigMap, Deployment, manualClock, Namespace, Pod } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configMap, type Fixture, fixture, pod } from './resources-fixture.js';

const clock = manualClock(Date.UTC(2026, 0, 1));
let cluster: Fixture;
beforeEach(async () => {
  cluster = await fixture({ clock });
});
afterEach(() => cluster[Symbol.asyncDispose]());

const key = (name: string) => ({ name, namespace: 'default' });
const revision = async () => (await cluster.store.get('x')).revision;
const refusal = (write: Promise<unknown>) =>
  write.then(
    () => undefined,
    error => error,
  );
const exists = async (kind: any, name: string) => (await cluster.list(kind)).some(each => each.metadata.name === name);
const time = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;

describe('a plain deletion', () => {
  it('is at once, and answers a Status with what was deleted', async () => {
    const made = await cluster.create(ConfigMap, configMap('a'));
    const result = await cluster.resources.delete(cluster.context, ConfigMap as any, key('a'));
    expect(result).toEqual({
      type: 'status',
      status: {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: { name: 'a', kind: 'configmaps', uid: made.metadata.uid },
      },
    });
    expect(await refusal(cluster.get(ConfigMap, key('a')))).toMatchObject({ code: 404 });
    expect(await refusal(cluster.delete(ConfigMap, key('a')))).toMatchObject({
      code: 404,
      message: 'configmaps "a" not found',
    });
  });

  it('holds to its preconditions', async () => {
    const made = await cluster.create(ConfigMap, configMap('a'));
    const uid = await refusal(cluster.delete(ConfigMap, key('a'), { preconditions: { uid: 'bad' } }));
    expect(uid).toMatchObject({ code: 409, reason: 'Conflict' });
    expect(uid.message).toContain(
      `the UID in the precondition (bad) does not match the UID in record (${made.metadata.uid}). The object might have been deleted and then recreated`,
    );
    expect(
      await refusal(cluster.delete(ConfigMap, key('a'), { preconditions: { resourceVersion: '1' } })),
    ).toMatchObject({ code: 409 });
    const { uid: real, resourceVersion } = made.metadata;
    expect(
      await cluster.delete(ConfigMap, key('a'), { preconditions: { uid: real, resourceVersion: resourceVersion! } }),
    ).toBeUndefined();
  });

  it.each([
    [{ propagationPolicy: 'Foo' }, 'propagationPolicy: Unsupported value: "Foo"'],
    [{ propagationPolicy: 'Orphan', orphanDependents: true }, 'cannot be both set'],
    [{ gracePeriodSeconds: 1.5 }, 'gracePeriodSeconds'],
  ])('refuses options %j', async (options, message) => {
    await cluster.create(ConfigMap, configMap('a'));
    const error = await refusal(cluster.delete(ConfigMap, key('a'), options));
    expect(error).toMatchObject({ code: 422, reason: 'Invalid' });
    expect(error.message).toContain('DeleteOptions.meta.k8s.io "" is invalid');
    expect(error.message).toContain(message);
  });
});

describe('finalizers', () => {
  const held = () => cluster.create(ConfigMap, configMap('f', {}, { finalizers: ['a.io/1', 'a.io/2'] }));

  it('hold an object that is deleted, until the last is taken away', async () => {
    await held();
    const watch = await cluster.watch(ConfigMap);
    expect(await watch.lines(1)).toEqual(['ADDED f']);
    const going = await cluster.delete(ConfigMap, key('f'));
    expect(going?.metadata).toMatchObject({ deletionTimestamp: time(clock.now()), deletionGracePeriodSeconds: 0 });
    const again = await cluster.delete(ConfigMap, key('f'));
    expect(again).toEqual(going);
    const one = await cluster.patch(ConfigMap, key('f'), { metadata: { finalizers: ['a.io/2'] } });
    expect(one.metadata.finalizers).toEqual(['a.io/2']);
    const last = await cluster.patch(ConfigMap, key('f'), { metadata: { finalizers: [] } });
    expect(last.metadata.name).toBe('f');
    expect(last.metadata.finalizers ?? []).toEqual([]);
    expect(await exists(ConfigMap, 'f')).toBe(false);
    expect(await watch.lines(3)).toEqual(['MODIFIED f', 'MODIFIED f', 'DELETED f']);
    await watch.close();
  });

  it('cannot be added to an object on its way out', async () => {
    await held();
    await cluster.delete(ConfigMap, key('f'));
    const error = await refusal(
      cluster.patch(ConfigMap, key('f'), { metadata: { finalizers: ['a.io/1', 'a.io/2', 'a.io/3'] } }),
    );
    expect(error).toMatchObject({ code: 422 });
    expect(error.message).toContain('no new finalizers can be added if the object is being deleted');
  });

  it('that are no qualified names are refused', async () => {
    const error = await refusal(cluster.create(ConfigMap, configMap('x', {}, { finalizers: ['nobody'] })));
    expect(error.message).toContain('name is neither a standard finalizer name nor is it fully qualified');
  });

  it('a deletionTimestamp cannot be taken back or set by hand', async () => {
    await held();
    const going = await cluster.delete(ConfigMap, key('f'));
    const patched = await cluster.patch(ConfigMap, key('f'), {
      metadata: { deletionTimestamp: null, annotations: { a: 'b' } },
    });
    expect(patched.metadata.deletionTimestamp).toBe(going?.metadata.deletionTimestamp);
    expect(patched.metadata.deletionGracePeriodSeconds).toBe(0);
    expect(
      await refusal(cluster.patch(ConfigMap, key('f'), { metadata: { deletionTimestamp: '2027-01-01T00:00:00Z' } })),
    ).toMatchObject({ code: 422 });
  });

  it('a deletion counts as a generation', async () => {
    const spec = {
      selector: { matchLabels: { a: 'b' } },
      template: { metadata: { labels: { a: 'b' } }, spec: pod('x').spec },
    };
    await cluster.create(Deployment, { metadata: { name: 'd', finalizers: ['a.io/1'] }, spec });
    expect((await cluster.delete(Deployment, key('d')))?.metadata.generation).toBe(2);
  });
});

describe('propagation', () => {
  it.each([
    [{ propagationPolicy: 'Foreground' }, 'foregroundDeletion'],
    [{ propagationPolicy: 'Orphan' }, 'orphan'],
    [{ orphanDependents: true }, 'orphan'],
  ])('%j leaves a finalizer for the garbage collector', async (options, finalizer) => {
    await cluster.create(ConfigMap, configMap('a'));
    const going = await cluster.delete(ConfigMap, key('a'), options);
    expect(going?.metadata.finalizers).toEqual([finalizer]);
    expect(going?.metadata.deletionTimestamp).toBeDefined();
    await cluster.patch(ConfigMap, key('a'), { metadata: { finalizers: [] } });
    expect(await exists(ConfigMap, 'a')).toBe(false);
  });

  it('Background takes such a finalizer away again', async () => {
    await cluster.create(ConfigMap, configMap('a'));
    await cluster.delete(ConfigMap, key('a'), { propagationPolicy: 'Foreground' });
    expect(await cluster.delete(ConfigMap, key('a'), { propagationPolicy: 'Background' })).toBeUndefined();
    expect(await exists(ConfigMap, 'a')).toBe(false);
  });
});

describe('pods', () => {
  const running = (name: string, spec: object = {}) =>
    cluster.create(Pod, pod(name, { spec: { nodeName: 'n1', ...spec } }));

  it("on a node go with the grace of their spec, and vanish with the node agent's deletion", async () => {
    await running('p');
    const going = await cluster.delete(Pod, key('p'));
    expect(going?.metadata).toMatchObject({
      deletionTimestamp: time(clock.now() + 30_000),
      deletionGracePeriodSeconds: 30,
      generation: 2,
    });
    const before = await revision();
    expect(await cluster.delete(Pod, key('p'))).toEqual(going);
    expect(await cluster.delete(Pod, key('p'), { gracePeriodSeconds: 60 })).toEqual(going);
    expect(await revision()).toBe(before);
    expect(
      await cluster.delete(Pod, key('p'), { gracePeriodSeconds: 0, preconditions: { uid: going!.metadata.uid } }),
    ).toBeUndefined();
    expect(await exists(Pod, 'p')).toBe(false);
  });

  it('can be hurried, not slowed', async () => {
    await running('p', { terminationGracePeriodSeconds: 100 });
    await cluster.delete(Pod, key('p'));
    const hurried = await cluster.delete(Pod, key('p'), { gracePeriodSeconds: 5 });
    expect(hurried?.metadata).toMatchObject({
      deletionTimestamp: time(clock.now() + 5_000),
      deletionGracePeriodSeconds: 5,
    });
  });

  it('that nobody runs go at once', async () => {
    await cluster.create(Pod, pod('unscheduled'));
    expect(await cluster.delete(Pod, key('unscheduled'))).toBeUndefined();
    await running('done');
    await cluster.resources.patchSubresource(cluster.context, Pod as any, key('done'), 'status', {
      contentType: 'application/merge-patch+json',
      value: { status: { phase: 'Succeeded' } },
    });
    expect(await cluster.delete(Pod, key('done'))).toBeUndefined();
    await running('forced');
    expect(await cluster.delete(Pod, key('forced'), { gracePeriodSeconds: 0 })).toBeUndefined();
  });

  it('with finalizers stay after their grace', async () => {
    await cluster.create(Pod, pod('p', { metadata: { finalizers: ['a.io/1'] }, spec: { nodeName: 'n1' } }));
    await cluster.delete(Pod, key('p'));
    const over = await cluster.delete(Pod, key('p'), { gracePeriodSeconds: 0 });
    expect(over?.metadata).toMatchObject({ deletionGracePeriodSeconds: 0, finalizers: ['a.io/1'] });
    await cluster.patch(Pod, key('p'), { metadata: { finalizers: null } });
    expect(await exists(Pod, 'p')).toBe(false);
  });

  it('whose finalizers go first stay for their grace', async () => {
    await cluster.create(Pod, pod('p', { metadata: { finalizers: ['a.io/1'] }, spec: { nodeName: 'n1' } }));
    await cluster.delete(Pod, key('p'));
    await cluster.patch(Pod, key('p'), { metadata: { finalizers: null } });
    expect(await exists(Pod, 'p')).toBe(true);
    expect(await cluster.delete(Pod, key('p'), { gracePeriodSeconds: 0 })).toBeUndefined();
  });
});

describe('namespaces', () => {
  const namespaceKey = (name: string) => ({ name });
  const finalize = async (name: string) =>
    cluster.resources.updateSubresource(cluster.context, Namespace as any, namespaceKey(name), 'finalize', {
      value: { ...(await cluster.get(Namespace, namespaceKey(name))), spec: { finalizers: [] } },
    });

  it('of the system are there from the start, with their label', async () => {
    const all = await cluster.list(Namespace);
    expect(all.map(each => each.metadata.name)).toEqual(['default', 'kube-node-lease', 'kube-public', 'kube-system']);
    for (const each of all) {
      expect(each.metadata.labels).toEqual({ 'kubernetes.io/metadata.name': each.metadata.name });
      expect(each['spec'].finalizers).toEqual(['kubernetes']);
      expect(each['status'].phase).toBe('Active');
    }
  });

  it.each(['default', 'kube-system', 'kube-public'])('%s cannot be deleted', async name => {
    expect(await refusal(cluster.delete(Namespace, namespaceKey(name)))).toMatchObject({
      code: 403,
      reason: 'Forbidden',
      message: expect.stringContaining('this namespace may not be deleted'),
    });
  });

  it('are Terminating until they are finalized', async () => {
    await cluster.create(Namespace, { metadata: { name: 'n' } });
    await cluster.create(ConfigMap, configMap('c'), { namespace: 'n' });
    const going = await cluster.delete(Namespace, namespaceKey('n'));
    expect(going?.['status'].phase).toBe('Terminating');
    expect(going?.metadata.deletionTimestamp).toBeDefined();
    expect(await cluster.delete(Namespace, namespaceKey('n'))).toEqual(going);
    const error = await refusal(cluster.create(ConfigMap, configMap('d'), { namespace: 'n' }));
    expect(error).toMatchObject({ code: 403, reason: 'Forbidden' });
    expect(error.message).toContain('unable to create new content in namespace n because it is being terminated');
    expect(error.details.causes[0].reason).toBe('NamespaceTerminating');
    // What is there can still be written and deleted.
    await cluster.patch(ConfigMap, { name: 'c', namespace: 'n' }, { data: { a: 'b' } });
    await cluster.delete(ConfigMap, { name: 'c', namespace: 'n' });
    await finalize('n');
    expect(await exists(Namespace, 'n')).toBe(false);
    expect(await refusal(cluster.create(ConfigMap, configMap('d'), { namespace: 'n' }))).toMatchObject({ code: 404 });
  });

  it('keep their own finalizers but at /finalize, and their label always', async () => {
    await cluster.create(Namespace, { metadata: { name: 'n' } });
    const patched = await cluster.patch(Namespace, namespaceKey('n'), {
      spec: { finalizers: [] },
      metadata: { labels: { 'kubernetes.io/metadata.name': 'x' } },
    });
    expect(patched['spec'].finalizers).toEqual(['kubernetes']);
    expect(patched.metadata.labels).toEqual({ 'kubernetes.io/metadata.name': 'n' });
    await finalize('n');
    expect(await exists(Namespace, 'n')).toBe(true);
    expect(await cluster.delete(Namespace, namespaceKey('n'))).toBeUndefined();
  });

  it('with finalizers in their metadata wait for these too', async () => {
    await cluster.create(Namespace, { metadata: { name: 'n', finalizers: ['a.io/1'] } });
    await cluster.delete(Namespace, namespaceKey('n'));
    await finalize('n');
    expect(await exists(Namespace, 'n')).toBe(true);
    await cluster.patch(Namespace, namespaceKey('n'), { metadata: { finalizers: [] } });
    expect(await exists(Namespace, 'n')).toBe(false);
  });

  it('with a generated name carry it as label', async () => {
    const made = await cluster.create(Namespace, { metadata: { generateName: 'gen-' } });
    expect(made.metadata.labels).toEqual({ 'kubernetes.io/metadata.name': made.metadata.name });
  });
});

describe('deletecollection', () => {
  it('deletes what is selected, and answers what it was', async () => {
    for (let i = 0; i < 30; i++)
      await cluster.create(ConfigMap, configMap(`c${i}`, {}, { labels: { odd: String(i % 2) } }));
    await cluster.create(ConfigMap, configMap('held', {}, { labels: { odd: '1' }, finalizers: ['a.io/1'] }));
    const result = await cluster.resources.deleteCollection(
      cluster.context,
      ConfigMap as any,
      {},
      { namespace: 'default', labelSelector: 'odd=1' },
    );
    expect(result.items).toHaveLength(16);
    const left = await cluster.list(ConfigMap);
    expect(left.filter(each => each.metadata.labels?.['odd'] === '1').map(each => each.metadata.name)).toEqual([
      'held',
    ]);
    expect(left).toHaveLength(16);
    expect(left.find(each => each.metadata.name === 'held')?.metadata.deletionTimestamp).toBeDefined();
  });

  it('deletes nothing in a dry run', async () => {
    await cluster.create(ConfigMap, configMap('a'));
    const result = await cluster.resources.deleteCollection(cluster.context, ConfigMap as any, { dryRun: true }, {});
    expect(result.items).toHaveLength(1);
    expect(await cluster.list(ConfigMap)).toHaveLength(1);
  });
});
