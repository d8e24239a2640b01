import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { manualClock } from '../clock/manual-clock.js';
import { StatusError } from '../errors/status-error.js';
import { Namespace, Pod } from '../kinds/generated/kinds.js';
import { createClient } from './create-client.js';
import { type HttpTransportOptions, httpTransport } from './http-transport.js';
import type { Transport } from './transport.js';

const testdata = fileURLToPath(new URL('./testdata/', import.meta.url));
const pem = (name: string) => readFile(`${testdata}${name}`, 'utf8');

const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server on loopback that counts its connections and ends with the test. */
async function serve(
  listener: RequestListener,
  tls?: object,
): Promise<{ url: string; server: Server; connections: () => number; open: () => number }> {
  const server = tls ? (createTlsServer(tls, listener) as unknown as Server) : createServer(listener);
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise(resolve => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    server,
    connections: () => connections,
    open: () => sockets.size,
  };
}

function transportTo(options: HttpTransportOptions): Transport {
  const transport = httpTransport(options);
  cleanups.push(() => transport.close());
  return transport;
}

const until = async (condition: () => boolean): Promise<void> => {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come true within 5 s');
    await new Promise(resolve => setTimeout(resolve, 5));
  }
};

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orbit-core-'));
  cleanups.push(() => rm(path, { recursive: true, force: true }));
  return path;
}

