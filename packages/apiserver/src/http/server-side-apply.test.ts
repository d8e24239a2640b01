/** Server-side apply and managedFields as clients see them: every rule of kube-wire.md 11, over the in-process door. */
import { type Clock, systemClock } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TestServer, testServer } from './test-server.js';

let server: TestServer;
let now: number;
/** Tells the time that the test says; everything that waits goes by the real one. */
const clock: Clock & { advance(ms: number): void } = {
  ...systemClock,
  now: () => now,
  advance: ms => {
    now += ms;
  },
};
beforeEach(async () => {
  now = Date.parse('2026-01-01T00:00:00Z');
  server = await testServer({ clock });
});
afterEach(() => server.stop());

const configMaps = '/api/v1/namespaces/default/configmaps';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const pods = '/api/v1/namespaces/default/pods';

interface Options {
  manager?: string;
  query?: string;
  userAgent?: string;
}

const send = async (
  method: 'POST' | 'PUT' | 'PATCH',
  path: string,
  contentType: string,
  body: unknown,
  options: Options = {},
) => {
  const { manager, query = '', userAgent } = options;
  const parameters = [manager === undefined ? '' : `fieldManager=${manager}`, query].filter(Boolean).join('&');
  const { status, body: answer } = await server.json(`${path}${parameters ? `?${parameters}` : ''}`, {
    method,
    headers: { 'content-type': contentType, ...(userAgent ? { 'user-agent': userAgent } : {}) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { ...answer, http: status };
};
const apply = (path: string, body: unknown, manager: string, query = '') =>
  send('PATCH', path, 'application/apply-patch+yaml', body, { manager, query });
const create = (path: string, body: unknown, manager = 'creator') =>
  send('POST', path, 'application/json', body, { manager });
const update = (path: string, body: unknown, manager = 'editor') =>
  send('PUT', path, 'application/json', body, { manager });
const merge = (path: string, body: unknown, manager = 'editor', query = '') =>
  send('PATCH', path, 'application/merge-patch+json', body, { manager, query });
const jsonPatch = (path: string, body: unknown, manager = 'editor') =>
  send('PATCH', path, 'application/json-patch+json', body, { manager });
const get = async (path: string) => (await server.json(path)).body;

const configMap = (data: Record<string, unknown> | undefined, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'c', ...metadata },
  ...(data === undefined ? {} : { data }),
});
const deployment = (spec: object, metadata: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd', ...metadata },
  spec,
});
const template = (container: object, more: object = {}) => ({
  metadata: { labels: { app: 'd' } },
  spec: { containers: [{ name: 'c1', image: 'one', ...container }], ...more },
});
const selector = { matchLabels: { app: 'd' } };
const c = `${configMaps}/c`;
const d = `${deployments}/d`;

/** `m Apply`, `m Update/status`: who there is, with the paths that each owns in the form of the wire. */
const owners = (object: any): Record<string, any> =>
  Object.fromEntries(
    (object.metadata.managedFields ?? []).map((each: any) => [
      `${each.manager} ${each.operation}${each.subresource ? `/${each.subresource}` : ''}`,
      each.fieldsV1,
    ]),
  );

