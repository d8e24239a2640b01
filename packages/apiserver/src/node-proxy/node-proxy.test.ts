/** The proxy against an agent that speaks the kubelet's paths over TLS, through the real HTTP door. */

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import {
  type ClientRequest,
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  request,
  type Server,
} from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';

import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import {
  EndpointSlice,
  type Kind,
  type KubeObject,
  Node,
  notFound,
  Pod,
  Service,
  type StatusError,
  silentLogger,
} from '@orbitkit/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { errorAnswer } from '../http/answers.js';
import type { ApiHandler, ApiRequest } from '../http/exchange.js';
import { httpDoor } from '../http/http-door.js';
import { inProcessTransport } from '../http/in-process.js';
import { requestInfoOf } from '../http/request-info.js';
import { servedKinds } from '../http/served-kinds.js';
import { certificateFingerprint, createAuthority, issueServingCertificate, type KeyPair } from '../pki/index.js';
import type { ObjectBytes, RequestContext, Resources } from '../registry/contract.js';
import { servingCertificateAnnotation } from './agent-address.js';
import { nodeProxy } from './node-proxy.js';

const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

let serving: KeyPair;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'orbitkit-node-proxy-'));
  serving = await issueServingCertificate(await createAuthority({ dir }));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function listening(server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () =>
      new Promise(resolve => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  );
  return (server.address() as AddressInfo).port;
}

async function agent(listener: RequestListener) {
  const server = createHttpsServer(
    { cert: serving.certificate, key: serving.key, requestCert: true, rejectUnauthorized: false },
    listener,
  );
  return { server, port: await listening(server), sha256: certificateFingerprint(serving.certificate) };
}

const bytesOf = (object: KubeObject): ObjectBytes => ({
  bytes: Buffer.from(JSON.stringify(object)),
  revision: 1n,
  object: () => object as never,
});

/** Reads of a fixed world; nothing else is asked of the resources here. */
function world(...objects: KubeObject[]): Resources {
  return {
    get: async (_context: RequestContext, kind: Kind, key: { name: string; namespace?: string }) => {
      const found = objects.find(
        o => o.kind === kind.kind && o.metadata.name === key.name && o.metadata.namespace === key.namespace,
      );
      if (!found) throw notFound(kind, key.name);
      return bytesOf(found);
    },
    list: async (_context: RequestContext, kind: Kind) => ({
      resourceVersion: '1',
      items: objects.filter(o => o.kind === kind.kind).map(bytesOf),
    }),
  } as unknown as Resources;
}

const nodeObject = (port: number, sha256: string | undefined): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1', annotations: sha256 === undefined ? {} : { [servingCertificateAnnotation]: sha256 } },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    },
  }) as never;

const podObject = (spec: object = {}, status: object = {}): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'd' },
    spec: { nodeName: 'n1', containers: [{ name: 'c' }], ...spec },
    status,
  }) as never;

/** A server that is nothing but the proxy; errors become a Status as in the real handler. */
async function proxyServer(resources: Resources) {
  const kinds = servedKinds([Pod, Node, Service, EndpointSlice] as Kind[]);
  const proxy = nodeProxy({ kinds: () => kinds, resources });
  const handler: ApiHandler = {
    async handle(request: ApiRequest) {
      try {
        const info = requestInfoOf(request.method, request.path, request.query);
        const kind = kinds.find(info.group, info.version, info.resource)!;
        const context = { user: await request.identify(), signal: request.signal, warn: () => undefined };
        return await proxy.answer({ request, info, kind, context });
      } catch (error) {
        return errorAnswer(error, 'id', silentLogger);
      }
    },
  };
  const door = httpDoor({ handler, identify: async () => ({ username: 'u', groups: [] }), log: silentLogger });
  const { port } = await door.listen('127.0.0.1', 0);
  closers.push(() => door.close(100));
  const stop = new AbortController();
  closers.push(() => stop.abort());
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    transport: inProcessTransport({ handler, signal: stop.signal }, { username: 'u', groups: [] }),
  };
}

const json = async (response: Response) => ({
  code: response.status,
  ...((await response.json()) as { message: string }),
});

