/**
 * Real streams, end to end: bytes that arrive whole, many connections at a time, clients that are killed. kubectl 1.27 speaks SPDY, 1.30
 * WebSocket for exec and SPDY for port-forward, 1.33 WebSocket for both; then `orbit` itself and the JavaScript client library.
 *
 * kubectl comes from `ci/` (`cd ci && npm ci`). Without it the tests are skipped; with `ORBITKIT_CI=1` they fail.
 */
import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, startCluster, type TestCluster } from './cluster.js';
import { kubectlPath } from './tours/clients.js';

/** Gives back what it is sent, and says in its log when a connection begins and ends. */
const echoServer = `
let open = 0;
require('net').createServer({ allowHalfOpen: true }, s => {
  console.log('open ' + ++open);
  s.on('error', () => {}).on('close', () => console.log('open ' + --open));
  s.pipe(s);
}).listen(8080, process.env.HOST || '127.0.0.1', () => console.log('listening'));
`;
const manifest = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'echo', labels: { app: 'echo' } },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'echo',
        image: 'node',
        command: [process.execPath, '-e', echoServer],
        ports: [{ name: 'tcp', containerPort: 8080 }],
      },
    ],
  },
});
const service = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'echo' },
  spec: { selector: { app: 'echo' }, ports: [{ port: 80, targetPort: 'tcp' }] },
});

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  for (const text of [manifest, service]) {
    const applied = await cluster.orbit(['apply', '-f', await cluster.file('echo.json', text)]);
    expect(applied.code, applied.err).toBe(0);
  }
  await eventually('the pod listens', async () => (await cluster.orbit(['logs', 'echo'])).out.includes('listening'));
});
afterAll(() => cluster?.stop(), 90_000);

const sha256 = async (file: string) =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');

async function randomFile(name: string, bytes: number): Promise<string> {
  const file = await cluster.file(name, '');
  await writeFile(file, randomBytes(bytes));
  return file;
}

/** What it prints, until the client is killed. */
function follow(program: string, args: string[]): { child: ChildProcess; seen(): string; kill(): Promise<void> } {
  const child = cluster.spawn(program, args);
  let text = '';
  child.stdout?.on('data', chunk => {
    text += chunk;
  });
  child.stderr?.on('data', chunk => {
    text += chunk;
  });
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()));
  return {
    child,
    seen: () => text,
    kill() {
      child.kill('SIGKILL');
      return closed;
    },
  };
}

async function forwardedPort(seen: () => string): Promise<number> {
  let port = 0;
  await eventually('it forwards', () => {
    port = Number(/127\.0\.0\.1:(\d+) ->/.exec(seen())?.[1] ?? 0);
    if (port === 0) throw new Error(seen());
  });
  return port;
}

/** Sends, half-closes, and reads to the end. */
function talk(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.end(bytes));
    socket.on('data', part => parts.push(part));
    socket.on('error', reject);
    socket.on('close', () => resolve(Buffer.concat(parts)));
  });
}

const openConnections = async (): Promise<string | undefined> =>
  (await cluster.orbit(['logs', 'echo', '--tail', '1'])).out.trim();
const running = (mark: string) => cluster.processes().filter(({ command }) => command === mark);

const clients: [name: string, program: string | undefined, words: string[], megabytes: number][] = [
  ['kubectl 1.27', kubectlPath(27), [], 10],
  ['kubectl 1.30', kubectlPath(30), [], 1],
  ['kubectl 1.33', kubectlPath(33), [], 50],
  ['orbit', process.execPath, [fileURLToPath(new URL('../packages/cli/bin/orbit.js', import.meta.url))], 10],
];

