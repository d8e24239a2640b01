/** A daemon that is not there, and one that says nothing: neither keeps anybody waiting, and both are named. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { daemonVersion } from './daemon-version.js';
import { dockerRuntime } from './docker-runtime.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'orbitkit-daemon-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('a daemon that cannot be used', () => {
  it('names the socket on which nobody listens', async () => {
    const socketPath = join(directory, 'none.sock');
    const runtime = dockerRuntime({ dataDir: directory, docker: { socketPath } });
    await expect(runtime.version()).rejects.toMatchObject({
      reason: 'Unavailable',
      message: expect.stringContaining(`the Docker daemon at ${socketPath} does not answer (ENOENT)`),
    });
    await runtime.close();
  });

  it('names host and port that refuse', async () => {
    const taken = createServer();
    await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    await new Promise(resolve => taken.close(resolve));
    await expect(daemonVersion(new Docker({ host: '127.0.0.1', port, protocol: 'http' }))).rejects.toThrow(
      `127.0.0.1:${port} does not answer (ECONNREFUSED)`,
    );
  });

  it('gives one up that takes the connection and says nothing', async () => {
    const socketPath = join(directory, 'silent.sock');
    const connections = new Set<Socket>();
    const silent: Server = createServer(socket => connections.add(socket));
    await new Promise<void>(resolve => silent.listen(socketPath, resolve));
    try {
      await expect(daemonVersion(new Docker({ socketPath }), 50)).rejects.toThrow(
        `${socketPath} does not answer (ETIMEDOUT)`,
      );
    } finally {
      for (const each of connections) each.destroy();
      await new Promise(resolve => silent.close(resolve));
    }
  });
});
