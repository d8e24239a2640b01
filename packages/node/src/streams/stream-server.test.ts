import { readFile, stat } from 'node:fs/promises';
import https from 'node:https';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { Node } from '@orbitkit/core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Laboratory, laboratory } from '../agent/testing/laboratory.js';
import type { SimulatedRuntimeOptions } from '../runtime/simulated/index.js';
import { authority, type Identity } from './testing/authority.js';

let ca: string;
let apiServer: Identity;
let stranger: Identity;
let impostor: Identity;
beforeAll(async () => {
  const cluster = await authority();
  ca = cluster.ca;
  apiServer = await cluster.sign('kube-apiserver-kubelet-client');
  stranger = await cluster.sign('system:node:n2');
  impostor = await (await authority()).sign('kube-apiserver-kubelet-client');
});

let lab: Laboratory;
let port: number;
const sockets: WebSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await lab?.close();
});

async function start(simulation: SimulatedRuntimeOptions = {}, spec = {}) {
  lab = await laboratory(simulation);
  lab.paceMs = 5;
  await lab.start({ listen: { clusterCA: () => ca } });
  await lab.pod(spec);
  await lab.until(() => lab.status().phase === 'Running');
  port = lab.api.find(Node, { name: 'n1' })!.status.daemonEndpoints!.kubeletEndpoint!.Port;
}

function get(url: string, identity: Partial<Identity> = apiServer) {
  return new Promise<{ status: number; text: string; sha256: string }>((resolve, reject) => {
    const request = https.get(
      { host: '127.0.0.1', port, path: url, rejectUnauthorized: false, agent: false, ...identity },
      response => {
        const sha256 = (response.socket as TLSSocket)
          .getPeerX509Certificate()!
          .fingerprint256.replaceAll(':', '')
          .toLowerCase();
        let text = '';
        response.on('data', chunk => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode!, text, sha256 }));
      },
    );
    request.on('error', reject);
  });
}

/** Moves the clock while something real is waited for. */
async function meanwhile<T>(promise: Promise<T>): Promise<T> {
  let over = false;
  promise
    .catch(() => {})
    .finally(() => {
      over = true;
    });
  await lab.until(() => over, 'answered', 60_000);
  return promise;
}

interface Conversation {
  socket: WebSocket;
  send(channel: number, data: string | Buffer): void;
  /** What came on a channel so far. */
  on(channel: number): string;
  closed: Promise<number>;
}

function connect(
  url: string,
  protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
  identity: Partial<Identity> = apiServer,
) {
  return new Promise<Conversation>((resolve, reject) => {
    const socket = new WebSocket(`wss://127.0.0.1:${port}${url}`, protocols, {
      rejectUnauthorized: false,
      ...identity,
    });
    sockets.push(socket);
    const came = new Map<number, Buffer[]>();
    socket.on('message', (data: Buffer) => {
      came.set(data[0]!, [...(came.get(data[0]!) ?? []), data.subarray(1)]);
    });
    const closed = new Promise<number>(close => socket.on('close', close));
    socket.on('unexpected-response', (_request, response) => {
      let text = '';
      response.on('data', chunk => {
        text += chunk;
      });
      response.on('end', () => reject(new Error(`${response.statusCode} ${text}`)));
    });
    socket.on('error', reject);
    socket.on('open', () =>
      resolve({
        socket,
        send: (channel, data) => socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(data)])),
        on: channel => Buffer.concat(came.get(channel) ?? []).toString('utf8'),
        closed,
      }),
    );
  });
}

