import { ConfigMap, Deployment, Event, manualClock, Namespace, Pod } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryStore } from '../storage/memory.js';
import { configMap, type Fixture, fixture, pod } from './resources-fixture.js';
import { qualityOfService } from './strategies/pod-parts.js';

let cluster: Fixture;
beforeEach(async () => {
  cluster = await fixture();
});
afterEach(() => cluster[Symbol.asyncDispose]());

const key = (name: string) => ({ name, namespace: 'default' });
const refusal = (write: Promise<unknown>) =>
  write.then(
    () => undefined,
    error => error,
  );
const post = (kind: any, name: string, subresource: string, value: unknown, options = {}) =>
  cluster.resources.createSubresource(cluster.context, kind, key(name), subresource, { value }, options);

describe('scale', () => {
  const spec = {
    replicas: 2,
    selector: { matchLabels: { app: 'd' } },
    template: { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'c', image: 'busybox' }] } },
  };
  beforeEach(async () => void (await cluster.create(Deployment, { metadata: { name: 'd' }, spec })));
  const get = async () =>
    JSON.parse(
      (await cluster.resources.getSubresource(cluster.context, Deployment as any, key('d'), 'scale')).bytes.toString(),
    );

  it('shows replicas and selector', async () => {
    const { metadata } = await cluster.get(Deployment, key('d'));
    const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
    expect(await get()).toEqual({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
      spec: { replicas: 2 },
      status: { replicas: 0, selector: 'app=d' },
    });
  });

  it('is written by PUT and by patch, and counts as a generation', async () => {
    const scale = await get();
    const put = await cluster.resources.updateSubresource(cluster.context, Deployment as any, key('d'), 'scale', {
      value: { ...scale, spec: { replicas: 5 } },
    });
    expect(put.object.object()['spec']).toEqual({ replicas: 5 });
    const patched = await cluster.resources.patchSubresource(cluster.context, Deployment as any, key('d'), 'scale', {
      contentType: 'application/merge-patch+json',
      value: { spec: { replicas: 0 } },
    });
    expect(patched.object.object()['spec']).toEqual({ replicas: 0 });
    const deployment = await cluster.get(Deployment, key('d'));
    expect(deployment['spec'].replicas).toBe(0);
    expect(deployment.metadata.generation).toBe(3);
    expect((await get()).metadata.resourceVersion).toBe(deployment.metadata.resourceVersion);
    expect(
      await refusal(
        cluster.resources.updateSubresource(cluster.context, Deployment as any, key('d'), 'scale', {
          value: { ...scale, spec: { replicas: 7 } },
        }),
      ),
    ).toMatchObject({ code: 409, reason: 'Conflict' });
  });

  it('is not negative', async () => {
    const error = await refusal(
      cluster.resources.updateSubresource(cluster.context, Deployment as any, key('d'), 'scale', {
        value: { metadata: { name: 'd' }, spec: { replicas: -1 } },
      }),
    );
    expect(error).toMatchObject({ code: 422 });
    expect(error.message).toBe(
      'Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    );
  });

  it('is not there for kinds without replicas, nor for what does not exist', async () => {
    await cluster.create(ConfigMap, configMap('c'));
    expect(
      await refusal(cluster.resources.getSubresource(cluster.context, ConfigMap as any, key('c'), 'scale')),
    ).toMatchObject({
      code: 404,
      message: 'the server could not find the requested resource',
    });
    expect(
      await refusal(cluster.resources.getSubresource(cluster.context, Deployment as any, key('x'), 'scale')),
    ).toMatchObject({
      code: 404,
      message: 'deployments.apps "x" not found',
    });
  });
});

