import { describe, expect, it } from 'vitest';
import { manualClock } from '../clock/manual-clock.js';
import { isConflict, isNotFound, isStatusError, StatusError } from '../errors/status-error.js';
import { Namespace, Node, Pod } from '../kinds/generated/kinds.js';
import type { WatchEvent } from './client.js';
import { createClient, queryOf } from './create-client.js';
import type { Transport, TransportRequest, TransportResponse } from './transport.js';

type Answer = {
  status?: number;
  headers?: Record<string, string>;
  warnings?: string[];
  body: object | string | Uint8Array[];
};

/** A transport that answers from a list and keeps what it was asked. */
function fakeTransport(...answers: (Answer | Error)[]) {
  const requests: TransportRequest[] = [];
  let released = 0;
  const transport: Transport = {
    async request(request): Promise<TransportResponse> {
      requests.push(request);
      const answer = answers.shift();
      if (!answer) throw new Error(`unexpected request ${request.method} ${request.path}`);
      if (answer instanceof Error) throw answer;
      const { status = 200, headers = {}, warnings = [], body } = answer;
      const chunks = Array.isArray(body) ? body : [Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))];
      async function* read() {
        try {
          for (const chunk of chunks) {
            request.signal?.throwIfAborted();
            yield chunk as Uint8Array;
          }
        } finally {
          released += 1;
        }
      }
      return { status, headers, warnings, body: read(), bytes: async () => Buffer.concat(chunks as Uint8Array[]) };
    },
    connect: () => Promise.reject(new Error('no sockets here')),
    close: async () => undefined,
  };
  return {
    transport,
    requests,
    get released() {
      return released;
    },
  };
}

const pod = (name: string, resourceVersion = '1') => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: 'default',
    uid: `u-${name}`,
    resourceVersion,
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { containers: [] },
  status: {},
});
const bodyOf = (request: TransportRequest | undefined) => JSON.parse(String(request?.body));

describe('apply', () => {
  it('is a PATCH of the object as YAML, in the name of a manager', async () => {
    const { transport, requests } = fakeTransport({ body: pod('a') }, { body: pod('a') });
    const client = createClient(transport);
    const made = await client.apply(Pod, { metadata: { name: 'a', namespace: 'default' }, spec: { containers: [] } });
    expect(made.metadata.uid).toBe('u-a');
    expect(requests[0]).toMatchObject({
      method: 'PATCH',
      path: '/api/v1/namespaces/default/pods/a?fieldManager=orbitkit',
      headers: { 'content-type': 'application/apply-patch+yaml' },
    });
    expect(JSON.parse(String(requests[0]!.body))).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'a', namespace: 'default' },
      spec: { containers: [] },
    });
    await client.apply(
      Pod,
      { metadata: { name: 'a', namespace: 'default' }, spec: { containers: [] } },
      { fieldManager: 'me', force: true, dryRun: true, fieldValidation: 'Strict', subresource: 'status' },
    );
    expect(requests[1]!.path).toBe(
      '/api/v1/namespaces/default/pods/a/status?dryRun=All&fieldManager=me&fieldValidation=Strict&force=true',
    );
  });

  it('needs a name, and a namespace where objects live in one', async () => {
    const client = createClient(fakeTransport().transport);
    await expect(client.apply(Pod, { metadata: { name: 'a' }, spec: { containers: [] } })).rejects.toThrow('namespace');
    await expect(client.apply(Node, { metadata: {} })).rejects.toThrow('name');
  });
});

