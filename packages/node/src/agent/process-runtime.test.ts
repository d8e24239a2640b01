/** The agent on the process runtime: real processes on loopback addresses, a real HTTPS server, real time. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type ComponentContext, type corev1, metrics, Node, Pod, silentLogger, systemClock } from '@orbitkit/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ProcessRuntime, processRuntime } from '../runtime/process/index.js';
import { bundle, runtimePrograms } from '../testing/bundle.js';
import { node } from './node.js';
import type { NodeOptions } from './options.js';
import { fakeApi } from './testing/fake-api.js';

let folder: string;
let programDirectory: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'orbitkit-built-'));
  programDirectory = await bundle(folder, runtimePrograms);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let dataDir: string;
let api: ReturnType<typeof fakeApi>;
let runtime: ProcessRuntime;
let agent: { stop: AbortController; done: Promise<void> } | undefined;

async function start(options: Partial<NodeOptions> = {}) {
  runtime = processRuntime({ dataDir, mode: 'rootless', podCIDR: '127.91.6.0/24', programDirectory });
  const stop = new AbortController();
  await new Promise<void>((resolve, reject) => {
    const context: ComponentContext = {
      signal: stop.signal,
      clock: systemClock,
      log: silentLogger,
      metrics: metrics(),
      client: api.client,
      ready: resolve,
      provideClient: () => {},
    };
    const done = node({ name: 'n1', runtime, dataDir, configRetryMs: 100, ...options }).run(context);
    done.catch(reject);
    agent = { stop, done };
  });
}
async function stop() {
  agent?.stop.abort();
  await agent?.done;
  agent = undefined;
}
async function setUp(options: Partial<NodeOptions> = {}) {
  dataDir = await mkdtemp(path.join(tmpdir(), 'orbitkit-node-'));
  api = fakeApi({ now: () => Date.now() });
  await start(options);
}
afterEach(async () => {
  await stop();
  // The helper that is just ending, because its last agent left, may take the connection and drop it: ask its successor.
  const shutDown = () => processRuntime({ dataDir, mode: 'rootless', programDirectory }).shutdown();
  await shutDown().catch(shutDown);
  await rm(dataDir, { recursive: true, force: true });
});

async function until(holds: () => unknown, what = String(holds), boundMs = 20_000) {
  const end = Date.now() + boundMs;
  while (!(await holds())) {
    if (Date.now() > end)
      throw new Error(
        `after ${boundMs} ms it does not hold: ${what}; ${JSON.stringify(api.objects(Pod).map(({ status }) => status))}`,
      );
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
const create = (spec: Partial<corev1.PodSpec>, name = 'web') =>
  api.client.create(Pod, {
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'n1', containers: [], terminationGracePeriodSeconds: 2, ...spec },
  });
const status = (name = 'web') => api.find(Pod, { namespace: 'default', name })?.status ?? {};
const container = (name = 'web') => status(name).containerStatuses?.[0];
const sh = (script: string, more: Partial<corev1.Container> = {}): corev1.Container => ({
  name: 'app',
  image: 'busybox',
  command: ['sh', '-c', script],
  ...more,
});

function get(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get({ host, port, agent: false }, response => {
        let text = '';
        response.on('data', chunk => {
          text += chunk;
        });
        response.on('end', () => resolve(text));
      })
      .on('error', reject);
  });
}

describe('the agent on the process runtime', () => {
  it('runs servers that answer on their own addresses, probed over HTTP', async () => {
    await setUp();
    const echo: corev1.Container = {
      name: 'app',
      image: 'orbitkit/echo:1',
      ports: [{ name: 'http', containerPort: 8080 }],
      readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
    };
    await create({ containers: [echo] }, 'one');
    await create({ containers: [echo] }, 'two');
    await until(() => container('one')?.ready && container('two')?.ready, 'both are ready');
    const addresses = [status('one').podIP!, status('two').podIP!];
    expect(new Set(addresses).size).toBe(2);
    expect(await Promise.all(addresses.map(address => get(address, 8080)))).toEqual([
      expect.stringContaining('one'),
      expect.stringContaining('two'),
    ]);
    await api.client.delete(Pod, { namespace: 'default', name: 'one' });
    await until(() => !api.find(Pod, { namespace: 'default', name: 'one' }), 'deleted');
    await expect(get(addresses[0]!, 8080)).rejects.toThrow('ECONNREFUSED');
  });

  it('gives environment and files, keeps exit codes and termination messages', async () => {
    await setUp();
    const app = sh(
      'echo "$GREETING $NAME" > out/file; cat config/a >> out/file; echo "it is over" > dev/termination-log; exit 3',
      {
        env: [
          { name: 'GREETING', value: 'hello' },
          { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ],
        volumeMounts: [
          { name: 'out', mountPath: '/out' },
          { name: 'config', mountPath: '/config' },
        ],
      },
    );
    const { ConfigMap } = await import('@orbitkit/core');
    await api.client.create(ConfigMap, { metadata: { name: 'c', namespace: 'default' }, data: { a: 'from a map' } });
    const made = await create({
      restartPolicy: 'Never',
      containers: [app],
      volumes: [
        { name: 'out', emptyDir: {} },
        { name: 'config', configMap: { name: 'c' } },
      ],
    });
    await until(() => status().phase === 'Failed');
    expect(container()?.state?.terminated).toMatchObject({ exitCode: 3, reason: 'Error', message: 'it is over\n' });
    expect(await readFile(path.join(dataDir, 'pods', made.metadata.uid, 'volumes', 'out', 'file'), 'utf8')).toBe(
      'hello web\nfrom a map',
    );
    expect(status().conditions?.find(({ type }) => type === 'orbitkit.dev/Limited')?.message).toContain(
      'cannot mount volumes at /out, /config',
    );
  });

  it('restarts what crashes, and says what cannot be started', async () => {
    await setUp({ restartBackOff: { initialMs: 200, maxMs: 200 } });
    await create({ containers: [sh('exit 1')] }, 'crash');
    await create({ containers: [{ name: 'app', image: 'example.org/nobody/knows:this' }] }, 'unknown');
    await create({ containers: [{ name: 'app', image: 'busybox', command: ['/does/not/exist'] }] }, 'missing');
    await until(() => (container('crash')?.restartCount ?? 0) >= 2, 'restarted');
    expect(container('crash')?.lastState?.terminated?.exitCode).toBe(1);
    await until(() => container('unknown')?.state?.waiting?.reason === 'ErrImagePull', 'the image is unknown');
    expect(container('unknown')?.state?.waiting?.message).toContain('catalogue');
    await until(
      () => ['RunContainerError', 'CrashLoopBackOff'].includes(container('missing')?.state?.waiting?.reason ?? ''),
      'it does not start',
    );
  });

  it('a new agent adopts what runs: same process, no restart; and reports what ended meanwhile', async () => {
    await setUp();
    await create({ containers: [sh('exec sleep 1000')] }, 'stays');
    await create(
      { restartPolicy: 'Never', containers: [sh('while ! test -e end; do sleep 0.05; done; exit 42')] },
      'ends',
    );
    await until(() => container('stays')?.ready && container('ends')?.ready);
    const pidsOf = async () => {
      const containers = await runtime.listContainers();
      return containers
        .filter(({ state }) => state === 'running')
        .map(({ name, sandboxId, pid, startedAt }) => ({ name, sandboxId, pid, startedAt }));
    };
    const before = await pidsOf();
    expect(before).toHaveLength(2);
    const ends = (await runtime.listContainers()).find(({ id }) => container('ends')?.containerID?.endsWith(id))!;
    await stop();
    process.kill(ends.pid!, 0);
    const cwd = `/proc/${ends.pid}/cwd`;
    await writeFile(path.join(cwd, 'end'), '');
    await new Promise(resolve => setTimeout(resolve, 300));
    await start();
    await until(() => status('ends').phase === 'Failed');
    expect(container('ends')?.state?.terminated?.exitCode).toBe(42);
    expect(await pidsOf()).toEqual(before.filter(({ pid }) => pid !== ends.pid));
    expect(container('stays')).toMatchObject({ restartCount: 0, ready: true });
  });

  it('stopPodsOnShutdown leaves no process', async () => {
    await setUp({ stopPodsOnShutdown: true, shutdownGraceMs: 1_000 });
    await create({ containers: [sh('trap "" TERM; while :; do sleep 0.1; done')] });
    await until(() => container()?.ready);
    const [running] = await runtime.listContainers();
    await stop();
    expect(() => process.kill(running!.pid!, 0)).toThrow('ESRCH');
    expect(api.find(Node, { name: 'n1' })?.status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'False', message: 'the node agent is stopping' }),
    );
  });
});