describe('binding', () => {
  const bind = (name: string, node: string, more = {}, options = {}) =>
    post(Pod, name, 'binding', { target: { kind: 'Node', name: node }, ...more }, options);

  it('puts a pod on a node, once', async () => {
    await cluster.create(Pod, pod('p'));
    const answer = await bind('p', 'n1', { metadata: { name: 'p', annotations: { by: 'me' } } });
    expect(answer.code).toBe(201);
    expect(JSON.parse(answer.bytes.toString())).toMatchObject({ kind: 'Status', status: 'Success', code: 201 });
    const bound = await cluster.get(Pod, key('p'));
    expect(bound['spec'].nodeName).toBe('n1');
    expect(bound.metadata.annotations).toEqual({ by: 'me' });
    expect(bound['status'].conditions).toEqual([
      { type: 'PodScheduled', status: 'True', lastTransitionTime: expect.stringMatching(/Z$/) },
    ]);
    expect(bound['status'].phase).toBe('Pending');
    expect(await refusal(bind('p', 'n2'))).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message: 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"',
    });
  });

  it('of one pod by many schedulers: one wins', async () => {
    await cluster.create(Pod, pod('p'));
    const results = await Promise.allSettled(Array.from({ length: 16 }, (_, i) => bind('p', `n${i}`)));
    expect(results.filter(each => each.status === 'fulfilled')).toHaveLength(1);
    const winner = results.findIndex(each => each.status === 'fulfilled');
    expect((await cluster.get(Pod, key('p')))['spec'].nodeName).toBe(`n${winner}`);
  });

  it('is refused when it makes no sense', async () => {
    await cluster.create(Pod, pod('p', { spec: { schedulingGates: [{ name: 'a.io/wait' }] } }));
    expect(await refusal(bind('p', 'n1', { metadata: { name: 'q' } }))).toMatchObject({
      code: 400,
      message: 'name in URL does not match name in Binding object: p and q',
    });
    expect(await refusal(bind('p', ''))).toMatchObject({ code: 422 });
    expect(await refusal(post(Pod, 'p', 'binding', { target: { kind: 'Moon', name: 'x' } }))).toMatchObject({
      code: 422,
    });
    expect(await refusal(bind('none', 'n1'))).toMatchObject({ code: 404, message: 'pods "none" not found' });
    expect(await refusal(bind('p', 'n1'))).toMatchObject({ code: 409 });
    await cluster.create(Pod, pod('u'));
    expect(await refusal(bind('u', 'n1', { metadata: { uid: 'other' } }))).toMatchObject({ code: 409 });
    await bind('u', 'n1', {}, { dryRun: true });
    expect((await cluster.get(Pod, key('u')))['spec'].nodeName).toBeUndefined();
  });
});

describe('other subresources', () => {
  it('eviction deletes', async () => {
    await cluster.create(Pod, pod('p'));
    expect(await refusal(post(Pod, 'p', 'eviction', { metadata: { name: 'q' } }))).toMatchObject({ code: 400 });
    await post(Pod, 'p', 'eviction', {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: 'p' },
      deleteOptions: { dryRun: ['All'] },
    });
    expect(await cluster.list(Pod)).toHaveLength(1);
    expect((await post(Pod, 'p', 'eviction', { metadata: { name: 'p' } })).code).toBe(201);
    expect(await cluster.list(Pod)).toHaveLength(0);
  });

  it('status of a pod keeps its class', async () => {
    await cluster.create(Pod, pod('p'));
    const { object } = await cluster.resources.updateSubresource(cluster.context, Pod as any, key('p'), 'status', {
      value: { metadata: { name: 'p' }, status: { phase: 'Running', qosClass: 'Guaranteed' } },
    });
    expect(object.object()['status']).toMatchObject({ phase: 'Running', qosClass: 'BestEffort' });
  });

  it('finalize and unknown ones', async () => {
    expect(
      await refusal(
        cluster.resources.updateSubresource(cluster.context, Namespace as any, { name: 'default' }, 'nothing', {
          value: {},
        }),
      ),
    ).toMatchObject({ code: 404 });
    expect(await refusal(post(Pod, 'p', 'nothing', {}))).toMatchObject({ code: 404 });
  });
});

describe('events', () => {
  it('vanish an hour after their last write', async () => {
    const clock = manualClock();
    const store = await memoryStore({ clock })();
    await using timed = await fixture({ clock, store });
    const event = (name: string) => ({
      metadata: { name, namespace: 'default' },
      involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
      reason: 'R',
      type: 'Normal',
    });
    await timed.create(Event, event('once'));
    await timed.create(Event, event('again'));
    await clock.advance(50 * 60_000);
    await timed.patch(Event, key('again'), { count: 2 });
    await clock.advance(12 * 60_000);
    expect((await timed.list(Event)).map(each => each.metadata.name)).toEqual(['again']);
    await clock.advance(60 * 60_000);
    expect(await timed.list(Event)).toEqual([]);
    await store.close();
  });
});

describe('quality of service', () => {
  const of = (...resources: object[]) =>
    qualityOfService({
      containers: resources.map((each, i) => ({ name: `c${i}`, image: 'i', resources: each })),
    } as any);
  it('follows requests and limits', () => {
    expect(of({})).toBe('BestEffort');
    expect(of({ requests: { 'nvidia.com/gpu': '1' } })).toBe('BestEffort');
    expect(of({ requests: { cpu: '0' } })).toBe('BestEffort');
    expect(of({ requests: { cpu: '100m' } })).toBe('Burstable');
    const limits = { cpu: '1', memory: '1Gi' };
    expect(of({ limits, requests: { cpu: '1000m', memory: '1024Mi' } })).toBe('Guaranteed');
    expect(of({ limits })).toBe('Guaranteed');
    expect(of({ limits }, {})).toBe('Burstable');
    expect(of({ limits, requests: { cpu: '1', memory: '512Mi' } })).toBe('Burstable');
    expect(of({ limits: { cpu: '1' } })).toBe('Burstable');
  });
});
