/**
 * Created → bound → observed: pods posted over HTTP by a client of its own process, decided by the live scheduler, in the API server's process or in one
 * of its own, seen bound by the client's watch. The server's store is the memory one, as upstream's scheduler_perf has its API server and etcd in one process without kubelets.
 */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import {
  type Client,
  compose,
  createClient,
  httpTransport,
  Namespace,
  Node,
  Pod,
  PriorityClass,
  silentLogger,
  systemClock,
} from '@orbitkit/core';
import { defaultPlugins, scheduler } from '@orbitkit/scheduler';
import { type SchedulerApart, schedulerApart } from './apart.js';
import { nodesOf, queueWorkloads, sizesOf, type Workload, workloads } from './workloads.js';

interface Order {
  readonly port: number;
  readonly workload: string;
  readonly nodes: number;
  readonly measured: number;
}

/** What the load says: it begins to measure; and what it measured. */
type Word = { readonly begins: true } | { readonly seconds: number };

const inFlight = 64;
/** Without one pod bound for so long, nothing comes any more: more pods than their rules leave room for. */
const stuckMs = 60_000;
const all = [...workloads, ...queueWorkloads];

/** @throws Error that names those there are. */
function workloadOf(name: string): Workload {
  const found = all.find(each => each.name === name);
  if (!found) throw new Error(`no workload "${name}"; there are ${all.map(each => each.name).join('; ')}`);
  return found;
}

/** As a user posts it: the priority is its class's. */
function draftOf({ metadata: { name, namespace, labels }, spec }: Pod) {
  const { priority, ...rest } = spec;
  return {
    metadata: { name, namespace, labels: labels! },
    spec: { ...rest, ...(priority ? { priorityClassName: `priority-${priority}` } : {}) },
  };
}

async function createAll(client: Client, pods: readonly Pod[]): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let pod = pods[next++]; pod; pod = pods[next++]) await client.create(Pod, draftOf(pod));
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

/** Counts pods as the watch shows them bound. */
function observer(client: Client, resourceVersion: string | undefined, signal: AbortSignal) {
  const bound = new Set<string>();
  const waiters = new Set<() => void>();
  const run = async (): Promise<void> => {
    for await (const batch of client.watchBatches(Pod, { signal, ...(resourceVersion ? { resourceVersion } : {}) })) {
      for (const event of batch) {
        if (event.type === 'BOOKMARK') continue;
        const { metadata, spec } = event.object as Pod;
        if (spec.nodeName) bound.add(`${metadata.namespace}/${metadata.name}`);
      }
      for (const each of waiters) each();
    }
  };
  const key = ({ metadata }: Pod): string => `${metadata.namespace}/${metadata.name}`;
  return {
    run,
    async until(pods: readonly Pod[]): Promise<void> {
      let left = pods.map(key);
      await new Promise<void>((resolve, reject) => {
        let timer = setTimeout(stuck, stuckMs);
        function stuck(): void {
          waiters.delete(look);
          const waiting = left.filter(each => !bound.has(each));
          reject(new Error(`no pod was bound for ${stuckMs / 1_000} s, and ${waiting.length} wait: ${waiting[0]}, …`));
        }
        let known = bound.size;
        const look = (): void => {
          if (bound.size > known) timer = timer.refresh();
          known = bound.size;
          if (known < pods.length) return;
          left = left.filter(each => !bound.has(each));
          if (left.length > 0) return;
          clearTimeout(timer);
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      });
    },
  };
}

/** Again and again while the signal lasts, evenly. */
async function each(perSecond: number, signal: AbortSignal, act: (index: number) => Promise<unknown>): Promise<void> {
  for (let index = 0; !signal.aborted; index++) {
    await act(index);
    await systemClock.sleep(1_000 / perSecond, signal).catch(() => {});
  }
}

async function load(order: Order, say: (word: Word) => void): Promise<void> {
  const workload = workloadOf(order.workload);
  const client = createClient(httpTransport({ server: `http://127.0.0.1:${order.port}` }));
  const stop = new AbortController();
  const start = await client.list(Pod, {});
  const seen = observer(client, start.metadata.resourceVersion, stop.signal);
  const watching = seen.run().catch(error => {
    if (!stop.signal.aborted) throw error;
  });
  const many = (count: number, make: (index: number) => Pod) => Array.from({ length: count }, (_, i) => make(i));
  await createAll(
    client,
    many(workload.gated ?? 0, index => workload.gatedPod!(index)),
  );
  const initial = many(sizesOf(workload, order.nodes).initial, workload.initialPod);
  await createAll(client, initial);
  await seen.until(initial);
  const pods = many(order.measured, workload.pod);
  const beside = new AbortController();
  say({ begins: true });
  const began = performance.now();
  const { beside: comes, endingPerSecond } = workload;
  const others = [
    comes ? each(5, beside.signal, index => client.create(Pod, draftOf(comes(index)))) : undefined,
    endingPerSecond
      ? each(endingPerSecond, beside.signal, async index => {
          const pod = initial[index];
          if (pod) await client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0 });
        })
      : undefined,
  ];
  await Promise.all([createAll(client, pods), seen.until(pods)]);
  say({ seconds: (performance.now() - began) / 1_000 });
  beside.abort();
  await Promise.all(others);
  stop.abort();
  await watching;
}

