/**
 * Starts and stops the containers of one pod, a task each, and remembers why one does not run: what failed, until when it waits, what
 * the API shows meanwhile.
 *
 * Back-off after an end and after a failed start are counted apart; both are the kubelet's 10 s → 300 s. A container that was
 * stopped in order to be started again (its image changed, a probe gave up) may run again whatever the policy says.
 */
import type { ContainerStatus } from '../runtime/contract.js';
import type { Waiting } from '../status/container-status.js';
import type { MountedVolumes } from '../volumes/pod-volumes.js';
import type { Start, Stop } from './plan.js';
import { addressOf, type PodContext, payloadInputOf, specOf } from './pod-context.js';
import { containersOf, latestOf, readySandbox } from './pod-state.js';
import { isStartError, startContainer } from './start-container.js';
import { stopContainer } from './stop-container.js';

interface Failure {
  reason: string;
  message: string;
  at: number;
  retryAt: number;
  /** The event of its back-off was recorded. */
  said?: boolean;
}

export class PodContainers {
  readonly #context: PodContext;
  readonly #failures = new Map<string, Failure>();
  /** By container id: whether the restart is the container's fault and counts towards its back-off. */
  readonly #mustRestart = new Map<string, { counts: boolean }>();
  /** Ids of containers. */
  readonly #inHook = new Set<string>();
  readonly #backOffSaid = new Set<string>();

  constructor(context: PodContext) {
    this.#context = context;
  }

