/**
 * All pods of one node: a worker for each, fed by the API (what is wanted) and by the runtime (what is).
 *
 * - The API is followed with `spec.nodeName=<name>`; a pod is known by its uid, so that a pod deleted and made again under its name is
 *   another one.
 * - The runtime is listed every second; a pod whose part of the list changed is looked at. Its events only make that sooner.
 * - Once the API's list is complete, sandboxes of this agent whose pod does not exist are taken down, and files of pods that are
 *   neither in the API nor in the runtime are removed. Nothing is taken down on an incomplete list.
 */
import { type Client, type Clock, type Logger, Pod } from '@orbitkit/core';
import { Reflector } from '@orbitkit/informer';
import type { PodHost } from '../pod-worker/pod-host.js';
import { PodWorker } from '../pod-worker/pod-worker.js';
import type { ContainerStatus, Runtime, Sandbox } from '../runtime/contract.js';
import { labels } from './labels.js';

export interface PodManager {
  /** Follows the API and the runtime until the signal aborts; then lets go of every pod. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the API's list is complete and was compared with the runtime. */
  readonly synced: Promise<void>;
  /** Why the runtime does not answer; undefined while it does. */
  readonly runtimeFailure: string | undefined;
  workers(): Iterable<PodWorker>;
  worker(namespace: string, name: string): PodWorker | undefined;
  /** Stops the containers of every pod within the bound, and begins no other. */
  stopPods(boundMs: number): Promise<void>;
}

export interface PodManagerOptions {
  name: string;
  agentId: string;
  client: Client;
  runtime: Runtime;
  clock: Clock;
  log: Logger;
  relistMs: number;
  /** What the workers share, but for what the manager itself answers. */
  host: Omit<PodHost, 'others' | 'onGone'>;
}

/** How long before an events stream that broke is opened again. */
const eventsRetryMs = 1_000;

