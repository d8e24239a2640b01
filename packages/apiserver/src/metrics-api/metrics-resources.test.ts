/** metrics.k8s.io against a whole API server and an agent that measures. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Client, compose, Namespace, Node, Pod } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiServer, createAuthority, issueServingCertificate, memoryStore } from '../index.js';
import { servingCertificateAnnotation } from '../node-proxy/agent-address.js';
import { certificateFingerprint } from '../pki/index.js';
import { duration } from './metrics-resources.js';

let dir: string;
let agent: Server;
let client: Client;
const stopping = new AbortController();
let running: Promise<void>;
const asked: (string | undefined)[] = [];
let uids: Record<string, string> = {};

const usage = (nanos: number, bytes: number, windowMs = 12_345) => ({
  cpu: { time: '2026-01-01T00:00:10Z', usageNanoCores: nanos, usageCoreNanoSeconds: 1, windowMs },
  memory: { time: '2026-01-01T00:00:10Z', workingSetBytes: bytes },
});

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'orbitkit-metrics-'));
  const identity = await issueServingCertificate(await createAuthority({ dir: path.join(dir, 'agent') }));
  agent = createServer(
    { cert: identity.certificate, key: identity.key, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      asked.push(request.url);
      response.end(
        JSON.stringify({
          node: { nodeName: 'n1', ...usage(1_250_000_000, 3_000_000_000) },
          pods: [
            {
              podRef: { name: 'web', namespace: 'shop', uid: uids['web'] },
              containers: [
                { name: 'app', ...usage(250_000_000, 64 * 1024 * 1024) },
                { name: 'proxy', ...usage(1_234_567, 1_000_000, 850) },
                {
                  name: 'young',
                  cpu: { time: '2026-01-01T00:00:10Z', usageCoreNanoSeconds: 1 },
                  memory: { workingSetBytes: 1 },
                },
              ],
            },
            {
              podRef: { name: 'other', namespace: 'default', uid: uids['other'] },
              containers: [{ name: 'c', ...usage(0, 0) }],
            },
            {
              podRef: { name: 'gone', namespace: 'default', uid: 'gone' },
              containers: [{ name: 'c', ...usage(1, 1) }],
            },
          ],
        }),
      );
    },
  );
  await new Promise<void>(resolve => agent.listen(0, '127.0.0.1', resolve));

  const api = apiServer({ store: memoryStore(), listen: false, dataDir: dir });
  const composition = compose(api);
  running = composition.run({ signal: stopping.signal });
  await composition.ready;
  client = api.clientFor({ username: 'admin', groups: ['system:masters'] });

  const { port } = agent.address() as AddressInfo;
  const node = (name: string, sha256: string, ready: string) => ({
    metadata: { name, labels: { zone: name }, annotations: { [servingCertificateAnnotation]: sha256 } },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
      conditions: [{ type: 'Ready', status: ready }],
    },
  });
  for (const each of [
    node('n1', certificateFingerprint(identity.certificate), 'True'),
    node('unknown-certificate', 'aa', 'True'),
    node('lost', 'aa', 'Unknown'),
  ]) {
    const created = await client.create(Node, each as never);
    await client.updateStatus(Node, { ...created, status: each.status } as never);
  }
  await client.create(Namespace, { metadata: { name: 'shop' } } as never);
  const pod = async (name: string, namespace: string, nodeName: string) => {
    const created = await client.create(Pod, {
      metadata: { name, namespace, labels: { app: name } },
      spec: { nodeName, containers: [{ name: 'app', image: 'i' }] },
    } as never);
    uids = { ...uids, [name]: created.metadata.uid };
  };
  await pod('web', 'shop', 'n1');
  await pod('other', 'default', 'n1');
  await pod('far', 'default', 'lost');
});
afterAll(async () => {
  stopping.abort();
  await running;
  agent.closeAllConnections();
  await new Promise(resolve => agent.close(resolve));
  await rm(dir, { recursive: true, force: true });
});

async function get(path: string, accept = 'application/json') {
  const answer = await client.transport.request({ method: 'GET', path, headers: { accept } });
  return JSON.parse(Buffer.from(await answer.bytes()).toString());
}
const base = '/apis/metrics.k8s.io/v1beta1';

describe('nodes', () => {
  it('are listed with canonical amounts; those that do not answer are left out', async () => {
    const list = await get(`${base}/nodes`);
    expect(list).toMatchObject({ kind: 'NodeMetricsList', apiVersion: 'metrics.k8s.io/v1beta1' });
    expect(list.items).toEqual([
      {
        kind: 'NodeMetrics',
        apiVersion: 'metrics.k8s.io/v1beta1',
        metadata: { name: 'n1', labels: { zone: 'n1' }, creationTimestamp: expect.stringMatching(/^\d{4}-.*Z$/) },
        timestamp: '2026-01-01T00:00:10Z',
        window: '12.345s',
        usage: { cpu: '1250m', memory: '3000000000' },
      },
    ]);
  });

  it('are read and selected', async () => {
    expect((await get(`${base}/nodes/n1`)).usage.cpu).toBe('1250m');
    expect(await get(`${base}/nodes/lost`)).toMatchObject({ code: 404, reason: 'NotFound' });
    expect(await get(`${base}/nodes/none`)).toMatchObject({
      code: 404,
      message: 'nodes.metrics.k8s.io "none" not found',
    });
    expect((await get(`${base}/nodes?labelSelector=zone%3Dlost`)).items).toEqual([]);
    expect((await get(`${base}/nodes?labelSelector=zone%3Dn1`)).items).toHaveLength(1);
  });
});

describe('pods', () => {
  const names = (list: { items: { metadata: { name: string } }[] }) => list.items.map(({ metadata }) => metadata.name);

  it('have what each container uses; a container without a rate yet is not there', async () => {
    expect(await get(`${base}/namespaces/shop/pods/web`)).toEqual({
      kind: 'PodMetrics',
      apiVersion: 'metrics.k8s.io/v1beta1',
      metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' }, creationTimestamp: expect.any(String) },
      timestamp: '2026-01-01T00:00:10Z',
      window: '12.345s',
      containers: [
        { name: 'app', usage: { cpu: '250m', memory: '64Mi' } },
        { name: 'proxy', usage: { cpu: '1234567n', memory: '1000000' } },
      ],
    });
  });

  it('are listed by namespace, everywhere, by labels and by name', async () => {
    expect(names(await get(`${base}/pods`)).sort()).toEqual(['other', 'web']);
    expect(names(await get(`${base}/namespaces/shop/pods`))).toEqual(['web']);
    expect(names(await get(`${base}/pods?labelSelector=app%20in%20(other,far)`))).toEqual(['other']);
    expect(names(await get(`${base}/namespaces/default/pods?fieldSelector=metadata.name%3Dother`))).toEqual(['other']);
    expect(await get(`${base}/namespaces/default/pods/far`)).toMatchObject({ code: 404 });
  });

  it('are only read', async () => {
    const answer = await client.transport.request({ method: 'DELETE', path: `${base}/namespaces/shop/pods/web` });
    expect(answer.status).toBe(405);
    expect((await client.get(Pod, { namespace: 'shop', name: 'web' })).metadata.name).toBe('web');
  });
});

it('asks an agent once for all of that', () => {
  expect(asked).toEqual(['/stats/summary']);
});

it('is in discovery', async () => {
  const groups = await get('/apis');
  expect(groups.groups.find(({ name }: { name: string }) => name === 'metrics.k8s.io')).toMatchObject({
    preferredVersion: { groupVersion: 'metrics.k8s.io/v1beta1' },
  });
  const { resources } = await get(base);
  expect(resources.map(({ name, kind, verbs }: Record<string, unknown>) => [name, kind, verbs])).toEqual([
    ['nodes', 'NodeMetrics', ['get', 'list']],
    ['pods', 'PodMetrics', ['get', 'list']],
  ]);
});

it.each([
  [0, '0s'],
  [850, '850ms'],
  [1_000, '1s'],
  [12_345, '12.345s'],
  [60_000, '1m0s'],
  [61_500, '1m1.5s'],
])('%i ms are written %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});
