/** The component: how it starts, whom it lets in, how it stops and comes back. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  type Composition,
  ConfigMap,
  compose,
  createClient,
  findCluster,
  type HttpTransportOptions,
  httpTransport,
  kubeconfigTransport,
  manualClock,
  Namespace,
} from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ApiServer,
  type ApiServerOptions,
  apiServer,
  bearerTokens,
  createAuthority,
  embeddedStore,
  issueClientCertificate,
  memoryStore,
} from '../index.js';

let dir: string;
const closers: (() => Promise<unknown> | unknown)[] = [];
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'orbitkit-apiserver-'));
});
afterEach(async () => {
  try {
    for (const close of closers.splice(0).reverse()) await close();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

interface Started {
  api: ApiServer;
  composition: Composition;
  stop(): Promise<void>;
}
async function start(
  options: Partial<ApiServerOptions> = {},
  ...more: Parameters<typeof compose>[0][]
): Promise<Started> {
  const api = apiServer({ store: memoryStore(), listen: { port: 0 }, dataDir: dir, ...options });
  const stopping = new AbortController();
  const composition = compose(api, ...(more as ApiServer[]));
  const run = composition.run({ signal: stopping.signal });
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopping.abort();
    stopped ??= run;
    return stopped;
  };
  closers.push(stop);
  await composition.ready;
  return { api, composition, stop };
}

async function over(api: ApiServer, identity: Partial<HttpTransportOptions>) {
  const transport = httpTransport({ server: api.endpoint!.url, ca: await api.certificateAuthority(), ...identity });
  closers.push(() => transport.close());
  return { transport, client: createClient(transport) };
}
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 200,
    error => error.code,
  );

describe('identities', () => {
  it("are the admin's token, client certificates of the authority, and what the composer adds", async () => {
    const ann = { username: 'ann', groups: ['system:masters'] };
    const { api } = await start({ authentication: bearerTokens([['anns', ann]]) });
    const admin = await over(api, { token: await api.adminToken() });
    expect((await admin.client.list(Namespace)).items.length).toBeGreaterThan(2);
    expect(await codeOf((await over(api, { token: 'anns' })).client.list(Namespace))).toBe(200);
    expect(await codeOf((await over(api, { token: 'wrong' })).client.list(Namespace))).toBe(401);
    expect(await codeOf((await over(api, {})).client.list(Namespace))).toBe(401);
    const authority = await createAuthority({ dir: path.join(dir, 'pki') });
    const master = await issueClientCertificate(authority, { name: 'm', username: 'm', groups: ['system:masters'] });
    const joe = await issueClientCertificate(authority, { name: 'joe', username: 'joe' });
    const stranger = await issueClientCertificate(await createAuthority({ dir: path.join(dir, 'other') }), {
      name: 'm',
      username: 'm',
      groups: ['system:masters'],
    });
    const by = async ({ certificate, key }: typeof joe) =>
      codeOf((await over(api, { cert: certificate, key })).client.list(Namespace));
    expect([await by(master), await by(joe), await by(stranger)]).toEqual([200, 403, 401]);
    expect(
      await codeOf(
        (await over(api, { token: await api.adminToken(), impersonate: { username: 'joe' } })).client.list(Namespace),
      ),
    ).toBe(403);
  });

  it('are not needed to ask for health', async () => {
    const { api } = await start();
    const { transport } = await over(api, {});
    const ask = async (target: string) => {
      const answer = await transport.request({ method: 'GET', path: target });
      return [answer.status, Buffer.from(await answer.bytes()).toString()];
    };
    expect(await ask('/readyz?verbose')).toEqual([
      200,
      '[+]ping ok\n[+]watch-cache ok\n[+]shutdown ok\nreadyz check passed\n',
    ]);
    expect((await ask('/version'))[0]).toBe(200);
    expect((await ask('/metrics'))[0]).toBe(401);
  });

  it('stand in a kubeconfig that only its owner can read', async () => {
    const kubeconfig = path.join(dir, 'admin.kubeconfig');
    const { api } = await start({ kubeconfig });
    expect((await stat(kubeconfig)).mode & 0o777).toBe(0o600);
    const transport = kubeconfigTransport((await findCluster({ kubeconfig })).config);
    closers.push(() => transport.close());
    expect(await codeOf(createClient(transport).list(Namespace))).toBe(200);
    await api.writeKubeconfig(path.join(dir, 'second'));
  });
});

describe('plain HTTP', () => {
  it('serves everyone as administrator, on the loopback only', async () => {
    const { api } = await start({ insecureHttp: true });
    expect(api.endpoint!.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${api.endpoint!.url}/api/v1/namespaces/default`)).status).toBe(200);
    expect(() => apiServer({ store: memoryStore(), insecureHttp: true, listen: { host: '0.0.0.0' } })).toThrow(
      /refused on 0\.0\.0\.0/,
    );
  });
});

describe('clients in the process', () => {
  it('are given to the components behind it, each with its own identity', async () => {
    const seen: unknown[] = [];
    const component = (name: string, groups: string[]) => ({
      name,
      user: { username: name, groups },
      async run(context: Parameters<ApiServer['run']>[0]) {
        seen.push(
          await context.client.list(Namespace).then(
            list => list.items.length,
            error => error.code,
          ),
        );
        context.ready();
      },
    });
    await start({ listen: false }, component('master', ['system:masters']) as never, component('nobody', []) as never);
    expect(seen).toEqual([4, 403]);
  });

  it('exist only while it runs', async () => {
    const api = apiServer({ store: memoryStore(), listen: false });
    expect(() => api.clientFor({ username: 'x', groups: [] })).toThrow(/not running/);
    await expect(api.writeKubeconfig(path.join(dir, 'k'))).rejects.toThrow(/does not listen/);
    expect(api.endpoint).toBeUndefined();
  });
});

describe('its life', () => {
  it('ends streams cleanly, frees the port and the store, and leaves nothing that ticks', async () => {
    const { api, stop } = await start({ store: embeddedStore({ dir }) });
    const { client } = await over(api, { token: await api.adminToken() });
    const created = await client.create(ConfigMap, {
      metadata: { name: 'kept', namespace: 'default' },
      data: { a: 'b' },
    });
    const events: string[] = [];
    const watching = (async () => {
      for await (const event of client.watch(ConfigMap, { namespace: 'default' })) events.push(event.type);
    })();
    while (events.length === 0) await new Promise(resolve => setTimeout(resolve, 2));
    const { port } = api.endpoint!;
    const stopping = Date.now();
    await stop();
    await watching;
    expect(Date.now() - stopping).toBeLessThan(3_000);
    expect(api.endpoint).toBeUndefined();
    await new Promise<void>((resolve, reject) => {
      const probe = createServer()
        .once('error', reject)
        .listen(port, '127.0.0.1', () => probe.close(() => resolve()));
    });
    const again = await start({ store: embeddedStore({ dir }) });
    const { client: later } = await over(again.api, { token: await again.api.adminToken() });
    expect((await later.get(ConfigMap, { name: 'kept', namespace: 'default' })).metadata.uid).toBe(
      created.metadata.uid,
    );
  });

  it('leaves no timer behind on its clock', async () => {
    const clock = manualClock();
    const stopping = new AbortController();
    const api = apiServer({ store: memoryStore(), listen: { port: 0 }, dataDir: dir });
    const composition = compose({ clock }, api);
    const run = composition.run({ signal: stopping.signal });
    let ready = false;
    void composition.ready.then(() => (ready = true));
    while (!ready) {
      await new Promise(resolve => setTimeout(resolve, 1));
      if (!ready) await clock.advance(5);
    }
    stopping.abort();
    await run;
    expect(clock.pending).toBe(0);
  });

  it('says at once what no restart mends: a port in use, a store in use', async () => {
    const { api } = await start({ store: embeddedStore({ dir: path.join(dir, 'store') }) });
    const { port } = api.endpoint!;
    await expect(start({ listen: { port } })).rejects.toThrow(`cannot listen on 127.0.0.1:${port}: the port is in use`);
    closers.pop();
    await expect(start({ store: embeddedStore({ dir: path.join(dir, 'store') }) })).rejects.toThrow(
      /another process|in use|locked/,
    );
    closers.pop();
  });

  it('ends, instead of trying again, over options that cannot be right', async () => {
    await expect(
      start({ auditLog: { policy: path.join(dir, 'nowhere'), file: path.join(dir, 'log') } }),
    ).rejects.toThrow(/the audit policy .*nowhere cannot be read: ENOENT/);
    closers.pop();
    await expect(start({ oidc: [{ issuerURL: 'http://issuer', clientID: 'me' }] })).rejects.toThrow(
      'oidc: issuerURL http://issuer must begin with https://',
    );
    closers.pop();
    const forbidden = Object.assign(new Error('EROFS: read-only file system'), { code: 'EROFS' });
    await expect(start({ store: () => Promise.reject(forbidden) })).rejects.toThrow('EROFS: read-only file system');
    closers.pop();
    expect(() => apiServer({ store: memoryStore(), serviceCIDR: 'wide' })).toThrow(
      '"wide" is not a range of addresses',
    );
  });

  it('comes back on the port that it had', async () => {
    const api = apiServer({ store: memoryStore(), listen: { port: 0 }, dataDir: dir });
    const ports: number[] = [];
    for (let i = 0; i < 2; i++) {
      const stopping = new AbortController();
      const composition = compose(api);
      const run = composition.run({ signal: stopping.signal });
      await composition.ready;
      ports.push(api.endpoint!.port);
      stopping.abort();
      await run;
    }
    expect(ports[1]).toBe(ports[0]);
  });
});