describe('HTTP', () => {
  it('sends method, path, headers and body, and reads the answer', async () => {
    const seen: unknown[] = [];
    const { url } = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', chunk => chunks.push(chunk));
      request.on('end', () => {
        const { authorization, 'user-agent': agent, 'content-type': type } = request.headers;
        seen.push([request.method, request.url, authorization, agent, type, Buffer.concat(chunks).toString()]);
        response.setHeader('Warning', ['299 - "one"', '299 - "two"']);
        response.setHeader('X-Two', ['a', 'b']);
        response.writeHead(201);
        response.end('hello');
      });
    });
    const transport = transportTo({ server: `${url}/prefix/`, token: 'secret', userAgent: 'test/1' });
    const response = await transport.request({
      method: 'POST',
      path: '/api?x=1',
      headers: { 'content-type': 'text/plain' },
      body: 'body',
    });
    expect(Buffer.from(await response.bytes()).toString()).toBe('hello');
    expect(response).toMatchObject({ status: 201, warnings: ['299 - "one"', '299 - "two"'] });
    expect(response.headers['x-two']).toBe('a, b');
    expect(seen).toEqual([['POST', '/prefix/api?x=1', 'Bearer secret', 'test/1', 'text/plain', 'body']]);
  });

  it('keeps its connection for the next request', async () => {
    const { url, connections } = await serve((_, response) => response.end('{}'));
    const transport = transportTo({ server: url });
    for (let i = 0; i < 20; i++) await (await transport.request({ method: 'GET', path: '/' })).bytes();
    // A second one is opened when the first is not yet free at the moment of asking.
    expect(connections()).toBeLessThanOrEqual(2);
  });

  it('reads again when a kept connection is lost, once, and never writes twice', async () => {
    const seen: string[] = [];
    const { url } = await serve((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      if (request.url === '/first' || seen.length === 3) response.end('{}');
      else response.socket?.destroy();
    });
    const transport = transportTo({ server: url });
    const ask = async (method: 'GET' | 'POST', path: string) => (await transport.request({ method, path })).bytes();
    await ask('GET', '/first');
    await ask('GET', '/lost');
    expect(seen).toEqual(['GET /first', 'GET /lost', 'GET /lost']);
    await expect(ask('POST', '/lost')).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
    await expect(ask('GET', '/lost')).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
    expect(seen.slice(3)).toEqual(['POST /lost', 'GET /lost', 'GET /lost']);
  });

  it('bounds its connections; requests beyond wait in line, watches do not count', async () => {
    const held: (() => void)[] = [];
    const { url, open } = await serve((request, response) => {
      if (request.url === '/watch') response.write('x');
      else held.push(() => response.end('{}'));
    });
    const transport = transportTo({ server: url });
    for (let i = 0; i < 70; i++) await transport.request({ method: 'GET', path: '/watch', stream: true });
    const requests = Array.from({ length: 100 }, async () =>
      (await transport.request({ method: 'GET', path: '/' })).bytes(),
    );
    await until(() => held.length === 64);
    expect(open()).toBe(70 + 64);
    const answering = setInterval(() => {
      for (const answer of held.splice(0)) answer();
    }, 5);
    expect(await Promise.all(requests)).toHaveLength(100);
    clearInterval(answering);
  });

  it('sends each group of an impersonation as a header of its own', async () => {
    let raw: string[] = [];
    const { url } = await serve((request, response) => {
      raw = request.rawHeaders.map(text => text.toLowerCase());
      response.end('{}');
    });
    const transport = transportTo({ server: url, impersonate: { username: 'jo', groups: ['a', 'b'] } });
    await (await transport.request({ method: 'GET', path: '/' })).bytes();
    const groups = raw.filter((_, index) => raw[index - 1] === 'impersonate-group');
    expect([raw[raw.indexOf('impersonate-user') + 1], groups]).toEqual(['jo', ['a', 'b']]);
  });

  it('reads a token file again when its minute is over', async () => {
    const path = join(await folder(), 'token');
    await writeFile(path, 'first\n');
    const seen: (string | undefined)[] = [];
    const { url } = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end('{}');
    });
    const clock = manualClock();
    const transport = transportTo({ server: url, tokenFile: path, clock });
    const ask = async () => (await transport.request({ method: 'GET', path: '/' })).bytes();
    await ask();
    await writeFile(path, 'second\n');
    await ask();
    await clock.advance(60_001);
    await ask();
    expect(seen).toEqual(['Bearer first', 'Bearer first', 'Bearer second']);
    await expect(
      transportTo({ server: url, tokenFile: `${path}.none` }).request({ method: 'GET', path: '/' }),
    ).rejects.toThrow('cannot read the token file');
  });

  it('says that nothing listens', async () => {
    const { url, server } = await serve((_, response) => response.end());
    await new Promise(resolve => server.close(resolve));
    const failure = await transportTo({ server: url })
      .request({ method: 'GET', path: '/api' })
      .catch(error => error);
    expect(failure).toMatchObject({ reason: 'ServiceUnavailable', code: 503 });
    expect(failure.message).toContain('nothing listens on 127.0.0.1:');
  });

  it('bounds the wait for an answer, and for the end of a body', async () => {
    const { url, open } = await serve((request, response) => {
      if (request.url === '/body') response.write('{"a":');
    });
    const silent = transportTo({ server: url }).request({ method: 'GET', path: '/none', timeoutMs: 50 });
    await expect(silent).rejects.toMatchObject({ reason: 'Timeout', code: 504 });
    await until(() => open() === 0);
    const response = await transportTo({ server: url }).request({ method: 'GET', path: '/body', timeoutMs: 50 });
    await expect(response.bytes()).rejects.toMatchObject({ reason: 'Timeout' });
    await until(() => open() === 0);
  });

  it('rejects with the reason of its signal, before and while', async () => {
    const { url, open } = await serve(() => undefined);
    const transport = transportTo({ server: url });
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const pending = transport.request({ method: 'GET', path: '/', signal: controller.signal });
    await until(() => open() === 1);
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    await expect(transport.request({ method: 'GET', path: '/', signal: controller.signal })).rejects.toBe(reason);
    await until(() => open() === 0);
  });

  it('gives a request up that still waits in line for a connection', async () => {
    const held: (() => void)[] = [];
    let asked = 0;
    const { url } = await serve((_, response) => {
      asked += 1;
      held.push(() => response.end('{}'));
    });
    const transport = transportTo({ server: url });
    const ask = async (options: { signal?: AbortSignal; timeoutMs?: number } = {}) =>
      (await transport.request({ method: 'GET', path: '/', ...options })).bytes();
    const first = Array.from({ length: 64 }, () => ask());
    await until(() => held.length === 64);
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const waiting = ask({ signal: controller.signal });
    const late = ask({ timeoutMs: 50 });
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(late).rejects.toMatchObject({ reason: 'Timeout' });
    for (const answer of held.splice(0)) answer();
    await Promise.all(first);
    // Neither was sent afterwards, and the connections serve others.
    const next = ask();
    await until(() => held.length === 1);
    held[0]!();
    await next;
    expect(asked).toBe(65);
  });

  it('reads what came before the connection broke, then the error; after its own signal nothing', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 10 });
      response.write('abc');
      setTimeout(() => response.socket?.destroy(), 30);
    });
    const transport = transportTo({ server: url });
    const broken = await transport.request({ method: 'GET', path: '/' });
    await new Promise(resolve => setTimeout(resolve, 60));
    const seen: string[] = [];
    const read = async (body: AsyncIterable<Uint8Array>) => {
      for await (const chunk of body) seen.push(Buffer.from(chunk).toString());
    };
    await expect(read(broken.body)).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
    expect(seen).toEqual(['abc']);
    const controller = new AbortController();
    const given = await transport.request({ method: 'GET', path: '/', signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(read(given.body)).rejects.toBe(reason);
    expect(seen).toEqual(['abc']);
  });

  it('refuses servers that are no URL, and credentials over plain HTTP to other machines', () => {
    expect(() => httpTransport({ server: 'localhost:6443' })).toThrow('is not the URL of an API server');
    expect(() => httpTransport({ server: 'http://example.com', token: 'x' })).toThrow(
      'credentials are not sent over plain HTTP',
    );
    expect(() => httpTransport({ server: 'http://[::1]:80', token: 'x' })).not.toThrow();
    expect(() => httpTransport({ server: 'http://example.com' })).not.toThrow();
  });

  it('ends what runs when it is closed, and refuses what comes after', async () => {
    const { url, open } = await serve(() => undefined);
    const transport = httpTransport({ server: url });
    const pending = expect(transport.request({ method: 'GET', path: '/' })).rejects.toThrow(
      'was closed by this program',
    );
    await until(() => open() === 1);
    await transport.close();
    await transport.close();
    await pending;
    await expect(transport.request({ method: 'GET', path: '/' })).rejects.toThrow('was closed by this program');
    await until(() => open() === 0);
  });
});