describe.each(clients)('%s', (name, program, words, megabytes) => {
  if (!program) {
    it.skip(`needs ${name}: cd ci && npm ci`, () => {});
    return;
  }
  const run = (...args: string[]) => cluster.run(program, [...words, ...args], { timeoutMs: 60_000 });

  it(`cp brings ${megabytes} MB in and out whole`, async () => {
    const file = await randomFile('data.bin', megabytes * 1_000_000);
    const [inside, back] = [join(cluster.directory, 'inside.bin'), join(cluster.directory, 'back.bin')];
    expect(await run('cp', file, `echo:${inside}`)).toMatchObject({ code: 0 });
    expect(await sha256(inside)).toBe(await sha256(file));
    expect(await run('cp', `echo:${inside}`, back)).toMatchObject({ code: 0 });
    expect(await sha256(back)).toBe(await sha256(file));
    for (const each of [file, inside, back]) await rm(each);
  }, 120_000);

  it('exec passes every byte value through, and the end of the input', async () => {
    const file = await cluster.file('bytes', '');
    await writeFile(file, Buffer.from(Array.from({ length: 1_024 }, (_, index) => index % 256)));
    const script = `"$0" ${words.map(word => `'${word}'`).join(' ')} exec -i echo -- cat < '${file}' | sha256sum`;
    const ran = await cluster.run('sh', ['-c', script, program]);
    expect(`${ran.out} ${ran.err}`).toContain(await sha256(file));
  });

  it('port-forward carries 50 connections at a time, each to its end in both directions', async () => {
    const forward = follow(program, [...words, 'port-forward', 'svc/echo', ':80']);
    try {
      const port = await forwardedPort(forward.seen);
      const sent = Array.from({ length: 50 }, () => randomBytes(200_000));
      const came = await Promise.all(sent.map(bytes => talk(port, bytes)));
      for (const [index, bytes] of sent.entries()) expect(came[index]!.equals(bytes), `connection ${index}`).toBe(true);
      const big = randomBytes(megabytes * 1_000_000);
      expect((await talk(port, big)).equals(big)).toBe(true);
    } finally {
      await forward.kill();
    }
  }, 120_000);

  it('killed, leaves no connection to the pod', async () => {
    const forward = follow(program, [...words, 'port-forward', 'echo', ':8080']);
    const port = await forwardedPort(forward.seen);
    const sockets = Array.from({ length: 3 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
    for (const socket of sockets) socket.write('hi');
    await eventually('they are open', async () => (await openConnections()) === 'open 3');
    await forward.kill();
    for (const socket of sockets) socket.destroy();
    await eventually('they are closed', async () => (await openConnections()) === 'open 0');
  }, 60_000);

  it('killed, leaves no command behind, also one that does not read its input', async () => {
    const idle = follow(program, [...words, 'exec', 'echo', '--', 'sleep', '87654']);
    await eventually('it runs', () => running('sleep 87654').length === 1);
    await idle.kill();
    await eventually('it has ended', () => running('sleep 87654').length === 0);

    const flooded = follow('sh', [
      '-c',
      `exec "$0" ${words.join(' ')} exec -i echo -- sleep 87655 < /dev/zero`,
      program,
    ]);
    await eventually('it runs', () => running('sleep 87655').length === 1);
    await flooded.kill();
    await eventually('it has ended', () => running('sleep 87655').length === 0, 60_000);
  }, 120_000);

  it('says why a port cannot be reached', async () => {
    const forward = follow(program, [...words, 'port-forward', 'echo', ':9']);
    try {
      const port = await forwardedPort(forward.seen);
      expect((await talk(port, Buffer.from('hi'))).length).toBe(0);
      await eventually('it says so', () =>
        /error forwarding port 9 to pod echo, uid \S+: nothing listens/.test(forward.seen()),
      );
    } finally {
      await forward.kill();
    }
  });
});

/** Runs outside of the test runner, whose module resolution gives the library its browser's WebSocket. */
const libraryProgram = (library: string) => `
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
const k8s = await import(${JSON.stringify(library)});
const config = new k8s.KubeConfig();
config.loadFromFile(process.env.KUBECONFIG);

const [input, output, errors] = [new PassThrough(), new PassThrough(), new PassThrough()];
const socket = await new k8s.PortForward(config).portForward('default', 'echo', [8080], output, errors, input);
const bytes = randomBytes(1_000_000);
input.write(bytes);
const parts = [];
let size = 0;
for await (const part of output) {
  parts.push(part);
  size += part.length;
  if (size >= bytes.length) break;
}
socket.close();

const stdout = new PassThrough();
const status = await new Promise((resolve, reject) => {
  new k8s.Exec(config)
    .exec('default', 'echo', 'echo', ['sh', '-c', 'echo out; exit 3'], stdout, null, null, false, resolve)
    .catch(reject);
});
console.log(JSON.stringify({ same: Buffer.concat(parts).equals(bytes), status, out: String(stdout.read()) }));
process.exit(0);
`;

it('the JavaScript client library forwards ports by channels, and runs commands', async context => {
  const library = fileURLToPath(new URL('../ci/node_modules/@kubernetes/client-node/dist/index.js', import.meta.url));
  if (!existsSync(library)) {
    if (process.env['ORBITKIT_CI']) throw new Error(`${library} is missing: cd ci && npm ci`);
    return context.skip();
  }
  const file = await cluster.file('library.mjs', libraryProgram(library));
  const ran = await cluster.run(process.execPath, [file]);
  expect(ran.code, ran.err).toBe(0);
  expect(JSON.parse(ran.out)).toMatchObject({
    same: true,
    out: 'out\n',
    status: {
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    },
  });
});
