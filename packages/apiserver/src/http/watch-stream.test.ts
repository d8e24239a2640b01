/** Watches on the wire: through the HTTP door with bare sockets, and in process. */
import { connect, type Socket } from 'node:net';
import { ConfigMap } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type TestServer, type TestServerOptions, testServer } from './test-server.js';

const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
async function start(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await testServer(options);
  closers.push(() => server.stop());
  return server;
}

const maps = '/api/v1/namespaces/default/configmaps';
const create = (
  server: TestServer,
  name: string,
  labels: Record<string, string> = {},
  data: Record<string, string> = {},
) => server.client.create(ConfigMap, { metadata: { name, namespace: 'default', labels }, data });
const versionOf = async (server: TestServer) =>
  (await server.client.list(ConfigMap, { namespace: 'default' })).metadata.resourceVersion;

/** A client that sees every byte: what came, in the pieces in which it came. */
class RawClient {
  text = '';
  ended = false;
  #changed: () => void = () => undefined;

  constructor(readonly socket: Socket) {
    socket.on('data', data => {
      this.text += data.toString('latin1');
      this.#changed();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
      this.#changed();
    });
  }

  async until(is: (text: string) => boolean): Promise<string> {
    while (!is(this.text) && !this.ended) await new Promise<void>(resolve => (this.#changed = resolve));
    return this.text;
  }

  /** The body without its chunk framing. */
  get body(): string {
    let rest = this.text.slice(this.text.indexOf('\r\n\r\n') + 4);
    let body = '';
    for (;;) {
      const end = rest.indexOf('\r\n');
      if (end < 0) return body;
      const length = Number.parseInt(rest.slice(0, end), 16);
      body += rest.slice(end + 2, end + 2 + length);
      rest = rest.slice(end + 4 + length);
    }
  }

  get events(): any[] {
    return this.body
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line));
  }

  async take(count: number): Promise<any[]> {
    await this.until(() => this.body.split('\n').length > count);
    return this.events;
  }
}