describe('watches over HTTP', () => {
  const event = (name: string) => `${JSON.stringify({ type: 'ADDED', object: { metadata: { name } } })}\n`;

  it('deliver events as they come, without a bound on time', async () => {
    let send!: (text: string) => void;
    const { url, open } = await serve((_, response) => {
      response.writeHead(200);
      response.flushHeaders();
      send = text => response.write(text);
    });
    const client = createClient(transportTo({ server: url }), { timeoutMs: 60 });
    const watch = client.watch(Pod)[Symbol.asyncIterator]();
    const first = watch.next();
    await until(() => send !== undefined);
    await new Promise(resolve => setTimeout(resolve, 120));
    send(event('größe'));
    expect((await first).value).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'größe' } } });
    await watch.return?.();
    await until(() => open() === 0);
  });

  it('end when the server ends them, and fail when the connection breaks', async () => {
    const { url } = await serve((request, response) => {
      response.write(event('a'));
      if (request.url?.includes('nodes')) response.end();
      else setTimeout(() => response.socket?.destroy(), 20);
    });
    const client = createClient(transportTo({ server: url }));
    const seen: string[] = [];
    const read = async (kind: typeof Pod) => {
      for await (const each of client.watch(kind)) seen.push(each.type);
    };
    await read({ ...Pod, plural: 'nodes' });
    expect(seen).toEqual(['ADDED']);
    await expect(read(Pod)).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
  });

  it('reject with the reason of their signal, and free the connection', async () => {
    const { url, open } = await serve((_, response) => response.write(event('a')));
    const client = createClient(transportTo({ server: url }));
    const controller = new AbortController();
    const reason = new Error('enough');
    const read = async () => {
      for await (const each of client.watch(Pod, { signal: controller.signal })) if (each) controller.abort(reason);
    };
    await expect(read()).rejects.toBe(reason);
    await until(() => open() === 0);
  });

  it('do not wait for each other', async () => {
    const { url, open } = await serve((request, response) => {
      if (request.url?.includes('watch=true')) response.write(event('a'));
      else response.end(JSON.stringify({ metadata: { name: 'x' } }));
    });
    const client = createClient(transportTo({ server: url }));
    const controller = new AbortController();
    const watches = Array.from({ length: 20 }, async () => {
      for await (const _ of client.watch(Pod, { signal: controller.signal })) void _;
    });
    await until(() => open() === 20);
    expect((await client.get(Namespace, { name: 'x' })).metadata.name).toBe('x');
    controller.abort(new Error('done'));
    expect((await Promise.allSettled(watches)).every(({ status }) => status === 'rejected')).toBe(true);
  });
});