  start({ container, type, attempt, last }: Start, mounted: MountedVolumes): void {
    const { host, tasks, state, event, wake } = this.#context;
    const { runtime, clock, images, agentId, volumes, restartBackOffs } = host;
    const { name } = container;
    const sandboxId = readySandbox(state())!.id;
    if (last && this.#counts(last)) restartBackOffs.next(this.#key(name), last.finishedAt ?? last.createdAt);
    tasks.run(name, async signal => {
      let id: string | undefined;
      try {
        await startContainer({
          ...payloadInputOf(this.#context, signal),
          container,
          type,
          attempt,
          agentId,
          volumes,
          mounted,
          sandboxId,
          images,
          runtime,
          clock,
          address: addressOf(this.#context),
          signal,
          report: event,
          onStarted: started => {
            id = started;
            this.#failures.delete(name);
            if (container.lifecycle?.postStart) this.#inHook.add(started);
            wake();
          },
        });
        this.#failures.delete(name);
      } catch (error) {
        if (!signal.aborted) this.#failed(name, error);
      } finally {
        if (id) this.#inHook.delete(id);
      }
    });
  }

  /** @throws what is no StartError: a fault of ours, for the log. */
  #failed(name: string, error: unknown): void {
    if (!isStartError(error)) throw error;
    const { restartBackOffs, settings, clock } = this.#context.host;
    const { reason, message, wait } = error;
    const at = clock.now();
    const key = `${this.#key(name)}/start`;
    if (wait === 'own') restartBackOffs.next(key, at);
    const waitMs = wait === 'own' ? restartBackOffs.current(key) : wait === 'config' ? settings.configRetryMs : wait;
    this.#failures.set(name, { reason, message, at, retryAt: at + waitMs });
    this.#context.event('Warning', 'Failed', `Error: ${reason === 'ErrImagePull' ? reason : message}`);
  }

  stop({ container, spec, message, restart, verdict }: Stop): void {
    const { host, tasks, pod, event } = this.#context;
    const { runtime, clock } = host;
    const probe = verdict === 'liveness' ? spec?.livenessProbe : verdict === 'startup' ? spec?.startupProbe : undefined;
    const seconds = probe?.terminationGracePeriodSeconds ?? pod().spec.terminationGracePeriodSeconds ?? 30;
    if (restart) this.#mustRestart.set(container.id, { counts: verdict !== undefined });
    event('Normal', 'Killing', message);
    const stop = (signal: AbortSignal) =>
      stopContainer({
        container: spec,
        containerId: container.id,
        address: addressOf(this.#context),
        runtime,
        clock,
        graceMs: seconds * 1000,
        report: event,
        signal,
      });
    tasks.run(container.name, stop, { lasting: true });
  }

  /** Milliseconds until it may be started; `last` is its ended predecessor. */
  waitOf(name: string, last: ContainerStatus | undefined): number {
    const failure = this.#failures.get(name);
    const afterFailure = failure ? failure.retryAt - this.#context.host.clock.now() : 0;
    return Math.max(0, afterFailure, last ? this.#restartWait(last) : 0);
  }

  mustRestart = (containerId: string): boolean => this.#mustRestart.has(containerId);

  /** Its postStart hook is under way. */
  isInHook = (containerId: string): boolean => this.#inHook.has(containerId);

  /** What the status shows of a container that does not run. */
  waitingOf(name: string): Waiting | undefined {
    const failure = this.#failures.get(name);
    if (failure) return this.#waitingAfter(failure, name);
    const { state, tasks } = this.#context;
    const latest = latestOf(state(), name);
    return latest?.state === 'exited' && !tasks.has(name) ? this.#crashLoop(latest) : undefined;
  }

  /** As `waitingOf`, for a pod that is being taken down: nothing comes back, nothing is said. */
  lastFailure(name: string): Waiting | undefined {
    const failure = this.#failures.get(name);
    return failure && { reason: failure.reason, message: failure.message };
  }

  /** Half of its wait a failed pull is ErrImagePull, then ImagePullBackOff, as one sees it with upstream's kubelet. */
  #waitingAfter(failure: Failure, name: string): Waiting {
    const { host, tasks, event, wakeIn } = this.#context;
    const { reason, message, at, retryAt } = failure;
    if (reason !== 'ErrImagePull' || tasks.has(name)) return { reason, message };
    const untilFlip = at + (retryAt - at) / 2 - host.clock.now();
    if (untilFlip > 0) {
      wakeIn(untilFlip);
      return { reason, message };
    }
    const backingOff = `Back-off pulling image "${specOf(this.#context, name)?.image ?? ''}"`;
    if (!failure.said) event('Normal', 'BackOff', backingOff);
    failure.said = true;
    return { reason: 'ImagePullBackOff', message: `${backingOff}: ErrImagePull: ${message}` };
  }

  #crashLoop(latest: ContainerStatus): Waiting | undefined {
    if (this.#restartWait(latest) <= 0) return undefined;
    const { host, uid, pod, event } = this.#context;
    const { name, namespace } = pod().metadata;
    const seconds = host.restartBackOffs.current(this.#key(latest.name)) / 1000;
    const what = `restarting failed container=${latest.name} pod=${name}_${namespace}(${uid})`;
    if (!this.#backOffSaid.has(latest.id)) event('Warning', 'BackOff', `Back-off ${what}`);
    this.#backOffSaid.add(latest.id);
    return { reason: 'CrashLoopBackOff', message: `back-off ${seconds}s ${what}` };
  }

  #restartWait(last: ContainerStatus): number {
    if (!this.#counts(last)) return 0;
    return this.#context.host.restartBackOffs.remaining(this.#key(last.name), last.finishedAt ?? last.createdAt);
  }

  /** A crash and a probe that gave up count, a changed image does not. */
  #counts(ended: ContainerStatus): boolean {
    return this.#mustRestart.get(ended.id)?.counts ?? true;
  }

  #key(name: string): string {
    return `${this.#context.uid}/${name}`;
  }

  /** The runtime has forgotten all others. */
  keepOnly(containerIds: ReadonlySet<string>): void {
    for (const known of [this.#mustRestart, this.#inHook, this.#backOffSaid]) {
      for (const id of known.keys()) if (!containerIds.has(id)) known.delete(id);
    }
  }

  /** The pod is gone. */
  forget(): void {
    const { host, uid, pod } = this.#context;
    host.images.forget(uid);
    for (const { name } of containersOf(pod())) {
      host.restartBackOffs.forget(this.#key(name));
      host.restartBackOffs.forget(`${this.#key(name)}/start`);
    }
  }
}