describe('who may ask', () => {
  it('only the API server: everybody else is answered 401, healthz too', async () => {
    await start();
    expect(await get('/healthz')).toMatchObject({ status: 200, text: 'ok' });
    for (const [name, identity] of Object.entries({
      nobody: { cert: undefined!, key: undefined! },
      stranger,
      impostor,
    })) {
      for (const url of ['/healthz', '/pods', '/stats/summary', '/containerLogs/default/web/app', '/nothing']) {
        const { status, text } = await get(url, identity);
        expect([status, JSON.parse(text).reason], `${name} ${url}`).toEqual([401, 'Unauthorized']);
      }
      await expect(connect('/exec/default/web/app?command=id&stdout=1', undefined, identity)).rejects.toThrow('401');
    }
  });

  it('is shown the certificate that the Node names; it lasts over restarts, its key is private', async () => {
    await start();
    const { sha256 } = await get('/healthz');
    const named = () =>
      lab.api.find(Node, { name: 'n1' })!.metadata.annotations!['orbitkit.dev/serving-certificate-sha256'];
    expect(named()).toBe(sha256);
    const key = path.join(lab.dataDir, 'pki', 'serving.key');
    expect((await stat(key)).mode & 0o777).toBe(0o600);
    const before = await readFile(key, 'utf8');
    await lab.stop();
    await lab.start({ listen: { clusterCA: ca } });
    expect(named()).toBe(sha256);
    expect(await readFile(key, 'utf8')).toBe(before);
    await lab.stop();
    await lab.start();
    expect(named()).toBe('');
  });
});

describe('what is there', () => {
  it('pods with their status, and what they use', async () => {
    await start({ program: () => ({ usage: { cpuMillis: 250, memoryBytes: 1_000_000 } }) });
    const pods = JSON.parse((await get('/pods')).text);
    expect(pods).toMatchObject({
      kind: 'PodList',
      items: [{ metadata: { name: 'web' }, status: { phase: 'Running' } }],
    });
    // The first who asks waits for a rate.
    const first = JSON.parse((await meanwhile(get('/stats/summary'))).text);
    expect(first.node.cpu).toMatchObject({ usageNanoCores: 250_000_000, windowMs: 1_000 });
    await lab.advance(10_000);
    const summary = JSON.parse((await get('/stats/summary')).text);
    expect(summary.node).toMatchObject({
      nodeName: 'n1',
      memory: { workingSetBytes: 1_000_000 },
      cpu: { usageNanoCores: 250_000_000 },
    });
    expect(summary.pods[0]).toMatchObject({
      podRef: { name: 'web', namespace: 'default' },
      containers: [{ name: 'app', cpu: { usageNanoCores: 250_000_000 }, memory: { workingSetBytes: 1_000_000 } }],
    });
  });

  it.each([
    ['/nothing', 404, 'serves nothing at /nothing'],
    ['/exec/default/web/app', 400, 'Upgrade request required'],
    ['/containerLogs/default/none/app', 404, 'pod "none" in namespace "default" is not on this node'],
    ['/containerLogs/default/web/none', 404, 'container "none" not found in pod "web"'],
    ['/containerLogs/default/web/app?tailLines=-1', 400, 'tailLines must be a whole number'],
    ['/containerLogs/default/web/app?previous=true', 400, 'previous terminated container "app" in pod "web" not found'],
  ])('%s is answered %i: %s', async (url, status, message) => {
    await start();
    const answer = await get(url);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text)).toMatchObject({
      kind: 'Status',
      code: status,
      message: expect.stringContaining(message),
    });
  });
});

