/** Connections that say nothing, or too many of them: bounded, and others do not notice. */
import { connect, type Socket } from 'node:net';
import { ConfigMap } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type TestServer, type TestServerOptions, testServer } from './test-server.js';

const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
async function start(door: TestServerOptions['door']): Promise<TestServer> {
  const server = await testServer({ door });
  closers.push(() => server.stop());
  return server;
}
function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    closers.push(() => socket.destroy());
    socket.on('error', reject);
    socket.resume();
  });
}
const closed = (socket: Socket): Promise<void> =>
  new Promise(resolve => (socket.closed ? resolve() : socket.once('close', () => resolve())));
const readyz = async (server: TestServer) => (await fetch(`${server.url}/readyz`)).status;

describe('connections', () => {
  it('that send nothing, 500 of them, are closed in time; others are served meanwhile as ever', async () => {
    const server = await start({ headersTimeoutMs: 1_500 });
    const before = process.memoryUsage().rss;
    const silent = await Promise.all(Array.from({ length: 500 }, () => open(server.port)));
    const waits: number[] = [];
    for (let i = 0; i < 30; i++) {
      const began = performance.now();
      expect(await readyz(server)).toBe(200);
      waits.push(performance.now() - began);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(100 << 20);
    await Promise.all(silent.map(closed));
    expect(await readyz(server)).toBe(200);
  });

  it('that send nothing have to go for new ones when there are too many', async () => {
    const server = await start({ maxSilentConnections: 20 });
    const silent = await Promise.all(Array.from({ length: 20 }, () => open(server.port)));
    // A burst of many is not let in at the cost of those that have only just come.
    const refused = await open(server.port);
    await closed(refused);
    expect(silent.filter(socket => socket.closed)).toHaveLength(0);
    await new Promise(resolve => setTimeout(resolve, 1_050));
    expect(await readyz(server)).toBe(200);
    await closed(silent[0]!);
    expect(silent.filter(socket => socket.closed)).toHaveLength(1);
  });

  it('are bounded in all and for one address', async () => {
    for (const bounds of [{ maxConnections: 10 }, { maxConnectionsPerAddress: 10 }]) {
      const server = await start(bounds);
      const ten = await Promise.all(Array.from({ length: 10 }, () => open(server.port)));
      await closed(await open(server.port));
      ten[0]!.destroy();
      await closed(ten[0]!);
      for (let i = 0; ; i++) {
        const status = await readyz(server).catch(() => 0);
        if (status === 200) break;
        if (i > 200) throw new Error('the place was not given back');
        await new Promise(resolve => setTimeout(resolve, 10));
      }
    }
  });

  it('that dribble a body are closed, and those that read nothing of their answer', async () => {
    const server = await start({ headersTimeoutMs: 300, requestTimeoutMs: 500, stalledMs: 300 });
    const slow = await open(server.port);
    slow.write('POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{');
    const dribble = setInterval(() => slow.write(' '), 50);
    closers.push(() => clearInterval(dribble));
    await closed(slow);
    for (let i = 0; i < 40; i++)
      await server.client.create(ConfigMap, {
        metadata: { name: `c${i}`, namespace: 'default' },
        data: { text: 'x'.repeat(200_000) },
      });
    const deaf = connect(server.port, '127.0.0.1');
    closers.push(() => deaf.destroy());
    deaf.pause();
    deaf.on('error', () => undefined);
    for (let i = 0; i < 4; i++) deaf.write('GET /api/v1/configmaps HTTP/1.1\r\nhost: x\r\n\r\n');
    // It notices when it looks again.
    await new Promise(resolve => setTimeout(resolve, 2_000));
    deaf.resume();
    await closed(deaf);
    expect(await readyz(server)).toBe(200);
  });
});
