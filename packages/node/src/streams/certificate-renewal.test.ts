/** The agent's serving certificate is renewed while it serves: announced first, then used; open connections stay. */
import { mkdtemp, rm } from 'node:fs/promises';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { manualClock, silentLogger } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { simulatedRuntime } from '../runtime/simulated/index.js';
import { servingCertificate } from './serving-certificate.js';
import { streamServer } from './stream-server.js';
import { authority } from './testing/authority.js';

const day = 24 * 60 * 60_000;
const year = 365 * day;

/** The SHA-256 that is presented, whether the caller is let in, and over which port it came. */
function ask(port: number, agent: https.Agent, identity: { cert: string; key: string }) {
  return new Promise<{ sha256: string; status: number; from: number | undefined }>((resolve, reject) => {
    const request = https.get(
      { host: '127.0.0.1', port, path: '/stats/summary', rejectUnauthorized: false, agent, ...identity },
      response => {
        const socket = response.socket as TLSSocket;
        // Only a connection that is new has it.
        const sha256 = socket.getPeerX509Certificate()?.fingerprint256.replaceAll(':', '').toLowerCase() ?? '';
        const found = { sha256, status: response.statusCode!, from: socket.localPort };
        response.resume().on('end', () => resolve(found));
      },
    );
    request.on('error', reject);
  });
}

it('is announced beside the old one, used ten minutes later, and kept', { timeout: 60_000 }, async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'orbitkit-agent-'));
  // TLS looks at the real time: the certificate is made in the past.
  const clock = manualClock(Date.now() - 0.95 * year);
  const cluster = await authority();
  let ca = 'not yet';
  const identity = await cluster.sign('kube-apiserver-kubelet-client');
  ca = cluster.ca;
  const at = { dataDir, name: 'n1', address: '127.0.0.1' };
  const server = await streamServer({
    ...at,
    listen: { clusterCA: () => ca },
    runtime: simulatedRuntime({ clock }),
    clock,
    log: silentLogger,
    pods: () => undefined,
  });
  const kept = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const fresh = () => ask(server.port, new https.Agent({ maxCachedSessions: 0 }), identity);
  try {
    const first = server.fingerprint;
    const before = await ask(server.port, kept, identity);
    expect(before).toMatchObject({ sha256: first, status: 200 });
    const idle = clock.pending;
    let days = 0;
    while (!server.fingerprint.includes(',')) {
      await clock.advance(day);
      // The new key is made outside of this clock; who makes it waits for no time meanwhile.
      await expect.poll(() => clock.pending, { interval: 5, timeout: 30_000 }).toBeGreaterThanOrEqual(idle);
      days++;
      // The server closes what is idle for five real seconds.
      if (days % 10 === 0) await ask(server.port, kept, identity);
      if (days > 365) throw new Error('it was never renewed');
    }
    expect(days).toBeGreaterThanOrEqual(0.7 * 365);
    expect(days).toBeLessThanOrEqual(0.9 * 365 + 2);
    const [, next] = server.fingerprint.split(',');
    expect(server.fingerprint).toBe(`${first},${next}`);
    expect((await fresh()).sha256).toBe(first);
    await clock.advance(10 * 60_000);
    await expect.poll(() => server.fingerprint).toBe(next);
    await expect.poll(async () => (await fresh()).sha256).toBe(next);
    expect(await fresh()).toMatchObject({ status: 200 });
    expect(await ask(server.port, kept, identity)).toMatchObject({ from: before.from, status: 200 });
    expect((await servingCertificate({ ...at, now: clock.now() })).fingerprint).toBe(next);
  } finally {
    kept.destroy();
    await server.close();
    await rm(dataDir, { recursive: true });
  }
  expect(clock.pending).toBe(0);
});
