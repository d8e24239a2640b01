/**
 * The wire protocol row by row, as clients know it from Kubernetes: what each query and body is answered with. 500 stands only where
 * Kubernetes answers it too; a strategic merge patch that cannot be applied is a 400 here, since it is the client who must change it.
 * Source: answers of kube-apiserver 1.27 recorded on the wire, and of 1.33 as its code has them.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestServer, testServer } from './test-server.js';
import { expectRefusal, map, type Refusal, requests } from './wire-fixture.js';

let server: TestServer;
const { post } = requests(() => server);
const spread = '/api/v1/namespaces/spread/configmaps';
let middle: string;
let newest: string;

beforeAll(async () => {
  server = await testServer();
  await post('/api/v1/namespaces', map('spread'));
  for (let i = 0; i < 7; i++) {
    const { body } = await post(spread, { metadata: { name: `c${i}`, labels: { half: i < 4 ? 'a' : 'b' } } });
    if (i === 3) middle = body.metadata.resourceVersion;
    newest = body.metadata.resourceVersion;
  }
});
afterAll(() => server.stop());

describe('LIST', () => {
  it.each<[query: string, names: number | string[]]>([
    ['', 7],
    ['resourceVersion=0', 7],
    ['resourceVersion=0&limit=2', 7],
    ['limit=3', 3],
    ['limit=-1', 7],
    ['limit=0', 7],
    ['resourceVersion=0&resourceVersionMatch=NotOlderThan', 7],
    ['resourceVersion=1&resourceVersionMatch=NotOlderThan', 7],
    ['labelSelector=half%3Da', 4],
    ['labelSelector=half%20in%20(a%2Cb)%2C!other', 7],
    ['labelSelector=half!%3Da', 3],
    ['labelSelector=half%20notin%20(a)', 3],
    ['fieldSelector=metadata.name%3Dc2', ['c2']],
    ['fieldSelector=metadata.name!%3Dc2%2Cmetadata.namespace%3D%3Dspread', 6],
    ['fieldSelector=metadata.namespace%3Dother', 0],
    ['watch=false', 7],
    ['limit=', 7],
  ])('?%s', async (query, names) => {
    const { status, body } = await server.json(`${spread}?${query}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ kind: 'ConfigMapList', apiVersion: 'v1' });
    expect(body.metadata.resourceVersion).toMatch(/^\d+$/);
    const found = body.items.map((item: any) => item.metadata.name);
    if (typeof names === 'number') expect(found).toHaveLength(names);
    else expect(found).toEqual(names);
  });

  it('at an earlier version, exactly or with a limit', async () => {
    for (const query of [`resourceVersion=${middle}&resourceVersionMatch=Exact`, `resourceVersion=${middle}&limit=9`]) {
      const { body } = await server.json(`${spread}?${query}`);
      expect(body.items).toHaveLength(4);
      expect(body.metadata.resourceVersion).toBe(middle);
    }
    expect((await server.json(`${spread}?resourceVersion=${middle}`)).body.items).toHaveLength(7);
  });

  it('in chunks: every one at the first version, the rest counted unless something selects', async () => {
    const first = (await server.json(`${spread}?limit=3`)).body;
    expect(first.metadata.remainingItemCount).toBe(4);
    await post(spread, map('c9'));
    const second = (await server.json(`${spread}?limit=3&continue=${first.metadata.continue}`)).body;
    const third = (await server.json(`${spread}?limit=3&continue=${second.metadata.continue}`)).body;
    expect([first, second, third].flatMap(({ items }) => items.map((item: any) => item.metadata.name))).toEqual([
      'c0',
      'c1',
      'c2',
      'c3',
      'c4',
      'c5',
      'c6',
    ]);
    expect([second, third].map(({ metadata }) => metadata.resourceVersion)).toEqual(
      Array(2).fill(first.metadata.resourceVersion),
    );
    expect(third.metadata).not.toHaveProperty('continue');
    const selected = (await server.json(`${spread}?limit=1&labelSelector=half`)).body;
    expect(selected.metadata.continue).toBeTypeOf('string');
    expect(selected.metadata).not.toHaveProperty('remainingItemCount');
    await server.json(`${spread}/c9`, { method: 'DELETE' });
  });

  it('of nothing is an empty list and an empty table', async () => {
    expect((await server.json('/api/v1/namespaces/nowhere/configmaps')).body.items).toEqual([]);
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const { body } = await server.json('/api/v1/namespaces/nowhere/configmaps', { headers: { accept } });
    expect(body).toMatchObject({ kind: 'Table', rows: [] });
    expect(body.columnDefinitions.length).toBeGreaterThan(1);
  });

  const tooLarge = { code: 504, reason: 'Timeout', message: /^Too large resource version: 99999999, current: \d+$/ };
  it.each<[query: string, refusal: Refusal]>([
    [
      'resourceVersion=0&resourceVersionMatch=Exact',
      {
        code: 422,
        reason: 'Invalid',
        message:
          /resourceVersionMatch: Forbidden: resourceVersionMatch "[eE]xact" is forbidden for resourceVersion "0"/,
      },
    ],
    [
      'resourceVersionMatch=Exact',
      {
        code: 422,
        reason: 'Invalid',
        message:
          /resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided/,
      },
    ],
    [
      'resourceVersionMatch=Foo&resourceVersion=1',
      {
        code: 422,
        reason: 'Invalid',
        message: /resourceVersionMatch: Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""/,
      },
    ],
    ['resourceVersion=abc', { code: 500, message: /^resourceVersion: Invalid value: "abc"/ }],
    ['continue=garbage', { code: 400, reason: 'BadRequest', message: /^continue key is not valid/ }],
    [
      'sendInitialEvents=true',
      {
        code: 422,
        reason: 'Invalid',
        message: /sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list/,
      },
    ],
    ['labelSelector=a%20b', { code: 400, reason: 'BadRequest', message: /unable to parse requirement/ }],
    [
      'fieldSelector=data.a%3D1',
      {
        code: 400,
        reason: 'BadRequest',
        message: /"data\.a" is not a known field selector: only "metadata\.name", "metadata\.namespace"/,
      },
    ],
    ['limit=many', { code: 400, reason: 'BadRequest', message: /limit/ }],
    ['resourceVersion=99999999&resourceVersionMatch=NotOlderThan', tooLarge],
  ])('?%s is refused', async (query, refusal) => {
    const answer = await server.json(`${spread}?${query}`);
    expectRefusal(answer, refusal);
    if (refusal === tooLarge) {
      expect(answer.body.details.causes).toEqual([expect.objectContaining({ reason: 'ResourceVersionTooLarge' })]);
      expect(answer.headers['retry-after']).toBe(String(answer.body.details.retryAfterSeconds));
    }
  });

  it('goes on with a token and nothing else', async () => {
    const { body } = await server.json(`${spread}?limit=1`);
    const token = body.metadata.continue;
    expect(JSON.parse(Buffer.from(token, 'base64url').toString())).toMatchObject({
      v: 'meta.k8s.io/v1',
      start: 'c0\0',
    });
    expectRefusal(await server.json(`${spread}?continue=${token}&resourceVersion=${newest}`), {
      code: 400,
      reason: 'BadRequest',
      message: 'specifying resource version is not allowed when using continue',
    });
  });

  it('GET with a version is not older than it', async () => {
    for (const version of ['0', '1', newest])
      expect((await server.json(`${spread}/c1?resourceVersion=${version}`)).body.metadata.name).toBe('c1');
    expectRefusal(await server.json(`${spread}/c1?resourceVersion=99999999`), tooLarge);
  });
});

describe('WATCH', () => {
  /** The lines that come before the stream's end, one second later. */
  async function watched(path: string, headers: Record<string, string> = {}) {
    const answer = await server.transport.request({ method: 'GET', path, headers, stream: true });
    const text = Buffer.from(await answer.bytes()).toString();
    return {
      status: answer.status,
      lines: text
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line)),
    };
  }
  const types = (lines: { type: string }[]) => lines.map(({ type }) => type).join(' ');
  const short = 'watch=true&timeoutSeconds=1';

  it.each<[query: string, events: string]>([
    ['', Array(7).fill('ADDED').join(' ')],
    ['resourceVersion=0', Array(7).fill('ADDED').join(' ')],
    ['labelSelector=half%3Db', 'ADDED ADDED ADDED'],
    ['fieldSelector=metadata.name%3Dc3', 'ADDED'],
    ['resourceVersion=99999999', ''],
  ])('?%s', async (query, events) => {
    const { status, lines } = await watched(`${spread}?${short}&${query}`);
    expect(status).toBe(200);
    expect(types(lines)).toBe(events);
    for (const { object } of lines) expect(object).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1' });
  });

  it('from a version: what came after it', async () => {
    const { lines } = await watched(`${spread}?${short}&resourceVersion=${middle}&labelSelector=half`);
    expect(lines.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual([
      'ADDED c4',
      'ADDED c5',
      'ADDED c6',
    ]);
  });

  it('of one name by its path is a read', async () => {
    const { status, body } = await server.json(`${spread}/c1?watch=true`);
    expect([status, body.kind, body.metadata.name]).toEqual([200, 'ConfigMap', 'c1']);
  });

  it('WatchList ends what there is with a bookmark', async () => {
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const { lines } = await watched(`${spread}?${short}&${query}`);
    expect(types(lines.slice(0, 8))).toBe(`${Array(7).fill('ADDED').join(' ')} BOOKMARK`);
    expect(lines[7].object).toMatchObject({
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: {
        resourceVersion: expect.stringMatching(/^\d+$/),
        annotations: { 'k8s.io/initial-events-end': 'true' },
      },
    });
  });

  it.each<[query: string, refusal: Refusal]>([
    ['resourceVersion=abc', { code: 500, message: /^resourceVersion: Invalid value: "abc"/ }],
    [
      'sendInitialEvents=true',
      {
        code: 422,
        reason: 'Invalid',
        message:
          /resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/,
      },
    ],
    [
      'resourceVersion=1&resourceVersionMatch=NotOlderThan',
      {
        code: 422,
        reason: 'Invalid',
        message:
          /resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided/,
      },
    ],
    ['labelSelector=a%20b', { code: 400, reason: 'BadRequest', message: /unable to parse requirement/ }],
  ])('?%s is refused before the stream', async (query, refusal) => {
    expectRefusal(await server.json(`${spread}?watch=1&${query}`), refusal);
  });
});