describe('logs', () => {
  it('of the container, of the one before it, of one that has not started', async () => {
    let run = 0;
    await start({ program: () => ({ output: [`run ${run++}`], runMs: 60_000 }) });
    expect((await get('/containerLogs/default/web/app')).text).toBe('run 0\n');
    await lab.until(() => lab.container().restartCount === 1, 'restarted', 70_000);
    expect((await get('/containerLogs/default/web/app')).text).toBe('run 1\n');
    expect((await get('/containerLogs/default/web/app?previous=true')).text).toBe('run 0\n');
    expect((await get('/containerLogs/default/web/app?timestamps=true&tailLines=1')).text).toMatch(
      /^2026-01-01T\S+Z run 1\n$/,
    );
    await lab.pod({ containers: [{ name: 'app', image: 'none:1', imagePullPolicy: 'Never' }] }, 'waiting');
    await lab.until(() => lab.container('waiting').state?.waiting?.reason === 'ErrImageNeverPull');
    expect(JSON.parse((await get('/containerLogs/default/waiting/app')).text).message).toBe(
      'container "app" in pod "waiting" is waiting to start: ErrImageNeverPull',
    );
  });

  it('followed, end with the container', async () => {
    const output = [
      { afterMs: 2_000, text: 'two' },
      { afterMs: 4_000, text: 'three' },
    ];
    await start({ program: () => ({ output: ['one', ...output], runMs: 5_000 }) }, { restartPolicy: 'Never' });
    const { text } = await meanwhile(get('/containerLogs/default/web/app?follow=true'));
    expect(text).toBe('one\ntwo\nthree\n');
  });

  it('followed, end with the agent', async () => {
    await start({ program: () => ({ output: ['one'] }) });
    const following = get('/containerLogs/default/web/app?follow=true').then(
      ({ text }) => text,
      () => 'cut',
    );
    await lab.advance(1_000);
    await lab.stop();
    expect(['one\n', 'cut']).toContain(await following);
    await lab.start({ listen: { clusterCA: ca } });
  });
});

describe('exec', () => {
  const success = '{"metadata":{},"status":"Success"}';

  it('gives output, then the status, then closes', async () => {
    await start({ program: () => ({ exec: command => ({ stdout: command.join(' '), stderr: 'warned' }) }) });
    const { on, closed, socket } = await connect(
      '/exec/default/web/app?command=echo&command=a%20b&stdout=true&stderr=true',
    );
    expect(await meanwhile(closed)).toBe(1000);
    expect(socket.protocol).toBe('v5.channel.k8s.io');
    expect([on(1), on(2), on(3)]).toEqual(['echo a b', 'warned', success]);
  });

  it('writes only to what was asked for', async () => {
    await start({ program: () => ({ exec: () => ({ stdout: 'out', stderr: 'err' }) }) });
    const { on, closed } = await connect('/exec/default/web/app?command=x&stdout=true');
    await meanwhile(closed);
    expect([on(1), on(2), on(3)]).toEqual(['out', '', success]);
  });

  it('tells the exit code', async () => {
    await start({ program: () => ({ exec: () => ({ exitCode: 7 }) }) });
    const { on, closed } = await connect('/exec/default/web/app?command=x&stdout=true');
    await meanwhile(closed);
    expect(JSON.parse(on(3))).toEqual({
      metadata: {},
      status: 'Failure',
      reason: 'NonZeroExitCode',
      message: 'command terminated with non-zero exit code: exit status 7',
      details: { causes: [{ reason: 'ExitCode', message: '7' }] },
    });
  });

  it('tells what failed', async () => {
    await start({ program: () => ({ exec: () => ({ startError: 'exec: "nope": executable file not found' }) }) });
    const { on, closed } = await connect('/exec/default/web/app?command=nope&stdout=true');
    await meanwhile(closed);
    expect(JSON.parse(on(3))).toMatchObject({
      status: 'Failure',
      reason: 'InternalError',
      message: 'exec: "nope": executable file not found',
    });
  });

  it('takes input, and its end: v5 by a close frame; binary and large', async () => {
    await start({ program: () => ({ exec: () => ({ echo: true }) }) });
    const { send, on, closed, socket } = await connect('/exec/default/web/app?command=cat&stdin=true&stdout=true');
    const block = Buffer.alloc(60_000, 'x');
    for (let i = 0; i < 100; i++) send(0, block);
    send(0, 'end');
    socket.send(Buffer.of(255, 0));
    expect(await meanwhile(closed)).toBe(1000);
    expect(on(1).length).toBe(6_000_003);
    expect(on(1).endsWith('end')).toBe(true);
    expect(on(3)).toBe(success);
  });

  it('in v4 255 is no close frame; leaving ends the command', async () => {
    let ended = false;
    await start({
      program: () => ({
        exec: () => {
          ended = true;
          return { echo: true };
        },
      }),
    });
    const { send, on, socket } = await connect('/exec/default/web/app?command=cat&stdin=true&stdout=true', [
      'v4.channel.k8s.io',
    ]);
    expect(socket.protocol).toBe('v4.channel.k8s.io');
    send(0, 'a');
    socket.send(Buffer.of(255, 0));
    send(0, 'b');
    await lab.until(() => on(1) === 'ab');
    socket.close();
    await lab.advance(1_000);
    expect(ended).toBe(true);
  });

  it.each([
    ['/exec/default/web/app?command=x', 'at least one of stdin, stdout, stderr'],
    ['/exec/default/web/app?stdout=1', 'at least 1 command'],
    ['/exec/default/none/app?command=x&stdout=1', '404'],
    ['/exec/default/web/none?command=x&stdout=1', '404'],
    ['/run/default/web/app?command=x&stdout=1', '404'],
  ])('%s is refused: %s', async (url, message) => {
    await start();
    await expect(connect(url)).rejects.toThrow(message);
  });

  it('refuses subprotocols that it does not speak, and containers that do not run', async () => {
    await start({ program: () => ({ runMs: 100 }) }, { restartPolicy: 'Never' });
    await expect(connect('/exec/default/web/app?command=x&stdout=1', ['v3.channel.k8s.io'])).rejects.toThrow('400');
    await lab.until(() => lab.status().phase === 'Succeeded');
    await expect(connect('/exec/default/web/app?command=x&stdout=1')).rejects.toThrow('is not running (exited)');
  });
});

