/** What only a socket can do wrong: slow, broken and oversized requests, kept connections, stops in the middle. */
import { connect } from 'node:net';
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

/** Sends bytes and answers with all that comes until the server closes the connection. */
function raw(port: number, ...sent: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      for (const text of sent) socket.write(text);
    });
    let text = '';
    socket.on('data', data => {
      text += data;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

describe('the HTTP door', () => {
  it('gives up on headers and bodies that do not come', async () => {
    const { port } = await start({ door: { headersTimeoutMs: 100, requestTimeoutMs: 200 } });
    expect(await raw(port, 'GET / HTTP/1.1\r\nhost: x\r\n')).toMatch(/^HTTP\/1\.1 408 /);
    const body = 'POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"kind"';
    expect(await raw(port, body)).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('refuses what is no HTTP, and headers beyond 64 KiB', async () => {
    const { port } = await start();
    expect(await raw(port, 'SSH-2.0-x\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    const long = `x: ${'y'.repeat(70_000)}`;
    expect(await raw(port, `GET / HTTP/1.1\r\nhost: x\r\n${long}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });

  it('keeps a connection for the next request, also after a refused body', async () => {
    const { port } = await start();
    const text = await raw(
      port,
      `POST /api/v1/namespaces/default/pods/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}`,
      'GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
    );
    expect(text).toMatch(/^HTTP\/1\.1 405 [\s\S]*HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nok$/);
  });

  it('answers an upgrade that it does not know of as an ordinary request', async () => {
    const { port } = await start();
    expect(await raw(port, 'GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 200 [\s\S]*ok$/,
    );
  });

  it('lets go of a connection whose upgrade it has refused, also when the client just leaves (found by the fuzzer)', async () => {
    const server = await start();
    for (let i = 0; i < 5; i++) {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write('GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\nmore');
      await new Promise(resolve => socket.once('data', resolve));
      socket.destroy();
    }
    for (let i = 0; i < 500 && server.door.connections > 0; i++) await new Promise(resolve => setTimeout(resolve, 10));
    expect(server.door.connections).toBe(0);
  });

  it('finishes what it has begun before it stops', async () => {
    let release: () => void = () => undefined;
    let begun: () => void = () => undefined;
    const writing = new Promise<void>(resolve => {
      begun = resolve;
    });
    const server = await start({
      around: resources => ({
        ...resources,
        create: async (...call) => {
          await new Promise<void>(resolve => {
            release = resolve;
            begun();
          });
          return resources.create(...call);
        },
      }),
    });
    const path = '/api/v1/namespaces/default/configmaps';
    const asked = fetch(server.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ metadata: { name: 'late' } }),
    });
    await writing;
    const stopped = server.stop();
    release();
    const answer = await asked;
    expect([answer.status, answer.headers.get('connection')]).toEqual([201, 'close']);
    await stopped;
    await expect(fetch(server.url)).rejects.toThrow();
  });

  it('stops in the end even when a client will not let go', async () => {
    const server = await start();
    await server.client.create(ConfigMap, { metadata: { name: 'a', namespace: 'default' } });
    const held = raw(server.port, 'POST /api/v1/namespaces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{').catch(
      () => '',
    );
    await new Promise(resolve => setTimeout(resolve, 20));
    const began = Date.now();
    await server.stop();
    expect(Date.now() - began).toBeLessThan(5_000);
    await held;
  });
});
