import { manualClock } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type AdmissionServer, admissionServer, inDefault, podOf } from '../admission-fixture.js';
import type { AdmissionPlugin } from '../contract.js';
import { refused } from '../functions.js';
import { resourceQuota } from './resource-quota.js';

let server: AdmissionServer;
afterEach(() => server?.stop());

const pods = inDefault('pods');
const quotas = inDefault('resourcequotas');
const quota = (hard: object, spec: object = {}, name = 'q') => ({ metadata: { name }, spec: { hard, ...spec } });
const used = async (name = 'q') => (await server.get(`${quotas}/${name}`)).status?.used;
const cpu = (requests: string, limits = requests) => ({ requests: { cpu: requests }, limits: { cpu: limits } });

describe('a quota', () => {
  it('is charged, refuses what is too much, and gets back what is deleted', async () => {
    server = await admissionServer(resourceQuota());
    await server.post(quotas, quota({ pods: '2', 'requests.cpu': '1', 'limits.cpu': '3' }));
    expect((await server.post(pods, podOf('a', cpu('400m', '1')))).status).toBe(201);
    expect(await used()).toEqual({ pods: '1', 'requests.cpu': '400m', 'limits.cpu': '1' });
    const refusal = await server.post(pods, podOf('b', cpu('700m')));
    expect(refusal).toMatchObject({ status: 403 });
    expect(refusal.body.message).toBe(
      'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=700m, used: requests.cpu=400m, limited: requests.cpu=1',
    );
    expect((await server.send('DELETE', `${pods}/a?gracePeriodSeconds=0`)).status).toBe(200);
    expect(await used()).toEqual({ pods: '0', 'requests.cpu': '0', 'limits.cpu': '0' });
  });

  it('says what a pod must name', async () => {
    server = await admissionServer(resourceQuota());
    await server.post(quotas, quota({ 'requests.cpu': '1', 'limits.memory': '1Gi' }));
    const { body } = await server.post(pods, podOf('a'));
    expect(body.message).toBe(
      'pods "a" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c',
    );
  });

  it('counts what was there before it', async () => {
    server = await admissionServer(resourceQuota());
    await server.post(inDefault('configmaps'), { metadata: { name: 'old' } });
    await server.post(quotas, quota({ configmaps: '2', 'count/deployments.apps': '1' }));
    expect((await server.post(inDefault('configmaps'), { metadata: { name: 'two' } })).status).toBe(201);
    expect(await used()).toMatchObject({ configmaps: '2', 'count/deployments.apps': '0' });
    expect((await server.post(inDefault('configmaps'), { metadata: { name: 'three' } })).status).toBe(403);
  });

  it('counts services by their ports and claims by their class', async () => {
    server = await admissionServer(resourceQuota());
    await server.post(
      quotas,
      quota({ services: '5', 'services.nodeports': '2', 'gold.storageclass.storage.k8s.io/requests.storage': '5Gi' }),
    );
    const service = (name: string, ports: number[]) => ({
      metadata: { name },
      spec: { type: 'NodePort', selector: { a: 'b' }, ports: ports.map(port => ({ port, name: `p${port}` })) },
    });
    expect((await server.post(inDefault('services'), service('a', [80, 81]))).status).toBe(201);
    expect((await server.post(inDefault('services'), service('b', [82]))).status).toBe(403);
    const claim = (name: string, storageClassName: string) => ({
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: '4Gi' } } },
    });
    expect((await server.post(inDefault('persistentvolumeclaims'), claim('a', 'gold'))).status).toBe(201);
    expect((await server.post(inDefault('persistentvolumeclaims'), claim('b', 'gold'))).status).toBe(403);
    expect((await server.post(inDefault('persistentvolumeclaims'), claim('c', 'tin'))).status).toBe(201);
  });

  it('is about the pods of its scopes alone', async () => {
    server = await admissionServer(resourceQuota());
    await server.post(quotas, quota({ pods: '1' }, { scopes: ['BestEffort'] }));
    await server.post(
      quotas,
      quota(
        { pods: '1' },
        { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['high'] }] } },
        'high',
      ),
    );
    expect((await server.post(pods, podOf('a'))).status).toBe(201);
    expect((await server.post(pods, podOf('b'))).status).toBe(403);
    expect((await server.post(pods, podOf('c', cpu('1')))).status).toBe(201);
    expect(await used()).toEqual({ pods: '1' });
    expect((await server.post(pods, podOf('d', cpu('1'), { priorityClassName: 'high' }))).status).toBe(201);
    expect((await server.post(pods, podOf('e', cpu('1'), { priorityClassName: 'high' }))).status).toBe(403);
  });

  it('gets back what ends', async () => {
    server = await admissionServer(resourceQuota());
    await server.post(quotas, quota({ pods: '1' }));
    await server.post(pods, podOf('a'));
    await server.send('PATCH', `${pods}/a/status`, { status: { phase: 'Succeeded' } });
    expect(await used()).toEqual({ pods: '0' });
    expect((await server.post(pods, podOf('b'))).status).toBe(201);
    await server.send('DELETE', `${pods}/a?gracePeriodSeconds=0`);
    expect(await used()).toEqual({ pods: '1' });
  });

  it('charges nothing for a dry run, and nothing for what is refused after it', async () => {
    const last: AdmissionPlugin = {
      name: 'Last',
      validate(request) {
        if (request.name === 'bad') throw refused(request, 'no');
      },
    };
    server = await admissionServer(resourceQuota(), last);
    await server.post(quotas, quota({ pods: '2' }));
    expect((await server.post(`${pods}?dryRun=All`, podOf('a'))).status).toBe(201);
    expect((await server.post(pods, podOf('a'))).status).toBe(201);
    expect((await server.post(pods, podOf('a'))).status).toBe(409);
    expect((await server.post(pods, podOf('bad'))).status).toBe(403);
    expect(await used()).toEqual({ pods: '1' });
    expect((await server.post(`${pods}?dryRun=All`, podOf('b'))).status).toBe(201);
    expect(await used()).toEqual({ pods: '1' });
  });

  it('is kept to the last one by many writers at once', async () => {
    server = await admissionServer(resourceQuota());
    await server.post(quotas, quota({ pods: '17', 'requests.cpu': '100' }));
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => server.post(pods, podOf(`p${i}`, cpu('1')))),
    );
    expect(answers.filter(each => each.status === 201)).toHaveLength(17);
    expect(answers.filter(each => each.status === 403)).toHaveLength(43);
    expect(await used()).toEqual({ pods: '17', 'requests.cpu': '17' });
    await Promise.all(
      answers.flatMap((each, i) =>
        each.status === 201 ? [server.send('DELETE', `${pods}/p${i}?gracePeriodSeconds=0`)] : [],
      ),
    );
    expect(await used()).toEqual({ pods: '0', 'requests.cpu': '0' });
  });

  it('is counted anew before it refuses, when nobody has written it for a while', async () => {
    const clock = manualClock();
    server = await admissionServer(resourceQuota({ clock }));
    await server.post(quotas, quota({ pods: '2' }));
    await server.post(pods, podOf('a'));
    // A server died between the charge and the pod.
    await server.send('PATCH', `${quotas}/q/status`, { status: { used: { pods: '2' } } });
    expect((await server.post(pods, podOf('b'))).status).toBe(403);
    await clock.advance(6_000);
    expect((await server.post(pods, podOf('b'))).status).toBe(201);
    expect(await used()).toEqual({ pods: '2' });
  });
});