describe('requests', () => {
  it('addresses objects by group, version, namespace and name', async () => {
    const fake = fakeTransport({ body: pod('a b') }, { body: {} }, { body: { items: [] } }, { body: { items: [] } });
    const client = createClient(fake.transport);
    await client.get(Pod, { name: 'a b', namespace: 'default' }, { resourceVersion: '0' });
    await client.get(Node, { name: 'n1' });
    await client.list(Pod);
    await client.list(Pod, {
      namespace: 'x',
      labelSelector: 'app in (a,b),!old',
      fieldSelector: 'status.phase!=Failed',
      limit: 5,
      continue: 'tok=',
      resourceVersion: '7',
      resourceVersionMatch: 'Exact',
    });
    expect(fake.requests.map(each => `${each.method} ${each.path}`)).toEqual([
      'GET /api/v1/namespaces/default/pods/a%20b?resourceVersion=0',
      'GET /api/v1/nodes/n1',
      'GET /api/v1/pods',
      'GET /api/v1/namespaces/x/pods?labelSelector=app%20in%20(a%2Cb)%2C!old&fieldSelector=status.phase!%3DFailed&limit=5&continue=tok%3D&resourceVersion=7&resourceVersionMatch=Exact',
    ]);
    expect(fake.requests[0]?.timeoutMs).toBe(60_000);
  });

  it('writes with options, and fills in what a draft lacks', async () => {
    const fake = fakeTransport(...Array.from({ length: 6 }, () => ({ body: pod('a') })));
    const client = createClient(fake.transport, { fieldManager: 'me' });
    await client.create(
      Pod,
      { metadata: { name: 'a', namespace: 'ns' }, spec: { containers: [] } },
      { dryRun: true, fieldValidation: 'Strict' },
    );
    await client.update(Pod, pod('a') as never, { fieldManager: 'other' });
    await client.updateStatus(Pod, pod('a') as never);
    await client.patch(
      Pod,
      { name: 'a', namespace: 'default' },
      { type: 'strategic', patch: { spec: {} } },
      { subresource: 'status' },
    );
    await client.patch(
      Pod,
      { name: 'a', namespace: 'default' },
      { type: 'json', patch: [{ op: 'remove', path: '/x' }] },
    );
    await client.createSubresource(Pod, { name: 'a', namespace: 'default' }, 'binding', { target: {} });
    expect(fake.requests.map(each => `${each.method} ${each.path} ${each.headers?.['content-type']}`)).toEqual([
      'POST /api/v1/namespaces/ns/pods?dryRun=All&fieldManager=me&fieldValidation=Strict application/json',
      'PUT /api/v1/namespaces/default/pods/a?fieldManager=other application/json',
      'PUT /api/v1/namespaces/default/pods/a/status?fieldManager=me application/json',
      'PATCH /api/v1/namespaces/default/pods/a/status?fieldManager=me application/strategic-merge-patch+json',
      'PATCH /api/v1/namespaces/default/pods/a?fieldManager=me application/json-patch+json',
      'POST /api/v1/namespaces/default/pods/a/binding?fieldManager=me application/json',
    ]);
    expect(bodyOf(fake.requests[0])).toMatchObject({ apiVersion: 'v1', kind: 'Pod' });
    expect(bodyOf(fake.requests[4])).toEqual([{ op: 'remove', path: '/x' }]);
  });

  it('refuses an address without name or namespace before asking', async () => {
    const fake = fakeTransport();
    const client = createClient(fake.transport);
    await expect(client.get(Pod, { name: 'a' })).rejects.toThrow('a namespace is required');
    await expect(client.get(Pod, { name: '', namespace: 'x' })).rejects.toThrow('a name is required');
    await expect(client.create(Pod, { metadata: { name: 'a' }, spec: { containers: [] } })).rejects.toThrow(
      'metadata.namespace is required',
    );
    expect(fake.requests).toHaveLength(0);
  });

  it('tells an object on its way out from one that is gone', async () => {
    const leaving = {
      ...pod('a'),
      metadata: { ...pod('a').metadata, deletionTimestamp: 't', deletionGracePeriodSeconds: 30 },
    };
    const gone = { ...leaving, metadata: { ...leaving.metadata, deletionGracePeriodSeconds: 0 } };
    const fake = fakeTransport(
      { body: leaving },
      { body: { kind: 'Status', status: 'Success' } },
      { body: pod('a') },
      { body: gone },
      { body: {} },
    );
    const client = createClient(fake.transport);
    const key = { name: 'a', namespace: 'default' };
    const options = {
      gracePeriodSeconds: 0,
      propagationPolicy: 'Foreground',
      preconditions: { uid: 'u' },
      dryRun: true,
    } as const;
    expect((await client.delete(Pod, key, options))?.metadata.deletionTimestamp).toBe('t');
    expect(await client.delete(Pod, key)).toBeUndefined();
    expect(await client.delete(Pod, key)).toBeUndefined();
    expect(await client.delete(Pod, key)).toBeUndefined();
    expect(bodyOf(fake.requests[0])).toEqual({
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      gracePeriodSeconds: 0,
      propagationPolicy: 'Foreground',
      preconditions: { uid: 'u' },
      dryRun: ['All'],
    });
    await client.deleteCollection(Pod, { namespace: 'x', labelSelector: 'a=b' });
    expect(fake.requests[4]?.path).toBe('/api/v1/namespaces/x/pods?labelSelector=a%3Db');
  });

  it('gives list items the kind that a real server leaves out', async () => {
    const { apiVersion, kind, ...bare } = pod('a');
    const fake = fakeTransport({
      body: { kind: 'PodList', apiVersion: 'v1', metadata: { resourceVersion: '9' }, items: [bare] },
    });
    const list = await createClient(fake.transport).list(Pod);
    expect(list.items[0]).toMatchObject({ apiVersion, kind });
    expect(list.metadata.resourceVersion).toBe('9');
  });

  it('hands warnings over', async () => {
    const warnings: string[] = [];
    const fake = fakeTransport({ body: pod('a'), warnings: ['299 - "unknown field \\"spec.foo\\""'] });
    await createClient(fake.transport, { onWarning: text => warnings.push(text) }).get(Pod, {
      name: 'a',
      namespace: 'x',
    });
    expect(warnings).toEqual(['unknown field "spec.foo"']);
  });

  it('leaves out of a query what is not said', () => {
    expect(queryOf({ a: undefined, b: false, c: '', d: 0, e: true })).toBe('?d=0&e=true');
    expect(queryOf({})).toBe('');
  });
});

