import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdmissionServer, admissionServer, inDefault } from '../admission/admission-fixture.js';
import { mutatingWebhooks, validatingWebhooks } from './admission-webhooks.js';
import { patchOf, removeAuthority, review, type WebhookServer, webhookServer } from './webhook-fixture.js';

let server: AdmissionServer;
let hooks: WebhookServer;
beforeEach(async () => {
  hooks = await webhookServer('hook.default.svc');
  server = await admissionServer(mutatingWebhooks(), validatingWebhooks());
});
afterEach(async () => {
  await server.stop();
  await hooks.stop();
});
afterAll(removeAuthority);

const configMaps = inDefault('configmaps');
const api = '/apis/admissionregistration.k8s.io/v1';

function webhook(path: string, rest: object = {}): object {
  return {
    name: `${path.slice(1)}.example.com`,
    clientConfig: { url: `${hooks.url}${path}`, caBundle: hooks.caBundle },
    rules: [{ operations: ['CREATE', 'UPDATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    timeoutSeconds: 5,
    ...rest,
  };
}

async function configure(type: 'mutating' | 'validating', name: string, ...webhooks: object[]): Promise<void> {
  const { status, body } = await server.post(`${api}/${type}webhookconfigurations`, { metadata: { name }, webhooks });
  if (status !== 201) throw new Error(JSON.stringify(body));
}
const make = (name: string, rest: object = {}) =>
  server.post(configMaps, { metadata: { name }, data: { a: 'b' }, ...rest });

describe('validating webhooks', () => {
  it('are asked with the whole request, and let it pass', async () => {
    hooks.on('/v', body => review(body, { allowed: true, warnings: ['mind the gap'] }));
    await configure('validating', 'v', webhook('/v'));
    const answer = await make('one');
    expect(answer.status).toBe(201);
    expect(answer.headers['warning']).toContain('mind the gap');
    expect(hooks.asked[0]).toMatchObject({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        kind: { group: '', version: 'v1', kind: 'ConfigMap' },
        resource: { group: '', version: 'v1', resource: 'configmaps' },
        name: 'one',
        namespace: 'default',
        operation: 'CREATE',
        userInfo: { username: 'admin' },
        object: { kind: 'ConfigMap', metadata: { name: 'one' }, data: { a: 'b' } },
        oldObject: null,
        dryRun: false,
      },
    });
  });

  it.each([
    [
      { allowed: false, status: { message: 'not you', code: 422, reason: 'Invalid' } },
      422,
      'denied the request: not you',
    ],
    [{ allowed: false }, 400, 'denied the request without explanation'],
    [{ allowed: false, status: { code: 200 } }, 400, 'denied the request without explanation'],
  ])('refuse with %j', async (response, code, message) => {
    hooks.on('/v', body => review(body, response));
    await configure('validating', 'v', webhook('/v'));
    expect(await make('one')).toMatchObject({
      status: code,
      body: { message: `admission webhook "v.example.com" ${message}` },
    });
    expect((await server.get(`${configMaps}/one`)).code).toBe(404);
  });

  it.each<[string, (body: any) => unknown]>([
    ['another review', body => review({ request: { uid: `${body.request.uid}x` } }, { allowed: true })],
    ['no review', () => ({ hello: 1 })],
    ['no JSON', () => 'plain'],
    ['an error', () => 503],
  ])('that answer %s refuse or are passed over, as they are told to', async (_name, answer) => {
    hooks.on('/v', answer);
    await configure('validating', 'v', webhook('/v'));
    const refused = await make('one');
    expect(refused).toMatchObject({ status: 500 });
    expect(refused.body.message).toContain('Internal error occurred: failed calling webhook "v.example.com": ');
    await server.send('PATCH', `${api}/validatingwebhookconfigurations/v`, {
      webhooks: [webhook('/v', { failurePolicy: 'Ignore' })],
    });
    expect((await make('one')).status).toBe(201);
  });

  it('are not waited for longer than they say', async () => {
    hooks.on('/v', () => undefined);
    await configure('validating', 'v', webhook('/v', { timeoutSeconds: 1 }));
    const started = performance.now();
    const answer = await make('one');
    expect(answer.body.message).toContain('context deadline exceeded');
    expect(performance.now() - started).toBeLessThan(4_000);
  });

  it('are not trusted under another authority', async () => {
    hooks.on('/v', body => review(body, { allowed: true }));
    await configure('validating', 'v', webhook('/v', { clientConfig: { url: `${hooks.url}/v` } }));
    const answer = await make('one');
    expect(answer.status).toBe(500);
    expect(answer.body.message).toContain('certificate');
    expect(hooks.asked).toEqual([]);
  });

  it('are asked only where rules, selectors and conditions lead', async () => {
    hooks.on('/v', body => review(body, { allowed: false }));
    await configure(
      'validating',
      'v',
      webhook('/v', {
        objectSelector: { matchLabels: { guarded: 'yes' } },
        namespaceSelector: {
          matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['default'] }],
        },
        matchConditions: [
          { name: 'not-system', expression: "!request.userInfo.username.startsWith('system:')" },
          { name: 'big', expression: "has(object.data.big) && object.data.big == 'yes'" },
        ],
      }),
    );
    const guarded = { metadata: { name: 'g', labels: { guarded: 'yes' } }, data: { big: 'yes' } };
    expect((await make('plain')).status).toBe(201);
    expect((await server.post(configMaps, { ...guarded, data: { small: 'yes' } })).status).toBe(201);
    expect((await server.post('/api/v1/namespaces/kube-system/configmaps', guarded)).status).toBe(201);
    expect(hooks.asked).toEqual([]);
    expect((await server.send('PUT', `${configMaps}/g`, guarded)).status).toBe(400);
    expect(hooks.asked).toHaveLength(1);
    expect((await server.send('DELETE', `${configMaps}/g`)).status).toBe(200);
  });

  it('see deletions where they ask for them', async () => {
    hooks.on('/v', body => review(body, { allowed: false, status: { message: 'stay' } }));
    await make('kept');
    await configure(
      'validating',
      'v',
      webhook('/v', {
        rules: [{ operations: ['DELETE'], apiGroups: ['*'], apiVersions: ['*'], resources: ['configmaps'] }],
      }),
    );
    expect((await server.send('DELETE', `${configMaps}/kept`)).body.message).toContain('stay');
    expect(hooks.asked[0].request).toMatchObject({
      operation: 'DELETE',
      object: null,
      oldObject: { metadata: { name: 'kept' } },
    });
  });

  it('with side effects refuse dry runs', async () => {
    hooks.on('/v', body => review(body, { allowed: true }));
    await configure('validating', 'v', webhook('/v', { sideEffects: 'NoneOnDryRun' }));
    expect((await server.post(`${configMaps}?dryRun=All`, { metadata: { name: 'd' } })).status).toBe(201);
    expect(hooks.asked[0].request.dryRun).toBe(true);
  });

  it('are found through a service', async () => {
    hooks.on('/v', body => review(body, { allowed: false, status: { message: 'by service' } }));
    await server.post(inDefault('services'), {
      metadata: { name: 'hook' },
      spec: { ports: [{ port: 443, name: 'https' }] },
    });
    await server.post(inDefault('endpointslices', '/apis/discovery.k8s.io/v1'), {
      metadata: { name: 'hook-1', labels: { 'kubernetes.io/service-name': 'hook' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
      ports: [{ name: 'https', port: hooks.port, protocol: 'TCP' }],
    });
    const clientConfig = { service: { namespace: 'default', name: 'hook', path: '/v' }, caBundle: hooks.caBundle };
    await configure('validating', 'v', webhook('/v', { clientConfig }));
    expect((await make('one')).body.message).toContain('by service');
    await configure(
      'validating',
      'w',
      webhook('/w', { clientConfig: { ...clientConfig, service: { namespace: 'default', name: 'gone' } } }),
    );
    await server.send('DELETE', `${api}/validatingwebhookconfigurations/v`);
    expect((await make('one')).body.message).toContain('service "gone" not found in namespace "default"');
  });
});

describe('mutating webhooks', () => {
  const label = (key: string) => patchOf({ op: 'add', path: '/metadata/labels', value: { [key]: 'x' } });

  it('change the object one after the other, and what they make is judged', async () => {
    hooks.on('/a', body => review(body, label('a')));
    hooks.on('/b', body =>
      review(
        body,
        body.request.object.metadata.labels?.a
          ? patchOf({ op: 'add', path: '/data/seen', value: 'a' })
          : { allowed: true },
      ),
    );
    await configure('mutating', 'm2', webhook('/b'));
    await configure('mutating', 'm1', webhook('/a'));
    const { body } = await make('one');
    expect(body).toMatchObject({ metadata: { labels: { a: 'x' } }, data: { a: 'b', seen: 'a' } });
    hooks.on('/b', asked =>
      review(asked, patchOf({ op: 'add', path: '/metadata/labels', value: { 'not a label': '' } })),
    );
    expect((await make('two')).status).toBe(422);
  });

  it('are asked again when a later one changed what they saw', async () => {
    hooks.on('/a', body => review(body, { allowed: true }));
    hooks.on('/b', body => review(body, label('b')));
    await configure('mutating', 'm', webhook('/a', { reinvocationPolicy: 'IfNeeded' }), webhook('/b'));
    await make('one');
    expect(hooks.asked.map(each => each.request.object.metadata.labels)).toEqual([undefined, undefined, { b: 'x' }]);
  });

  it.each([
    ['a patch that does not fit', patchOf({ op: 'remove', path: '/nope' })],
    ['a patch that is none', { allowed: true, patchType: 'JSONPatch', patch: 'bm8=' }],
    ['an object of another kind', patchOf({ op: 'replace', path: '/kind', value: 'Pod' })],
    ['a patch of another type', { allowed: true, patchType: 'MergePatch', patch: 'e30=' }],
  ])('that answer with %s are refused', async (_name, response) => {
    hooks.on('/a', body => review(body, response));
    await configure('mutating', 'm', webhook('/a'));
    const answer = await make('one');
    expect(answer.status).toBe(500);
    expect(answer.body.message).toContain('a.example.com');
  });

  it('are never asked about webhooks', async () => {
    hooks.on('/a', body => review(body, { allowed: false }));
    const all = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }];
    await configure('mutating', 'm', webhook('/a', { rules: all }));
    expect((await make('one')).status).toBe(400);
    expect((await server.send('DELETE', `${api}/mutatingwebhookconfigurations/m`)).status).toBe(200);
    expect((await make('one')).status).toBe(201);
  });
});