describe('pods/log', () => {
  it('passes the options to the agent and its text to the client as it comes', async () => {
    let asked: IncomingMessage | undefined;
    let finish: () => void = () => undefined;
    const { port, sha256 } = await agent((request, response) => {
      asked = request;
      response.write('one\n');
      finish = () => response.end('two\n');
    });
    const { url } = await proxyServer(world(nodeObject(port, sha256), podObject()));
    const response = await fetch(
      `${url}/api/v1/namespaces/d/pods/p/log?follow=true&tailLines=3&timestamps=false&pretty=1`,
    );
    expect(response.headers.get('content-type')).toBe('text/plain');
    const reader = response.body!.getReader();
    const decode = (bytes: Uint8Array | undefined) => Buffer.from(bytes!).toString();
    expect(decode((await reader.read()).value)).toBe('one\n');
    expect(asked!.url).toBe('/containerLogs/d/p/c?tailLines=3&follow=true');
    finish();
    expect(decode((await reader.read()).value)).toBe('two\n');
    expect((await reader.read()).done).toBe(true);
  });

  it('tells the agent when the client has gone', async () => {
    let gone: Promise<unknown> | undefined;
    const { port, sha256 } = await agent((_request, response) => {
      response.write('line\n');
      gone = new Promise(resolve => response.once('close', resolve));
    });
    const { url } = await proxyServer(world(nodeObject(port, sha256), podObject()));
    const leave = new AbortController();
    const response = await fetch(`${url}/api/v1/namespaces/d/pods/p/log?follow=1`, { signal: leave.signal });
    await response.body!.getReader().read();
    leave.abort();
    await gone;
  });

  it("makes a Status of the agent's error", async () => {
    const { port, sha256 } = await agent((_request, response) =>
      response.writeHead(400).end('container "c" in pod "p" is waiting to start'),
    );
    const { url } = await proxyServer(world(nodeObject(port, sha256), podObject()));
    const status = await json(await fetch(`${url}/api/v1/namespaces/d/pods/p/log`));
    expect(status).toMatchObject({
      code: 400,
      reason: 'BadRequest',
      message: 'container "c" in pod "p" is waiting to start',
    });
  });

  it('says what is wrong before it asks', async () => {
    const two = podObject({ containers: [{ name: 'a' }, { name: 'b' }], initContainers: [{ name: 'i' }] });
    const { url } = await proxyServer(world(nodeObject(1, 'aa'), two));
    const log = async (query: string) => json(await fetch(`${url}/api/v1/namespaces/d/pods/p/log${query}`));
    expect(await log('')).toMatchObject({
      code: 400,
      message: 'a container name must be specified for pod p, choose one of: [a b i]',
    });
    expect(await log('?container=zz')).toMatchObject({ code: 400, message: 'container zz is not valid for pod p' });
    expect(await log('?container=a&tailLines=-1')).toMatchObject({
      code: 422,
      message: expect.stringContaining('tailLines: Invalid value: "-1"'),
    });
    expect(await log('?container=a&sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z')).toMatchObject({
      code: 422,
      message: expect.stringContaining('at most one of'),
    });
  });

  it('is empty for a pod without a node', async () => {
    const { url } = await proxyServer(world(podObject({ nodeName: undefined })));
    const response = await fetch(`${url}/api/v1/namespaces/d/pods/p/log`);
    expect([response.status, await response.text()]).toEqual([200, '']);
  });
});

