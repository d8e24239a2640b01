/**
 * The wire protocol row by row, as clients know it from Kubernetes: what each query and body is answered with. 500 stands only where
 * Kubernetes answers it too; a strategic merge patch that cannot be applied is a 400 here, since it is the client who must change it.
 * Source: answers of kube-apiserver 1.27 recorded on the wire, and of 1.33 as its code has them.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestServer, testServer } from './test-server.js';
import { expectRefusal, map, maps, type Refusal, requests } from './wire-fixture.js';

let server: TestServer;
const { post, put, patch, remove } = requests(() => server);
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

describe('CREATE', () => {
  it('answers 201 with what the server owns', async () => {
    const { status, body } = await post(maps, {
      metadata: {
        name: 'owned',
        uid: 'mine',
        creationTimestamp: '2001-01-01T00:00:00Z',
        deletionTimestamp: '2001-01-01T00:00:00Z',
      },
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1' });
    expect(body.metadata).toMatchObject({
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      resourceVersion: expect.stringMatching(/^\d+$/),
      creationTimestamp: expect.stringMatching(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
    expect(body.metadata.creationTimestamp).not.toMatch(/^2001/);
    expect(body.metadata).not.toHaveProperty('deletionTimestamp');
  });

  it('takes what kubectl and client libraries send beside the object', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'typed', creationTimestamp: null },
      spec: { containers: [{ name: 'c', image: 'i', resources: {} }] },
      status: {},
    };
    expect(await post('/api/v1/namespaces/default/pods?fieldValidation=Strict', pod)).toMatchObject({ status: 201 });
    const lease = { metadata: { name: 'dated' }, spec: { renewTime: '2026-11-21T02:48:12.000Z' } };
    expect((await post('/apis/coordination.k8s.io/v1/namespaces/default/leases', lease)).body.spec.renewTime).toBe(
      '2026-11-21T02:48:12.000000Z',
    );
  });

  it('generates a name', async () => {
    const { body } = await post(maps, { metadata: { generateName: 'gen-' } });
    expect(body.metadata.name).toMatch(/^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  const rejects = (
    path: string,
    body: object | string,
    refusal: Refusal,
    headers?: Record<string, string>,
  ): [string, () => Promise<void>] => [
    `${path.replace(maps, '…/configmaps')} ${typeof body === 'string' ? body : JSON.stringify(body)}`.slice(0, 120),
    async () => expectRefusal(await post(path, body, headers), refusal),
  ];
  it.each([
    rejects(maps, map('c1', { metadata: { name: 'c1', resourceVersion: '5' } }), {
      code: 500,
      message: /resourceVersion should not be set on objects to be created/,
    }),
    rejects(
      maps,
      { metadata: {} },
      {
        code: 422,
        reason: 'Invalid',
        message: 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
        details: { kind: 'ConfigMap' },
      },
    ),
    rejects(maps, map('Bad_Name'), {
      code: 422,
      reason: 'Invalid',
      message:
        /^ConfigMap "Bad_Name" is invalid: metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain/,
      details: { causes: [expect.objectContaining({ reason: 'FieldValueInvalid', field: 'metadata.name' })] },
    }),
    rejects(maps, map('owned'), {
      code: 409,
      reason: 'AlreadyExists',
      message: 'configmaps "owned" already exists',
      details: { name: 'owned', kind: 'configmaps' },
    }),
    rejects(
      maps,
      { metadata: { name: 'x', namespace: 'other' } },
      {
        code: 400,
        reason: 'BadRequest',
        message: 'the namespace of the provided object does not match the namespace sent on the request',
      },
    ),
    rejects('/api/v1/namespaces/nonexist/configmaps', map('x'), {
      code: 404,
      reason: 'NotFound',
      message: 'namespaces "nonexist" not found',
      details: { name: 'nonexist', kind: 'namespaces' },
    }),
    rejects(
      maps,
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } },
      {
        code: 400,
        reason: 'BadRequest',
        message: /cannot be handled as a ConfigMap/,
      },
    ),
    rejects(maps, map('x', { data: 5 }), {
      code: 400,
      reason: 'BadRequest',
      message:
        /^ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap\.data of type/,
    }),
    rejects(maps, '{"metadata":', { code: 400, reason: 'BadRequest', message: /json parse error/ }),
    rejects(`${maps}/x`, map('x'), { code: 405, reason: 'MethodNotAllowed', message: /does not allow this method/ }),
    rejects(
      maps,
      '<a/>',
      {
        code: 415,
        reason: 'UnsupportedMediaType',
        message: /application\/json, application\/yaml, application\/vnd\.kubernetes\.protobuf/,
      },
      { 'content-type': 'text/xml' },
    ),
    rejects(
      maps,
      map('x'),
      { code: 406, reason: 'NotAcceptable', message: /application\/json/ },
      { accept: 'application/xml' },
    ),
    rejects('/api/v1/namespaces/default/nothings', map('x'), {
      code: 404,
      reason: 'NotFound',
      message: 'the server could not find the requested resource',
    }),
    rejects(`${maps}?fieldValidation=Strict`, '{"metadata":{"name":"x","foo":1},"bar":1,"data":{"a":"1","a":"2"}}', {
      code: 400,
      reason: 'BadRequest',
      message:
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "metadata.foo", unknown field "bar", duplicate field "data.a"',
    }),
    rejects(`${maps}?fieldValidation=Maybe`, map('x'), {
      code: 422,
      reason: 'Invalid',
      message: /^CreateOptions\.meta\.k8s\.io "" is invalid: fieldValidation: Unsupported value: "Maybe"/,
      details: { group: 'meta.k8s.io', kind: 'CreateOptions' },
    }),
    rejects(`${maps}?dryRun=Some`, map('x'), {
      code: 422,
      reason: 'Invalid',
      message: /^CreateOptions\.meta\.k8s\.io "" is invalid: dryRun: Unsupported value: "?\[?"?Some/,
    }),
  ])('refuses %s', async (_, check) => check());

  it('warns of what is not known, if nothing else is asked for', async () => {
    const answer = await server.transport.request({
      method: 'POST',
      path: maps,
      body: '{"metadata":{"name":"warned","foo":1}}',
    });
    expect([answer.status, answer.warnings]).toEqual([201, ['299 - "unknown field \\"metadata.foo\\""']]);
    await answer.bytes();
    const silent = await server.transport.request({
      method: 'POST',
      path: `${maps}?fieldValidation=Ignore`,
      body: '{"metadata":{"name":"silent","foo":1}}',
    });
    expect([silent.status, silent.warnings]).toEqual([201, []]);
    await silent.bytes();
  });

  it('dry: everything but the object and its version', async () => {
    const { status, body } = await post(`${maps}?dryRun=All`, map('dry'));
    expect(status).toBe(201);
    expect(body.metadata.uid).toBeTypeOf('string');
    expect(body.metadata).not.toHaveProperty('resourceVersion');
    expect(await server.json(`${maps}/dry`)).toMatchObject({ status: 404 });
  });
});

describe('UPDATE and PATCH', () => {
  const path = `${maps}/subject`;
  let current: any;
  beforeAll(async () => {
    await post(maps, map('subject', { data: { a: '1' } }));
  });
  const read = async () => {
    current = (await server.json(path)).body;
    return current;
  };

  it('without a version is unconditional, and without a change is none', async () => {
    await read();
    const changed = await put(path, map('subject', { data: { a: '2' } }));
    expect(changed).toMatchObject({ status: 200, body: { data: { a: '2' } } });
    const same = await put(path, map('subject', { data: { a: '2' } }));
    expect(same.body.metadata.resourceVersion).toBe(changed.body.metadata.resourceVersion);
    const patched = await patch(path, 'merge-patch+json', { data: { a: '2' } });
    expect([patched.status, patched.body.metadata.resourceVersion]).toEqual([
      200,
      changed.body.metadata.resourceVersion,
    ]);
  });

  it('PUT creates a Lease, nothing else', async () => {
    const lease = '/apis/coordination.k8s.io/v1/namespaces/default/leases/put';
    expect(await put(lease, map('put'))).toMatchObject({ status: 201 });
    expectRefusal(await put(`${maps}/absent`, map('absent')), {
      code: 404,
      reason: 'NotFound',
      message: 'configmaps "absent" not found',
    });
  });

  it.each<[string, () => Promise<{ status: number; body: any }>, Refusal]>([
    [
      'a stale version',
      () => put(path, { metadata: { name: 'subject', resourceVersion: '1' } }),
      {
        code: 409,
        reason: 'Conflict',
        message:
          'Operation cannot be fulfilled on configmaps "subject": the object has been modified; please apply your changes to the latest version and try again',
        details: { name: 'subject', kind: 'configmaps' },
      },
    ],
    [
      'another uid',
      () => put(path, { metadata: { name: 'subject', uid: '00000000-0000-0000-0000-000000000000' } }),
      { code: 409, reason: 'Conflict', message: /Precondition failed: UID in precondition/ },
    ],
    [
      'another name',
      () => put(path, map('other')),
      {
        code: 400,
        reason: 'BadRequest',
        message: 'the name of the object (other) does not match the name on the URL (subject)',
      },
    ],
    [
      'a patch of an unknown type',
      () => patch(path, 'json', {}),
      {
        code: 415,
        reason: 'UnsupportedMediaType',
        message: /application\/json-patch\+json, application\/merge-patch\+json/,
      },
    ],
    [
      'a test that fails',
      () => patch(path, 'json-patch+json', [{ op: 'test', path: '/data/a', value: 'no' }]),
      { code: 422, reason: 'Invalid', message: /the server rejected our request due to an error in our request/ },
    ],
    [
      'a path that is not there',
      () => patch(path, 'json-patch+json', [{ op: 'remove', path: '/data/none' }]),
      { code: 422, reason: 'Invalid', message: /the server rejected our request due to an error in our request/ },
    ],
    [
      'a JSON patch that is no list',
      () => patch(path, 'json-patch+json', {}),
      { code: 400, reason: 'BadRequest', message: /error decoding patch/ },
    ],
    [
      'a patch with a stale version',
      () => patch(path, 'merge-patch+json', { metadata: { resourceVersion: '1' }, data: { a: 'z' } }),
      { code: 409, reason: 'Conflict', message: /the object has been modified/ },
    ],
    [
      'a patch of the uid',
      () => patch(path, 'merge-patch+json', { metadata: { uid: 'x' } }),
      { code: 422, reason: 'Invalid', message: /metadata\.uid: Invalid value: "x": field is immutable$/ },
    ],
    [
      'a patch of the name',
      () => patch(path, 'merge-patch+json', { metadata: { name: 'other' } }),
      {
        code: 400,
        reason: 'BadRequest',
        message: /the name of the object \(other\) does not match the name on the URL/,
      },
    ],
    [
      'a list element without its merge key',
      () =>
        patch('/api/v1/namespaces/default/pods/typed', 'strategic-merge-patch+json', {
          spec: { containers: [{ image: 'x' }] },
        }),
      { code: 400, reason: 'BadRequest', message: /does not contain declared merge key: name/ },
    ],
    [
      'an unknown directive',
      () => patch(path, 'strategic-merge-patch+json', { data: { $patch: 'foo' } }),
      { code: 400, reason: 'BadRequest', message: /unknown patch type: foo in map: map\[/ },
    ],
    [
      'force beside anything but an apply',
      () => patch(`${path}?force=true`, 'merge-patch+json', {}),
      {
        code: 422,
        reason: 'Invalid',
        message: 'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
      },
    ],
    [
      'an apply without a manager',
      () => patch(path, 'apply-patch+yaml', { apiVersion: 'v1', kind: 'ConfigMap' }),
      {
        code: 422,
        reason: 'Invalid',
        message: 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      },
    ],
  ])('refuse %s', async (_, ask, refusal) => {
    expectRefusal(await ask(), refusal);
  });

  it('a spec that changes is a new generation, a status is none and changes nothing else', async () => {
    const deployments = '/apis/apps/v1/namespaces/default/deployments';
    const deployment = {
      metadata: { name: 'd' },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    };
    expect((await post(deployments, deployment)).body.metadata.generation).toBe(1);
    const own = `${deployments}/d`;
    const scaled = await patch(own, 'merge-patch+json', { spec: { replicas: 4 }, status: { replicas: 9 } });
    expect([scaled.body.metadata.generation, scaled.body.status]).toEqual([2, {}]);
    const labelled = await patch(own, 'merge-patch+json', { metadata: { labels: { l: 'm' } } });
    expect(labelled.body.metadata.generation).toBe(2);
    const reported = await patch(`${own}/status`, 'merge-patch+json', {
      spec: { replicas: 7 },
      metadata: { labels: { l: 'other' } },
      status: { replicas: 4 },
    });
    expect(reported.body).toMatchObject({
      spec: { replicas: 4 },
      status: { replicas: 4 },
      metadata: { generation: 2 },
    });
    expect(reported.body.metadata.labels).toEqual({ l: 'm' });
    expectRefusal(await post(deployments, deployment), {
      code: 409,
      reason: 'AlreadyExists',
      message: 'deployments.apps "d" already exists',
      details: { name: 'd', group: 'apps', kind: 'deployments' },
    });
    expectRefusal(await patch(own, 'merge-patch+json', { spec: { replicas: -1, minReadySeconds: -1 } }), {
      code: 422,
      reason: 'Invalid',
      message: /^Deployment\.apps "d" is invalid: \[spec\..+, spec\..+\]$/,
      details: { name: 'd', group: 'apps', kind: 'Deployment', causes: [expect.anything(), expect.anything()] },
    });
  });
});

describe('DELETE', () => {
  it('answers a Status with what is gone, or the object on its way', async () => {
    const { body: made } = await post(maps, map('gone'));
    expect(await remove(`${maps}/gone`, { propagationPolicy: 'Background' })).toMatchObject({
      status: 200,
      body: {
        kind: 'Status',
        status: 'Success',
        details: { name: 'gone', kind: 'configmaps', uid: made.metadata.uid },
      },
    });
    await post(maps, { metadata: { name: 'held', finalizers: ['example.com/hold'] } });
    const held = await remove(`${maps}/held`);
    expect(held).toMatchObject({
      status: 200,
      body: { kind: 'ConfigMap', metadata: { deletionTimestamp: expect.any(String) } },
    });
    const again = await remove(`${maps}/held`);
    expect(again.body.metadata.deletionTimestamp).toBe(held.body.metadata.deletionTimestamp);
    expectRefusal(
      await patch(`${maps}/held`, 'merge-patch+json', { metadata: { finalizers: ['example.com/hold', 'a.io/b'] } }),
      {
        code: 422,
        reason: 'Invalid',
        message: /no new finalizers can be added if the object is being deleted/,
      },
    );
    const freed = await patch(`${maps}/held`, 'merge-patch+json', { metadata: { finalizers: null } });
    expect([freed.status, freed.body.kind]).toEqual([200, 'ConfigMap']);
    expect(await server.json(`${maps}/held`)).toMatchObject({ status: 404 });
  });

  it.each<[string, object | undefined, string, Refusal]>([
    [
      'an unknown policy',
      { propagationPolicy: 'Sideways' },
      '',
      {
        code: 422,
        reason: 'Invalid',
        message: /^DeleteOptions\.meta\.k8s\.io "" is invalid: propagationPolicy: Unsupported value/,
      },
    ],
    [
      'two policies',
      { propagationPolicy: 'Orphan', orphanDependents: true },
      '',
      { code: 422, reason: 'Invalid', message: /orphanDependents and deletionPropagation cannot be both set/ },
    ],
    [
      'another uid',
      { preconditions: { uid: 'bad' } },
      '',
      {
        code: 409,
        reason: 'Conflict',
        message: /the UID in the precondition \(bad\) does not match the UID in record/,
      },
    ],
    [
      'another version',
      { preconditions: { resourceVersion: '1' } },
      '',
      {
        code: 409,
        reason: 'Conflict',
        message: /the ResourceVersion in the precondition \(1\) does not match the ResourceVersion in record/,
      },
    ],
    [
      'a dry run of something else',
      undefined,
      '?dryRun=Some',
      { code: 422, reason: 'Invalid', message: /dryRun: Unsupported value/ },
    ],
    ['another kind of body', { kind: 'ConfigMap' }, '', { code: 400, reason: 'BadRequest', message: /DeleteOptions/ }],
  ])('refuses %s', async (_, body, query, refusal) => {
    expectRefusal(await remove(`${maps}/owned${query}`, body), refusal);
    expect(await server.json(`${maps}/owned`)).toMatchObject({ status: 200 });
  });

  it('the default namespace stays', async () => {
    expectRefusal(await remove('/api/v1/namespaces/default'), {
      code: 403,
      reason: 'Forbidden',
      message: /this namespace may not be deleted/,
    });
  });

  it('into a namespace on its way out nothing is created', async () => {
    await post('/api/v1/namespaces', map('leaving'));
    await remove('/api/v1/namespaces/leaving');
    expectRefusal(await post('/api/v1/namespaces/leaving/configmaps', map('x')), {
      code: 403,
      reason: 'Forbidden',
      message: /unable to create new content in namespace leaving because it is being terminated/,
      details: { causes: [expect.objectContaining({ reason: 'NamespaceTerminating' })] },
    });
  });
});
