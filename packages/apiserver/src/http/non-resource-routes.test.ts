/** Discovery, OpenAPI, version, health and metrics on the wire. */
import { builtinKinds, ConfigMap, type Kind, kindRegistry } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestServer, testServer } from './test-server.js';

let server: TestServer;
let broken: string | undefined;
const kinds = kindRegistry(builtinKinds);
beforeAll(async () => {
  server = await testServer({
    kinds,
    handler: {
      health: [
        { name: 'livez', checks: [{ name: 'ping', check: () => undefined }] },
        {
          name: 'readyz',
          checks: [
            { name: 'ping', check: () => undefined },
            { name: 'store', check: () => broken },
          ],
        },
      ],
    },
  });
});
afterAll(() => server.stop());

const v2 = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
const v2beta1 = 'application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList';
const asking = (path: string, accept: string) => server.json(path, { headers: { accept } });

describe('aggregated discovery', () => {
  it('is given in the form that the client names first', async () => {
    const newer = await asking('/apis', `${v2},${v2beta1},application/json`);
    expect(newer).toMatchObject({
      status: 200,
      headers: { 'content-type': v2, vary: 'Accept', 'cache-control': 'public' },
      body: { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2' },
    });
    const older = await asking('/apis', `${v2beta1},application/json`);
    expect(older).toMatchObject({
      headers: { 'content-type': v2beta1 },
      body: { apiVersion: 'apidiscovery.k8s.io/v2beta1' },
    });
    expect(older.body.items).toEqual(newer.body.items);
    expect(
      await asking('/apis', `application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json`),
    ).toMatchObject({ body: { kind: 'APIGroupList' } });
    expect(await asking('/apis', 'application/vnd.kubernetes.protobuf')).toMatchObject({ status: 406 });
  });

  it('names every kind with its verbs, names and subresources, the core group under /api', async () => {
    const core = (await asking('/api', v2)).body;
    expect(core.items.map((item: any) => item.metadata)).toEqual([{}]);
    const pods = core.items[0].versions[0].resources.find((resource: any) => resource.resource === 'pods');
    expect(core.items[0].versions[0]).toMatchObject({ version: 'v1', freshness: 'Current' });
    expect(pods).toMatchObject({
      responseKind: { group: '', version: 'v1', kind: 'Pod' },
      scope: 'Namespaced',
      singularResource: 'pod',
      shortNames: ['po'],
      categories: ['all'],
      verbs: ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'],
    });
    expect(pods.subresources).toContainEqual({
      subresource: 'exec',
      responseKind: { group: '', version: 'v1', kind: 'PodExecOptions' },
      verbs: ['create', 'get'],
    });
    const nodes = core.items[0].versions[0].resources.find((resource: any) => resource.resource === 'nodes');
    expect(nodes.scope).toBe('Cluster');
    const groups = (await asking('/apis', v2)).body.items;
    const listed = [...core.items, ...groups].flatMap((group: any) =>
      group.versions.flatMap((version: any) =>
        version.resources.map(
          (resource: any) => `${group.metadata.name ?? ''}/${version.version}/${resource.responseKind.kind}`,
        ),
      ),
    );
    expect(listed.sort()).toEqual(builtinKinds.map(kind => `${kind.group}/${kind.version}/${kind.kind}`).sort());
  });

  it('is not sent again to who has it', async () => {
    const first = await asking('/api', v2);
    const again = await server.json('/api', { headers: { accept: v2, 'if-none-match': first.headers['etag']! } });
    expect(again).toMatchObject({ status: 304, headers: { etag: first.headers['etag'] }, body: '' });
    expect(await server.json('/api', { headers: { accept: v2, 'if-none-match': '"other"' } })).toMatchObject({
      status: 200,
    });
    const overHttp = await fetch(`${server.url}/api`, {
      headers: { accept: v2, 'if-none-match': first.headers['etag']! },
    });
    expect([overHttp.status, await overHttp.text()]).toEqual([304, '']);
  });
});

describe('legacy discovery', () => {
  it('has a document for each level', async () => {
    expect((await server.json('/api')).body).toMatchObject({
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0' }],
    });
    const { body: groups } = await server.json('/apis');
    expect(groups).toMatchObject({ kind: 'APIGroupList', apiVersion: 'v1' });
    expect(groups.groups.map(({ name }: any) => name)).not.toContain('');
    const apps = {
      name: 'apps',
      versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
      preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
    };
    expect(groups.groups).toContainEqual(apps);
    expect((await server.json('/apis/apps')).body).toEqual({ kind: 'APIGroup', apiVersion: 'v1', ...apps });
    expect((await server.json('/apis/apps/')).body.name).toBe('apps');
    const { body: list } = await server.json('/apis/apps/v1');
    expect(list).toMatchObject({ kind: 'APIResourceList', apiVersion: 'v1', groupVersion: 'apps/v1' });
    expect(list.resources).toContainEqual({
      name: 'deployments/scale',
      singularName: '',
      namespaced: true,
      group: 'autoscaling',
      version: 'v1',
      kind: 'Scale',
      verbs: ['get', 'patch', 'update'],
    });
    const { body: core } = await server.json('/api/v1');
    expect(core.resources.find(({ name }: any) => name === 'pods')).toMatchObject({
      singularName: 'pod',
      namespaced: true,
      kind: 'Pod',
      shortNames: ['po'],
      storageVersionHash: expect.stringMatching(/^[\w+/]{11}=$/),
    });
    expect(core.resources.map(({ name }: any) => name)).toContain('pods/log');
  });

  it('answers unknown groups and versions in plain text, and nothing but reads', async () => {
    for (const path of ['/apis/foo', '/apis/apps/v7', '/api/v7', '/api/v1beta1/', '/apis//v1'])
      expect(await server.json(path)).toMatchObject({
        status: 404,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
      });
    expect(await server.json('/apis', { method: 'POST' })).toMatchObject({
      status: 405,
      body: { reason: 'MethodNotAllowed' },
    });
  });
});

describe('OpenAPI v3', () => {
  it('has an index of documents, each under the hash of its content', async () => {
    const { body: index } = await server.json('/openapi/v3');
    expect(Object.keys(index.paths)).toEqual(
      expect.arrayContaining(['api/v1', 'apis/apps/v1', 'apis/discovery.k8s.io/v1']),
    );
    const url = index.paths['apis/apps/v1'].serverRelativeURL as string;
    expect(url).toMatch(/^\/openapi\/v3\/apis\/apps\/v1\?hash=[0-9A-F]{128}$/);
    const document = await server.json(url);
    expect(document).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': expect.stringContaining('immutable') },
      body: { openapi: '3.0.0' },
    });
    const patches = Object.values<any>(document.body.paths).flatMap(path => (path.patch ? [path.patch] : []));
    const deployment = patches.find(patch => patch['x-kubernetes-group-version-kind'].kind === 'Deployment');
    expect(deployment.parameters).toContainEqual(expect.objectContaining({ name: 'fieldValidation', in: 'query' }));
    expect(Object.keys(deployment.requestBody.content)).toEqual([
      'application/json-patch+json',
      'application/merge-patch+json',
      'application/strategic-merge-patch+json',
      'application/apply-patch+yaml',
    ]);
    expect((await server.json(url)).body).toEqual(document.body);
    expect(await server.json(url, { headers: { 'if-none-match': document.headers['etag']! } })).toMatchObject({
      status: 304,
    });
    expect(await server.json('/openapi/v3/apis/apps/v1')).toMatchObject({
      status: 200,
      headers: { 'cache-control': 'no-cache, private' },
    });
    expect(await server.json('/openapi/v3/apis/apps/v1?hash=OLD')).toMatchObject({
      status: 301,
      headers: { location: url },
    });
  });

  it('is all there is beside v2', async () => {
    for (const path of ['/openapi/v1', '/openapi', '/openapi/v3/apis/foo/v1'])
      expect(await server.json(path)).toMatchObject({ status: 404 });
  });
});