describe("the agent's identity", () => {
  it('is its certificate: another one gets no request', async () => {
    let asked = 0;
    const { port, sha256 } = await agent((_request, response) => {
      asked++;
      response.end();
    });
    const wrong = sha256.replace(/^../, hex => (hex === '00' ? '11' : '00'));
    const { url } = await proxyServer(world(nodeObject(port, wrong), podObject()));
    const status = await json(await fetch(`${url}/api/v1/namespaces/d/pods/p/log`));
    expect(status).toMatchObject({
      code: 503,
      reason: 'ServiceUnavailable',
      message: expect.stringContaining('is not the one that its Node object names'),
    });
    expect(asked).toBe(0);
  });

  it('must be published, and the agent must be there', async () => {
    const unpublished = await proxyServer(world(nodeObject(1, undefined), podObject()));
    expect(await json(await fetch(`${unpublished.url}/api/v1/nodes/n1/proxy/pods`))).toMatchObject({
      code: 503,
      message: `node n1 has no agent to ask: its Node object has no annotation ${servingCertificateAnnotation} (is the agent running?)`,
    });
    const dead = createHttpServer();
    const port = await listening(dead);
    await closers.pop()!();
    const down = await proxyServer(world(nodeObject(port, 'aa'), podObject()));
    expect(await json(await fetch(`${down.url}/api/v1/nodes/n1/proxy/pods`))).toMatchObject({
      code: 503,
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

describe('exec', () => {
  /** Echoes each message behind its channel byte; ends on "bye". */
  async function echoAgent() {
    const asked: string[] = [];
    const { server, port, sha256 } = await agent((_request, response) => response.writeHead(404).end('no such path'));
    const sockets = new WebSocketServer({ noServer: true, handleProtocols: offered => [...offered][0]! });
    server.on('upgrade', (request, socket, head) => {
      asked.push(request.url!);
      if (request.url!.includes('refuse'))
        return void socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 12\r\n\r\nno container');
      sockets.handleUpgrade(request, socket, head, ws => {
        ws.on('message', (data: Buffer) => {
          if (data.toString('utf8', 1) === 'bye') return ws.close(1000);
          ws.send(Buffer.concat([Buffer.from([1]), data.subarray(1)]));
        });
      });
    });
    return { port, sha256, asked };
  }
  const target = '/api/v1/namespaces/d/pods/p/exec?command=sh&command=-c&stdin=true&stdout=true&tty=false';

  it('is passed through byte for byte', async () => {
    const { port, sha256, asked } = await echoAgent();
    const server = await proxyServer(world(nodeObject(port, sha256), podObject()));
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}${target}`, ['v5.channel.k8s.io', 'v4.channel.k8s.io']);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    expect(socket.protocol).toBe('v5.channel.k8s.io');
    const big = Buffer.alloc(300_000, 7);
    const echoed = new Promise<Buffer>(resolve => socket.once('message', resolve));
    socket.send(Buffer.concat([Buffer.from([0]), big]));
    expect(Buffer.compare(await echoed, Buffer.concat([Buffer.from([1]), big]))).toBe(0);
    const closed = new Promise(resolve => socket.once('close', resolve));
    socket.send(Buffer.from('\0bye'));
    expect(await closed).toBe(1000);
    expect(asked).toEqual(['/exec/d/p/c?command=sh&command=-c&stdin=true&stdout=true']);
  });

  it('works for callers in the same process', async () => {
    const { port, sha256 } = await echoAgent();
    const { transport } = await proxyServer(world(nodeObject(port, sha256), podObject()));
    const socket = await transport.connect(target, { protocols: ['v5.channel.k8s.io'] });
    expect(socket.protocol).toBe('v5.channel.k8s.io');
    socket.send(Buffer.from('\0hello'));
    const messages = socket.messages[Symbol.asyncIterator]();
    expect(Buffer.from((await messages.next()).value).toString()).toBe('\x01hello');
    socket.send(Buffer.from('\0bye'));
    expect((await messages.next()).done).toBe(true);
  });

  it('ends in the same process when its signal aborts', async () => {
    const { port, sha256 } = await echoAgent();
    const { transport } = await proxyServer(world(nodeObject(port, sha256), podObject()));
    const leave = new AbortController();
    const socket = await transport.connect(target, { protocols: ['v5.channel.k8s.io'], signal: leave.signal });
    const next = socket.messages[Symbol.asyncIterator]().next();
    const reason = new Error('enough');
    leave.abort(reason);
    await expect(next).rejects.toBe(reason);
  });

  it("shows the agent's refusal at both doors", async () => {
    const { port, sha256 } = await echoAgent();
    const server = await proxyServer(world(nodeObject(port, sha256), podObject({ containers: [{ name: 'refuse' }] })));
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}${target}`, ['v4.channel.k8s.io']);
    socket.on('error', () => undefined);
    const [, answer] = await new Promise<[unknown, IncomingMessage]>(resolve =>
      socket.once('unexpected-response', (...both) => resolve(both as never)),
    );
    const parts: Buffer[] = [];
    for await (const part of answer) parts.push(part as Buffer);
    expect([answer.statusCode, JSON.parse(Buffer.concat(parts).toString())]).toMatchObject([
      404,
      { reason: 'NotFound', message: 'no container' },
    ]);
    await expect(server.transport.connect(target, { protocols: ['v4.channel.k8s.io'] })).rejects.toMatchObject({
      code: 404,
      message: 'no container',
    });
  });

  it('needs an upgrade; of a missing pod it says so at both doors', async () => {
    const { url } = await proxyServer(world(nodeObject(1, 'aa'), podObject()));
    for (const method of ['GET', 'POST']) {
      for (const path of [target, '/api/v1/namespaces/d/pods/p/portforward']) {
        expect(await json(await fetch(`${url}${path}`, { method }))).toMatchObject({
          code: 400,
          message: 'Upgrade request required',
        });
      }
    }
    const error = (await proxyServer(world())).transport.connect(target, { protocols: ['v5.channel.k8s.io'] });
    await expect(error).rejects.toMatchObject({ code: 404 } satisfies Partial<StatusError>);
  });

  it("passes SPDY's handshake, by POST, and every byte of what a side said before it closed", async () => {
    const { server, port: agentPort, sha256 } = await agent((_request, response) => response.writeHead(500).end());
    const said = Buffer.alloc(4_000_000, 'x');
    const asked: string[] = [];
    server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
      const { upgrade, 'x-stream-protocol-version': versions, 'x-hop': hop } = request.headers;
      asked.push(`${request.method} ${upgrade} ${versions} ${hop}`);
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
      socket.end(said);
    });
    const { port } = await proxyServer(world(nodeObject(agentPort, sha256), podObject()));
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `POST ${target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\nUpgrade: SPDY/3.1\r\n` +
        'X-Stream-Protocol-Version: v4.channel.k8s.io\r\nX-Stream-Protocol-Version: v3.channel.k8s.io\r\nContent-Length: 0\r\n\r\n',
    );
    // A reader that comes late: what is buffered on the way must not be lost.
    await new Promise(resolve => setTimeout(resolve, 200));
    const parts: Buffer[] = [];
    for await (const part of socket) parts.push(part as Buffer);
    const answer = Buffer.concat(parts);
    const head = answer.indexOf('\r\n\r\n') + 4;
    expect(answer.toString('latin1', 0, head)).toMatch(/^HTTP\/1.1 101 [\s\S]*Upgrade: SPDY\/3.1/);
    expect(answer.length - head).toBe(said.length);
    expect(asked).toEqual(['POST SPDY/3.1 v4.channel.k8s.io, v3.channel.k8s.io undefined']);
  });
});

describe('proxies', () => {
  it("reach a pod's port and keep this server's credentials to themselves", async () => {
    let seen: IncomingMessage | undefined;
    const body: Buffer[] = [];
    const server = createHttpServer((request, response) => {
      seen = request;
      request
        .on('data', part => body.push(part))
        .on('end', () => response.writeHead(202, { 'x-pod': 'p' }).end('hello'));
    });
    const port = await listening(server);
    const pod = podObject(
      { containers: [{ name: 'c', ports: [{ name: 'web', containerPort: port }] }] },
      { podIP: '127.0.0.1' },
    );
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's', namespace: 'd' },
      spec: { ports: [{ port: 80 }] },
    } as never;
    const slice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 's-1', namespace: 'd' },
      ports: [{ name: '', port }],
      endpoints: [
        { addresses: ['127.0.0.9'], conditions: { ready: false } },
        { addresses: ['127.0.0.1'], conditions: { ready: true } },
      ],
    } as never;
    const { url } = await proxyServer(world(pod, service, slice));
    const response = await fetch(`${url}/api/v1/namespaces/d/pods/p:web/proxy/a%2Fb?x=1`, {
      method: 'POST',
      body: 'body',
      headers: { authorization: 'Bearer secret', 'x-own': 'y' },
    });
    expect([response.status, response.headers.get('x-pod'), await response.text()]).toEqual([202, 'p', 'hello']);
    expect(seen).toMatchObject({ method: 'POST', url: '/a%2Fb?x=1', headers: { 'x-own': 'y' } });
    expect(seen!.headers['authorization']).toBeUndefined();
    expect(Buffer.concat(body).toString()).toBe('body');
    expect(await (await fetch(`${url}/api/v1/namespaces/d/services/s/proxy/`)).text()).toBe('hello');
    const redirect = await fetch(`${url}/api/v1/namespaces/d/services/s/proxy?q`, { redirect: 'manual' });
    expect([redirect.status, redirect.headers.get('location')]).toEqual([
      301,
      '/api/v1/namespaces/d/services/s/proxy/?q',
    ]);
    expect(await json(await fetch(`${url}/api/v1/namespaces/d/services/s:http/proxy/`))).toMatchObject({
      code: 503,
      message: 'no service port "http" found for service "s"',
    });
  });

  /** A pod that says what it was asked, and speaks WebSocket. */
  async function echoPod() {
    const server = createHttpServer(async (request, response) => {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      const { method, url, headers } = request;
      response.setHeader('connection', 'close, X-Hop').setHeader('x-hop', 'mine');
      if (method === 'HEAD') response.setHeader('content-length', 7);
      response.end(
        method === 'HEAD' ? '' : JSON.stringify({ method, url, headers, body: Buffer.concat(parts).toString() }),
      );
    });
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket, request) =>
      socket.on('message', (data: Buffer) => socket.send(`${request.url} ${data}`)),
    );
    closers.push(() => sockets.close());
    const port = await listening(server);
    const pod = podObject({ containers: [{ name: 'c', ports: [{ containerPort: port }] }] }, { podIP: '127.0.0.1' });
    return proxyServer(world(pod));
  }

  /** Exactly these bytes, which no client library would send. */
  async function raw(port: number, request: string): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    socket.write(request.replaceAll('\n', '\r\n'));
    let text = '';
    for await (const part of socket) text += part;
    return text;
  }

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])('pass %s on', async method => {
    const { url } = await echoPod();
    const body = method === 'GET' ? null : 'body';
    const response = await fetch(`${url}/api/v1/namespaces/d/pods/p/proxy/x?a=1&a=2`, { method, body });
    expect(await response.json()).toMatchObject({ method, url: '/x?a=1&a=2', body: body ?? '' });
    expect(response.headers.get('x-hop')).toBeNull();
  });

  it('pass a body on piece by piece, larger than any that the server keeps, and encoded as it is', async () => {
    let first: (size: number) => void = () => undefined;
    const began = new Promise<number>(resolve => {
      first = resolve;
    });
    const server = createHttpServer(async (incoming, response) => {
      let size = 0;
      for await (const part of incoming) {
        if (size === 0) first((part as Buffer).length);
        size += (part as Buffer).length;
      }
      const { 'content-encoding': encoding, 'content-length': length = 'none' } = incoming.headers;
      response.end(`${size} ${encoding} ${length}`);
    });
    const port = await listening(server);
    const pod = podObject({ containers: [{ name: 'c', ports: [{ containerPort: port }] }] }, { podIP: '127.0.0.1' });
    const { port: door } = await proxyServer(world(pod));
    const piece = Buffer.alloc(64 * 1024);
    const upload = (headers: Record<string, string>) =>
      request({
        port: door,
        host: '127.0.0.1',
        method: 'PUT',
        path: '/api/v1/namespaces/d/pods/p/proxy/blob',
        headers: { 'content-encoding': 'made-up', ...headers },
      });
    const answerOf = async (outgoing: ClientRequest) => {
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
      let text = '';
      for await (const part of answer) text += part;
      return text;
    };
    const chunked = upload({});
    const answer = answerOf(chunked);
    chunked.write(piece);
    // The pod has the first piece before the client has sent the last.
    expect(await began).toBeGreaterThan(0);
    for (let i = 1; i < 128; i++) if (!chunked.write(piece)) await once(chunked, 'drain');
    chunked.end();
    expect(await answer).toBe(`${128 * piece.length} made-up none`);
    const sized = upload({ 'content-length': `${2 * piece.length}` });
    const second = answerOf(sized);
    sized.write(piece);
    sized.end(piece);
    expect(await second).toBe(`${2 * piece.length} made-up ${2 * piece.length}`);
  });

  it("give up at the pod when the client's body breaks off", async () => {
    let gone: () => void = () => undefined;
    const broken = new Promise<void>(resolve => {
      gone = resolve;
    });
    const server = createHttpServer(incoming => {
      incoming.on('error', () => undefined);
      incoming.on('close', gone);
      incoming.resume();
    });
    const port = await listening(server);
    const pod = podObject({ containers: [{ name: 'c', ports: [{ containerPort: port }] }] }, { podIP: '127.0.0.1' });
    const { port: door } = await proxyServer(world(pod));
    const socket = connect(door, '127.0.0.1');
    const arrived = once(server, 'request');
    socket.write(
      'POST /api/v1/namespaces/d/pods/p/proxy/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nten bytes.',
    );
    await arrived;
    socket.destroy();
    await broken;
  });

  it('answer HEAD with the length and no body', async () => {
    const { url } = await echoPod();
    const response = await fetch(`${url}/api/v1/namespaces/d/pods/p/proxy/x`, { method: 'HEAD' });
    expect([response.status, response.headers.get('content-length')]).toEqual([200, '7']);
  });

  it.each(['/a/../../../secrets', '/a%2F..%2F..%2Fsecrets', '/%2e%2e/%2e%2e/secrets', '//x//y', '/..;/..'])(
    'take %s as data',
    async path => {
      const { port } = await echoPod();
      const text = await raw(
        port,
        `GET /api/v1/namespaces/d/pods/p/proxy${path} HTTP/1.1\nHost: x\nConnection: close\n\n`,
      );
      expect(JSON.parse(text.slice(text.indexOf('\r\n\r\n')).match(/\{.*\}/s)![0]).url).toBe(path);
    },
  );

  it('drop what belongs to one connection, credentials, and what Connection names; two lengths are refused', async () => {
    const { port } = await echoPod();
    const start = 'POST /api/v1/namespaces/d/pods/p/proxy/x HTTP/1.1\nHost: outside\n';
    const text = await raw(
      port,
      `${start}Connection: close, X-Secret\nX-Secret: 1\nX-Kept: 2\nTE: trailers\nKeep-Alive: 1\nAuthorization: Bearer t\nImpersonate-User: u\nTransfer-Encoding: chunked\n\n4\nbody\n0\n\n`,
    );
    const { headers, body } = JSON.parse(text.match(/\{.*\}/s)![0]);
    expect(body).toBe('body');
    expect(headers).toEqual({
      'x-kept': '2',
      'transfer-encoding': 'chunked',
      host: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      connection: expect.any(String),
    });
    for (const twice of ['Content-Length: 4\nTransfer-Encoding: chunked', 'Content-Length: 4\nContent-Length: 5'])
      expect(await raw(port, `${start}${twice}\n\n0\n\n`)).toMatch(/^HTTP\/1.1 400/);
  });

  it('pass WebSockets on', async () => {
    const { port } = await echoPod();
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/v1/namespaces/d/pods/p/proxy/chat?room=1`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const answer = new Promise(resolve => socket.once('message', data => resolve(String(data))));
    socket.send('hello');
    expect(await answer).toBe('/chat?room=1 hello');
    socket.terminate();
  });

  it('reach the agent under nodes/proxy', async () => {
    const { port, sha256 } = await agent((request, response) =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ url: request.url })),
    );
    const { url } = await proxyServer(world(nodeObject(port, sha256)));
    expect(await (await fetch(`${url}/api/v1/nodes/n1/proxy/stats/summary?only=cpu`)).json()).toEqual({
      url: '/stats/summary?only=cpu',
    });
  });
});
