/** Bodies in Kubernetes' protobuf, as kubectl from 1.32 on, Helm 4 and controllers send them: the same object as from JSON. */
import { encodeProtobuf } from '@orbitkit/core/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestServer, testServer } from './test-server.js';

const protobuf = { 'content-type': 'application/vnd.kubernetes.protobuf' };
const maps = '/api/v1/namespaces/default/configmaps';

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const send = (
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body: Uint8Array,
  headers: Record<string, string> = protobuf,
) => server.json(path, { method, body: body as never, headers });
const map = (name: string, more: object = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, ...more });

describe('protobuf bodies', () => {
  it('create and replace what JSON creates', async () => {
    const created = await send(
      'POST',
      `${maps}?fieldValidation=Strict`,
      encodeProtobuf(map('a', { data: { x: '1', y: '' } })),
    );
    expect(created).toMatchObject({
      status: 201,
      headers: { 'content-type': 'application/json' },
      body: { kind: 'ConfigMap', metadata: { name: 'a', namespace: 'default' }, data: { x: '1', y: '' } },
    });
    const again = await server.json(maps, {
      method: 'POST',
      body: JSON.stringify(map('b', { data: { x: '1', y: '' } })),
    });
    const own = (body: any) => ({
      ...body,
      metadata: { ...body.metadata, name: '', uid: '', resourceVersion: '', creationTimestamp: '' },
    });
    expect(own(created.body)).toEqual(own(again.body));
    const replaced = await send('PUT', `${maps}/a`, encodeProtobuf(map('a', { data: { z: '2' } })));
    expect(replaced).toMatchObject({ status: 200, body: { data: { z: '2' } } });
  });

  it('keep a zero behind a pointer, which the default would replace', async () => {
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd' },
      spec: {
        replicas: 0,
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    };
    const path = '/apis/apps/v1/namespaces/default/deployments';
    const created = await send('POST', path, encodeProtobuf(deployment));
    expect(created).toMatchObject({ status: 201, body: { spec: { replicas: 0, revisionHistoryLimit: 10 } } });
  });

  it('may leave kind and content type away', async () => {
    const whole = encodeProtobuf(map('bare'));
    // The envelope's first field is the type: two texts of 2 and 9 bytes, each with tag and length.
    const bare = Buffer.concat([whole.subarray(0, 4), whole.subarray(6 + 2 + 2 + 2 + 9)]);
    expect(await send('POST', maps, bare)).toMatchObject({ status: 201, body: { kind: 'ConfigMap' } });
    expect(await send('POST', maps, encodeProtobuf(map('sniffed')), {})).toMatchObject({ status: 201 });
  });

  it('are options of a delete', async () => {
    await send('POST', maps, encodeProtobuf(map('doomed')));
    const options = (more: object) => encodeProtobuf({ apiVersion: 'v1', kind: 'DeleteOptions', ...more });
    expect(await send('DELETE', `${maps}/doomed`, options({ preconditions: { uid: 'other' } }))).toMatchObject({
      status: 409,
    });
    expect(await send('DELETE', `${maps}/doomed`, options({ dryRun: ['All'] }))).toMatchObject({ status: 200 });
    expect(await send('DELETE', `${maps}/doomed`, options({ propagationPolicy: 'Sideways' }))).toMatchObject({
      status: 422,
    });
    expect(await send('DELETE', `${maps}/doomed`, options({ propagationPolicy: 'Background' }))).toMatchObject({
      status: 200,
      body: { kind: 'Status', status: 'Success' },
    });
    expect(await server.json(`${maps}/doomed`)).toMatchObject({ status: 404 });
  });

  it('are checked as any other', async () => {
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } };
    expect(await send('POST', maps, encodeProtobuf(secret))).toMatchObject({
      status: 400,
      body: { reason: 'BadRequest', message: expect.stringContaining('cannot be handled as a ConfigMap') },
    });
    expect(await send('POST', maps, encodeProtobuf(map('No_Name')))).toMatchObject({ status: 422 });
    const cut = encodeProtobuf(map('cut', { data: { x: 'y' } }));
    expect(await send('POST', maps, cut.subarray(0, cut.length - 9))).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining('the body is not readable as Kubernetes protobuf') },
    });
    expect(await send('POST', maps, Buffer.from('{}'))).toMatchObject({ status: 400 });
    expect(await send('POST', maps, Buffer.alloc(3 * 1024 * 1024 + 1))).toMatchObject({ status: 413 });
  });
});
