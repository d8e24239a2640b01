/**
 * The servers that are measured, each in a process of its own: orbitkit's API server as `orbit up` would run it (TLS, HTTP/2, tokens, RBAC,
 * admission, validation, embedded store), the same over plain HTTP for fan-out, and the peers.
 *
 * - `bare-h2`: node:http2 and nothing else. GET answers a kept Buffer; POST parses the body, stamps it and answers it as new JSON. Its
 *   stream interface is used, which is its fastest.
 * - `fan-out`: node:http, every event (the same object as ours) made into JSON for each watcher and written by itself, as one does at first.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiServer, bearerTokens, embeddedStore } from '@orbitkit/apiserver';
import { createAuthority, issueServingCertificate } from '@orbitkit/apiserver/pki';
import { ClusterRole, ClusterRoleBinding, compose, logger } from '@orbitkit/core';

export interface Address {
  readonly port: number;
  /** PEM; absent for plain HTTP. */
  readonly authority?: string;
  readonly token?: string;
}

export interface Served {
  readonly address: Address;
  close(): Promise<void>;
}

const admin = { username: 'bench-admin', groups: ['system:masters'] };

/** The token's user may do with pods what a role says, and is no administrator. */
async function orbitkit(plain: boolean, fair = true): Promise<Served> {
  const dataDir = await mkdtemp(join(tmpdir(), 'orbitkit-bench-apiserver-'));
  const token = randomUUID();
  const server = apiServer({
    store: embeddedStore({ dir: join(dataDir, 'store') }),
    listen: { port: 0 },
    dataDir,
    authentication: bearerTokens([
      [token, { username: 'bench', groups: [] }],
      [`${token}-greedy`, { username: 'greedy', groups: [] }],
    ]),
    ...(fair ? {} : { flowControl: false as const }),
    ...(plain ? { insecureHttp: true } : {}),
  });
  const api = compose({ log: logger({ level: 'error' }) }, server);
  const running = api.run();
  await Promise.race([api.ready, running]);
  const client = server.clientFor(admin);
  await client.create(ClusterRole, {
    metadata: { name: 'bench' },
    rules: [{ apiGroups: [''], resources: ['pods', 'configmaps'], verbs: ['*'] }],
  });
  await client.create(ClusterRoleBinding, {
    metadata: { name: 'bench' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'bench' },
    subjects: ['bench', 'greedy'].map(name => ({ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name })),
  });
  return {
    address: {
      port: server.endpoint!.port,
      ...(plain ? {} : { authority: await server.certificateAuthority(), token }),
    },
    async close() {
      await api[Symbol.asyncDispose]();
      await running;
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function bareH2(): Promise<Served> {
  const dir = await mkdtemp(join(tmpdir(), 'orbitkit-bench-bare-'));
  const authority = await createAuthority({ dir });
  const { certificate, key } = await issueServingCertificate(authority);
  let kept = Buffer.from('{}');
  const server = createSecureServer({ cert: certificate, key });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    if (headers[':method'] === 'GET') {
      stream.respond({ ':status': 200, 'content-type': 'application/json', 'content-length': kept.length });
      return void stream.end(kept);
    }
    const parts: Buffer[] = [];
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () => {
      const body = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      if (headers[':path'] === '/answer') kept = Buffer.from(body);
      const object = JSON.parse(body.toString());
      object.metadata.uid = randomUUID();
      object.metadata.creationTimestamp = new Date().toISOString();
      const answer = Buffer.from(JSON.stringify(object));
      stream.respond({ ':status': 201, 'content-type': 'application/json', 'content-length': answer.length });
      stream.end(answer);
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', session => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  return {
    address: { port: (server.address() as AddressInfo).port, authority: authority.certificate },
    async close() {
      for (const session of sessions) session.destroy();
      await new Promise<void>(resolve => server.close(() => resolve()));
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function naiveFanOut(): Promise<Served> {
  const watchers = new Set<ServerResponse>();
  let template: { metadata: Record<string, unknown> } = { metadata: {} };
  const server = createServer((request, response) => {
    if (request.method === 'GET' && request.url?.includes('limit=1'))
      return void response.end(JSON.stringify({ metadata: { resourceVersion: '1' } }));
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.flushHeaders();
      watchers.add(response);
      response.once('close', () => watchers.delete(response));
      return;
    }
    const parts: Buffer[] = [];
    request.on('data', part => parts.push(part));
    request.on('end', () => {
      const posted = JSON.parse(Buffer.concat(parts).toString());
      if (request.url === '/template') template = posted;
      const metadata = { ...template.metadata, name: posted.metadata.name, uid: randomUUID() };
      const object = { ...template, metadata };
      const answer = JSON.stringify(object);
      response.writeHead(201, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
      response.end(answer);
      for (const watcher of watchers) watcher.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    address: { port: (server.address() as AddressInfo).port },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const servers: Readonly<Record<string, () => Promise<Served>>> = {
  orbitkit: () => orbitkit(false),
  'orbitkit-plain': () => orbitkit(true),
  'orbitkit-unfair': () => orbitkit(false, false),
  'bare-h2': bareH2,
  'fan-out': naiveFanOut,
};