describe('TLS', () => {
  async function tlsServer(): Promise<string> {
    const tls = {
      key: await pem('server.key'),
      cert: await pem('server.pem'),
      ca: await pem('ca.pem'),
      requestCert: true,
      rejectUnauthorized: false,
    };
    const { url } = await serve((request, response) => {
      const subject = (request.socket as any).getPeerCertificate()?.subject?.CN ?? 'nobody';
      response.end(JSON.stringify({ metadata: { name: subject } }));
    }, tls);
    return url;
  }
  const who = async (options: HttpTransportOptions) =>
    (await createClient(transportTo(options)).get(Namespace, { name: 'x' })).metadata.name;

  it('trusts its own authority, as text or file', async () => {
    const server = await tlsServer();
    expect(await who({ server, ca: await pem('ca.pem') })).toBe('nobody');
    expect(await who({ server, caFile: `${testdata}ca.pem` })).toBe('nobody');
    expect(await who({ server, insecureSkipTlsVerify: true })).toBe('nobody');
  });

  it('refuses a certificate that it cannot trust, and says what to look at', async () => {
    const server = await tlsServer();
    const failure = await who({ server }).catch(error => error);
    expect(failure).toMatchObject({ reason: 'ServiceUnavailable' });
    expect(failure.message).toContain('is this the right certificate authority?');
    await expect(who({ server, ca: await pem('ca.pem'), tlsServerName: 'elsewhere' })).rejects.toThrow(
      'right certificate authority',
    );
    await expect(who({ server, caFile: `${testdata}none.pem` })).rejects.toThrow(
      'cannot read the certificate authority file',
    );
  });

  it('shows its client certificate', async () => {
    const server = await tlsServer();
    const identity = { cert: await pem('client.pem'), key: await pem('client.key') };
    expect(await who({ server, ca: await pem('ca.pem'), ...identity })).toBe('test-client');
    expect(
      await who({
        server,
        caFile: `${testdata}ca.pem`,
        certFile: `${testdata}client.pem`,
        keyFile: `${testdata}client.key`,
      }),
    ).toBe('test-client');
  });
});