describe('apply', () => {
  it('creates with 201, updates with 200', async () => {
    const made = await apply(c, configMap({ a: '1' }), 'm1');
    expect(made).toMatchObject({ http: 201, data: { a: '1' }, metadata: { name: 'c', namespace: 'default' } });
    expect(made.metadata.managedFields).toEqual([
      {
        manager: 'm1',
        operation: 'Apply',
        apiVersion: 'v1',
        time: '2026-01-01T00:00:00Z',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { 'f:a': {} } },
      },
    ]);
    expect(await apply(c, configMap({ a: '2' }), 'm1')).toMatchObject({ http: 200, data: { a: '2' } });
  });

  it('takes YAML', async () => {
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: "1"\n';
    expect(await apply(c, yaml, 'm1')).toMatchObject({ http: 201, data: { a: '1' } });
    expect(await apply(c, '{apiVersion: v1, kind: ConfigMap, data: {a: x}}', 'm1')).toMatchObject({ data: { a: 'x' } });
  });

  it('needs a field manager, and knows force alone', async () => {
    const message = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch';
    const type = 'application/apply-patch+yaml';
    expect(await send('PATCH', c, type, configMap({}))).toMatchObject({ http: 422, message });
    expect(await send('PATCH', c, type, configMap({}), { query: 'fieldManager=' })).toMatchObject({ http: 422 });
    expect(await merge(c, {}, 'm', 'force=true')).toMatchObject({
      http: 422,
      message: 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    });
  });

  it('refuses what is no configuration of the kind', async () => {
    const refused = async (body: unknown, message: string) =>
      expect(await apply(c, body, 'm1', 'fieldValidation=Ignore')).toMatchObject({ http: 400, message });
    await refused(configMap({}, { managedFields: [] }), 'metadata.managedFields must be nil');
    await refused({ kind: 'ConfigMap' }, 'invalid object type: /, Kind=ConfigMap');
    await refused({ ...configMap({}), apiVersion: 'v2' }, 'invalid object type: /v2, Kind=ConfigMap');
    await refused({ ...configMap({}), apiVersion: 'apps/v1', kind: 'X' }, 'invalid object type: apps/v1, Kind=X');
    await refused('[]', 'error decoding YAML: the configuration to apply must be a mapping');
    await refused(
      { ...configMap({}), dataz: {} },
      'failed to create typed patch object (default/c; /v1, Kind=ConfigMap): .dataz: field not declared in schema',
    );
    await refused(
      configMap({ a: 1 }),
      'failed to create typed patch object (default/c; /v1, Kind=ConfigMap): .data.a: expected string, got 1',
    );
    await refused(
      configMap({}, { name: 'other' }),
      'the name of the object (other) does not match the name on the URL (c)',
    );
    const twice = deployment({ selector, template: { spec: { containers: [{ name: 'c1' }, { name: 'c1' }] } } });
    expect(await apply(d, twice, 'm1')).toMatchObject({
      http: 400,
      message:
        'failed to create typed patch object (default/d; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name="c1"]',
    });
    const unnamed = deployment({ selector, template: { spec: { containers: [{ image: 'x' }] } }, replicaz: 1 });
    expect((await apply(d, unnamed, 'm1')).message).toBe(
      [
        'failed to create typed patch object (default/d; apps/v1, Kind=Deployment): errors:',
        '  .spec.template.spec.containers: element 0: associative list with keys has an element that omits key field "name" (and doesn\'t have default value)',
        '  .spec.replicaz: field not declared in schema',
      ].join('\n'),
    );
  });

  it('judges fields that came twice as field validation says', async () => {
    const body = '{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"1","a":"2"}}';
    expect(await apply(c, body, 'm1', 'fieldValidation=Strict')).toMatchObject({
      http: 400,
      message: 'strict decoding error: duplicate field "data.a"',
    });
    expect(await apply(c, body, 'm1')).toMatchObject({ http: 201, data: { a: '2' } });
  });

  it('is validated as a whole', async () => {
    expect(await apply(d, deployment({ replicas: 1 }), 'm1')).toMatchObject({ http: 422, reason: 'Invalid' });
  });

  it('has preconditions in resourceVersion and uid', async () => {
    expect(await apply(c, configMap({}, { uid: 'abc' }), 'm1')).toMatchObject({
      http: 409,
      message:
        'Operation cannot be fulfilled on configmaps "c": uid mismatch: the provided object specified uid abc, and no existing object was found',
    });
    const made = await apply(c, configMap({ a: '1' }), 'm1');
    const { uid, resourceVersion } = made.metadata;
    expect(await apply(c, configMap({ a: '2' }, { resourceVersion: '1' }), 'm1')).toMatchObject({ http: 409 });
    expect(await apply(c, configMap({ a: '2' }, { uid: 'abc' }), 'm1')).toMatchObject({ http: 409 });
    expect(await apply(c, configMap({ a: '2' }, { uid, resourceVersion }), 'm1')).toMatchObject({ http: 200 });
  });

  it('stores nothing in a dry run', async () => {
    const dry = await apply(c, configMap({ a: '1' }), 'm1', 'dryRun=All');
    expect(dry).toMatchObject({ http: 201, data: { a: '1' } });
    expect(owners(dry)).toEqual({ 'm1 Apply': { 'f:data': { 'f:a': {} } } });
    expect((await server.json(c)).status).toBe(404);
    const made = await apply(c, configMap({ a: '1' }), 'm1');
    expect(await apply(c, configMap({ a: '2' }), 'm1', 'dryRun=All')).toMatchObject({ data: { a: '2' } });
    expect((await get(c)).metadata).toEqual(made.metadata);
  });

  it('leaves resourceVersion and time alone when it changes nothing', async () => {
    const made = await apply(c, configMap({ a: '1' }), 'm1');
    clock.advance(5_000);
    const again = await apply(c, configMap({ a: '1' }), 'm1');
    expect(again.metadata).toEqual(made.metadata);
    clock.advance(5_000);
    expect((await apply(c, configMap({ a: '2' }), 'm1')).metadata.managedFields[0].time).toBe('2026-01-01T00:00:10Z');
  });

  it('does not take the creationTimestamp, status or generation that generated manifests carry', async () => {
    const body = { ...deployment({ selector, template: template({}) }, { creationTimestamp: null }), status: {} };
    const made = await apply(d, body, 'm1');
    expect(made.http).toBe(201);
    expect(Object.keys(owners(made)['m1 Apply'])).toEqual(['f:spec']);
    expect((await apply(d, body, 'm1')).metadata).toEqual(made.metadata);
  });

  it('refuses a subresource of what is not there', async () => {
    expect(await apply(`${d}/status`, deployment({}), 'm1')).toMatchObject({ http: 404 });
  });
});

