import {
  CronJob,
  DaemonSet,
  EndpointSlice,
  HorizontalPodAutoscaler,
  Ingress,
  Job,
  type Kind,
  LimitRange,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  ReplicationController,
  ResourceQuota,
  Role,
  StatefulSet,
  ValidatingWebhookConfiguration,
} from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Fixture, fixture, pod } from '../resources-fixture.js';

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
const labels = { app: 'a' };
const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const workload = { selector: { matchLabels: labels }, template };
const once = { ...template, metadata: {}, spec: { ...template.spec, restartPolicy: 'Never' } };
const patchPart = (kind: Kind<any>, name: string, part: string, value: object) =>
  cluster.resources
    .patchSubresource(cluster.context, kind, key(name), part, {
      contentType: 'application/strategic-merge-patch+json',
      value,
    })
    .then(({ object }) => object.object() as any);

describe('generations and status', () => {
  it.each<[Kind<any>, object]>([
    [DaemonSet, { spec: workload }],
    [StatefulSet, { spec: { ...workload, serviceName: 's' } }],
    [ReplicationController, { spec: { template } }],
    [CronJob, { spec: { schedule: '@daily', jobTemplate: { spec: { template: once } } } }],
    [Job, { spec: { template: once } }],
    [Ingress, { spec: { defaultBackend: { service: { name: 's', port: { number: 1 } } } } }],
    [EndpointSlice, { addressType: 'IPv4', endpoints: [] }],
    [ValidatingWebhookConfiguration, { webhooks: [] }],
  ])('$kind counts the changes of what is wanted', async (kind, body) => {
    const made: any = await cluster.create(kind, { metadata: { name: 'x' }, status: { replicas: 9 }, ...body });
    expect(made.metadata.generation).toBe(1);
    expect(made.status ?? {}).not.toMatchObject({ replicas: 9 });
    const again: any = await cluster.update(kind, { ...made, metadata: { ...made.metadata, labels: { a: 'b' } } });
    expect(again.metadata.generation).toBe(1);
  });

  it.each<[Kind<any>, object]>([
    [
      PersistentVolume,
      { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } } },
    ],
    [PersistentVolumeClaim, { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }],
    [ResourceQuota, { spec: { hard: { pods: '1' } } }],
    [LimitRange, { spec: { limits: [{ type: 'Pod', max: { cpu: '1' } }] } }],
    [HorizontalPodAutoscaler, { spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 2 } }],
  ])('$kind has no generation', async (kind, body) => {
    const made = await cluster.create(kind, { metadata: { name: 'x' }, ...body });
    expect(made.metadata.generation).toBeUndefined();
  });

  it('a volume and a claim begin Pending, whatever their maker says', async () => {
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } };
    const claim: any = await cluster.create(PersistentVolumeClaim, {
      metadata: { name: 'c' },
      spec,
      status: { phase: 'Bound' },
    });
    expect(claim.status).toEqual({ phase: 'Pending' });
    const bound = await patchPart(PersistentVolumeClaim, 'c', 'status', {
      spec: { volumeName: 'ignored' },
      status: { phase: 'Bound' },
    });
    expect([bound.status.phase, bound.spec.volumeName]).toEqual(['Bound', undefined]);
    const kept: any = await cluster.update(PersistentVolumeClaim, {
      ...claim,
      metadata: { ...claim.metadata, resourceVersion: undefined },
      status: {},
    });
    expect(kept.status.phase).toBe('Bound');
  });

  it('a role may be put where there is none', async () => {
    const role = { metadata: { name: 'r', namespace: 'default' }, rules: [] };
    expect((await cluster.update(Role, role)).metadata.uid).toBeDefined();
  });
});

describe('scale', () => {
  it.each<[Kind<any>, object]>([
    [StatefulSet, { spec: { ...workload, serviceName: 's' } }],
    [ReplicationController, { spec: { template } }],
  ])('$kind', async (kind, body) => {
    await cluster.create(kind, { metadata: { name: 'x' }, ...body });
    const scale: any = (await cluster.resources.getSubresource(cluster.context, kind, key('x'), 'scale')).object();
    expect(scale).toMatchObject({ kind: 'Scale', spec: { replicas: 1 }, status: { replicas: 0, selector: 'app=a' } });
    await cluster.resources.patchSubresource(cluster.context, kind, key('x'), 'scale', {
      contentType: 'application/merge-patch+json',
      value: { spec: { replicas: 4 } },
    });
    expect((await cluster.get(kind, key('x')))['spec'].replicas).toBe(4);
  });
});

