/** Verbs, forms and errors on the wire, through the handler and the real resources on a memory store. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestServer, testServer } from './test-server.js';

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const maps = '/api/v1/namespaces/default/configmaps';
const write = (
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
) =>
  server.json(path, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
const table = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' };

describe('objects', () => {
  it('are created, read, replaced, patched and deleted', async () => {
    const created = await write('POST', maps, { metadata: { name: 'life' }, data: { a: '1' } });
    expect(created).toMatchObject({
      status: 201,
      body: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'life', namespace: 'default' } },
    });
    const read = await server.json(`${maps}/life`);
    expect(read).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-cache, private' },
      body: created.body,
    });
    const replaced = await write('PUT', `${maps}/life`, { ...read.body, data: { a: '2' } });
    expect(replaced).toMatchObject({ status: 200, body: { data: { a: '2' } } });
    expect(await write('PUT', `${maps}/life`, read.body)).toMatchObject({ status: 409, body: { reason: 'Conflict' } });
    const merge = { 'content-type': 'application/merge-patch+json' };
    expect(await write('PATCH', `${maps}/life`, { data: { b: '3' } }, merge)).toMatchObject({
      status: 200,
      body: { data: { a: '2', b: '3' } },
    });
    expect(await write('DELETE', `${maps}/life`)).toMatchObject({
      status: 200,
      body: { kind: 'Status', status: 'Success', details: { name: 'life', kind: 'configmaps' } },
    });
    expect(await server.json(`${maps}/life`)).toMatchObject({
      status: 404,
      body: {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        reason: 'NotFound',
        message: 'configmaps "life" not found',
        details: { name: 'life', kind: 'configmaps' },
        code: 404,
      },
    });
  });

  it('come as YAML and go as YAML', async () => {
    const yaml = 'metadata:\n  name: yaml\ndata:\n  yes: "1"\n  date: 2026-01-01\n';
    expect(await write('POST', maps, yaml, { 'content-type': 'application/yaml' })).toMatchObject({
      status: 201,
      body: { data: { date: '2026-01-01' } },
    });
    const answer = await server.json(`${maps}/yaml`, { headers: { accept: 'application/yaml' } });
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/yaml' } });
    expect(answer.body).toContain('\n  name: yaml\n');
  });

  it('need no content type, and name what came twice', async () => {
    const path = `${maps}?fieldValidation=Strict`;
    const body = '{"metadata":{"name":"twice"},"data":{"a":"1","a":"2"},"bar":1}';
    const answer = await server.json(path, { method: 'POST', body });
    expect(answer).toMatchObject({ status: 400, body: { reason: 'BadRequest' } });
    expect(answer.body.message).toContain('unknown field "bar"');
    expect(answer.body.message).toContain('duplicate field "data.a"');
    const yaml = 'metadata: {name: twice}\ndata:\n  a: "1"\n  a: "2"\n';
    expect((await write('POST', path, yaml, { 'content-type': 'application/yaml' })).body.message).toContain(
      'duplicate field "data.a"',
    );
    const warned = await server.transport.request({
      method: 'POST',
      path: maps,
      body: body.replace('twice', 'warned'),
    });
    expect(warned.status).toBe(201);
    expect(warned.warnings).toEqual(['299 - "unknown field \\"bar\\""', '299 - "duplicate field \\"data.a\\""']);
  });

  it.each([
    ['text/xml', 415, 'UnsupportedMediaType', /accepted media types include: application\/json, application\/yaml/],
    ['application/vnd.kubernetes.protobuf', 400, 'BadRequest', /does not begin with "k8s\\0"/],
    ['application/json', 400, 'BadRequest', /json parse error: .*line 1, column 2/],
    ['application/yaml', 400, 'BadRequest', /cannot be read/],
  ])('refuse a broken body of type %s', async (type, status, reason, message) => {
    const answer = await write('POST', maps, '{x: [', { 'content-type': type });
    expect(answer).toMatchObject({ status, body: { reason, message: expect.stringMatching(message) } });
  });

  it('refuse a body beyond 3 MiB at both doors', async () => {
    const big = JSON.stringify({ metadata: { name: 'big' }, data: { a: 'x'.repeat(3 * 1024 * 1024) } });
    const expected = {
      code: 413,
      reason: 'RequestEntityTooLarge',
      message: 'Request entity too large: limit is 3145728',
    };
    expect(await write('POST', maps, big)).toMatchObject({ status: 413, body: expected });
    const response = await fetch(server.url + maps, { method: 'POST', body: big });
    expect(await response.json()).toMatchObject(expected);
    async function* parts() {
      for (let i = 0; i < 40; i++) yield Buffer.alloc(100_000, 32);
    }
    const chunked = await fetch(server.url + maps, { method: 'POST', body: parts() as never, duplex: 'half' } as never);
    expect(await chunked.json()).toMatchObject(expected);
  });

  it('refuse wrong methods and unknown places', async () => {
    const notAllowed = {
      status: 405,
      body: { reason: 'MethodNotAllowed', message: 'the server does not allow this method on the requested resource' },
    };
    expect(await write('POST', `${maps}/x`, {})).toMatchObject(notAllowed);
    expect(await write('PUT', maps, {})).toMatchObject(notAllowed);
    expect(await server.json('/api/v1/namespaces/default/bindings')).toMatchObject(notAllowed);
    expect(await write('DELETE', '/api/v1/configmaps')).toMatchObject(notAllowed);
    expect(await write('POST', '/api/v1/configmaps', { metadata: { name: 'x', namespace: 'default' } })).toMatchObject(
      notAllowed,
    );
    const unknown = {
      status: 404,
      body: { kind: 'Status', reason: 'NotFound', message: 'the server could not find the requested resource' },
    };
    expect(await server.json('/api/v1/namespaces/default/foos')).toMatchObject(unknown);
    expect(await server.json('/api/v1/namespaces/default/configmaps/x/foo')).toMatchObject(unknown);
    expect(await server.json('/api/v1/namespaces/default/nodes')).toMatchObject(unknown);
    expect(await server.json('/api/v1/configmaps/x')).toMatchObject(unknown);
    for (const path of ['/apis/foo.io/v1/foos', '/apis/apps/v9/deployments', '/api/v2/pods', '/nothing'])
      expect(await server.json(path)).toMatchObject({
        status: 404,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: '404 page not found\n',
      });
  });

  it('answer HEAD without a body, and nothing else than JSON or YAML', async () => {
    const head = await fetch(`${server.url}/api/v1/namespaces/default`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(100);
    expect(await server.json(`${maps}/none`, { headers: { accept: 'application/xml' } })).toMatchObject({
      status: 406,
      body: { reason: 'NotAcceptable' },
    });
    expect(
      await server.json('/api/v1/namespaces/default', {
        headers: { accept: 'application/vnd.kubernetes.protobuf,application/json' },
      }),
    ).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json' },
    });
  });
});

describe('lists', () => {
  beforeAll(async () => {
    for (const name of ['l1', 'l2', 'l3']) await write('POST', maps, { metadata: { name, labels: { list: 'yes' } } });
  });
  const path = `${maps}?labelSelector=list%3Dyes`;

  it('carry complete items, and [] when there are none', async () => {
    const { body, headers } = await server.json(path);
    expect(headers['content-length'] ?? 'in process').toBe('in process');
    expect(body).toMatchObject({
      kind: 'ConfigMapList',
      apiVersion: 'v1',
      metadata: { resourceVersion: expect.stringMatching(/^\d+$/) },
    });
    expect(body.items.map((item: any) => [item.kind, item.apiVersion, item.metadata.name])).toEqual([
      ['ConfigMap', 'v1', 'l1'],
      ['ConfigMap', 'v1', 'l2'],
      ['ConfigMap', 'v1', 'l3'],
    ]);
    expect((await server.json(`${maps}?labelSelector=none`)).body.items).toEqual([]);
    expect((await server.json(`${maps}?labelSelector=none`, { headers: table })).body).toMatchObject({
      kind: 'Table',
      columnDefinitions: expect.any(Array),
      rows: [],
    });
  });

  it('are read in pieces', async () => {
    const first = await server.json(`${maps}?limit=2`);
    expect(first.body.items).toHaveLength(2);
    expect(first.body.metadata).toMatchObject({ continue: expect.any(String), remainingItemCount: expect.any(Number) });
    const second = await server.json(`${maps}?limit=500&continue=${first.body.metadata.continue}`);
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
    expect(second.body.metadata.continue).toBeUndefined();
  });

  it('come as tables, with metadata, the whole object or nothing in the rows', async () => {
    const { body } = await server.json(path, { headers: table });
    expect(body).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      metadata: { resourceVersion: expect.any(String) },
    });
    expect(body.columnDefinitions.map(({ name }: any) => name)).toEqual(['Name', 'Data', 'Age']);
    expect(body.rows[0]).toMatchObject({
      cells: ['l1', 0, expect.stringMatching(/^\d+s$/)],
      object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: { name: 'l1' } },
    });
    expect((await server.json(`${path}&includeObject=Object`, { headers: table })).body.rows[0].object.kind).toBe(
      'ConfigMap',
    );
    expect((await server.json(`${path}&includeObject=None`, { headers: table })).body.rows[0].object).toBeNull();
    expect(await server.json(`${path}&includeObject=Some`, { headers: table })).toMatchObject({ status: 400 });
    const beta = { accept: 'application/json;as=Table;v=v1beta1;g=meta.k8s.io' };
    expect((await server.json(`${maps}/l1`, { headers: beta })).body).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1beta1',
      rows: [{ object: { metadata: { name: 'l1' } } }],
    });
  });

  it('of many rows are one table', async () => {
    const service = '/api/v1/namespaces/default/serviceaccounts';
    for (let i = 0; i < 620; i++)
      await write('POST', service, { metadata: { name: `sa-${String(i).padStart(3, '0')}` } });
    const { body } = await server.json(service, { headers: table });
    expect(body).toMatchObject({ kind: 'Table', metadata: { resourceVersion: expect.any(String) } });
    const names = body.rows.map((row: any) => row.cells[0]);
    expect([names.length, new Set(names).size, names[250], names[619]]).toEqual([620, 620, 'sa-250', 'sa-619']);
  });

  it('come as metadata alone', async () => {
    const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json';
    const { body } = await server.json(path, { headers: { accept } });
    expect(body).toMatchObject({ kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' });
    expect(body.items[1]).toEqual({
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: expect.objectContaining({ name: 'l2' }),
    });
  });

  it('are deleted with a selector', async () => {
    const gone = await write('DELETE', path);
    expect(gone).toMatchObject({ status: 200, body: { kind: 'ConfigMapList' } });
    expect(gone.body.items).toHaveLength(3);
    expect((await server.json(path)).body.items).toEqual([]);
  });

  it('of megabytes are streamed, compressed on request, and equal either way', async () => {
    for (let i = 0; i < 40; i++)
      await write('POST', maps, {
        metadata: { name: `big-${i}`, labels: { big: 'yes' } },
        data: { a: String(i).repeat(20_000) },
      });
    const big = `${server.url}${maps}?labelSelector=big`;
    const plain = await fetch(big, { headers: { 'accept-encoding': 'identity' } });
    expect(plain.headers.get('content-encoding')).toBeNull();
    const text = await plain.text();
    expect(text.length).toBe(Number(plain.headers.get('content-length')));
    expect(JSON.parse(text).items).toHaveLength(40);
    const packed = await fetch(big, { headers: { 'accept-encoding': 'gzip' } });
    expect(packed.headers.get('content-encoding')).toBe('gzip');
    expect(await packed.text()).toBe(text);
    const small = await fetch(`${server.url}/api/v1/namespaces`, { headers: { 'accept-encoding': 'gzip' } });
    expect(small.headers.get('content-encoding')).toBeNull();
    const one = await fetch(`${server.url}${maps}/big-39`, { headers: { 'accept-encoding': 'gzip' } });
    expect(await one.json()).toMatchObject({ metadata: { name: 'big-39' } });
  });
});

describe('subresources', () => {
  it('scale and status have their own verbs', async () => {
    const deployments = '/apis/apps/v1/namespaces/default/deployments';
    const labels = { app: 'd' };
    const spec = {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    };
    expect(await write('POST', deployments, { metadata: { name: 'd' }, spec })).toMatchObject({ status: 201 });
    expect(await server.json(`${deployments}/d/scale`)).toMatchObject({
      status: 200,
      body: { kind: 'Scale', apiVersion: 'autoscaling/v1', spec: { replicas: 2 } },
    });
    const merge = { 'content-type': 'application/merge-patch+json' };
    expect(await write('PATCH', `${deployments}/d/scale`, { spec: { replicas: 5 } }, merge)).toMatchObject({
      status: 200,
      body: { kind: 'Scale', spec: { replicas: 5 } },
    });
    expect(await server.json(`${deployments}/d`)).toMatchObject({ body: { spec: { replicas: 5 } } });
    expect(await write('PATCH', `${deployments}/d/status`, { status: { replicas: 4 } }, merge)).toMatchObject({
      status: 200,
      body: { kind: 'Deployment', status: { replicas: 4 } },
    });
    expect(await write('POST', `${deployments}/d/status`, {})).toMatchObject({ status: 405 });
    expect(await write('PATCH', `${deployments}/d`, {}, { 'content-type': 'application/foo' })).toMatchObject({
      status: 415,
    });
  });

  it('binding places a pod', async () => {
    const pods = '/api/v1/namespaces/default/pods';
    await write('POST', pods, { metadata: { name: 'bind' }, spec: { containers: [{ name: 'c', image: 'i' }] } });
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'bind' },
      target: { kind: 'Node', name: 'n1' },
    };
    expect(await write('POST', `${pods}/bind/binding`, binding)).toMatchObject({
      status: 201,
      body: { kind: 'Status', status: 'Success' },
    });
    expect(await server.json(`${pods}/bind`)).toMatchObject({ body: { spec: { nodeName: 'n1' } } });
  });
});
