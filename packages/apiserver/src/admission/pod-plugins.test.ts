import { Pod } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type AdmissionServer, admissionServer, inDefault, podOf } from './admission-fixture.js';
import { mutate, validate } from './functions.js';
import { limitRanger } from './limit-ranger.js';
import { priority } from './priority.js';
import { defaultStorageClass, persistentVolumeClaimResize, storageObjectInUseProtection } from './storage.js';

let server: AdmissionServer;
afterEach(() => server?.stop());
const pods = inDefault('pods');

describe('limit ranges', () => {
  const limits = (...items: object[]) => ({ metadata: { name: 'l' }, spec: { limits: items } });
  const ask = (cpu: string, limit?: string) => ({ requests: { cpu }, ...(limit ? { limits: { cpu: limit } } : {}) });

  it('give containers what they do not name', async () => {
    server = await admissionServer(limitRanger());
    await server.post(
      inDefault('limitranges'),
      limits({ type: 'Container', default: { cpu: '500m' }, defaultRequest: { cpu: '100m' } }),
    );
    const { body } = await server.post(pods, podOf('a'));
    expect(body.spec.containers[0].resources).toEqual({ requests: { cpu: '100m' }, limits: { cpu: '500m' } });
    expect(body.metadata.annotations['kubernetes.io/limit-ranger']).toBe(
      'LimitRanger plugin set: cpu request for container c; cpu limit for container c',
    );
    const own = await server.post(pods, podOf('b', { limits: { cpu: '300m' } }));
    expect(own.body.spec.containers[0].resources).toEqual({ requests: { cpu: '300m' }, limits: { cpu: '300m' } });
  });

  it.each([
    [{ min: { cpu: '200m' } }, ask('100m'), 'minimum cpu usage per Container is 200m, but request is 100m'],
    [{ max: { cpu: '1' } }, ask('100m', '2'), 'maximum cpu usage per Container is 1, but limit is 2'],
    [
      { maxLimitRequestRatio: { cpu: '2' } },
      ask('100m', '300m'),
      'cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000',
    ],
  ])('%j refuse %j', async (item, resources, problem) => {
    server = await admissionServer(limitRanger());
    await server.post(inDefault('limitranges'), limits({ type: 'Container', ...item }));
    const { status, body } = await server.post(pods, podOf('a', resources));
    expect(status).toBe(403);
    expect(body.message).toBe(`pods "a" is forbidden: ${problem}`);
  });

  it('bound pods as a whole, and claims', async () => {
    server = await admissionServer(limitRanger());
    await server.post(
      inDefault('limitranges'),
      limits({ type: 'Pod', max: { cpu: '1' } }, { type: 'PersistentVolumeClaim', max: { storage: '2Gi' } }),
    );
    const two = podOf('a', ask('600m', '600m'));
    two.spec.containers.push({ ...two.spec.containers[0], name: 'd' });
    expect((await server.post(pods, two)).body.message).toContain('maximum cpu usage per Pod is 1, but limit is 1200m');
    const claim = {
      metadata: { name: 'c' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '3Gi' } } },
    };
    expect((await server.post(inDefault('persistentvolumeclaims'), claim)).body.message).toContain(
      'maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi',
    );
  });
});

describe('priority classes', () => {
  const classes = '/apis/scheduling.k8s.io/v1/priorityclasses';
  it('give pods their number and policy', async () => {
    server = await admissionServer(priority());
    await server.post(classes, { metadata: { name: 'high' }, value: 100, preemptionPolicy: 'Never' });
    const high = await server.post(pods, podOf('a', undefined, { priorityClassName: 'high' }));
    expect(high.body.spec).toMatchObject({ priority: 100, preemptionPolicy: 'Never' });
    const plain = await server.post(pods, podOf('b'));
    expect(plain.body.spec).toMatchObject({ priority: 0, preemptionPolicy: 'PreemptLowerPriority' });
    const system = await server.post(pods, podOf('c', undefined, { priorityClassName: 'system-node-critical' }));
    expect(system.body.spec.priority).toBe(2_000_001_000);
  });

  it('refuse a class that is none and a number of one’s own', async () => {
    server = await admissionServer(priority());
    expect((await server.post(pods, podOf('a', undefined, { priorityClassName: 'zz' }))).body.message).toBe(
      'pods "a" is forbidden: no PriorityClass with name zz was found',
    );
    expect((await server.post(pods, podOf('b', undefined, { priority: 7 }))).status).toBe(403);
  });

  it('have one default', async () => {
    server = await admissionServer(priority());
    await server.post(classes, { metadata: { name: 'usual' }, value: 5, globalDefault: true });
    expect((await server.post(pods, podOf('a'))).body.spec).toMatchObject({ priority: 5, priorityClassName: 'usual' });
    expect(
      (await server.post(classes, { metadata: { name: 'other' }, value: 6, globalDefault: true })).body.message,
    ).toContain('PriorityClass usual is already marked as default');
  });
});