describe('WebSockets', () => {
  /** A real WebSocket server beside the handler of other requests. */
  async function socketServer(onSocket: (socket: WebSocket, request: IncomingMessage) => void, tls?: object) {
    const served = await serve((_, response) => response.writeHead(404).end('404 page not found\n'), tls);
    const sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      handleProtocols: offered => [...offered].at(-1)!,
    });
    served.server.on('upgrade', (request, socket, head) => {
      if (request.url?.startsWith('/refused')) {
        const body = JSON.stringify(new StatusError('Forbidden', 'pods "x" is forbidden').toStatus());
        socket.end(
          `HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
      } else if (request.url?.startsWith('/silent')) {
        socket.on('end', () => socket.destroy()).resume();
      } else {
        sockets.handleUpgrade(request, socket, head, accepted => onSocket(accepted, request));
      }
    });
    return served;
  }
  const echo = (socket: WebSocket) => socket.on('message', data => socket.send(data as Buffer));

  it('exchange messages of every size, with protocol and identity', async () => {
    let authorization: string | undefined;
    const { url } = await socketServer((socket, request) => {
      authorization = request.headers.authorization;
      echo(socket);
    });
    const socket = await transportTo({ server: url, token: 't' }).connect('/exec?a=b', {
      protocols: ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
    });
    expect(socket.protocol).toBe('v4.channel.k8s.io');
    expect(authorization).toBe('Bearer t');
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 300_000];
    for (const size of sizes) socket.send(Buffer.alloc(size, size % 251));
    const received: number[] = [];
    for await (const message of socket.messages) {
      expect(Buffer.from(message).equals(Buffer.alloc(message.length, message.length % 251))).toBe(true);
      received.push(message.length);
      if (received.length === sizes.length) break;
    }
    expect(received).toEqual(sizes);
  });

  it('work over TLS with a client certificate', async () => {
    const tls = {
      key: await pem('server.key'),
      cert: await pem('server.pem'),
      ca: await pem('ca.pem'),
      requestCert: true,
      rejectUnauthorized: true,
    };
    const { url } = await socketServer(echo, tls);
    const transport = transportTo({
      server: url,
      ca: await pem('ca.pem'),
      cert: await pem('client.pem'),
      key: await pem('client.key'),
    });
    const socket = await transport.connect('/x', { protocols: [] });
    socket.send(Buffer.from('hi'));
    for await (const message of socket.messages) {
      expect(Buffer.from(message).toString()).toBe('hi');
      socket.close();
    }
  });

  it('throw the answer of a server that refuses', async () => {
    const { url } = await socketServer(echo);
    const transport = transportTo({ server: url });
    await expect(transport.connect('/refused', { protocols: ['a'] })).rejects.toMatchObject({
      reason: 'Forbidden',
      code: 403,
      message: 'pods "x" is forbidden',
    });
    await expect(transportTo({ server: 'http://127.0.0.1:1' }).connect('/x', { protocols: [] })).rejects.toThrow(
      'nothing listens',
    );
  });

  it('end cleanly when the server closes, and fail when it vanishes', async () => {
    const { url, open } = await socketServer((socket, request) => {
      socket.send('last words');
      if (request.url === '/clean') socket.close(1000);
      else setTimeout(() => (socket as any)._socket.destroy(), 20);
    });
    const transport = transportTo({ server: url });
    const read = async (path: string) => {
      const words: string[] = [];
      for await (const message of (await transport.connect(path, { protocols: [] })).messages)
        words.push(Buffer.from(message).toString());
      return words;
    };
    expect(await read('/clean')).toEqual(['last words']);
    await expect(read('/gone')).rejects.toThrow('the connection was lost');
    await until(() => open() === 0);
  });

  it('stop at their signal: in the handshake and while they are open', async () => {
    const { url, open } = await socketServer(() => undefined);
    const transport = transportTo({ server: url });
    const silent = new AbortController();
    const connecting = transport.connect('/silent', { protocols: [], signal: silent.signal });
    await until(() => open() === 1);
    silent.abort(new Error('too long'));
    await expect(connecting).rejects.toThrow('too long');

    const controller = new AbortController();
    const socket = await transport.connect('/x', { protocols: [], signal: controller.signal });
    const reading = (async () => {
      for await (const _ of socket.messages) void _;
    })();
    controller.abort(new Error('stop'));
    await expect(reading).rejects.toThrow('stop');
    await until(() => open() === 0);
  });

  it('bound the handshake', async () => {
    const { url } = await socketServer(echo);
    const clock = manualClock();
    const connecting = transportTo({ server: url, clock }).connect('/silent', { protocols: [] });
    const failure = expect(connecting).rejects.toMatchObject({ reason: 'Timeout' });
    await until(() => clock.pending === 1);
    await clock.advance(30_000);
    await failure;
  });

  it('hold the server back while nobody reads', async () => {
    let sent = 0;
    const { url } = await socketServer(socket => {
      const chunk = Buffer.alloc(64 * 1024);
      const more = () => {
        if (sent >= 400 || socket.readyState !== socket.OPEN) return;
        sent += 1;
        socket.send(chunk, more);
      };
      more();
    });
    const socket = await transportTo({ server: url }).connect('/x', { protocols: [] });
    await new Promise(resolve => setTimeout(resolve, 300));
    expect(sent).toBeLessThan(400);
    let bytes = 0;
    for await (const message of socket.messages) {
      bytes += message.length;
      if (bytes === 400 * 64 * 1024) break;
    }
    expect(sent).toBe(400);
  });
});
