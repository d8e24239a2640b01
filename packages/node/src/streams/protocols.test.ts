/** Every protocol that a client may offer, against the agent's server: SPDY/3.1, SPDY in a WebSocket, the older channels. */
import { once } from 'node:events';
import https from 'node:https';
import { Duplex } from 'node:stream';
import { httpTransport, Node } from '@orbitkit/core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Laboratory, laboratory } from '../agent/testing/laboratory.js';
import type { SimulatedRuntimeOptions } from '../runtime/simulated/index.js';
import { authority, type Identity } from './testing/authority.js';
import { type SpdyClient, spdyClient } from './testing/spdy-client.js';

let ca: string;
let identity: Identity;
beforeAll(async () => {
  const cluster = await authority();
  ca = cluster.ca;
  identity = await cluster.sign('kube-apiserver-kubelet-client');
});

let lab: Laboratory;
let port: number;
const cleanup: (() => void)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0)) close();
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

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** Asks for SPDY as kubectl does. */
async function spdy(
  path: string,
  versions: string | string[] | undefined,
): Promise<{ client: SpdyClient; version: unknown }> {
  const request = https.request({
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    rejectUnauthorized: false,
    agent: false,
    ...identity,
    headers: {
      connection: 'Upgrade',
      upgrade: 'SPDY/3.1',
      'content-length': '0',
      ...(versions === undefined ? {} : { 'x-stream-protocol-version': versions }),
    },
  });
  request.end();
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('upgrade', (answer, socket: Duplex, head) => {
      expect(answer.headers).toMatchObject({ connection: 'Upgrade', upgrade: 'SPDY/3.1' });
      if (head.length > 0) socket.unshift(head);
      cleanup.push(() => socket.destroy());
      resolve({ client: spdyClient(socket), version: answer.headers['x-stream-protocol-version'] });
    });
    request.on('response', async answer => {
      let text = '';
      for await (const part of answer) text += part;
      reject(Object.assign(new Error(text), { status: answer.statusCode, headers: answer.headers, text } as Answer));
    });
  });
}

