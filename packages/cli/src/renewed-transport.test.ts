/** Certificates that live for seconds, of a server and of who talks to it: both are renewed, nobody is refused, nothing is restarted. */
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { createAuthority, issueClientCertificate } from '@orbitkit/apiserver/pki';
import {
  compose,
  createClient,
  httpTransport,
  manualClock,
  Node,
  SelfSubjectReview,
  silentLogger,
  type Transport,
} from '@orbitkit/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { renewedTransport } from './renewed-transport.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbitkit-renewed-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** The serial number that the server shows on a new connection. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    }).on('error', reject);
  });
}

it('a server and its client get over three lives of their certificates', { timeout: 60_000 }, async () => {
  const lifetimeMs = 3_000;
  const api = apiServer({
    store: memoryStore(),
    listen: { port: 0 },
    dataDir: dir,
    tls: { certificateLifetimeMs: lifetimeMs },
  });
  const stop = new AbortController();
  const cluster = compose({ log: silentLogger }, api);
  const running = cluster.run({ signal: stop.signal });
  await cluster.ready;
  const authority = await createAuthority({ dir: join(dir, 'pki') });
  let renewals = 0;
  const issue = async () => {
    const name = { name: 'n1', username: 'system:node:n1', groups: ['system:nodes'] };
    const { certificate, key, renewAt } = await issueClientCertificate(authority, { ...name, lifetimeMs });
    return { cert: certificate, key, renewAt };
  };
  const first = await issue();
  const client = createClient(
    renewedTransport({
      first,
      open: ({ cert, key }) => httpTransport({ server: api.endpoint!.url, ca: authority.certificate, cert, key }),
      async renew() {
        renewals++;
        return issue();
      },
    }),
  );
  const watching = new AbortController();
  try {
    const { port } = api.endpoint!;
    const serials = new Set<string>();
    const names = new Set<string>();
    const watched: string[] = [];
    const watch = (async () => {
      for await (const event of client.watch(Node, { fieldSelector: 'metadata.name=n1', signal: watching.signal }))
        if (event.type === 'ADDED') watched.push(event.object.metadata.name!);
    })().catch(error => {
      if (!watching.signal.aborted) throw error;
    });
    const until = Date.now() + 3 * lifetimeMs;
    // On a busy machine a renewal comes late; the number of them is waited for, within a bound.
    const latest = until + 5 * lifetimeMs;
    while (Date.now() < until || ((renewals < 3 || serials.size < 4) && Date.now() < latest)) {
      // Every request must be let in, as the same user.
      const review = await client.create(SelfSubjectReview, { metadata: {} } as never);
      names.add((review as unknown as { status: { userInfo: { username: string } } }).status.userInfo.username);
      serials.add(await shown(port));
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    expect([...names]).toEqual(['system:node:n1']);
    expect(renewals).toBeGreaterThanOrEqual(3);
    expect(serials.size).toBeGreaterThanOrEqual(4);
    expect(Date.parse(new X509Certificate(first.cert).validTo)).toBeLessThan(Date.now());
    // A watch from the first moment goes on.
    const admin = api.clientFor({ username: 'root', groups: ['system:masters'] });
    await admin.create(Node, { metadata: { name: 'n1' } } as never);
    await expect.poll(() => watched).toContain('n1');
    watching.abort();
    await watch;
  } finally {
    watching.abort();
    await client.close();
    stop.abort();
    await running;
  }
});

it('tries again when there is no new one, and closes the older one once its streams had their time', async () => {
  const clock = manualClock(0);
  const log: string[] = [];
  const pair = (name: string, renewAt: number) => ({ cert: name, key: '', renewAt });
  const opened: string[] = [];
  const closed: string[] = [];
  const note = (message: string) => log.push(message);
  let away = true;
  const transport = renewedTransport({
    first: pair('one', 1_000_000),
    open: ({ cert }) => {
      opened.push(cert);
      return {
        request: async () => ({ cert }) as never,
        close: async () => void closed.push(cert),
      } as unknown as Transport;
    },
    async renew() {
      if (away) throw new Error('nobody signs');
      return pair('two', 100_000_000);
    },
    log: { info: note, warn: note },
    clock,
  });
  const used = async () =>
    ((await transport.request({ method: 'GET', path: '/' })) as unknown as { cert: string }).cert;
  await clock.advance(999_999);
  expect(log).toEqual([]);
  await clock.advance(1);
  expect(log).toHaveLength(1);
  away = false;
  await clock.advance(59_999);
  expect(await used()).toBe('one');
  await clock.advance(1);
  expect(await used()).toBe('two');
  expect([opened, closed]).toEqual([['one', 'two'], []]);
  await clock.advance(5 * 60_000);
  expect(closed).toEqual(['one']);
  await transport.close();
  expect(closed).toEqual(['one', 'two']);
  expect(clock.pending).toBe(0);
});
