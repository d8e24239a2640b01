import { type Client, ConfigMap, Deployment, isForbidden, Pod, ResourceQuota, Service } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { resourceQuotas } from './resource-quotas.js';

const namespace = 'default';
const soon = () => resourceQuotas({ stillMs: 50, resyncMs: 200 });

const pod = (name: string, cpu = '100m', spec: object = {}): any => ({
  metadata: { name, namespace },
  spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu }, limits: { cpu } } }], ...spec },
});
const quota = (hard: Record<string, string>, spec: object = {}, name = 'q'): any => ({
  metadata: { name, namespace },
  spec: { hard, ...spec },
});
const statusOf = async (client: Client, name = 'q') => (await client.get(ResourceQuota, { name, namespace })).status;

describe('resource quotas', () => {
  it('count what was there before them, of every kind that can be counted', async () => {
    await using plane = await createTestControlPlane({ controllers: [soon()] });
    const { client, eventually } = plane;
    await client.create(Pod, pod('a'));
    await client.create(Pod, pod('b', '400m', { activeDeadlineSeconds: 9 }));
    await client.create(Service, {
      metadata: { name: 's', namespace },
      spec: { type: 'NodePort', selector: { a: 'b' }, ports: [{ port: 80 }] },
    } as never);
    for (const name of ['x', 'y', 'z']) await client.create(ConfigMap, { metadata: { name, namespace } } as never);
    await client.create(Deployment, {
      metadata: { name: 'd', namespace },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    } as never);
    const hard = {
      pods: '9',
      'requests.cpu': '2',
      'limits.cpu': '3',
      'services.nodeports': '2',
      'count/configmaps': '9',
      'count/deployments.apps': '5',
      'count/nobody.example.com': '5',
      'requests.example.com/gpu': '1',
    };
    await client.create(ResourceQuota, quota(hard));
    await client.create(ResourceQuota, quota({ pods: '5' }, { scopes: ['Terminating'] }, 'scoped'));
    await eventually(async () => (await statusOf(client))?.used !== undefined);
    expect(await statusOf(client)).toEqual({
      hard,
      used: {
        pods: '2',
        'requests.cpu': '500m',
        'limits.cpu': '500m',
        'services.nodeports': '1',
        'count/configmaps': String((await client.list(ConfigMap, { namespace })).items.length),
        'count/deployments.apps': '1',
        'count/nobody.example.com': '0',
        'requests.example.com/gpu': '0',
      },
    });
    await eventually(async () => (await statusOf(client, 'scoped'))?.used?.['pods'] === '1');
  });

  it('follow what the quota bounds', async () => {
    await using plane = await createTestControlPlane({ controllers: [soon()] });
    const { client, eventually } = plane;
    await client.create(Pod, pod('a'));
    await client.create(ResourceQuota, quota({ pods: '9' }));
    await eventually(async () => (await statusOf(client))?.used?.['pods'] === '1');
    const current = await client.get(ResourceQuota, { name: 'q', namespace });
    await client.update(ResourceQuota, { ...current, spec: { hard: { 'requests.cpu': '1' } } } as never);
    await eventually(async () => (await statusOf(client))?.used?.['requests.cpu'] === '100m');
    expect(await statusOf(client)).toEqual({ hard: { 'requests.cpu': '1' }, used: { 'requests.cpu': '100m' } });
  });

  it('are mended when a charge has no object, and only after a while', async () => {
    await using plane = await createTestControlPlane({ controllers: [soon()] });
    const { client, eventually } = plane;
    await client.create(ResourceQuota, quota({ pods: '5' }));
    await eventually(async () => (await statusOf(client))?.used?.['pods'] === '0');
    const current = await client.get(ResourceQuota, { name: 'q', namespace });
    await client.updateStatus(ResourceQuota, {
      ...current,
      status: { hard: { pods: '5' }, used: { pods: '4' } },
    } as never);
    expect((await statusOf(client))?.used).toEqual({ pods: '4' });
    await eventually(async () => (await statusOf(client))?.used?.['pods'] === '0');
  });

  it('never let more in than they say, while they are counted, and are replenished', async () => {
    await using plane = await createTestControlPlane({ controllers: [resourceQuotas({ stillMs: 20, resyncMs: 20 })] });
    const { client, eventually } = plane;
    await client.create(ResourceQuota, quota({ pods: '7' }));
    await eventually(async () => (await statusOf(client))?.used?.['pods'] === '0');
    const made = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => client.create(Pod, pod(`p${i}`))));
    expect(made.filter(each => each.status === 'fulfilled')).toHaveLength(7);
    for (const each of made) {
      if (each.status === 'rejected') {
        expect(isForbidden(each.reason)).toBe(true);
        expect(each.reason.message).toMatch(/exceeded quota: q, requested: pods=1, used: pods=7, limited: pods=7$/);
      }
    }
    const { items } = await client.list(Pod, { namespace });
    await Promise.all(items.map(each => client.delete(Pod, each.metadata, { gracePeriodSeconds: 0 })));
    await eventually(async () => (await statusOf(client))?.used?.['pods'] === '0');
    await client.create(Pod, pod('again'));
  });
});