describe('version, health, paths and metrics', () => {
  it('say which API is spoken and by whom', async () => {
    expect((await server.json('/version')).body).toMatchObject({
      major: '1',
      minor: '33',
      gitVersion: expect.stringMatching(/^v1\.33\.\d+\+orbitkit$/),
      platform: expect.stringMatching(/^\w+\/\w+$/),
    });
  });

  it('report each check on its own and all together', async () => {
    broken = undefined;
    expect(await server.json('/readyz')).toMatchObject({ status: 200, body: 'ok' });
    expect(await server.json('/readyz?verbose')).toMatchObject({
      status: 200,
      body: '[+]ping ok\n[+]store ok\nreadyz check passed\n',
    });
    expect(await server.json('/livez/ping', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
    broken = 'it is not open';
    expect(await server.json('/readyz')).toMatchObject({
      status: 500,
      body: '[+]ping ok\n[-]store failed: it is not open\nreadyz check failed\n',
    });
    expect(await server.json('/readyz/store')).toMatchObject({ status: 500 });
    expect(await server.json('/readyz?exclude=store')).toMatchObject({ status: 200, body: 'ok' });
    expect(await server.json('/livez')).toMatchObject({ status: 200, body: 'ok' });
    expect(await server.json('/livez/store')).toMatchObject({ status: 404 });
  });

  it('list what is there', async () => {
    const { body } = await server.json('/');
    expect(body.paths).toEqual(
      expect.arrayContaining([
        '/api',
        '/api/v1',
        '/apis',
        '/apis/apps',
        '/apis/apps/v1',
        '/livez/ping',
        '/metrics',
        '/openapi/v3',
        '/readyz',
        '/version',
      ]),
    );
  });

  it('count requests by what is served, never by what a client makes up', async () => {
    await server.json('/api/v1/namespaces/default/configmaps');
    await server.json('/apis/made.up/v1/things/x/y');
    await server.json('/api/v1/namespaces/default/pods/p/made-up');
    const answer = await server.json('/metrics');
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.body).toContain(
      'apiserver_request_total{verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="namespace",code="200"} 1',
    );
    expect(answer.body).toContain(
      'apiserver_request_duration_seconds_count{verb="LIST",group="",version="v1",resource="configmaps"',
    );
    expect(answer.body).not.toContain('made');
  });
});

describe('a kind that joins while the server runs', () => {
  it('is discovered, described and served, and gone when it leaves', async () => {
    const before = await asking('/apis', v2);
    const { body: index } = await server.json('/openapi/v3');
    const widget = Object.create(ConfigMap, {
      group: { value: 'example.com' },
      kind: { value: 'Widget' },
      plural: { value: 'widgets' },
      singular: { value: 'widget' },
      listKind: { value: 'WidgetList' },
      shortNames: { value: [] },
    }) as Kind;
    expect(await server.json('/apis/example.com/v1/widgets')).toMatchObject({
      status: 404,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
    });
    kinds.add(widget);
    const after = await server.json('/apis', { headers: { accept: v2, 'if-none-match': before.headers['etag']! } });
    expect(after.status).toBe(200);
    expect(after.body.items.map((item: any) => item.metadata.name)).toContain('example.com');
    expect(await server.json('/apis/example.com/v1/widgets')).toMatchObject({
      status: 200,
      body: { kind: 'WidgetList', items: [] },
    });
    expect(Object.keys((await server.json('/openapi/v3')).body.paths)).toContain('apis/example.com/v1');
    kinds.remove(widget);
    expect(
      await server.json('/apis', { headers: { accept: v2, 'if-none-match': before.headers['etag']! } }),
    ).toMatchObject({ status: 304 });
    expect((await server.json('/openapi/v3')).body).toEqual(index);
  });
});