describe('attach', () => {
  it('shows what the container writes from now on, takes input, ends with the container', async () => {
    const output = [{ afterMs: 5_000, text: 'tick' }];
    const spec = { restartPolicy: 'Never', containers: [{ name: 'app', image: 'app:1', stdin: true }] };
    await start({ program: () => ({ output: ['before', ...output], echoes: true, runMs: 10_000 }) }, spec);
    const { send, on, closed } = await connect('/attach/default/web/app?stdin=1&stdout=1&stderr=1');
    send(0, 'hello');
    expect(await meanwhile(closed)).toBe(1000);
    expect(on(1)).toBe('hellotick\n');
    expect(on(3)).toBe('{"metadata":{},"status":"Success"}');
  });

  it('says when the runtime cannot', async () => {
    await start({ capabilities: ['port-forward'] });
    const { on, closed } = await connect('/attach/default/web/app?stdout=1');
    await meanwhile(closed);
    expect(JSON.parse(on(3)).message).toBe('this simulation has no attach');
  });
});

describe('port-forward', () => {
  const ports = { 80: (request: Uint8Array) => Buffer.from(request).toString().toUpperCase(), 90: () => 'ninety' };

  it('names each port on both of its channels, then carries bytes both ways', async () => {
    await start({ program: () => ({ ports }) });
    const { send, on, socket } = await connect('/portForward/default/web?ports=80&ports=90');
    await lab.until(() => on(3) !== '');
    expect([0, 1, 2, 3].map(channel => Buffer.from(on(channel)).readUInt16LE())).toEqual([80, 80, 90, 90]);
    send(0, 'get');
    send(2, 'x');
    await lab.until(() => on(0).length > 2 && on(2).length > 2);
    expect([on(0).slice(2), on(2).slice(2)]).toEqual(['GET', 'ninety']);
    socket.send(Buffer.of(255, 0));
    socket.send(Buffer.of(255, 2));
    await lab.until(() => socket.readyState === socket.CLOSED);
  });

  it('says on the error channel what cannot be reached', async () => {
    await start({ program: () => ({ ports }) });
    const { on, closed } = await connect('/portForward/default/web?ports=81', ['v4.channel.k8s.io']);
    await meanwhile(closed);
    expect(on(1).slice(2)).toMatch(/^error forwarding port 81 to pod web, uid \S+: nothing listens on port 81/);
  });

  it.each(['', '?ports=', '?ports=0', '?ports=70000', '?ports=http'])('refuses %j', async query => {
    await start({ program: () => ({ ports }) });
    await expect(connect(`/portForward/default/web${query}`)).rejects.toThrow('400');
  });
});
