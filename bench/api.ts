/**
 * Creates and gets per second of the API server over plain HTTP with kept connections, and the processor time of the server process per operation, beside a
 * bare node:http server that reads the same request bodies and answers the same bytes, in the same run. Creates are of pods,
 * decoded, defaulted, admitted, validated, and durable in the embedded store before the answer; the bare server does none of
 * that. TLS is left out on both sides, and no watcher looks on. The rounds are interleaved; medians of three.
 *
 *     node bench/run.mjs api.ts
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiServer, embeddedStore } from '@orbitkit/apiserver';
import { compose, logger } from '@orbitkit/core';
import { runLoad } from './api/keep-alive-load.js';
import { type ServerProcess, serveAsProcess, serverProcess } from './api/server-process.js';
import { machine, median, percentile } from './samples.js';

const rounds = 3;
const roundMs = 3_000;
const path = '/api/v1/namespaces/default/pods';

interface Address {
  port: number;
}

/** About what a Deployment's template makes: two containers, environment, resources, a probe. */
function podBody(name: string): string {
  const container = (each: string) => ({
    name: each,
    image: `registry.invalid/team/${each}:1.4.2`,
    env: ['LOG_LEVEL', 'REGION', 'FEATURES'].map(variable => ({
      name: variable,
      value: `${variable.toLowerCase()}-1`,
    })),
    resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '500m', memory: '256Mi' } },
  });
  const ports = [{ name: 'http', containerPort: 8_080 }];
  const readinessProbe = { httpGet: { path: '/healthz', port: 'http' }, periodSeconds: 5 };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'bench', tier: 'web' } },
    spec: { containers: [{ ...container('web'), ports, readinessProbe }, container('proxy')] },
  });
}

async function orbitkit(): Promise<{ address: Address; close(): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'orbitkit-bench-api-'));
  const server = apiServer({
    store: embeddedStore({ dir: join(dataDir, 'store') }),
    listen: { port: 0 },
    insecureHttp: true,
    dataDir,
  });
  const api = compose({ log: logger({ level: 'error' }) }, server);
  const running = api.run();
  await Promise.race([api.ready, running]);
  return {
    address: { port: server.endpoint!.port },
    async close() {
      await api[Symbol.asyncDispose]();
      await running;
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** GET answers the bytes that were last posted to /answer; POST reads its body and answers the same bytes. */
async function bare(): Promise<{ address: Address; close(): Promise<void> }> {
  let answer = Buffer.alloc(0);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/answer') answer = Buffer.concat(chunks);
      response.writeHead(request.method === 'POST' ? 201 : 200, {
        'content-type': 'application/json',
        'content-length': answer.length,
      });
      response.end(answer);
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

interface Rate {
  perSecond: number;
  cpuMicros: number;
  p50: number;
  p99: number;
}

let named = 0;
const requests = {
  create(): string {
    const body = podBody(`pod-${String(named++).padStart(9, '0')}`);
    return `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  },
  get: (name: string) => `GET ${path}/${name} HTTP/1.1\r\nhost: bench\r\naccept: application/json\r\n\r\n`,
};

async function measure(
  server: ServerProcess<Address>,
  verb: 'create' | 'get',
  connections: number,
  durationMs = roundMs,
): Promise<Rate> {
  const cpu = await server.cpuMicros();
  const { count, seconds, latencies } = await runLoad({
    port: server.address.port,
    connections,
    durationMs,
    status: verb === 'create' ? 201 : 200,
    request: verb === 'create' ? requests.create : () => requests.get('one'),
  });
  return {
    perSecond: count / seconds,
    cpuMicros: ((await server.cpuMicros()) - cpu) / count,
    p50: median(latencies),
    p99: percentile(latencies, 0.99),
  };
}

const middle = (rates: Rate[]): Rate => rates.sort((a, b) => a.perSecond - b.perSecond)[rates.length >> 1]!;
const row = ({ perSecond, cpuMicros, p50, p99 }: Rate): string =>
  `${perSecond.toFixed(0).padStart(7)}/s  p50 ${p50.toFixed(2).padStart(6)} ms  p99 ${p99.toFixed(2).padStart(7)} ms  ${cpuMicros.toFixed(0).padStart(5)} us CPU`;

/** Asks for a page of one; the answer says how many are left. */
async function storedPods(origin: string): Promise<number> {
  const { items, metadata } = (await (await fetch(`${origin}${path}?limit=1`)).json()) as {
    items: unknown[];
    metadata: { remainingItemCount?: number };
  };
  return items.length + (metadata.remainingItemCount ?? 0);
}

async function main(): Promise<void> {
  console.log(machine());
  const server = await serverProcess<Address>('orbitkit');
  const peer = await serverProcess<Address>('bare');
  try {
    const origin = `http://127.0.0.1:${server.address.port}`;
    const body = podBody('one');
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(origin + path, { method: 'POST', headers, body });
    const answer = await response.text();
    if (response.status !== 201) throw new Error(`creating the pod: ${response.status} ${answer}`);
    await fetch(`http://127.0.0.1:${peer.address.port}/answer`, { method: 'POST', body: answer });
    console.log(`a pod of ${Buffer.byteLength(body)} bytes, stored and answered as ${Buffer.byteLength(answer)} bytes`);
    for (const verb of ['create', 'get'] as const) {
      // Just-in-time compilation.
      for (const each of [server, peer]) await measure(each, verb, 16, 2_000);
      for (const connections of [1, 64]) {
        const ours: Rate[] = [];
        const theirs: Rate[] = [];
        for (let round = 0; round < rounds; round++) {
          ours.push(await measure(server, verb, connections));
          theirs.push(await measure(peer, verb, connections));
        }
        const [own, other] = [middle(ours), middle(theirs)];
        console.log(`${verb}, ${connections} in flight`);
        console.log(`  orbitkit        ${row(own)}`);
        console.log(
          `  bare node:http  ${row(other)}   orbitkit = ${(own.perSecond / other.perSecond).toFixed(2)}x the rate, ${(own.cpuMicros / other.cpuMicros).toFixed(1)}x the CPU`,
        );
      }
    }
    const pods = await storedPods(origin);
    console.log(`the server holds ${pods} pods in ${((await server.memory()) / 2 ** 20).toFixed(0)} MB of memory`);
  } finally {
    await Promise.all([server.stop(), peer.stop()]);
  }
}

const [role, what] = process.argv.slice(2);
if (role === 'serve') await serveAsProcess(what === 'bare' ? bare : orbitkit);
else await main();