describe('paths', () => {
  it.each<[method: 'GET' | 'HEAD', path: string, status: number, type: RegExp]>([
    ['GET', '/', 200, /^application\/json/],
    ['GET', '/version', 200, /^application\/json/],
    ['HEAD', '/api', 200, /^application\/json/],
    ['HEAD', '/apis/apps/v1', 200, /^application\/json/],
    ['HEAD', `${spread}/c1`, 200, /^application\/json/],
    ['HEAD', `${spread}/none`, 404, /^application\/json/],
    ['GET', '/logs/', 404, /^text\/plain/],
    ['GET', '/logs/../../etc/passwd', 404, /^text\/plain/],
    ['GET', '/apis/no.such.group', 404, /^text\/plain/],
    ['GET', '/apis/no.such.group/v1/things', 404, /^text\/plain/],
    ['GET', '/apis/apps/v9/deployments', 404, /^text\/plain/],
    ['GET', '/api/v1/nothings', 404, /^application\/json/],
    ['GET', '/nothing', 404, /^text\/plain/],
    ['GET', '/openapi/v3/apis/no.such.group/v1', 404, /^text\/plain/],
  ])('%s %s', async (method, path, status, type) => {
    const response = await fetch(server.url + path, { method });
    const text = await response.text();
    expect([response.status, response.headers.get('content-type')]).toEqual([status, expect.stringMatching(type)]);
    if (method === 'HEAD') expect(text).toBe('');
    else if (status === 404 && type.source.includes('plain')) expect(text).toBe('404 page not found\n');
  });

  it('the root lists them', async () => {
    const { paths } = (await server.json('/')).body;
    expect(paths).toEqual(
      expect.arrayContaining([
        '/api',
        '/api/v1',
        '/apis',
        '/apis/apps',
        '/apis/apps/v1',
        '/openapi/v2',
        '/openapi/v3',
        '/version',
        '/metrics',
        '/readyz',
      ]),
    );
    expect(paths).toEqual([...paths].sort());
    for (const path of paths.filter((each: string) => !each.startsWith('/readyz')))
      expect([path, (await server.json(path)).status]).toEqual([path, 200]);
  });
});