async function get(server: TestServer, path: string, headers: Record<string, string> = {}): Promise<RawClient> {
  const socket = connect(server.port, '127.0.0.1');
  closers.push(() => socket.destroy());
  const lines = Object.entries({ host: 'x', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  return new RawClient(socket);
}

describe('a watch over HTTP', () => {
  it('sends its headers at once, before there is anything to tell', async () => {
    const server = await start();
    const client = await get(server, `${maps}?watch=true&resourceVersion=${await versionOf(server)}`);
    const text = await client.until(seen => seen.includes('\r\n\r\n'));
    expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(text.toLowerCase()).toContain('content-type: application/json\r\n');
    expect(text.toLowerCase()).toContain('transfer-encoding: chunked\r\n');
    expect(client.body).toBe('');
  });

  it('is one JSON document a line, the very bytes of the object', async () => {
    const server = await start();
    const client = await get(server, `${maps}?watch=1&resourceVersion=${await versionOf(server)}`);
    const object = await create(server, 'a', {}, { text: 'ü\n' });
    const [event] = await client.take(1);
    expect(event).toMatchObject({
      type: 'ADDED',
      object: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { resourceVersion: object.metadata.resourceVersion } },
    });
    const stored = Buffer.from(
      await (await server.transport.request({ method: 'GET', path: `${maps}/a` })).bytes(),
    ).toString('latin1');
    expect(client.body).toBe(`{"type":"ADDED","object":${stored}}\n`);
    await server.client.delete(ConfigMap, { name: 'a', namespace: 'default' });
    const [, gone] = await client.take(2);
    expect(gone).toMatchObject({ type: 'DELETED', object: { metadata: { name: 'a' } } });
    expect(Number(gone.object.metadata.resourceVersion)).toBeGreaterThan(Number(object.metadata.resourceVersion));
  });

  it('is not compressed, and ends cleanly after its timeout', async () => {
    const server = await start();
    const client = await get(server, `${maps}?watch=1&timeoutSeconds=1`, { 'accept-encoding': 'gzip' });
    const text = await client.until(seen => seen.endsWith('0\r\n\r\n'));
    expect(text.toLowerCase()).not.toContain('content-encoding');
    expect(client.ended).toBe(false);
  });

  it('of a version that is too old is a 200 with one ERROR event', async () => {
    const server = await start({ resources: { watchWindow: { events: 4, bytes: 1 << 20 } as never } });
    const before = await versionOf(server);
    for (let i = 0; i < 12; i++) await create(server, `old-${i}`);
    const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    for (const accept of ['application/json', table]) {
      const client = await get(server, `${maps}?watch=1&resourceVersion=${before}`, { accept });
      const text = await client.until(seen => seen.endsWith('0\r\n\r\n'));
      expect(text).toMatch(/^HTTP\/1.1 200/);
      expect(client.events).toMatchObject([
        { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } },
      ]);
    }
  });

  it('that cannot begin is an ordinary Status', async () => {
    const server = await start();
    const answer = await server.json(`${maps}?watch=1&labelSelector=a%20b%20c`);
    expect(answer).toMatchObject({ status: 400, body: { kind: 'Status' } });
    expect(await server.json(`${maps}?watch=1&sendInitialEvents=true`)).toMatchObject({
      status: 422,
      body: { reason: 'Invalid' },
    });
    expect(await server.json(`${maps}?watch=1`, { headers: { accept: 'application/yaml' } })).toMatchObject({
      status: 406,
    });
  });

  it('works on the legacy paths, of one object too', async () => {
    const server = await start();
    await create(server, 'a');
    await create(server, 'b');
    const all = await get(server, '/api/v1/watch/namespaces/default/configmaps');
    expect((await all.take(2)).map(event => event.object.metadata.name)).toEqual(['a', 'b']);
    const one = await get(server, '/api/v1/watch/namespaces/default/configmaps/b');
    await one.take(1);
    await server.client.patch(
      ConfigMap,
      { name: 'a', namespace: 'default' },
      { type: 'merge', patch: { data: { x: 'y' } } },
    );
    await server.client.patch(
      ConfigMap,
      { name: 'b', namespace: 'default' },
      { type: 'merge', patch: { data: { x: 'y' } } },
    );
    expect((await one.take(2)).map(event => [event.type, event.object.metadata.name])).toEqual([
      ['ADDED', 'b'],
      ['MODIFIED', 'b'],
    ]);
  });

  it('of tables names the columns once, and says when the initial events end', async () => {
    const server = await start();
    await create(server, 'a', {}, { k: 'v' });
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const client = await get(server, `${maps}?${query}`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' });
    await client.take(2);
    await create(server, 'b');
    const [added, end, later] = await client.take(3);
    expect(added).toMatchObject({
      type: 'ADDED',
      object: { kind: 'Table', columnDefinitions: expect.any(Array), rows: [{ cells: ['a', 1, expect.any(String)] }] },
    });
    expect(end).toMatchObject({
      type: 'BOOKMARK',
      object: {
        kind: 'Table',
        columnDefinitions: null,
        metadata: { resourceVersion: expect.any(String) },
        rows: [{ cells: [], object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } } }],
      },
    });
    expect(later).toMatchObject({
      type: 'ADDED',
      object: { kind: 'Table', columnDefinitions: null, rows: [{ object: { metadata: { name: 'b' } } }] },
    });
  });

  it('of metadata carries nothing else, bookmarks included', async () => {
    const server = await start();
    await create(server, 'a', {}, { k: 'v' });
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
    const client = await get(server, `${maps}?${query}`, {
      accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    });
    const [added, end] = await client.take(2);
    expect(added).toEqual({
      type: 'ADDED',
      object: {
        kind: 'PartialObjectMetadata',
        apiVersion: 'meta.k8s.io/v1',
        metadata: expect.objectContaining({ name: 'a' }),
      },
    });
    expect(end).toMatchObject({
      type: 'BOOKMARK',
      object: { kind: 'PartialObjectMetadata', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
  });

  it('ends cleanly when the server stops', async () => {
    const server = await start();
    const client = await get(server, `${maps}?watch=1`);
    await client.until(text => text.includes('\r\n\r\n'));
    await server.stop();
    expect(await client.until(text => text.endsWith('0\r\n\r\n'))).toMatch(/\r\n0\r\n\r\n$/);
    await client.until(() => client.ended);
  });

  /** Writes until the watch of a client that reads nothing is over, or has far more than sockets hold; then what that client has got. */
  async function outrun(options: TestServerOptions, most = 1_000): Promise<RawClient> {
    const server = await start(options);
    const socket = connect(server.port, '127.0.0.1');
    closers.push(() => socket.destroy());
    const openWatches = async () =>
      /apiserver_longrunning_requests\{[^}]*verb="WATCH"[^}]*\} (\d+)/.exec(await server.metrics.text())?.[1];
    socket.pause();
    socket.write(`GET ${maps}?watch=1&resourceVersion=${await versionOf(server)} HTTP/1.1\r\nhost: x\r\n\r\n`);
    while ((await openWatches()) !== '1') await new Promise(resolve => setTimeout(resolve, 5));
    const big = 'x'.repeat(500_000);
    for (let i = 0; i < most && (await openWatches()) === '1'; i++) await create(server, `big-${i}`, {}, { big });
    const client = new RawClient(socket);
    socket.resume();
    return client;
  }

  it('that falls behind by more than its queue holds ends cleanly after what it has got', async () => {
    const writes = 100;
    const client = await outrun({ resources: { watcherQueueBytes: 256 * 1024 } }, writes);
    const text = await client.until(seen => seen.endsWith('\r\n0\r\n\r\n'));
    expect(text.endsWith('\r\n0\r\n\r\n')).toBe(true);
    expect(client.events.length).toBeGreaterThan(0);
    expect(client.events.length).toBeLessThan(writes);
  });

  it('whose client takes nothing at all is cut off', async () => {
    const client = await outrun({ resources: { watcherQueueBytes: 1 << 30 }, door: { stalledMs: 200 } });
    const text = await client.until(() => client.ended);
    expect(text.endsWith('\r\n0\r\n\r\n')).toBe(false);
  });
});