describe('errors', () => {
  const failing = (answer: Answer | Error) =>
    createClient(fakeTransport(answer).transport).get(Namespace, { name: 'x' });

  it('are the Status that the server sent', async () => {
    const status = new StatusError('NotFound', 'namespaces "x" not found', {
      details: { name: 'x', kind: 'namespaces' },
    }).toStatus();
    const error = await failing({ status: 404, body: status }).catch(each => each);
    expect(isNotFound(error)).toBe(true);
    expect(error).toMatchObject({ code: 404, message: 'namespaces "x" not found', details: { name: 'x' } });
  });

  it('are made of code and text when there is no Status', async () => {
    expect(await failing({ status: 404, body: '404 page not found\n' }).catch(each => each)).toMatchObject({
      reason: 'NotFound',
      code: 404,
      message: 'GET /api/v1/namespaces/x: the server answered 404: 404 page not found',
    });
    expect(isConflict(await failing({ status: 409, body: '' }).catch(each => each))).toBe(true);
    expect(await failing({ status: 418, body: 'tea' }).catch(each => each)).toMatchObject({ reason: '', code: 418 });
    expect(
      await failing({ status: 502, body: `<html>${'x'.repeat(5_000)}` }).catch(each => each.message.length),
    ).toBeLessThan(1_200);
  });

  it('say that an answer is not JSON', async () => {
    const error = await failing({ body: '<html>' }).catch(each => each);
    expect(isStatusError(error)).toBe(true);
    expect(error.message).toContain('the answer is not JSON: <html>');
  });

  it('come back later when the server says when, within the bound', async () => {
    const clock = manualClock();
    const busy = {
      status: 429,
      headers: { 'retry-after': '2' },
      body: new StatusError('TooManyRequests', 'slow down').toStatus(),
    };
    const fake = fakeTransport(busy, busy, { body: pod('a') }, ...Array(20).fill(busy));
    const client = createClient(fake.transport, { clock });
    const first = client.get(Namespace, { name: 'x' });
    await clock.advance(4_000);
    expect((await first).metadata.name).toBe('a');
    expect(fake.requests).toHaveLength(3);
    const second = expect(client.get(Namespace, { name: 'x' }, { timeoutMs: 5_000 })).rejects.toThrow('slow down');
    await clock.advance(4_000);
    await second;
    expect(clock.pending).toBe(0);
  });
});