export function podManager(options: PodManagerOptions): PodManager {
  const { name, agentId, client, runtime, clock, log, relistMs } = options;
  const workers = new Map<string, PodWorker>();
  /** Off the node but still in the API: a finalizer holds it. */
  const gone = new Set<string>();
  const inApi = new Set<string>();
  let listed: Set<string> | undefined;
  let listComplete = false;
  let swept = false;
  /** The agent stops its pods: none is begun any more. */
  let stopping = false;
  let runtimeFailure: string | undefined;
  let seen = new Map<string, string>();
  let uidOf = new Map<string, string>();
  let relistNow: (() => void) | undefined;
  let announceSynced!: () => void;
  const synced = new Promise<void>(resolve => {
    announceSynced = resolve;
  });

  const host: PodHost = {
    ...options.host,
    others: uid => [...workers.values()].filter(worker => worker.uid !== uid && worker.admitted).map(({ pod }) => pod),
    onGone(uid) {
      options.host.tokens.forget(uid);
      workers.delete(uid);
      if (inApi.has(uid)) gone.add(uid);
    },
  };

  function apply(pod: Pod): void {
    const { uid } = pod.metadata;
    inApi.add(uid);
    listed?.add(uid);
    if (gone.has(uid)) return;
    let worker = workers.get(uid);
    if (!worker) {
      if (stopping) return;
      worker = new PodWorker(host, pod);
      workers.set(uid, worker);
    }
    worker.update(pod);
  }

  function remove(uid: string, last?: Pod): void {
    inApi.delete(uid);
    gone.delete(uid);
    const worker = workers.get(uid);
    if (last) worker?.update(last);
    worker?.removed();
  }

  async function followApi(signal: AbortSignal): Promise<void> {
    const reflector = new Reflector({ client, kind: Pod, fieldSelector: `spec.nodeName=${name}`, clock, log });
    for await (const batch of reflector.batches(signal)) {
      for (const event of batch) {
        if (event.type === 'init') listed = new Set();
        else if (event.type === 'initDone') endOfList();
        else if (event.type === 'delete') remove(event.object.metadata.uid, event.object);
        else if ('object' in event) apply(event.object);
      }
    }
  }

  /** What a complete list does not name, does not exist any more. */
  function endOfList(): void {
    for (const uid of [...inApi]) if (!listed?.has(uid)) remove(uid);
    listed = undefined;
    listComplete = true;
    relistNow?.();
  }

  async function relist(): Promise<void> {
    const [all, containers] = await Promise.all([runtime.listSandboxes(), runtime.listContainers()]);
    const sandboxes = all.filter(sandbox => sandbox.labels[labels.agent] === agentId);
    const now = signatures(sandboxes, containers);
    const before = seen;
    seen = now;
    uidOf = new Map(sandboxes.map(({ id, uid }) => [id, uid]));
    for (const uid of new Set([...before.keys(), ...now.keys()])) {
      if (before.get(uid) !== now.get(uid)) workers.get(uid)?.wake();
    }
    if (!listComplete) return;
    for (const sandbox of sandboxes) if (!workers.has(sandbox.uid) && !gone.has(sandbox.uid)) takeDown(sandbox);
    if (swept) return;
    for (const uid of await host.volumes.list()) {
      if (!workers.has(uid) && !inApi.has(uid)) await host.volumes.remove(uid);
    }
    swept = true;
    announceSynced();
  }

  /** A sandbox of ours whose pod nobody knows: it was deleted while the agent was away. */
  function takeDown(sandbox: Sandbox): void {
    const grace = Number(sandbox.labels[labels.graceSeconds]);
    const { name: podName, namespace, uid } = sandbox;
    const orphan: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: podName, namespace, uid, resourceVersion: '', creationTimestamp: '' },
      spec: { containers: [], terminationGracePeriodSeconds: Number.isFinite(grace) ? grace : 30 },
      status: {},
    };
    log.info('a sandbox whose pod is gone is taken down', { pod: `${namespace}/${podName}`, uid, sandbox: sandbox.id });
    const worker = new PodWorker(host, orphan);
    workers.set(uid, worker);
    worker.removed();
  }

  async function followRuntime(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await relist();
        if (runtimeFailure !== undefined) log.info('the runtime answers again');
        runtimeFailure = undefined;
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (runtimeFailure === undefined) log.error('the runtime does not answer', { error: message });
        runtimeFailure = message;
      }
      await new Promise<void>(resolve => {
        const timer = clock.setTimer(relistMs, resolve);
        relistNow = () => {
          timer.cancel();
          resolve();
        };
        signal.addEventListener('abort', relistNow, { once: true });
        if (signal.aborted) relistNow();
      });
      if (relistNow) signal.removeEventListener('abort', relistNow);
      relistNow = undefined;
    }
  }

  async function followEvents(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const { sandboxId } of runtime.events(signal)) {
          const uid = sandboxId === undefined ? undefined : uidOf.get(sandboxId);
          if (uid === undefined) relistNow?.();
          else workers.get(uid)?.wake();
        }
      } catch (error) {
        log.debug('the stream of runtime events broke', {
          error: error instanceof Error ? error.message : String(error),
        });
      }
      if (!signal.aborted) await clock.sleep(eventsRetryMs, signal).catch(() => {});
    }
  }

  return {
    synced,
    get runtimeFailure() {
      return runtimeFailure;
    },
    workers: () => workers.values(),
    worker(namespace, podName) {
      let found: PodWorker | undefined;
      for (const worker of workers.values()) {
        const { metadata } = worker.pod;
        // Two uids of one name at once: the one that is not on its way out.
        if (metadata.namespace === namespace && metadata.name === podName && (!found || inApi.has(worker.uid)))
          found = worker;
      }
      return found;
    },
    async run(signal) {
      try {
        await Promise.all([followApi(signal), followRuntime(signal), followEvents(signal)]);
      } finally {
        await Promise.all([...workers.values()].map(worker => worker.close()));
      }
    },
    async stopPods(boundMs) {
      stopping = true;
      const bound = new AbortController();
      const all = Promise.all([...workers.values()].map(worker => worker.shutdown(boundMs)));
      await Promise.race([
        all.then(() => bound.abort()),
        // A little longer than the graces, for what comes after SIGKILL.
        clock.sleep(boundMs + 2_000, bound.signal).catch(() => {}),
      ]);
    },
  };
}

/** What of a pod's part of the runtime must make its worker look. */
function signatures(sandboxes: readonly Sandbox[], containers: readonly ContainerStatus[]): Map<string, string> {
  const result = new Map<string, string>();
  const uidOf = new Map<string, string>();
  for (const { id, uid, state, ip } of sandboxes) {
    uidOf.set(id, uid);
    result.set(uid, `${result.get(uid) ?? ''}${id} ${state} ${ip ?? ''};`);
  }
  for (const { id, sandboxId, state } of containers) {
    const uid = uidOf.get(sandboxId);
    if (uid !== undefined) result.set(uid, `${result.get(uid)}${id} ${state};`);
  }
  return result;
}
