import { afterEach, describe, expect, it } from 'vitest';
import { type CrdServer, crdServer, crds, widget, widgetPath, widgets } from './crd-fixture.js';
import type { JsonSchema } from './structural.js';

let server: CrdServer;
afterEach(() => server?.stop());

const until = async <T>(look: () => Promise<T | undefined | false>): Promise<T> => {
  for (let tries = 0; tries < 2_000; tries++) {
    const found = await look();
    if (found) return found;
    await new Promise(resolve => setTimeout(resolve, 2));
  }
  throw new Error('it never came');
};

const sized: JsonSchema = {
  type: 'object',
  required: ['size'],
  properties: {
    size: { type: 'integer', minimum: 1, default: 3 },
    color: { type: 'string', enum: ['red', 'blue'] },
    replicas: { type: 'integer' },
  },
};

describe('a definition', () => {
  it('is served as soon as it is established, and not before', async () => {
    server = await crdServer();
    expect((await server.request('GET', widgetPath)).status).toBe(404);
    const definition = await server.define(widgets());
    expect(definition.status).toMatchObject({
      storedVersions: ['v1'],
      acceptedNames: {
        plural: 'widgets',
        singular: 'widget',
        kind: 'Widget',
        listKind: 'WidgetList',
        shortNames: ['wd'],
      },
    });
    expect(definition.status.conditions).toMatchObject([
      { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts' },
      { type: 'Established', status: 'True', reason: 'InitialNamesAccepted' },
    ]);
    const created = await server.request('POST', widgetPath, widget('w1', { any: { thing: [1] } }));
    expect(created).toMatchObject({
      status: 201,
      body: { spec: { any: { thing: [1] } }, metadata: { generation: 1 } },
    });
    const list = await server.request('GET', widgetPath);
    expect(list.body).toMatchObject({ kind: 'WidgetList', items: [{ kind: 'Widget', apiVersion: 'example.com/v1' }] });
  });

  it('is in discovery and OpenAPI, and leaves both', async () => {
    server = await crdServer();
    await server.define(widgets(sized));
    const group = await server.request('GET', '/apis/example.com/v1');
    expect(group.body.resources).toMatchObject([
      { name: 'widgets', kind: 'Widget', shortNames: ['wd'], categories: ['all'] },
    ]);
    const index = await server.request('GET', '/openapi/v3');
    expect(index.body.paths).toHaveProperty(['apis/example.com/v1']);
    const document = await server.request('GET', '/openapi/v3/apis/example.com/v1');
    expect(document.body.components.schemas['com.example.v1.Widget'].properties.spec.properties.size).toMatchObject({
      minimum: 1,
      default: 3,
    });
    await server.request('DELETE', `${crds}/widgets.example.com`);
    await until(async () => (await server.request('GET', '/apis/example.com/v1')).status === 404);
    expect((await server.request('GET', '/openapi/v3')).body.paths).not.toHaveProperty(['apis/example.com/v1']);
  });

  it('takes its objects with it, and waits for their finalizers', async () => {
    server = await crdServer();
    await server.define(widgets());
    await server.request('POST', widgetPath, widget('free'));
    await server.request(
      'POST',
      widgetPath,
      widget('held', {}, { metadata: { name: 'held', finalizers: ['example.com/hold'] } }),
    );
    const deleted = await server.request('DELETE', `${crds}/widgets.example.com`);
    expect(deleted.body).toMatchObject({
      metadata: { finalizers: ['customresourcecleanup.apiextensions.k8s.io'] },
      status: {
        conditions: expect.arrayContaining([expect.objectContaining({ type: 'Terminating', status: 'True' })]),
      },
    });
    await until(async () => (await server.request('GET', `${widgetPath}/free`)).status === 404);
    expect((await server.request('POST', widgetPath, widget('late'))).status).toBe(405);
    const held = await server.request('GET', `${widgetPath}/held`);
    expect(held.body.metadata.deletionTimestamp).toBeDefined();
    await server.request(
      'PATCH',
      `${widgetPath}/held`,
      { metadata: { finalizers: null } },
      { 'content-type': 'application/merge-patch+json' },
    );
    await until(async () => (await server.request('GET', `${crds}/widgets.example.com`)).status === 404);
    expect((await server.request('GET', widgetPath)).status).toBe(404);
    // The next definition of that name begins with nothing.
    await server.define(widgets());
    expect((await server.request('GET', widgetPath)).body.items).toEqual([]);
  });

  it('does not get names that are taken until they are free', async () => {
    server = await crdServer();
    await server.define(widgets());
    const other = widgets();
    other.metadata.name = 'gadgets.example.com';
    other.spec.names = { plural: 'gadgets', kind: 'Gadget', shortNames: ['wd'] };
    await server.request('POST', crds, other);
    const refused = await until(async () => {
      const { body } = await server.request('GET', `${crds}/gadgets.example.com`);
      return body.status?.conditions?.length > 0 && body;
    });
    expect(refused.status.conditions).toMatchObject([
      { type: 'NamesAccepted', status: 'False', reason: 'ShortNamesConflict', message: '"wd" is already in use' },
      { type: 'Established', status: 'False', reason: 'NotAccepted' },
    ]);
    expect((await server.request('GET', '/apis/example.com/v1/gadgets')).status).toBe(404);
    await server.request('DELETE', `${crds}/widgets.example.com`);
    await until(async () => (await server.request('GET', '/apis/example.com/v1/gadgets')).status === 200);
  });

  it('is followed when it changes, and watches of it end', async () => {
    server = await crdServer();
    await server.define(widgets(sized));
    await server.request('POST', widgetPath, widget('w1', { size: 2 }));
    const watch = await server.transport.request({ method: 'GET', path: `${widgetPath}?watch=true` });
    const read = watch.bytes();
    const changed = widgets({
      ...sized,
      properties: { ...sized.properties, label: { type: 'string', default: 'none' } },
    });
    const { body } = await server.request('GET', `${crds}/widgets.example.com`);
    changed.metadata.resourceVersion = body.metadata.resourceVersion;
    expect((await server.request('PUT', `${crds}/widgets.example.com`, changed)).status).toBe(200);
    await read;
    // Filled in on read, in lists and in watches too; the stored object is as it was.
    const found = await until(async () => {
      const { body: object } = await server.request('GET', `${widgetPath}/w1`);
      return object.spec?.label && object;
    });
    expect(found.spec).toEqual({ size: 2, label: 'none' });
    expect(found.metadata.generation).toBe(1);
    expect((await server.request('GET', widgetPath)).body.items[0].spec.label).toBe('none');
    const before = found.metadata.resourceVersion;
    const written = await server.request('PUT', `${widgetPath}/w1`, found);
    expect(written.body.metadata.resourceVersion).not.toBe(before);
    expect(written.body.metadata.generation).toBe(1);
    const again = await server.request('PUT', `${widgetPath}/w1`, written.body);
    expect(again.body.metadata.resourceVersion).toBe(written.body.metadata.resourceVersion);
  });
});

describe('an object', () => {
  it('is pruned, defaulted and validated', async () => {
    server = await crdServer();
    await server.define(widgets(sized));
    const created = await server.request('POST', widgetPath, widget('w1', { color: null, foo: 1, size: null }));
    expect(created.status).toBe(201);
    expect(created.body.spec).toEqual({ size: 3 });
    expect(created.headers['warning']).toContain('unknown field \\"spec.foo\\"');
    const strict = await server.request('POST', `${widgetPath}?fieldValidation=Strict`, widget('w2', { foo: 1 }));
    expect(strict).toMatchObject({ status: 400 });
    expect(strict.body.message).toContain('strict decoding error: unknown field "spec.foo"');
    const invalid = await server.request('POST', widgetPath, widget('w3', { size: 0, color: 'green', replicas: 'x' }));
    expect(invalid.status).toBe(422);
    expect(invalid.body.message).toBe(
      'Widget.example.com "w3" is invalid: [spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1, ' +
        'spec.color: Unsupported value: "green": supported values: "red", "blue", ' +
        'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"]',
    );
  });

  it('refuses strategic merge and takes the other patches', async () => {
    server = await crdServer();
    await server.define(widgets(sized));
    await server.request('POST', widgetPath, widget('w1', { size: 1 }));
    const patch = (type: string, body: unknown) =>
      server.request('PATCH', `${widgetPath}/w1?fieldManager=t`, body, { 'content-type': `application/${type}` });
    const strategic = await patch('strategic-merge-patch+json', { spec: { size: 2 } });
    expect(strategic.status).toBe(415);
    expect(strategic.body.message).toContain('application/merge-patch+json');
    expect((await patch('merge-patch+json', { spec: { size: 2, bad: 1 } })).body.spec).toEqual({ size: 2 });
    expect((await patch('json-patch+json', [{ op: 'replace', path: '/spec/size', value: 4 }])).body.spec.size).toBe(4);
    const applied = await patch('apply-patch+yaml', {
      apiVersion: 'example.com/v1',
      kind: 'Widget',
      metadata: { name: 'w1' },
      spec: { color: 'red' },
    });
    expect(applied.body.spec).toEqual({ size: 4, color: 'red' });
    expect((await patch('merge-patch+json', { spec: { size: 0 } })).status).toBe(422);
  });

  it('is looked into within lists, maps, embedded objects and what is kept: pruned, filled in, or refused when strict', async () => {
    server = await crdServer();
    const entry = {
      type: 'object',
      properties: { a: { type: 'string' }, d: { type: 'integer', default: 4 }, n: { type: 'string', nullable: true } },
    };
    await server.define(
      widgets({
        type: 'object',
        properties: {
          list: { type: 'array', items: entry },
          map: { type: 'object', additionalProperties: entry },
          open: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { known: entry } },
          inner: {
            type: 'object',
            'x-kubernetes-embedded-resource': true,
            'x-kubernetes-preserve-unknown-fields': true,
          },
          port: { 'x-kubernetes-int-or-string': true },
        },
      } as never),
    );
    const spec = {
      list: [{ a: 'x', no: 1, n: null, d: null }],
      map: { k: { a: 'y', no: 1 } },
      open: { known: { no: 1 }, any: { thing: 1 } },
      inner: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', no: 1 }, spec: { any: 1 } },
      port: '25%',
    };
    const strict = await server.request('POST', `${widgetPath}?fieldValidation=Strict`, widget('w1', spec));
    expect(strict.status).toBe(400);
    for (const path of ['list[0].no', 'map.k.no', 'open.known.no', 'inner.metadata.no'])
      expect(strict.body.message).toContain(`unknown field "spec.${path}"`);
    const made = await server.request('POST', widgetPath, widget('w1', spec));
    expect(made.body.spec).toEqual({
      list: [{ a: 'x', n: null, d: 4 }],
      map: { k: { a: 'y', d: 4 } },
      open: { known: { d: 4 }, any: { thing: 1 } },
      inner: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { any: 1 } },
      port: '25%',
    });
    const wrong = await server.request('POST', widgetPath, widget('w2', { port: 1.5, inner: { metadata: {} } }));
    expect(wrong.status).toBe(422);
    for (const text of ['spec.port', 'spec.inner.apiVersion', 'spec.inner.kind'])
      expect(wrong.body.message).toContain(text);
  });

  it('has status and scale where the definition says so', async () => {
    server = await crdServer();
    await server.define(
      widgets(sized, {
        subresources: {
          status: {},
          scale: {
            specReplicasPath: '.spec.replicas',
            statusReplicasPath: '.status.replicas',
            labelSelectorPath: '.status.selector',
          },
        },
      }),
    );
    const created = await server.request('POST', widgetPath, widget('w1', { size: 1 }, { status: { phase: 'no' } }));
    expect(created.body.status).toBeUndefined();
    const at = ({ body }: { body: any }, object: any) => {
      object.metadata.resourceVersion = body.metadata.resourceVersion;
      return object;
    };
    const next = widget('w1', { size: 9 }, { status: { phase: 'up', replicas: 2, selector: 'a=b' } });
    expect((await server.request('PUT', `${widgetPath}/w1/status`, next)).body.message).toBe(
      'widgets.example.com "w1" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update',
    );
    const status = await server.request('PUT', `${widgetPath}/w1/status`, at(created, next));
    expect(status.body).toMatchObject({ spec: { size: 1 }, status: { phase: 'up' }, metadata: { generation: 1 } });
    const main = await server.request(
      'PUT',
      `${widgetPath}/w1`,
      at(status, widget('w1', { size: 5 }, { status: { phase: 'x' } })),
    );
    expect(main.body).toMatchObject({ spec: { size: 5 }, status: { phase: 'up' }, metadata: { generation: 2 } });
    const scale = await server.request('GET', `${widgetPath}/w1/scale`);
    expect(scale.body).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 0 },
      status: { replicas: 2, selector: 'a=b' },
    });
    const scaled = await server.request(
      'PATCH',
      `${widgetPath}/w1/scale`,
      { spec: { replicas: 7 } },
      { 'content-type': 'application/merge-patch+json' },
    );
    expect(scaled.body.spec.replicas).toBe(7);
    expect((await server.request('GET', `${widgetPath}/w1`)).body.spec.replicas).toBe(7);
  });

  it('is written whole where it has no status of its own', async () => {
    server = await crdServer();
    await server.define(widgets(sized));
    const created = await server.request('POST', widgetPath, widget('w1', { size: 1 }, { status: { phase: 'yes' } }));
    expect(created.body.status).toEqual({ phase: 'yes' });
    expect((await server.request('PUT', `${widgetPath}/w1/status`, created.body)).status).toBe(404);
  });

  it('prints the columns of its definition', async () => {
    server = await crdServer();
    await server.define(
      widgets(sized, {
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size', description: 'How big' },
          { name: 'Color', type: 'string', jsonPath: '.spec.color', priority: 1 },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
      }),
    );
    await server.request('POST', widgetPath, widget('w1', { size: 4 }));
    const table = await server.request('GET', widgetPath, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    });
    expect(table.body.columnDefinitions.map((each: any) => [each.name, each.type, each.priority])).toEqual([
      ['Name', 'string', 0],
      ['Size', 'integer', 0],
      ['Color', 'string', 1],
      ['Age', 'date', 0],
    ]);
    expect(table.body.rows[0].cells.slice(0, 3)).toEqual(['w1', 4, null]);
  });

  it('is selected by the fields that its definition names', async () => {
    server = await crdServer();
    await server.define(
      widgets(sized, { selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.size' }] }),
    );
    await server.request('POST', widgetPath, widget('w1', { color: 'red', size: 1 }));
    await server.request('POST', widgetPath, widget('w2', { color: 'blue', size: 1 }));
    const names = async (selector: string) =>
      (await server.request('GET', `${widgetPath}?fieldSelector=${selector}`)).body.items?.map(
        (each: any) => each.metadata.name,
      );
    expect(await names('spec.color%3Dred')).toEqual(['w1']);
    expect(await names('spec.size%3D1,spec.color%21%3Dred')).toEqual(['w2']);
    expect((await server.request('GET', `${widgetPath}?fieldSelector=spec.replicas%3D1`)).status).toBe(400);
  });

  it('warns who uses a deprecated version', async () => {
    server = await crdServer();
    await server.define(widgets(sized, { deprecated: true }));
    const created = await server.request('POST', widgetPath, widget('w1', { size: 1 }));
    expect(created.headers['warning']).toContain('example.com/v1 Widget is deprecated');
  });
});

