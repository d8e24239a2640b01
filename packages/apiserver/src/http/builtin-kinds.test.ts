/** Every built-in kind as a client finds it: discovery, and versions of one resource side by side. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestServer, testServer } from './test-server.js';

const facts: { groups: { group: string; versions: string[] }[]; kinds: Record<string, any>[] } = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../../core/data/kubernetes-types.json', import.meta.url)), 'utf8'),
);
const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server[Symbol.asyncDispose]());

describe('discovery', () => {
  it('lists every kind in order, with its verbs, names and subresources', async () => {
    const items: any[] = [];
    for (const path of ['/api', '/apis'])
      items.push(...(await server.json(path, { headers: { accept: aggregated } })).body.items);
    expect(
      items.map(({ metadata, versions }) => ({
        group: metadata.name ?? '',
        versions: versions.map((v: any) => v.version),
      })),
    ).toEqual(facts.groups.map(({ group, versions }) => ({ group, versions })));
    const listed = items.flatMap(({ metadata, versions }) =>
      versions.flatMap(({ version, resources }: any) =>
        resources.map((each: any) => ({
          path: `${metadata.name ?? ''}/${version}/${each.resource}`,
          scope: each.scope,
          singular: each.singularResource,
          verbs: each.verbs,
          shortNames: each.shortNames ?? [],
          categories: each.categories ?? [],
          subresources: (each.subresources ?? []).map(({ subresource, verbs }: any) => [subresource, verbs]),
        })),
      ),
    );
    expect(listed).toEqual(
      facts.kinds.map(kind => ({
        path: `${kind['group']}/${kind['version']}/${kind['plural']}`,
        scope: kind['namespaced'] ? 'Namespaced' : 'Cluster',
        singular: kind['singular'],
        verbs: kind['verbs'],
        shortNames: kind['shortNames'],
        categories: kind['categories'],
        subresources: kind['subresources'].map(({ name, verbs }: any) => [name, verbs]),
      })),
    );
  });

  it('prefers v2 of autoscaling, and says that both versions are stored as one', async () => {
    const { body } = await server.json('/apis/autoscaling');
    expect(body.versions.map(({ version }: any) => version)).toEqual(['v2', 'v1']);
    expect(body.preferredVersion.version).toBe('v2');
    const hashes = await Promise.all(
      ['v1', 'v2'].map(
        async version => (await server.json(`/apis/autoscaling/${version}`)).body.resources[0].storageVersionHash,
      ),
    );
    expect(hashes[0]).toEqual(expect.any(String));
    expect(hashes[0]).toBe(hashes[1]);
  });
});

describe('two versions of one resource over HTTP', () => {
  const path = (version: string, name = '') =>
    `/apis/autoscaling/${version}/namespaces/default/horizontalpodautoscalers${name}`;
  const body = (value: object) => ({
    method: 'POST' as const,
    body: JSON.stringify(value),
    headers: { 'content-type': 'application/json' },
  });

  it('are read as objects, lists and tables', async () => {
    const spec = {
      scaleTargetRef: { kind: 'Deployment', name: 'd' },
      maxReplicas: 4,
      targetCPUUtilizationPercentage: 60,
    };
    expect((await server.json(path('v1'), body({ metadata: { name: 'h' }, spec }))).status).toBe(201);
    expect((await server.json(path('v1', '/h'))).body).toMatchObject({ apiVersion: 'autoscaling/v1', spec });
    expect((await server.json(path('v2', '/h'))).body).toMatchObject({
      apiVersion: 'autoscaling/v2',
      spec: { maxReplicas: 4 },
    });
    const list = (await server.json(path('v1'))).body;
    expect(list).toMatchObject({
      kind: 'HorizontalPodAutoscalerList',
      apiVersion: 'autoscaling/v1',
      items: [{ spec }],
    });
    for (const version of ['v1', 'v2']) {
      const shown = (await server.json(path(version), { headers: { accept: table } })).body;
      expect(shown.rows[0].cells.slice(0, 6)).toEqual(['h', 'Deployment/d', 'cpu: <unknown>/60%', '1', 4, 0]);
      expect(shown.rows[0].object.metadata).toMatchObject({ name: 'h' });
    }
    expect((await server.json(path('v2', '/h/status'))).body.status).toEqual({ desiredReplicas: 0 });
    expect((await server.json(path('v1', '/h/status'))).body.status).toEqual({
      currentReplicas: 0,
      desiredReplicas: 0,
    });
  });
});

it('asking for what nobody computes is refused in a Status', async () => {
  const { status, body } = await server.json('/apis/metrics.k8s.io/v1beta1/nodes');
  expect([status, body.kind, body.reason]).toEqual([405, 'Status', 'MethodNotAllowed']);
  const components = await server.json('/api/v1/componentstatuses');
  expect(components.body.items).toMatchObject([{ metadata: { name: 'store' } }]);
});