describe('ownership', () => {
  it('names the conflict with one other manager, and with force takes the field away', async () => {
    await apply(c, configMap({ a: '1' }), 'm1');
    const refused = await apply(c, configMap({ a: '2' }), 'm2');
    expect(refused).toMatchObject({
      http: 409,
      reason: 'Conflict',
      message: 'Apply failed with 1 conflict: conflict with "m1": .data.a',
      details: { causes: [{ reason: 'FieldManagerConflict', message: 'conflict with "m1"', field: '.data.a' }] },
    });
    const forced = await apply(c, configMap({ a: '2' }), 'm2', 'force=true');
    expect(owners(forced)).toEqual({ 'm2 Apply': { 'f:data': { 'f:a': {} } } });
  });

  it('names several conflicts, and who updated by API version', async () => {
    await create(configMaps, configMap({ a: '1', z: '1', y: '1' }), 'editor');
    await merge(c, { data: { y: '2' } }, 'other');
    const refused = await apply(c, configMap({ a: '2', z: '2', y: '3' }), 'm1');
    expect(refused.message).toBe(
      'Apply failed with 3 conflicts: conflicts with "editor" using v1:\n- .data.a\n- .data.z\nconflicts with "other" using v1:\n- .data.y',
    );
    expect(refused.details.causes).toHaveLength(3);
  });

  it('names fields of list elements by their keys', async () => {
    await apply(d, deployment({ selector, template: template({}) }), 'm1');
    const other = deployment({ template: { spec: { containers: [{ name: 'c1', image: 'two' }] } } });
    expect((await apply(d, other, 'm2')).message).toBe(
      'Apply failed with 1 conflict: conflict with "m1": .spec.template.spec.containers[name="c1"].image',
    );
  });

  it('is shared by those who say the same, and stays with the one who goes on saying it', async () => {
    await apply(c, configMap({ a: '1', b: '1' }), 'm1');
    const shared = await apply(c, configMap({ a: '1' }), 'm2');
    expect(owners(shared)).toEqual({
      'm1 Apply': { 'f:data': { 'f:a': {}, 'f:b': {} } },
      'm2 Apply': { 'f:data': { 'f:a': {} } },
    });
    const dropped = await apply(c, configMap({ b: '1' }), 'm1');
    expect(dropped.data).toEqual({ a: '1', b: '1' });
    expect((await apply(c, configMap({}), 'm2')).data).toEqual({ b: '1' });
  });

  it('removes what the configuration drops and nobody else owns', async () => {
    await apply(c, configMap({ a: '1', b: '1' }), 'm1');
    await merge(c, { data: { x: '1' } });
    const less = await apply(c, configMap({ a: '1' }), 'm1');
    expect(less.data).toEqual({ a: '1', x: '1' });
    const gone = await apply(c, configMap(undefined), 'm1');
    expect(gone.data).toEqual({ x: '1' });
    expect(owners(gone)).toEqual({ 'editor Update': { 'f:data': { 'f:x': {} } } });
  });

  it('removes nested things down to the containers that nobody else is in', async () => {
    const nodeSelector = { disk: 'ssd', zone: 'a' };
    await apply(
      d,
      deployment({ selector, template: template({ env: [{ name: 'X', value: '1' }] }, { nodeSelector }) }),
      'm1',
    );
    const bare = await apply(d, deployment({ selector, template: template({}) }), 'm1');
    expect(bare.spec.template.spec.nodeSelector).toBeUndefined();
    expect(bare.spec.template.spec.containers[0]).not.toHaveProperty('env');
  });

  it('moves to who updates a field, and an update takes only what it changes', async () => {
    await apply(c, configMap({ a: '1', b: '1' }), 'm1');
    clock.advance(1_000);
    const live = await get(c);
    const updated = await update(c, { ...live, data: { a: '2', b: '1' } });
    expect(owners(updated)).toEqual({
      'm1 Apply': { 'f:data': { 'f:b': {} } },
      'editor Update': { 'f:data': { 'f:a': {} } },
    });
    expect(updated.metadata.managedFields[1].time).toBe('2026-01-01T00:00:01Z');
    // What was taken is a conflict now; saying the same is not.
    expect((await apply(c, configMap({ a: '1', b: '1' }), 'm1')).message).toBe(
      'Apply failed with 1 conflict: conflict with "editor" using v1: .data.a',
    );
    expect(owners(await apply(c, configMap({ a: '2', b: '1' }), 'm1'))).toMatchObject({
      'm1 Apply': { 'f:data': { 'f:a': {}, 'f:b': {} } },
      'editor Update': { 'f:data': { 'f:a': {} } },
    });
  });

  it('ends where an update removes a field', async () => {
    await apply(c, configMap({ a: '1', b: '1' }), 'm1');
    const less = await merge(c, { data: { a: null } });
    expect(owners(less)).toEqual({ 'm1 Apply': { 'f:data': { 'f:b': {} } } });
  });

  it('of what was there before the first apply is kept in a name of its own', async () => {
    await server.stop();
    server = await testServer({ clock, resources: { managedFields: false } });
    await create(configMaps, configMap({ a: '1' }));
    expect((await get(c)).metadata.managedFields).toBeUndefined();
    expect(await apply(c, configMap({}), 'm1')).toMatchObject({ http: 415 });
    await server.stop();
    server = await testServer({ clock });
    await create(configMaps, configMap({ a: '1' }));
    await jsonPatch(c, [{ op: 'replace', path: '/metadata/managedFields', value: [{}] }]);
    expect(owners(await apply(c, configMap({ b: '1' }), 'm1'))).toEqual({
      'm1 Apply': { 'f:data': { 'f:b': {} } },
      'before-first-apply Update': { 'f:data': { '.': {}, 'f:a': {} } },
    });
  });
});