it('a claim gets the default storage class, unless it wants none', async () => {
  server = await admissionServer(defaultStorageClass());
  await server.post('/apis/storage.k8s.io/v1/storageclasses', {
    metadata: { name: 'fast', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'example.com/x',
  });
  const claim = (name: string, spec: object) => ({
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  });
  const path = inDefault('persistentvolumeclaims');
  expect((await server.post(path, claim('a', {}))).body.spec.storageClassName).toBe('fast');
  expect((await server.post(path, claim('b', { storageClassName: '' }))).body.spec.storageClassName).toBe('');
});

it('claims and volumes are protected from birth, and a claim grows when it is bound and its class lets it', async () => {
  server = await admissionServer(storageObjectInUseProtection(), persistentVolumeClaimResize());
  for (const [name, allowVolumeExpansion] of [
    ['fixed', false],
    ['grows', true],
  ] as const)
    await server.post('/apis/storage.k8s.io/v1/storageclasses', {
      metadata: { name },
      provisioner: 'example.com/x',
      allowVolumeExpansion,
    });
  const path = inDefault('persistentvolumeclaims');
  const make = async (name: string, storageClassName: string, phase = 'Bound') => {
    const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName };
    const { body } = await server.post(path, { metadata: { name }, spec });
    expect(body.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
    return (await server.send('PATCH', `${path}/${name}/status`, { status: { phase, capacity: { storage: '1Gi' } } }))
      .body;
  };
  const ask = (name: string, storage: string) =>
    server.send('PATCH', `${path}/${name}`, { spec: { resources: { requests: { storage } } } });
  await make('a', 'fixed');
  expect((await ask('a', '2Gi')).body).toMatchObject({
    code: 403,
    message: expect.stringContaining('the storageclass that provisions the pvc must support resize'),
  });
  expect((await ask('a', '1Gi')).status).toBe(200);
  await make('b', 'grows', 'Pending');
  // The rules of the kind say so first.
  expect((await ask('b', '2Gi')).body).toMatchObject({ code: 422 });
  await make('c', 'grows');
  expect((await ask('c', '2Gi')).body.spec.resources.requests.storage).toBe('2Gi');
  const volume = await server.post('/api/v1/persistentvolumes', {
    metadata: { name: 'v' },
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/data' } },
  });
  expect(volume.body.metadata.finalizers).toEqual(['kubernetes.io/pv-protection']);
});

describe('functions as plugins', () => {
  it('change and refuse objects of their kind', async () => {
    server = await admissionServer(
      mutate('team', Pod, pod => {
        pod.metadata.labels = { team: 'none', ...pod.metadata.labels };
      }),
      mutate('other', Pod, pod => ({ ...pod, metadata: { ...pod.metadata, annotations: { seen: 'yes' } } })),
      validate(
        'latest',
        Pod,
        (pod, old) => old === undefined && pod.spec.containers.some(each => each.image === 'bad') && 'not this image',
      ),
    );
    expect((await server.post(pods, podOf('a'))).body.metadata).toMatchObject({
      labels: { team: 'none' },
      annotations: { seen: 'yes' },
    });
    const bad = podOf('b');
    bad.spec.containers[0].image = 'bad';
    expect((await server.post(pods, bad)).body).toMatchObject({
      code: 403,
      message: 'pods "b" is forbidden: not this image',
    });
    expect(
      (await server.post(inDefault('configmaps'), { metadata: { name: 'c' } })).body.metadata.labels,
    ).toBeUndefined();
  });
});