async function webSocket(path: string, protocols: string[]): Promise<WebSocket> {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, protocols, { rejectUnauthorized: false, ...identity });
  cleanup.push(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

const exec = '/exec/default/web/app?command=x&stdin=true&stdout=true&stderr=true';
const echo: SimulatedRuntimeOptions = { program: () => ({ exec: () => ({ echo: true, stderr: 'warned' }) }) };

async function streamsOf(client: SpdyClient, ...types: string[]) {
  const streams = await Promise.all(types.map(streamtype => client.open({ streamtype })));
  await Promise.all(streams.map(({ replied }) => replied));
  return streams;
}

describe('exec over SPDY', () => {
  it('takes input to its end, gives both outputs and a Status', async () => {
    await start(echo);
    const { client, version } = await spdy(exec, ['v5.channel.k8s.io', 'v4.channel.k8s.io']);
    expect(version).toBe('v5.channel.k8s.io');
    const [error, stdin, stdout, stderr] = await streamsOf(client, 'error', 'stdin', 'stdout', 'stderr');
    const block = Buffer.alloc(100_000, 'x');
    for (let i = 0; i < 60; i++) await stdin!.write(block);
    stdin!.end();
    await client.closed;
    expect(stdout!.received().length).toBe(6_000_000);
    expect(`${stderr!.received()}`).toBe('warned');
    expect(`${error!.received()}`).toBe('{"metadata":{},"status":"Success"}');
  });

  it.each([
    ['v4.channel.k8s.io', '"reason":"NonZeroExitCode"'],
    ['v3.channel.k8s.io', 'command terminated with non-zero exit code: exit status 7'],
    ['channel.k8s.io', 'command terminated with non-zero exit code: exit status 7'],
    [undefined, 'command terminated with non-zero exit code: exit status 7'],
  ])('%s is told a failure in its own form', async (offered, said) => {
    await start({ program: () => ({ exec: () => ({ exitCode: 7 }) }) });
    const { client, version } = await spdy('/exec/default/web/app?command=x&stdout=true', offered);
    expect(version).toBe(offered ?? 'channel.k8s.io');
    const [error] = await streamsOf(client, 'error', 'stdout');
    await client.closed;
    expect(`${error!.received()}`).toContain(said);
  });

  it('waits for all streams that were asked for, and not for ever; a terminal has sizes and one output', async () => {
    await start(echo);
    const { client } = await spdy(
      '/exec/default/web/app?command=x&stdin=true&stdout=true&stderr=true&tty=true',
      'v4.channel.k8s.io',
    );
    const [error, stdin, stdout] = await streamsOf(client, 'error', 'stdin', 'stdout');
    const stderr = await client.open({ streamtype: 'stderr' });
    await stderr.ended;
    expect(stderr.resetBy()).toBe(1);
    await stdin!.write('before');
    await client.ping();
    expect(stdout!.received().length).toBe(0);
    const resize = await client.open({ streamtype: 'resize' });
    await resize.write('{"Width":91,"Height":33}\n');
    stdin!.end();
    await client.closed;
    expect([`${stdout!.received()}`, `${error!.received()}`]).toEqual(['before', '{"metadata":{},"status":"Success"}']);

    const { client: idle } = await spdy(exec, 'v4.channel.k8s.io');
    await idle.open({ streamtype: 'error' });
    let over = false;
    void idle.closed.then(() => {
      over = true;
    });
    await lab.until(() => over, 'given up', 40_000);
  });

  it('a client that leaves ends the command', async () => {
    let signal: AbortSignal | undefined;
    await start({ program: () => ({ exec: () => ({ runMs: 3_600_000 }) }) });
    const original = lab.runtime.exec.bind(lab.runtime);
    lab.runtime.exec = (id, request) => {
      signal = request.signal;
      return original(id, request);
    };
    const { client } = await spdy('/exec/default/web/app?command=x&stdout=true', 'v4.channel.k8s.io');
    await streamsOf(client, 'error', 'stdout');
    await client.ping();
    expect(signal?.aborted).toBe(false);
    client.close();
    await lab.until(() => signal?.aborted === true);
  });

  it('is refused before the 101 with a Status', async () => {
    await start(echo);
    await expect(spdy(exec, 'v9.channel.k8s.io')).rejects.toMatchObject({
      status: 403,
      text: expect.stringContaining(
        'unable to negotiate protocol: client supports [v9.channel.k8s.io], server accepts [v5.',
      ),
    });
    await expect(spdy('/exec/default/web/none?command=x&stdout=1', 'v4.channel.k8s.io')).rejects.toMatchObject({
      status: 404,
      text: expect.stringContaining('container \\"none\\" not found'),
    });
    await expect(spdy('/exec/default/%zz/none?command=x', 'v4.channel.k8s.io')).rejects.toMatchObject({ status: 400 });
  });
});

describe('channels of older clients', () => {
  it.each([
    [['channel.k8s.io'], 'channel.k8s.io', ''],
    [[], '', ''],
    [['v3.channel.k8s.io', 'v4.channel.k8s.io'], 'v4.channel.k8s.io', '{"metadata":{},"status":"Success"}'],
  ])('%j', async (offered, chosen, status) => {
    await start({ program: () => ({ exec: () => ({ stdout: 'out' }) }) });
    const socket = await webSocket('/exec/default/web/app?command=x&stdout=true', offered);
    const said = ['', '', '', ''];
    socket.on('message', (data: Buffer) => {
      said[data[0]!] += data.toString('utf8', 1);
    });
    await once(socket, 'close');
    expect([socket.protocol, said[1], said[3]]).toEqual([chosen, 'out', status]);
  });

  it('base64 in text messages', async () => {
    await start({ program: () => ({ exec: () => ({ echo: true }) }) });
    const socket = await webSocket(exec, ['v4.base64.channel.k8s.io']);
    const messages: string[] = [];
    socket.on('message', (data: Buffer, isBinary) => messages.push(`${isBinary} ${data}`));
    socket.send(`0${Buffer.from('hé').toString('base64')}`);
    await once(socket, 'message');
    expect(messages).toEqual([`false 1${Buffer.from('hé').toString('base64')}`]);
  });
});

describe('port-forward over SPDY', () => {
  const ports = { 80: (request: Uint8Array) => `you said ${Buffer.from(request)}` };
  const serving: SimulatedRuntimeOptions = { program: () => ({ ports }) };

  const direct = async () => (await spdy('/portForward/default/web', 'portforward.k8s.io')).client;
  /** ws refuses the name of this subprotocol on either side; the client of core does not. */
  const tunneled = async () => {
    const transport = httpTransport({ server: `https://127.0.0.1:${port}`, insecureSkipTlsVerify: true, ...identity });
    const protocol = 'SPDY/3.1+portforward.k8s.io';
    const socket = await transport.connect('/portForward/default/web', { protocols: [protocol] });
    cleanup.push(() => void transport.close());
    expect(socket.protocol).toBe(protocol);
    const duplex: Duplex = new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        socket.send(chunk);
        done();
      },
      destroy(error, done) {
        socket.close();
        done(error);
      },
    });
    void (async () => {
      try {
        for await (const message of socket.messages) duplex.push(message);
      } catch {
        // Closed by this test.
      }
      duplex.push(null);
    })();
    return spdyClient(duplex);
  };

  it.each([
    ['directly', direct],
    ['in a WebSocket', tunneled],
  ])('%s: many connections at a time, each with its errors', async (_how, open) => {
    await start(serving);
    const client = await open();
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const port = index % 10 === 9 ? '81' : '80';
        const error = await client.open({ streamtype: 'error', port, requestid: String(index) });
        error.end();
        const data = await client.open({ streamtype: 'data', port, requestid: String(index) });
        await data.write(`${index}`);
        data.end();
        await Promise.all([data.ended, error.ended]);
        return `${data.received()}${error.received()}`;
      }),
    );
    for (const [index, answer] of answers.entries()) {
      if (index % 10 === 9)
        expect(answer).toMatch(/^error forwarding port 81 to pod web, uid \S+: nothing listens on port 81/);
      else expect(answer).toBe(`you said ${index}`);
    }
    expect(client.frames).not.toContain('rst-stream');
  });

  it('refuses what is no pair for a port, and goes on', async () => {
    await start(serving);
    const client = await direct();
    for (const headers of [
      { streamtype: 'data', port: '0', requestid: '1' },
      { streamtype: 'data', port: 'http', requestid: '2' },
      { streamtype: 'stdin', port: '80', requestid: '3' },
      { port: '80', requestid: '4' },
    ]) {
      const stream = await client.open(headers as Record<string, string>);
      await stream.ended;
      expect([headers, stream.resetBy()]).toEqual([headers, 1]);
    }
    const lonely = await client.open({ streamtype: 'error', port: '80', requestid: '5' });
    await lonely.replied;
    let over = false;
    void lonely.ended.then(() => {
      over = true;
    });
    await lab.until(() => over, 'reset', 40_000);
    // Without request ids the data stream follows its error stream.
    await client.open({ streamtype: 'error', port: '80' });
    const data = await client.open({ streamtype: 'data', port: '80' });
    await data.write('hi');
    data.end();
    await data.ended;
    expect(`${data.received()}`).toBe('you said hi');
  });

  it('a pod connection goes with its stream, and with the client', async () => {
    const opened: Duplex[] = [];
    await start(serving);
    const original = lab.runtime.portForward.bind(lab.runtime);
    lab.runtime.portForward = async (...args) => {
      const stream = await original(...args);
      opened.push(stream);
      return stream;
    };
    const client = await direct();
    const pairs: { reset(): void }[] = [];
    for (const requestid of ['1', '2']) {
      await client.open({ streamtype: 'error', port: '80', requestid });
      const data = await client.open({ streamtype: 'data', port: '80', requestid });
      await data.write('hi');
      pairs.push(data);
    }
    await lab.until(() => opened.length === 2);
    pairs[0]!.reset();
    await lab.until(() => opened.filter(({ destroyed }) => destroyed).length === 1);
    client.close();
    await lab.until(() => opened.every(({ destroyed }) => destroyed));
  });
});
