import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeAuthority, type WebhookServer, webhookServer } from '../webhook/webhook-fixture.js';
import { type CrdServer, crdServer, widget, widgetPath, widgets } from './crd-fixture.js';

let server: CrdServer;
let hooks: WebhookServer;
beforeEach(async () => {
  hooks = await webhookServer();
  server = await crdServer();
});
afterEach(async () => {
  await server.stop();
  await hooks.stop();
});
afterAll(removeAuthority);

const v2Path = widgetPath.replace('/v1/', '/v2/');
const merge = { 'content-type': 'application/merge-patch+json' };

/** v1 says `size`, v2 says `dimensions.height`. */
function convert(object: any, apiVersion: string): any {
  const { size, dimensions, ...rest } = object.spec ?? {};
  const height = size ?? dimensions?.height;
  const spec =
    height === undefined
      ? rest
      : { ...rest, ...(apiVersion.endsWith('v1') ? { size: height } : { dimensions: { height } }) };
  return { ...object, apiVersion, spec };
}

function convertible(): any {
  const definition = widgets({ type: 'object', properties: { size: { type: 'integer' }, color: { type: 'string' } } });
  const [v1] = definition.spec.versions;
  const v2 = structuredClone({ ...v1, name: 'v2' });
  v2.schema.openAPIV3Schema.properties.spec.properties = {
    dimensions: { type: 'object', properties: { height: { type: 'integer' } } },
    color: { type: 'string' },
  };
  definition.spec.versions = [
    { ...v1, storage: false, subresources: { status: {} } },
    { ...v2, subresources: { status: {} } },
  ];
  definition.spec.conversion = {
    strategy: 'Webhook',
    webhook: {
      clientConfig: { url: `${hooks.url}/convert`, caBundle: hooks.caBundle },
      conversionReviewVersions: ['v1'],
    },
  };
  return definition;
}

const good = (body: any) => ({
  ...body,
  response: {
    uid: body.request.uid,
    result: { status: 'Success' },
    convertedObjects: body.request.objects.map((each: any) => convert(each, body.request.desiredAPIVersion)),
  },
});

describe('a conversion webhook', () => {
  it('makes every version a view of what is stored', async () => {
    hooks.on('/convert', good);
    await server.define(convertible());
    const created = await server.request('POST', widgetPath, widget('w1', { size: 3, color: 'red' }));
    expect(created).toMatchObject({
      status: 201,
      body: { apiVersion: 'example.com/v1', spec: { size: 3, color: 'red' } },
    });
    const stored = await server.request('GET', `${v2Path}/w1`);
    expect(stored.body).toMatchObject({
      apiVersion: 'example.com/v2',
      spec: { dimensions: { height: 3 }, color: 'red' },
    });
    expect(stored.body.metadata.uid).toBe(created.body.metadata.uid);
    const patched = await server.request('PATCH', `${widgetPath}/w1`, { spec: { size: 7 } }, merge);
    expect(patched.body.spec).toEqual({ size: 7, color: 'red' });
    expect((await server.request('GET', `${v2Path}/w1`)).body.spec.dimensions.height).toBe(7);
    const put = await server.request('PUT', `${widgetPath}/w1`, { ...patched.body, spec: { size: 8 } });
    expect(put.body.spec).toEqual({ size: 8 });
    const status = await server.request('PATCH', `${widgetPath}/w1/status`, { status: { phase: 'up' } }, merge);
    expect(status.body).toMatchObject({ apiVersion: 'example.com/v1', spec: { size: 8 }, status: { phase: 'up' } });
    expect((await server.request('DELETE', `${widgetPath}/w1`)).status).toBe(200);
  });

  it('is asked once for a whole list, and not again for what it has converted', async () => {
    hooks.on('/convert', good);
    await server.define(convertible());
    for (let i = 0; i < 5; i++) {
      await server.request('POST', v2Path, {
        ...widget(`w${i}`, { dimensions: { height: i } }),
        apiVersion: 'example.com/v2',
      });
    }
    expect(hooks.asked).toHaveLength(0);
    const list = await server.request('GET', widgetPath);
    expect(list.body.items.map((each: any) => each.spec.size)).toEqual([0, 1, 2, 3, 4]);
    expect(hooks.asked).toHaveLength(1);
    await server.request('GET', widgetPath);
    expect(hooks.asked).toHaveLength(1);
  });

  it('converts what a watch tells', async () => {
    hooks.on('/convert', good);
    await server.define(convertible());
    const watch = await server.transport.request({ method: 'GET', path: `${widgetPath}?watch=true&timeoutSeconds=1` });
    await server.request('POST', v2Path, {
      ...widget('w', { dimensions: { height: 4 } }),
      apiVersion: 'example.com/v2',
    });
    const lines = Buffer.from(await watch.bytes())
      .toString()
      .trim()
      .split('\n');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      type: 'ADDED',
      object: { apiVersion: 'example.com/v1', spec: { size: 4 } },
    });
  });

  it.each<[string, (body: any) => unknown, string]>([
    [
      'fails',
      body => ({ ...body, response: { uid: body.request.uid, result: { status: 'Failed', message: 'cannot' } } }),
      'cannot',
    ],
    [
      'leaves one out',
      body => ({ ...good(body), response: { ...good(body).response, convertedObjects: [] } }),
      'returned 0 objects, expected 1',
    ],
    [
      'renames one',
      body => {
        const answer = good(body);
        answer.response.convertedObjects[0].metadata = { name: 'other' };
        return answer;
      },
      'invalid metadata.name',
    ],
    [
      'answers another',
      body => ({ ...good(body), response: { ...good(body).response, uid: 'x' } }),
      'expected response.uid=',
    ],
  ])('that %s stands in the way of other versions alone', async (_name, answer, problem) => {
    hooks.on('/convert', answer);
    await server.define(convertible());
    await server.request('POST', v2Path, {
      ...widget('w', { dimensions: { height: 4 } }),
      apiVersion: 'example.com/v2',
    });
    const seen = await server.request('GET', `${widgetPath}/w`);
    expect(seen.status).toBe(500);
    expect(seen.body.message).toContain(`conversion webhook for example.com, Kind=Widget failed: `);
    expect(seen.body.message).toContain(problem);
    expect((await server.request('GET', `${v2Path}/w`)).status).toBe(200);
    // The definition goes all the same.
    expect(
      (await server.request('DELETE', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com'))
        .status,
    ).toBe(200);
  });
});