describe('watch', () => {
  const line = (type: string, object: object) => Buffer.from(`${JSON.stringify({ type, object })}\n`);
  async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
    const all: T[] = [];
    for await (const each of stream) all.push(each);
    return all;
  }

  it('asks as the options say', async () => {
    const fake = fakeTransport({ body: [] }, { body: [] });
    const client = createClient(fake.transport);
    await collect(
      client.watch(Pod, { namespace: 'x', resourceVersion: '5', allowWatchBookmarks: true, timeoutSeconds: 300 }),
    );
    await collect(client.watch(Pod, { sendInitialEvents: true, labelSelector: 'a' }));
    expect(fake.requests.map(each => each.path)).toEqual([
      '/api/v1/namespaces/x/pods?watch=true&resourceVersion=5&allowWatchBookmarks=true&timeoutSeconds=300',
      '/api/v1/pods?watch=true&labelSelector=a&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true',
    ]);
    expect(fake.requests[0]?.stream).toBe(true);
  });

  it('hands out one batch a chunk, whatever the chunks cut, multi-byte characters too', async () => {
    const name = 'größe-✓-日本';
    const bytes = Buffer.concat([
      line('ADDED', pod(name)),
      line('MODIFIED', pod('b', '2')),
      Buffer.from('\n'),
      line('DELETED', pod('c', '3')),
    ]);
    for (const size of [1, 2, 7, 100, bytes.length]) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      const batches = await collect(createClient(fakeTransport({ body: chunks }).transport).watchBatches(Pod));
      const events = batches.flat() as Exclude<WatchEvent<Pod>, { type: 'BOOKMARK' }>[];
      expect(events.map(each => [each.type, each.object.metadata.name])).toEqual([
        ['ADDED', name],
        ['MODIFIED', 'b'],
        ['DELETED', 'c'],
      ]);
      if (size === bytes.length) expect(batches).toHaveLength(1);
      if (size === 1) expect(batches).toHaveLength(3);
    }
  });

  it('reads bookmarks, and the one that ends the initial events', async () => {
    const end = { metadata: { resourceVersion: '12', annotations: { 'k8s.io/initial-events-end': 'true' } } };
    const fake = fakeTransport({
      body: [line('BOOKMARK', { metadata: { resourceVersion: '11' } }), line('BOOKMARK', end)],
    });
    expect(await collect(createClient(fake.transport).watch(Pod))).toEqual([
      { type: 'BOOKMARK', resourceVersion: '11', initialEventsEnd: false },
      { type: 'BOOKMARK', resourceVersion: '12', initialEventsEnd: true },
    ]);
  });

  it('throws an ERROR event, after what came before it', async () => {
    const expired = new StatusError('Expired', 'too old resource version: 1 (3667)').toStatus();
    const fake = fakeTransport({ body: [Buffer.concat([line('ADDED', pod('a')), line('ERROR', expired)])] });
    const seen: string[] = [];
    const read = async () => {
      for await (const event of createClient(fake.transport).watch(Pod)) seen.push(event.type);
    };
    await expect(read()).rejects.toMatchObject({ reason: 'Expired', code: 410 });
    expect(seen).toEqual(['ADDED']);
    expect(fake.released).toBe(1);
  });

  it('throws what is no event, an end inside of one, and a refused watch', async () => {
    const watchOf = (answer: Answer) => collect(createClient(fakeTransport(answer).transport).watch(Pod));
    await expect(watchOf({ body: [Buffer.from('<html>\n')] })).rejects.toThrow(
      'a line of the watch is not JSON: <html>',
    );
    await expect(watchOf({ body: [Buffer.from('{"type":"HELLO"}\n')] })).rejects.toThrow('unknown type');
    await expect(watchOf({ body: [line('ADDED', pod('a')), Buffer.from('{"type":"AD')] })).rejects.toThrow(
      'cut in the middle',
    );
    await expect(
      watchOf({ status: 403, body: new StatusError('Forbidden', 'pods is forbidden').toStatus() }),
    ).rejects.toThrow('pods is forbidden');
  });

  it('releases the stream when the loop is left', async () => {
    const fake = fakeTransport({ body: [line('ADDED', pod('a')), line('ADDED', pod('b'))] });
    for await (const event of createClient(fake.transport).watch(Pod)) {
      expect(event.type).toBe('ADDED');
      break;
    }
    expect(fake.released).toBe(1);
  });

  it('ends cleanly when the server forgets to end it', async () => {
    const clock = manualClock();
    const transport: Transport = {
      async request({ signal }) {
        async function* never(): AsyncGenerator<Uint8Array> {
          await new Promise((_, reject) =>
            signal!.addEventListener('abort', () => reject(signal!.reason), { once: true }),
          );
          yield Buffer.alloc(0);
        }
        return { status: 200, headers: {}, warnings: [], body: never(), bytes: async () => Buffer.alloc(0) };
      },
      connect: () => Promise.reject(new Error('no')),
      close: async () => undefined,
    };
    const watch = collect(createClient(transport, { clock }).watch(Pod, { timeoutSeconds: 300 }));
    await clock.advance(330_000);
    expect(await watch).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('lets other work run while it parses a long chunk', async () => {
    const many = Buffer.concat(Array.from({ length: 30_000 }, (_, i) => line('ADDED', pod(`p${i}`))));
    let turns = 0;
    const ticking = setInterval(() => {
      turns += 1;
    }, 1);
    const batches = await collect(createClient(fakeTransport({ body: [many] }).transport).watchBatches(Pod));
    clearInterval(ticking);
    expect(batches.flat()).toHaveLength(30_000);
    expect(batches.length).toBeGreaterThan(1);
    expect(turns).toBeGreaterThan(0);
  });
});