describe('lists and maps', () => {
  const ports = (...list: object[]) => deployment({ selector, template: template({ ports: list }) });
  const portsOf = (object: any) => object.spec.template.spec.containers[0].ports;

  it('are merged by several keys, with the defaults of keys that are not given', async () => {
    const made = await apply(d, ports({ containerPort: 80 }), 'm1');
    const owned = owners(made)['m1 Apply']['f:spec']['f:template']['f:spec']['f:containers']['k:{"name":"c1"}'];
    expect(owned['f:ports']).toEqual({
      'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} },
    });
    const more = await apply(
      d,
      deployment({
        template: {
          spec: { containers: [{ name: 'c1', ports: [{ containerPort: 80, protocol: 'UDP', name: 'u' }] }] },
        },
      }),
      'm2',
    );
    // Elements of one configuration come where it has them; the others keep their place.
    expect(portsOf(more)).toEqual([
      { containerPort: 80, protocol: 'TCP' },
      { containerPort: 80, protocol: 'UDP', name: 'u' },
    ]);
    expect(portsOf(await apply(d, ports({ containerPort: 80, name: 'n' }), 'm1'))).toEqual([
      { containerPort: 80, protocol: 'TCP', name: 'n' },
      { containerPort: 80, protocol: 'UDP', name: 'u' },
    ]);
    expect(portsOf(await apply(d, deployment({ selector, template: template({}) }), 'm1'))).toEqual([
      { containerPort: 80, protocol: 'UDP', name: 'u' },
    ]);
  });

  it('take the order of the configuration', async () => {
    const containers = (...names: string[]) =>
      deployment({
        selector,
        template: {
          metadata: { labels: { app: 'd' } },
          spec: { containers: names.map(name => ({ name, image: name })) },
        },
      });
    const namesOf = (object: any) => object.spec.template.spec.containers.map((each: any) => each.name);
    await apply(d, containers('a', 'b', 'c'), 'm1');
    expect(namesOf(await apply(d, containers('c', 'a', 'b'), 'm1'))).toEqual(['c', 'a', 'b']);
    const beside = deployment({ template: { spec: { containers: [{ name: 'x', image: 'x' }] } } });
    expect(namesOf(await apply(d, beside, 'm2'))).toEqual(['c', 'a', 'b', 'x']);
    expect(namesOf(await apply(d, containers('c', 'b'), 'm1'))).toEqual(['c', 'b', 'x']);
  });

  it('of values are sets', async () => {
    const finalizers = (...list: string[]) => configMap(undefined, { finalizers: list });
    await apply(c, finalizers('a.io/1', 'a.io/2'), 'm1');
    const both = await apply(c, finalizers('a.io/3', 'a.io/2'), 'm2');
    expect(both.metadata.finalizers).toEqual(['a.io/1', 'a.io/3', 'a.io/2']);
    expect(owners(both)['m2 Apply']).toEqual({
      'f:metadata': { 'f:finalizers': { 'v:"a.io/2"': {}, 'v:"a.io/3"': {} } },
    });
    const less = await apply(c, finalizers('a.io/1'), 'm1');
    expect(less.metadata.finalizers).toEqual(['a.io/1', 'a.io/3', 'a.io/2']);
    expect((await apply(c, finalizers('a.io/3'), 'm2')).metadata.finalizers).toEqual(['a.io/1', 'a.io/3']);
  });

  it('that are atomic belong to one manager as a whole', async () => {
    const tolerations = (...keys: string[]) =>
      deployment({ selector, template: template({}, { tolerations: keys.map(key => ({ key, operator: 'Exists' })) }) });
    const made = await apply(d, tolerations('a'), 'm1');
    const spec = owners(made)['m1 Apply']['f:spec'];
    expect(spec['f:template']['f:spec']['f:tolerations']).toEqual({});
    expect(spec['f:selector']).toEqual({});
    const other = deployment({ template: { spec: { tolerations: [{ key: 'b', operator: 'Exists' }] } } });
    expect((await apply(d, other, 'm2')).message).toBe(
      'Apply failed with 1 conflict: conflict with "m1": .spec.template.spec.tolerations',
    );
    const forced = await apply(d, other, 'm2', 'force=true');
    expect(forced.spec.template.spec.tolerations).toEqual([{ key: 'b', operator: 'Exists' }]);
  });
});