describe('several versions', () => {
  const versions = (): any => {
    const definition = widgets(sized);
    const v1 = definition.spec.versions[0];
    definition.spec.versions = [
      { ...v1, storage: false },
      { ...structuredClone(v1), name: 'v2', storage: true },
    ];
    definition.spec.versions[1].schema.openAPIV3Schema.properties.spec.properties.extra = { type: 'string' };
    return definition;
  };
  const v2Path = widgetPath.replace('/v1/', '/v2/');

  it('are views of one object', async () => {
    server = await crdServer();
    await server.define(versions());
    const created = await server.request('POST', v2Path, {
      ...widget('w1', { size: 2, extra: 'x' }),
      apiVersion: 'example.com/v2',
    });
    expect(created.status).toBe(201);
    const seen = await server.request('GET', `${widgetPath}/w1`);
    expect(seen.body).toMatchObject({ apiVersion: 'example.com/v1', metadata: { uid: created.body.metadata.uid } });
    expect(seen.body.spec).toEqual({ size: 2 });
    const patched = await server.request(
      'PATCH',
      `${widgetPath}/w1`,
      { spec: { size: 5 } },
      { 'content-type': 'application/merge-patch+json' },
    );
    expect(patched.body).toMatchObject({ apiVersion: 'example.com/v1', spec: { size: 5 } });
    expect((await server.request('GET', `${v2Path}/w1`)).body).toMatchObject({
      apiVersion: 'example.com/v2',
      spec: { size: 5 },
    });
    expect((await server.request('POST', widgetPath, { ...widget('w2'), apiVersion: 'example.com/v2' })).status).toBe(
      400,
    );
  });

  it('keep what was stored before the storage version changed', async () => {
    server = await crdServer();
    await server.define(widgets(sized));
    await server.request('POST', widgetPath, widget('old', { size: 2 }));
    const { body } = await server.request('GET', `${crds}/widgets.example.com`);
    const next = versions();
    next.metadata.resourceVersion = body.metadata.resourceVersion;
    const updated = await server.request('PUT', `${crds}/widgets.example.com`, next);
    expect(updated.body.status.storedVersions).toEqual(['v1', 'v2']);
    const old = await until(async () => {
      const found = await server.request('GET', `${v2Path}/old`);
      return found.status === 200 && found.body;
    });
    expect(old.apiVersion).toBe('example.com/v2');
    const patch = await server.request(
      'PATCH',
      `${v2Path}/old`,
      { spec: { extra: 'now' } },
      { 'content-type': 'application/merge-patch+json' },
    );
    expect(patch.body).toMatchObject({ apiVersion: 'example.com/v2', spec: { size: 2, extra: 'now' } });
    const without = structuredClone(next);
    without.spec.versions = [next.spec.versions[1]];
    const current = await server.request('GET', `${crds}/widgets.example.com`);
    without.metadata.resourceVersion = current.body.metadata.resourceVersion;
    const refused = await server.request('PUT', `${crds}/widgets.example.com`, without);
    expect(refused.status).toBe(422);
    expect(refused.body.message).toContain('missing from spec.versions; v1 was previously a storage version');
  });
});