/** The other process. */
export function loadOnOrder(): void {
  process.once('message', order => {
    load(order as Order, word => process.send!(word)).then(
      () => process.disconnect(),
      error => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}

export interface HttpReportOptions {
  /** A workload's name, or `all`. */
  readonly name?: string | undefined;
  readonly nodes?: number | undefined;
  readonly pods?: number | undefined;
  /** The scheduler is a process of its own. */
  readonly apart: boolean;
}

export async function httpReport(options: HttpReportOptions): Promise<void> {
  const { name = 'SchedulingBasic', nodes: nodeCount = 5_000, pods, apart } = options;
  const chosen = name === 'all' ? all.filter(each => each.name !== 'Nothing beside') : [workloadOf(name)];
  console.log(
    '| created, bound and observed over HTTP | nodes | pods | pods/s | server and scheduler, us of processor time a pod | upstream threshold at 5,000 nodes, pods/s |',
  );
  console.log('|---|---|---|---|---|---|');
  for (const workload of chosen) {
    const measured = pods ?? sizesOf(workload, nodeCount).measured;
    const { perSecond, micros } = await measure(workload, nodeCount, measured, apart);
    const nodes = workload.ownNodes?.().length ?? nodeCount;
    console.log(
      `| ${workload.name} | ${nodes} | ${measured} | ${Math.round(perSecond).toLocaleString('en')} | ${Math.round(micros)} | ${workload.threshold ?? '-'} |`,
    );
  }
}

async function measure(workload: Workload, nodeCount: number, measured: number, apart: boolean) {
  const controller = new AbortController();
  const dataDir = await mkdtemp(join(tmpdir(), 'orbitkit-bench-scheduler-'));
  const server = apiServer({
    store: memoryStore(),
    listen: { port: 0 },
    insecureHttp: true,
    dataDir,
    flowControl: false,
  });
  const composition = compose(
    { log: silentLogger },
    server,
    ...(apart ? [] : [scheduler({ plugins: defaultPlugins() })]),
  );
  const running = composition.run({ signal: controller.signal });
  let other: SchedulerApart | undefined;
  try {
    await composition.ready;
    const client = server.clientFor({ username: 'bench', groups: ['system:masters'] });
    for (const namespace of ['perf', 'init', 'basic', 'measured', 'ending', 'gated'])
      await client.create(Namespace, { metadata: { name: namespace } });
    await client.create(PriorityClass, { metadata: { name: 'priority-10' }, value: 10 });
    for (const { metadata, spec, status } of nodesOf(workload, nodeCount)) {
      const made = await client.create(Node, { metadata: { name: metadata.name, labels: metadata.labels! }, spec });
      await client.updateStatus(Node, { ...made, status });
    }
    other = apart ? await schedulerApart(server.endpoint!.port) : undefined;
    const used = async (): Promise<number> => {
      const usages = [process.cpuUsage(), ...(other ? [await other.usage()] : [])];
      return usages.reduce((sum, { user, system }) => sum + user + system, 0);
    };
    let before = used();
    const order = { port: server.endpoint!.port, workload: workload.name, nodes: nodeCount, measured };
    const seconds = await loadFrom(order, () => {
      before = used();
    });
    return { perSecond: measured / seconds, micros: ((await used()) - (await before)) / measured };
  } finally {
    other?.stop();
    controller.abort();
    await running;
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function loadFrom(order: Order, begins: () => void): Promise<number> {
  const child = fork(process.argv[1]!, ['load'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    return await new Promise((resolve, reject) => {
      child.on('message', answer => {
        const word = answer as Word;
        if ('begins' in word) begins();
        else resolve(word.seconds);
      });
      child.once('exit', code => reject(new Error(`the load ended with ${code}`)));
      child.send(order);
    });
  } finally {
    child.kill();
  }
}