describe('subresources', () => {
  beforeEach(() => apply(d, deployment({ replicas: 2, selector, template: template({}) }), 'm1'));

  it('status has entries of its own, and owns status alone', async () => {
    const status = { ...deployment({ replicas: 9 }, { labels: { a: 'b' } }), status: { replicas: 1 } };
    const applied = await apply(`${d}/status`, status, 'm1');
    expect(applied).toMatchObject({ status: { replicas: 1 }, spec: { replicas: 2 } });
    expect(applied.metadata.labels).toBeUndefined();
    expect(owners(applied)['m1 Apply/status']).toEqual({ 'f:status': { 'f:replicas': {} } });
    expect((await apply(`${d}/status`, { ...status, status: { replicas: 3 } }, 'm2')).message).toBe(
      'Apply failed with 1 conflict: conflict with "m1" with subresource "status": .status.replicas',
    );
    const updated = await merge(`${d}/status`, { status: { replicas: 4 } }, 'kubelet');
    expect(owners(updated)['kubelet Update/status']).toEqual({ 'f:status': { 'f:replicas': {} } });
    expect(owners(updated)['m1 Apply/status']).toBeUndefined();
    expect(owners(updated)['m1 Apply']['f:spec']['f:replicas']).toEqual({});
  });

  it('status is not owned through the object itself', async () => {
    const body = { ...deployment({ replicas: 2, selector, template: template({}) }), status: { replicas: 7 } };
    const applied = await apply(d, body, 'm1');
    expect(owners(applied)['m1 Apply']).not.toHaveProperty('f:status');
    expect(applied.status).not.toHaveProperty('replicas');
  });

  it('scale owns the replicas', async () => {
    const scale = (replicas: number) => ({
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name: 'd', namespace: 'default' },
      spec: { replicas },
    });
    expect((await apply(`${d}/scale`, scale(5), 'hpa')).message).toBe(
      'Apply failed with 1 conflict: conflict with "m1": .spec.replicas',
    );
    expect(await apply(`${d}/scale`, scale(5), 'hpa', 'force=true')).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 5 },
    });
    let live = await get(d);
    expect(live.spec.replicas).toBe(5);
    expect(owners(live)['hpa Apply/scale']).toEqual({ 'f:spec': { 'f:replicas': {} } });
    expect(owners(live)['m1 Apply']['f:spec']).not.toHaveProperty('f:replicas');
    await update(`${d}/scale`, scale(6), 'kubectl');
    live = await get(d);
    expect(owners(live)['kubectl Update/scale']).toEqual({ 'f:spec': { 'f:replicas': {} } });
    expect(owners(live)['hpa Apply/scale']).toBeUndefined();
    expect(await apply(`${d}/scale`, { ...scale(1), kind: 'Deployment' }, 'hpa')).toMatchObject({ http: 400 });
    expect(await apply(`${d}/scale`, scale(-1), 'hpa', 'force=true')).toMatchObject({ http: 422 });
  });
});