describe('many watches', () => {
  it('stand idle for next to nothing and then all get the same event', async () => {
    const server = await start();
    const version = await versionOf(server);
    const clients = await Promise.all(
      Array.from({ length: 1_000 }, () => get(server, `${maps}?watch=1&resourceVersion=${version}`)),
    );
    await Promise.all(clients.map(client => client.until(text => text.includes('\r\n\r\n'))));
    expect(await server.metrics.text()).toMatch(/apiserver_longrunning_requests\{[^}]*verb="WATCH"[^}]*\} 1000/);
    const before = process.cpuUsage();
    await new Promise(resolve => setTimeout(resolve, 1_000));
    const { user, system } = process.cpuUsage(before);
    // The clients are in this process too. 5 % of a core is the goal; a busy machine gets some room, a poll per watch would need much more.
    expect((user + system) / 1_000).toBeLessThan(200);
    const object = await create(server, 'news');
    await Promise.all(clients.map(client => client.take(1)));
    expect(new Set(clients.map(client => client.body)).size).toBe(1);
    expect(clients[999]!.events).toMatchObject([{ type: 'ADDED', object: { metadata: { uid: object.metadata.uid } } }]);
    for (const client of clients) client.socket.destroy();
  });
});

describe('a watch in process', () => {
  it('is the same bytes, and ends with its signal', async () => {
    const server = await start();
    const leave = new AbortController();
    const path = `${maps}?watch=1&resourceVersion=${await versionOf(server)}`;
    const answer = await server.transport.request({ method: 'GET', path, stream: true, signal: leave.signal });
    const over = await get(server, path);
    await over.until(text => text.includes('\r\n\r\n'));
    const body = answer.body[Symbol.asyncIterator]();
    await create(server, 'a');
    const { value } = await body.next();
    await over.take(1);
    expect(Buffer.from(value).toString('latin1')).toBe(over.body);
    const next = body.next();
    const reason = new Error('enough');
    leave.abort(reason);
    await expect(next).rejects.toBe(reason);
  });

  it('ends cleanly when the server stops; later requests say so', async () => {
    const server = await start();
    const events: string[] = [];
    const reading = (async () => {
      for await (const event of server.client.watch(ConfigMap, { namespace: 'default' })) events.push(event.type);
    })();
    await create(server, 'a');
    while (events.length === 0) await new Promise(resolve => setImmediate(resolve));
    await server.stop();
    await reading;
    await expect(server.client.list(ConfigMap)).rejects.toMatchObject({ code: 503, reason: 'ServiceUnavailable' });
  });

  it('releases its watcher when the reader leaves the loop', async () => {
    const server = await start();
    await create(server, 'a');
    for await (const _event of server.client.watch(ConfigMap)) break;
    expect(await server.metrics.text()).toMatch(/apiserver_longrunning_requests\{[^}]*verb="WATCH"[^}]*\} 0/);
  });
});

describe('a bounded request', () => {
  it("is answered with 504 when it takes too long, by its own bound or the server's", async () => {
    const server = await start({
      handler: { requestTimeoutMs: 50 },
      around: resources => ({
        ...resources,
        get: (context, kind, key, options) =>
          key.name === 'slow' ? new Promise(() => undefined) : resources.get(context, kind, key, options),
      }),
    });
    expect(await server.json(`${maps}/slow`)).toMatchObject({
      status: 504,
      body: { reason: 'Timeout', message: 'the request did not complete within the allotted timeout of 0.05 s' },
    });
    expect(await server.json(`${maps}/slow?timeout=10ms`)).toMatchObject({
      status: 504,
      body: { message: expect.stringContaining('0.01 s') },
    });
  });

  it('that fails unexpectedly is a 500 with the id of the request', async () => {
    const server = await start({
      around: resources => ({ ...resources, get: () => Promise.reject(new Error('the disk is on fire')) }),
    });
    const answer = await server.json(`${maps}/x`, { headers: { 'audit-id': 'abc-1' } });
    expect(answer).toMatchObject({
      status: 500,
      headers: { 'audit-id': 'abc-1' },
      body: { reason: 'InternalError', message: 'Internal error occurred: the disk is on fire (request abc-1)' },
    });
  });
});