describe('jobs', () => {
  it('select their pods by their own uid', async () => {
    const made: any = await cluster.create(Job, { metadata: { name: 'j' }, spec: { template: once } });
    const { uid } = made.metadata;
    expect(made.spec.selector).toEqual({ matchLabels: { 'batch.kubernetes.io/controller-uid': uid } });
    expect(made.spec.template.metadata.labels).toEqual({
      'batch.kubernetes.io/controller-uid': uid,
      'controller-uid': uid,
      'batch.kubernetes.io/job-name': 'j',
      'job-name': 'j',
    });
  });
  it('with a generated name carry that name', async () => {
    const made: any = await cluster.create(Job, { metadata: { generateName: 'j-' }, spec: { template: once } });
    expect(made.spec.template.metadata.labels['job-name']).toBe(made.metadata.name);
  });
  it('choose a selector only when they say that they do', async () => {
    const own = { template: { ...once, metadata: { labels } }, selector: { matchLabels: labels } };
    const made: any = await cluster.create(Job, { metadata: { name: 'a' }, spec: { ...own, manualSelector: true } });
    expect(made.spec.selector).toEqual({ matchLabels: labels });
    // A dump of another job: its uid is not this one's.
    const foreign = { matchLabels: { 'batch.kubernetes.io/controller-uid': 'other' } };
    expect(
      await refusal(cluster.create(Job, { metadata: { name: 'b' }, spec: { template: once, selector: foreign } })),
    ).toMatchObject({
      code: 422,
      message: expect.stringContaining('`selector` not auto-generated'),
    });
  });
  it('leave their pods alone when their deletion does not say otherwise', async () => {
    await cluster.create(Job, { metadata: { name: 'j' }, spec: { template: once } });
    const kept = await cluster.delete(Job, key('j'));
    expect(kept!.metadata.finalizers).toEqual(['orphan']);
    expect(cluster.warnings).toEqual([expect.stringContaining('child pods are preserved by default')]);
    await cluster.create(Job, { metadata: { name: 'k' }, spec: { template: once } });
    expect(await cluster.delete(Job, key('k'), { propagationPolicy: 'Background' })).toBeUndefined();
  });
});

describe('pods', () => {
  const ephemeral = { name: 'debug', image: 'busybox' };
  it('get ephemeral containers by their subresource alone', async () => {
    const made: any = await cluster.create(Pod, pod('p'));
    const spec = { ...made.spec, ephemeralContainers: [ephemeral] };
    expect(await refusal(cluster.update(Pod, { ...made, spec }))).toMatchObject({ code: 422 });
    const debugged = await patchPart(Pod, 'p', 'ephemeralcontainers', { spec: { ephemeralContainers: [ephemeral] } });
    expect(debugged.spec.ephemeralContainers).toMatchObject([{ ...ephemeral, terminationMessagePolicy: 'File' }]);
    expect(
      await refusal(
        patchPart(Pod, 'p', 'ephemeralcontainers', { spec: { ephemeralContainers: [{ ...ephemeral, image: 'x' }] } }),
      ),
    ).toMatchObject({
      code: 422,
      message: expect.stringContaining('existing ephemeral containers "debug" may not be changed'),
    });
    const twice = { spec: { ephemeralContainers: [{ name: 'debug2', image: 'x' }] } };
    expect((await patchPart(Pod, 'p', 'ephemeralcontainers', twice)).spec.ephemeralContainers).toHaveLength(2);
  });
  const resources = (cpu: string) => ({ requests: { cpu, memory: '1Mi' }, limits: { cpu: '2', memory: '1Gi' } });
  const container = (more: object) => ({ spec: { containers: [{ name: 'c', ...more }] } });
  it('are resized by their subresource alone, within their class', async () => {
    await cluster.create(
      Pod,
      pod('p', { spec: { containers: [{ name: 'c', image: 'i', resources: resources('1') }] } }),
    );
    const wish = container({ resources: { requests: { cpu: '500m' } } });
    expect(await refusal(cluster.patch(Pod, key('p'), wish, 'strategic'))).toMatchObject({ code: 422 });
    const resized = await patchPart(Pod, 'p', 'resize', container({ image: 'ignored', ...wish.spec.containers[0] }));
    expect(resized.spec.containers[0]).toMatchObject({ image: 'i', resources: resources('500m') });
    expect(resized.metadata.generation).toBe(2);
    expect(
      await refusal(patchPart(Pod, 'p', 'resize', container({ resources: { limits: { memory: null } } }))),
    ).toMatchObject({ code: 422, message: expect.stringContaining('resource limits cannot be removed') });
    expect(
      await refusal(patchPart(Pod, 'p', 'resize', container({ resources: { requests: { cpu: '2', memory: '1Gi' } } }))),
    ).toMatchObject({
      code: 422,
      message: expect.stringContaining('Pod QOS Class may not change as a result of resizing'),
    });
    expect(
      await refusal(patchPart(Pod, 'p', 'resize', container({ resources: { requests: { cpu: '3' } } }))),
    ).toMatchObject({ code: 422, message: expect.stringContaining('must be less than or equal to cpu limit of 2') });
  });
});