describe('managedFields', () => {
  it('are made by creates: everything set or defaulted, not what the server owns', async () => {
    const made = await create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', labels: { app: 'x' } },
      spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }] },
    });
    expect(made.metadata.managedFields).toHaveLength(1);
    const owned = owners(made)['creator Update'];
    expect(Object.keys(owned)).toEqual(['f:metadata', 'f:spec']);
    expect(owned['f:metadata']).toEqual({ 'f:labels': { '.': {}, 'f:app': {} } });
    expect(owned['f:spec']['f:containers']['k:{"name":"c"}']).toMatchObject({
      '.': {},
      'f:image': {},
      'f:imagePullPolicy': {},
      'f:ports': {
        '.': {},
        'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} },
      },
    });
    expect(owned['f:spec']).toMatchObject({ 'f:dnsPolicy': {}, 'f:restartPolicy': {} });
    expect(Object.keys(owned['f:spec'])).not.toContain('.');
    expect(Object.keys(owned['f:spec']['f:containers'])).not.toContain('.');
  });

  it('name the writer by fieldManager, else by its User-Agent', async () => {
    const type = 'application/json';
    const made = await send('POST', configMaps, type, configMap({ a: '1' }), { userAgent: 'kubectl/v1.33.1 (linux)' });
    expect(made.metadata.managedFields[0].manager).toBe('kubectl');
  });

  it('stay as they are, time included, when an update changes nothing', async () => {
    const made = await create(configMaps, configMap({ a: '1' }));
    clock.advance(5_000);
    expect((await update(c, { ...made, http: undefined })).metadata).toEqual(made.metadata);
    expect((await merge(c, { data: { a: '1' } })).metadata).toEqual(made.metadata);
  });

  it('of an update stay by API version and manager, and gather what it changes', async () => {
    await create(configMaps, configMap({ a: '1' }));
    await merge(c, { data: { b: '1' } });
    const last = await merge(c, { data: { c: '1' } });
    expect(owners(last)['editor Update']).toEqual({ 'f:data': { 'f:b': {}, 'f:c': {} } });
  });

  it('are sorted: Apply first, then by time and name', async () => {
    await create(configMaps, configMap({ a: '1' }), 'z');
    clock.advance(1_000);
    await merge(c, { data: { b: '1' } }, 'y');
    await merge(c, { data: { c: '1' } }, 'x');
    clock.advance(1_000);
    const last = await apply(c, configMap({ d: '1' }), 'w');
    expect(Object.keys(owners(last))).toEqual(['w Apply', 'z Update', 'x Update', 'y Update']);
  });

  it('have at most ten entries of updates; the oldest become one', async () => {
    await create(configMaps, configMap({ k0: '1' }), 'm0');
    let last: any;
    for (let i = 1; i <= 11; i++) {
      clock.advance(1_000);
      last = await merge(c, { data: { [`k${i}`]: '1' } }, `m${i}`);
    }
    const updates = last.metadata.managedFields.filter((each: any) => each.operation === 'Update');
    expect(updates).toHaveLength(10);
    expect(updates[0]).toMatchObject({ manager: 'ancient-changes', time: '2026-01-01T00:00:02Z' });
    expect(updates[0].fieldsV1).toEqual({ 'f:data': { '.': {}, 'f:k0': {}, 'f:k1': {}, 'f:k2': {} } });
  });

  it('may be written by a client: kubectl turns a client-side manager into an applying one that way', async () => {
    const made = await create(configMaps, configMap({ a: '1' }), 'kubectl-client-side-apply');
    const entries = made.metadata.managedFields.map((each: any) => ({
      ...each,
      manager: 'kubectl',
      operation: 'Apply',
    }));
    const patch = (version: string) => [
      { op: 'replace', path: '/metadata/managedFields', value: entries },
      { op: 'replace', path: '/metadata/resourceVersion', value: version },
    ];
    expect(await jsonPatch(c, patch('1'))).toMatchObject({ http: 409 });
    const moved = await jsonPatch(c, patch(made.metadata.resourceVersion));
    expect(Object.keys(owners(moved))).toEqual(['kubectl Apply']);
    expect((await apply(c, configMap({ b: '1' }), 'kubectl')).data).toEqual({ b: '1' });
  });

  it('are cleared by one empty entry, and not by none', async () => {
    await create(configMaps, configMap({ a: '1' }));
    const kept = await jsonPatch(c, [{ op: 'replace', path: '/metadata/managedFields', value: [] }]);
    expect(kept.metadata.managedFields).toHaveLength(1);
    expect((await merge(c, { metadata: { managedFields: null } })).metadata.managedFields).toHaveLength(1);
    const cleared = await jsonPatch(c, [{ op: 'replace', path: '/metadata/managedFields', value: [{}] }]);
    expect(cleared.metadata.managedFields).toBeUndefined();
    const after = await merge(c, { data: { b: '1' } });
    expect(owners(after)).toEqual({ 'editor Update': { 'f:data': { 'f:b': {} } } });
  });

  it('that make no sense are taken as not sent, and steps are brought into their canonical form', async () => {
    const made = await create(configMaps, configMap({ a: '1' }));
    const [entry] = made.metadata.managedFields;
    const wrong = [
      { ...entry, operation: 'Guess' },
      { ...entry, fieldsType: 'FieldsV2' },
      { ...entry, apiVersion: undefined },
      { ...entry, fieldsV1: { 'f:a': 1 } },
      { ...entry, fieldsV1: { nonsense: {} } },
    ];
    for (const each of wrong) {
      const answer = await update(c, { ...made, metadata: { ...made.metadata, managedFields: [each] } });
      expect(answer.metadata.managedFields).toEqual([entry]);
    }
    const odd = { 'f:metadata': { 'f:ownerReferences': { 'k:{ "uid": "u" }': { '.': {} } } }, 'x:later': {} };
    const given = { ...entry, manager: 'other', fieldsV1: odd };
    const answer = await update(c, { ...made, metadata: { ...made.metadata, managedFields: [given] } });
    expect(owners(answer)).toEqual({
      'other Update': { 'f:metadata': { 'f:ownerReferences': { 'k:{"uid":"u"}': {} } } },
    });
  });

  it('that a create or a subresource brings are not taken', async () => {
    const foreign = [
      { manager: 'x', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1: { 'f:data': {} } },
    ];
    const made = await create(configMaps, configMap({ a: '1' }, { managedFields: foreign }));
    expect(Object.keys(owners(made))).toEqual(['creator Update']);
    await apply(d, deployment({ selector, template: template({}) }), 'm1');
    const answer = await merge(`${d}/status`, { metadata: { managedFields: [{}] }, status: { replicas: 1 } });
    expect(Object.keys(owners(answer))).toEqual(['m1 Apply', 'editor Update/status']);
  });

  it('give way when the object would be too large with them', async () => {
    const data = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`key-${i}`.padEnd(80, 'x'), '1']));
    const made = await create(configMaps, configMap(data));
    expect(made.http).toBe(201);
    expect(made.metadata.managedFields).toBeUndefined();
  });
});

describe('the way from kubectl apply to kubectl apply --server-side', () => {
  const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
  const applied = (data: Record<string, string>) => ({
    [annotation]: JSON.stringify({
      ...configMap(data),
      metadata: { name: 'c', namespace: 'default', annotations: {} },
    }),
  });

  it('takes over without conflict what was applied last and is still so', async () => {
    await create(
      configMaps,
      configMap({ a: '1', b: '1' }, { annotations: applied({ a: '1', b: '1' }) }),
      'kubectl-client-side-apply',
    );
    await merge(c, { data: { b: '9' } });
    expect((await apply(c, configMap({ a: '2', b: '2' }), 'somebody')).message).toContain('2 conflicts');
    expect((await apply(c, configMap({ a: '2', b: '2' }), 'kubectl')).message).toBe(
      'Apply failed with 1 conflict: conflict with "editor" using v1: .data.b',
    );
    const taken = await apply(c, configMap({ a: '2' }), 'kubectl');
    expect(taken).toMatchObject({ http: 200, data: { a: '2', b: '9' } });
    expect(JSON.parse(taken.metadata.annotations[annotation]).data).toEqual({ a: '2' });
  });
});
