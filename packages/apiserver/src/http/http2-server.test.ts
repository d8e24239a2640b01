/** HTTP/2 as clients speak it and as attackers do: both versions on one port, streams, floods, stalls, stops, a new certificate. */
import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { ConfigMap } from '@orbitkit/core';
import { Agent, fetch as fetchWith } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Authority, createAuthority, issueClientCertificate, issueServingCertificate } from '../pki/index.js';
import { type TestServer, type TestServerOptions, testServer } from './test-server.js';

let directory: string;
let authority: Authority;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'orbitkit-http2-'));
  authority = await createAuthority({ dir: directory });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const identity = async (hosts: string[] = []) => ({
  ...(await issueServingCertificate(authority, { hosts })),
  clientAuthority: authority.certificate,
});

async function start(options: TestServerOptions = {}): Promise<TestServer> {
  const server = await testServer({ ...options, door: { tls: await identity(), ...options.door } });
  closers.push(() => server.stop());
  return server;
}

async function session(server: TestServer, options: object = {}): Promise<ClientHttp2Session> {
  const client = connect(`https://127.0.0.1:${server.port}`, { ca: authority.certificate, ...options });
  client.on('error', () => undefined);
  closers.push(() => client.destroy());
  await new Promise<void>((resolve, reject) => {
    client.once('remoteSettings', () => resolve());
    client.once('error', reject);
  });
  return client;
}

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}
function ask(client: ClientHttp2Session, headers: Record<string, string>, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = client.request(headers, { endStream: body === undefined });
    let text = '';
    let got: Record<string, unknown> = {};
    stream.setEncoding('utf8');
    stream.on('response', head => {
      got = head;
    });
    stream.on('data', part => {
      text += part;
    });
    stream.on('error', reject);
    stream.on('close', () => resolve({ status: Number(got[':status']), headers: got, body: text }));
    if (body !== undefined) stream.end(body);
  });
}
const get = (path: string) => ({ ':method': 'GET', ':path': path });
const until = async (holds: () => boolean, what: string) => {
  for (const end = Date.now() + 10_000; !holds(); ) {
    if (Date.now() > end) throw new Error(`not within 10 s: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
};

/** A frame of RFC 9113 4.1. */
function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]);
/** `:method: GET`, `:scheme: https`, `:path: /readyz`, `:authority: x`, from HPACK's static table. */
const getReadyz = Buffer.concat([
  Buffer.from([0x82, 0x87, 0x04, 7]),
  Buffer.from('/readyz'),
  Buffer.from([0x41, 1]),
  Buffer.from('x'),
]);

function rawTls(server: TestServer, protocol: string | undefined): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: server.port,
      ca: authority.certificate,
      ...(protocol ? { ALPNProtocols: [protocol] } : {}),
    });
    socket.on('error', reject);
    socket.on('secureConnect', () => resolve(socket));
    closers.push(() => socket.destroy());
  });
}
async function closeOf(socket: TLSSocket): Promise<void> {
  socket.resume();
  if (!socket.closed) await new Promise(resolve => socket.once('close', resolve));
}

describe('HTTP/2', () => {
  it('shares the port with HTTP/1.1: ALPN decides, and without it 1.1 is spoken', async () => {
    const server = await start();
    const client = await session(server);
    expect(client.alpnProtocol).toBe('h2');
    expect(await ask(client, get('/readyz'))).toMatchObject({ status: 200, body: 'ok' });
    for (const protocol of ['http/1.1', undefined]) {
      const socket = await rawTls(server, protocol);
      socket.write('GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
      let text = '';
      for await (const part of socket) text += part;
      expect(text).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*ok$/);
    }
  });

  it('is served to undici in either version', async () => {
    const server = await start();
    for (const allowH2 of [true, false]) {
      const dispatcher = new Agent({ allowH2, connect: { ca: authority.certificate } });
      const answer = await fetchWith(`https://127.0.0.1:${server.port}/api/v1/namespaces`, { dispatcher });
      expect([answer.status, ((await answer.json()) as { kind: string }).kind]).toEqual([200, 'NamespaceList']);
      await dispatcher.close();
    }
  });

  it('creates, reads and refuses as HTTP/1.1 does, many streams at a time', async () => {
    const server = await start();
    const client = await session(server);
    const path = '/api/v1/namespaces/default/configmaps';
    const post = { ':method': 'POST', ':path': path, 'content-type': 'application/json' };
    const made = await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        ask(client, post, JSON.stringify({ metadata: { name: `c${i}` }, data: { text: 'x'.repeat(i * 100) } })),
      ),
    );
    expect(new Set(made.map(({ status }) => status))).toEqual(new Set([201]));
    const read = await ask(client, get(`${path}/c59`));
    expect(JSON.parse(read.body).data.text).toHaveLength(5_900);
    expect(read.headers['content-length']).toBe(String(Buffer.byteLength(read.body)));
    const head = await ask(client, { ':method': 'HEAD', ':path': `${path}/c59` });
    expect([head.status, head.body, head.headers['content-length']]).toEqual([200, '', read.headers['content-length']]);
    expect((await ask(client, get(`${path}/none`))).status).toBe(404);
    expect((await ask(client, post, '{')).status).toBe(400);
    expect((await ask(client, post, JSON.stringify({ data: { x: 'y'.repeat(4 << 20) } }))).status).toBe(413);
    // The connection serves on.
    expect((await ask(client, get('/readyz'))).status).toBe(200);
  });

  it('knows a client by its certificate on every stream', async () => {
    const seen: (Buffer | undefined)[] = [];
    const server = await start({
      door: {
        identify: async ({ certificate }) => {
          seen.push(certificate);
          return { username: 'x', groups: [] };
        },
      },
    });
    const { certificate, key } = await issueClientCertificate(authority, { name: 'c', username: 'carol', groups: [] });
    const client = await session(server, { cert: certificate, key });
    await ask(client, get('/api/v1/pods'));
    await ask(client, get('/api/v1/pods'));
    await ask(await session(server), get('/api/v1/pods'));
    expect(seen.map(each => each?.length !== undefined)).toEqual([true, true, false]);
  });

  it('carries watches beside other requests, and ends them cleanly at the stop, with GOAWAY', async () => {
    const server = await start();
    const client = await session(server);
    const watching = client.request(get('/api/v1/namespaces/default/configmaps?watch=true'));
    watching.setEncoding('utf8');
    let text = '';
    watching.on('data', part => {
      text += part;
    });
    await new Promise(resolve => watching.once('response', resolve));
    await server.client.create(ConfigMap, { metadata: { name: 'seen', namespace: 'default' } });
    await until(() => text.includes('"seen"'), 'the event');
    let goAway: number | undefined;
    client.on('goaway', code => {
      goAway = code;
    });
    const closed = new Promise(resolve => watching.once('close', resolve));
    const stopped = server.stop();
    await closed;
    expect(watching.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    await stopped;
    await until(() => client.destroyed, 'the end of the connection');
    expect(goAway).toBe(constants.NGHTTP2_NO_ERROR);
  });

  it('cuts off a watcher that opens no window, and the others go on', async () => {
    const server = await start({ door: { stalledMs: 200 } });
    const client = await session(server, { settings: { initialWindowSize: 0 } });
    const stalled = client.request(get('/api/v1/namespaces/default/configmaps?watch=true'));
    stalled.on('error', () => undefined);
    await new Promise(resolve => stalled.once('response', resolve));
    for (let i = 0; i < 10; i++)
      await server.client.create(ConfigMap, {
        metadata: { name: `big${i}`, namespace: 'default' },
        data: { text: 'x'.repeat(100_000) },
      });
    await until(() => stalled.destroyed, 'the end of the stalled watch');
    expect(stalled.rstCode).toBe(constants.NGHTTP2_CANCEL);
    const other = await session(server);
    expect((await ask(other, get('/readyz'))).status).toBe(200);
  });

  it('does not keep an answer forever that its client does not take', async () => {
    const server = await start({ door: { stalledMs: 100 } });
    await server.client.create(ConfigMap, { metadata: { name: 'a', namespace: 'default' } });
    const client = await session(server, { settings: { initialWindowSize: 0 } });
    const stream = client.request(get('/api/v1/namespaces/default/configmaps/a'));
    stream.on('error', () => undefined);
    stream.resume();
    await until(() => stream.destroyed, 'the end of the stream');
    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
  });

  it('gives up on bodies and on connections that do not come', async () => {
    const server = await start({ door: { headersTimeoutMs: 100, requestTimeoutMs: 200, idleMs: 300 } });
    const silent = await rawTls(server, 'h2');
    await closeOf(silent);
    const client = await session(server);
    const half = client.request({ ':method': 'POST', ':path': '/api/v1/namespaces' });
    half.on('error', () => undefined);
    half.write('{"kind"');
    await until(() => half.destroyed, 'the end of half a request');
    const idle = await session(server);
    await until(() => idle.destroyed, 'the end of an idle connection');
  });

  it.each([
    [
      'rapid resets',
      (n: number) => [frame(1, 0x5, 2 * n + 1, getReadyz), frame(3, 0, 2 * n + 1, Buffer.from([0, 0, 0, 8]))],
    ],
    ['pings', () => [frame(6, 0, 0, Buffer.alloc(8))]],
    ['settings', () => [frame(4, 0, 0)]],
    ['streams that nobody resets', (n: number) => [frame(1, 0x4, 2 * n + 1, getReadyz)]],
    ['frames of data without any', (n: number) => [...(n === 0 ? [frame(1, 0x4, 1, getReadyz)] : []), frame(0, 0, 1)]],
  ])('closes a connection that floods it with %s, and no other', async (_what, frames) => {
    const server = await start({ handler: { access: () => new Promise(() => undefined) } });
    const bystander = await session(server);
    const socket = await rawTls(server, 'h2');
    // GOAWAY may get lost in the flood.
    const closed = closeOf(socket);
    socket.write(preface);
    for (let n = 0; n < 3_000 && !socket.closed; n++) {
      socket.write(Buffer.concat(frames(n)));
      if (n % 50 === 0) await new Promise(resolve => setImmediate(resolve));
    }
    await closed;
    expect(bystander.destroyed).toBe(false);
  });

  it('lets go of a connection whose session a broken frame has stopped (found by the fuzzer)', async () => {
    const server = await start({ door: { headersTimeoutMs: 200 } });
    const bystander = await session(server);
    const brokenWindowUpdate = frame(8, 0, 0, Buffer.alloc(3));
    for (let i = 0; i < 10; i++) {
      const socket = await rawTls(server, 'h2');
      socket.write(Buffer.concat([preface, frame(1, 0x4, 1, getReadyz), brokenWindowUpdate]));
      socket.on('error', () => undefined);
      await new Promise(resolve => setTimeout(resolve, 20));
      socket.destroy();
    }
    await until(() => server.door.connections === 1, 'the end of ten connections');
    expect((await ask(bystander, get('/readyz'))).status).toBe(200);
  });

  it('takes at most 64 KiB of headers', async () => {
    const server = await start();
    const client = await session(server);
    const long = ask(client, { ...get('/readyz'), 'x-long': 'y'.repeat(70_000) });
    await expect(long).rejects.toThrow();
    const fields = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`x-${i}`, 'y']));
    await expect(ask(await session(server), { ...get('/readyz'), ...fields })).rejects.toThrow();
    expect((await ask(await session(server), get('/readyz'))).status).toBe(200);
  });

  it('serves a renewed certificate to new connections and drops none', async () => {
    const server = await start();
    const before = await session(server);
    const first = (before.socket as TLSSocket).getPeerCertificate().fingerprint256;
    server.door.renew(await identity(['renewed.example']));
    const after = await session(server);
    expect((after.socket as TLSSocket).getPeerCertificate().fingerprint256).not.toBe(first);
    expect((await ask(before, get('/readyz'))).status).toBe(200);
    expect((await ask(after, get('/readyz'))).status).toBe(200);
  });
});
