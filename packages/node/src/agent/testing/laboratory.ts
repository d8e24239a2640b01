/**
 * A node agent under a manual clock: the fake API server, the simulated runtime, a data directory of its own. Nothing sleeps: `until` and
 * `advance` move the clock in small steps, and go on only when promises and files have settled in between.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  type ComponentContext,
  ConfigMap,
  type corev1,
  Event,
  type ManualClock,
  manualClock,
  metrics,
  Pod,
  Secret,
  silentLogger,
} from '@orbitkit/core';
import {
  type SimulatedRuntime,
  type SimulatedRuntimeOptions,
  simulatedRuntime,
} from '../../runtime/simulated/index.js';
import { node } from '../node.js';
import type { NodeOptions } from '../options.js';
import { type FakeApi, fakeApi } from './fake-api.js';

export interface Laboratory {
  readonly clock: ManualClock;
  /** Real milliseconds for each step of the clock: for tests with connections, which take real time. Default 0. */
  paceMs: number;
  readonly api: FakeApi;
  readonly runtime: SimulatedRuntime;
  readonly dataDir: string;
  /** Starts an agent and waits until it is ready. */
  start(options?: Partial<NodeOptions>): Promise<void>;
  /** Stops the agent as SIGTERM does. */
  stop(): Promise<void>;
  /** Leaves the agent where it is, as kill -9 does, and lets the next one see the same machine. */
  kill(): Promise<void>;
  advance(ms: number): Promise<void>;
  /** Moves the clock until it holds; fails after `boundMs` of its time. */
  until(holds: () => unknown, what?: string, boundMs?: number): Promise<void>;
  pod(spec: Partial<corev1.PodSpec>, name?: string, metadata?: object): Promise<Pod>;
  current(name?: string): Pod | undefined;
  status(name?: string): corev1.PodStatus;
  container(pod?: string, container?: string): corev1.ContainerStatus;
  condition(type: string, name?: string): corev1.PodCondition | undefined;
  /** `Type Reason: message`, in the order of their creation. */
  events(name?: string): string[];
  running(name?: string): Promise<string[]>;
  configMap(name: string, data: Record<string, string>): Promise<void>;
  secret(name: string, data: Record<string, string>): Promise<void>;
  close(): Promise<void>;
}

const stepMs = 100;

/** Files being read or written, as Node counts what is active. The network is not among them: see `paceMs`. */
const fileWork = /^(FSReq|CloseReq|FileHandleCloseReq)/;

/** Every continuation has run, and no file is being worked on. */
async function settle(): Promise<void> {
  for (let quiet = 0; quiet < 4; ) {
    await new Promise(resolve => setImmediate(resolve));
    quiet = process.getActiveResourcesInfo().some(name => fileWork.test(name)) ? 0 : quiet + 1;
  }
}

export async function laboratory(
  simulation: SimulatedRuntimeOptions = {},
  defaults: Partial<NodeOptions> = {},
): Promise<Laboratory> {
  const clock = manualClock();
  const api = fakeApi({ now: () => clock.now() });
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'orbitkit-agent-'));
  let runtime = simulatedRuntime({ ...simulation, clock });
  let agent: { stop: AbortController; done: Promise<void>; cut: AbortController } | undefined;

  async function step(ms: number): Promise<void> {
    await clock.advance(ms);
    await settle();
    if (lab.paceMs > 0) await new Promise(resolve => setTimeout(resolve, lab.paceMs));
  }

  const lab: Laboratory = {
    clock,
    paceMs: 0,
    api,
    dataDir,
    get runtime() {
      return runtime;
    },
    async start(options = {}) {
      const stop = new AbortController();
      const cut = new AbortController();
      let ready = false;
      const component = node({
        name: 'n1',
        runtime: cuttable(runtime, cut.signal),
        dataDir,
        podCIDR: '10.0.0.0/16',
        ...defaults,
        ...options,
      });
      const context: ComponentContext = {
        signal: stop.signal,
        clock,
        log: silentLogger,
        metrics: metrics(),
        client: cuttable(api.client, cut.signal),
        ready: () => {
          ready = true;
        },
        provideClient: () => {},
      };
      const done = component.run(context);
      done.catch(() => {});
      agent = { stop, done, cut };
      // Keys are made and modules loaded meanwhile, which takes real time.
      for (const bound = Date.now() + 20_000; !ready; await new Promise(resolve => setTimeout(resolve, 1))) {
        if (Date.now() > bound) throw new Error('the agent is not ready after 20 s');
        await step(stepMs);
      }
    },
    async stop() {
      const { stop, done } = agent!;
      agent = undefined;
      stop.abort();
      let over = false;
      done
        .finally(() => {
          over = true;
        })
        .catch(() => {});
      await lab.until(() => over, 'the agent has stopped', 120_000);
      await done;
      runtime = runtime.reopen();
    },
    async kill() {
      const { stop, done, cut } = agent!;
      agent = undefined;
      // From here on nothing that it does reaches the machine or the API.
      cut.abort();
      stop.abort();
      let over = false;
      done
        .catch(() => {})
        .finally(() => {
          over = true;
        });
      await lab.until(() => over, 'the killed agent is gone', 120_000);
      runtime = runtime.reopen();
    },
    async advance(ms) {
      await settle();
      // What has no timer needs no fine steps: one for each second of a long time will do.
      const each = ms > 20_000 ? 1_000 : stepMs;
      for (let left = ms; left > 0; left -= each) await step(Math.min(each, left));
    },
    async until(holds, what = String(holds), boundMs = 30_000) {
      await settle();
      const each = boundMs > 100_000 ? 1_000 : stepMs;
      for (let waited = 0; !holds(); waited += each) {
        if (waited > boundMs) throw new Error(`after ${boundMs} ms of the clock it still does not hold: ${what}`);
        await step(each);
      }
    },
    async pod(spec, name = 'web', metadata = {}) {
      return api.client.create(Pod, {
        metadata: { name, namespace: 'default', ...metadata },
        spec: { containers: [{ name: 'app', image: 'app:1' }], nodeName: 'n1', ...spec },
      });
    },
    current: (name = 'web') => api.find(Pod, { namespace: 'default', name }),
    status: (name = 'web') => lab.current(name)?.status ?? {},
    container(pod = 'web', container = 'app') {
      const { containerStatuses = [], initContainerStatuses = [] } = lab.status(pod);
      const found = [...containerStatuses, ...initContainerStatuses].find(({ name }) => name === container);
      return found ?? { name: container, ready: false, restartCount: 0, image: '', imageID: '' };
    },
    condition: (type, name = 'web') => lab.status(name).conditions?.find(condition => condition.type === type),
    events: (name = 'web') =>
      api
        .objects(Event)
        .filter(event => event.involvedObject.name === name)
        .map(({ type, reason, message }) => `${type} ${reason}: ${message}`),
    running: async (name = 'web') => {
      const uid = lab.current(name)?.metadata.uid;
      const sandboxes = (await runtime.listSandboxes()).filter(sandbox => sandbox.uid === uid).map(({ id }) => id);
      const containers = await runtime.listContainers();
      return containers
        .filter(({ sandboxId, state }) => sandboxes.includes(sandboxId) && state === 'running')
        .map(({ id }) => id);
    },
    configMap: async (name, data) => {
      const known = api.find(ConfigMap, { namespace: 'default', name });
      if (known) await api.client.update(ConfigMap, { ...known, data });
      else await api.client.create(ConfigMap, { metadata: { name, namespace: 'default' }, data });
    },
    secret: async (name, texts) => {
      const data = Object.fromEntries(
        Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
      );
      await api.client.create(Secret, { metadata: { name, namespace: 'default' }, data });
    },
    async close() {
      if (agent) await lab.stop();
      await runtime.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
  return lab;
}

/** Passes calls on until the signal aborts; after it every call fails and nothing arrives. */
function cuttable<T extends object>(target: T, signal: AbortSignal): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name, object);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (signal.aborted && name !== 'close' && name !== 'events') throw new Error('the agent was killed');
        return value.apply(object, args);
      };
    },
  });
}
