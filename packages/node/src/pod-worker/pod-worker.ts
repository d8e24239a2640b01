/**
 * Makes one pod so on this node: looks at what is wanted and what runs, decides (`planOf`), begins what is next, reports.
 *
 * - Level-triggered: every look starts from the pod as it is and a fresh list of the runtime; nothing depends on having seen an event.
 * - One look at a time; what wakes the worker meanwhile makes it look once more. Long steps (pulls, starts, stops) are tasks beside
 *   the loop, at most one for each container, so that a slow image holds up neither a restart next to it nor the pod's deletion.
 * - Containers that run and are as wanted are not touched, also after the agent's own restart.
 * - Taking the pod down (deleted, finished, refused, past its deadline) is `PodEnding`.
 */
import { isDeepStrictEqual } from 'node:util';
import { backoff, formatTime, type Pod, parseTime } from '@orbitkit/core';
import { type PodProbes, podProbes } from '../probes/pod-probes.js';
import type { ContainerStatus } from '../runtime/contract.js';
import type { Waiting } from '../status/container-status.js';
import type { Phase } from '../status/phase.js';
import { podStatusOf } from '../status/pod-status.js';
import { type StatusWriter, statusWriter } from '../status/status-writer.js';
import type { PayloadInput } from '../volumes/payload.js';
import type { MountedVolumes } from '../volumes/pod-volumes.js';
import { refusalOf } from './admission.js';
import { terminationFileOf } from './container-config.js';
import { limitationsOf } from './limitations.js';
import { type Plan, planOf, type Start, type Stop, wantsRestart } from './plan.js';
import { type EndCause, PodEnding } from './pod-ending.js';
import type { PodHost } from './pod-host.js';
import {
  containersOf,
  emptyPodState,
  graceSecondsOf,
  isSidecar,
  latestOf,
  type PodState,
  readPodState,
  readySandbox,
  restartCountOf,
} from './pod-state.js';
import { sandboxConfigOf } from './sandbox-config.js';
import { isStartError, startContainer } from './start-container.js';
import { stopContainer } from './stop-container.js';
import { type Tasks, tasks } from './tasks.js';
import { terminationMessageOf } from './termination-message.js';

interface Failure extends Waiting {
  message: string;
  at: number;
  retryAt: number;
  /** The event of its back-off was recorded. */
  said?: boolean;
}

/** Names of the pod's own tasks; a container's name has no capital letters. */
const sandboxTask = 'Sandbox';
const mountTask = 'Mount';
const refreshTask = 'Refresh';

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export class PodWorker {
  readonly uid: string;
  readonly #host: PodHost;
  readonly #tasks: Tasks;
  readonly #probes: PodProbes;
  readonly #writer: StatusWriter;
  readonly #failures = new Map<string, Failure>();
  readonly #messages = new Map<string, string | undefined>();
  readonly #mustRestart = new Set<string>();
  readonly #inHook = new Set<string>();
  readonly #backOffSaid = new Set<string>();
  readonly #limitations: readonly string[];
  readonly #firstSeen: number;
  readonly #syncWaits;
  readonly #sandboxWaits;
  #pod: Pod;
  #state: PodState = emptyPodState;
  #mounted: MountedVolumes | undefined;
  #refreshAt = 0;
  #admitted = false;
  #ending: PodEnding | undefined;
  #timer: { at: number; cancel(): void } | undefined;
  #dirty = false;
  #loop: Promise<void> | undefined;
  #closed = false;

  constructor(host: PodHost, pod: Pod) {
    this.#host = host;
    this.#pod = pod;
    this.uid = pod.metadata.uid;
    this.#firstSeen = host.clock.now();
    this.#limitations = limitationsOf(pod, host.runtime.name, host.runtime.capabilities);
    const { clock, runtime, client, log } = host;
    this.#syncWaits = backoff({ initialMs: 500, maxMs: 10_000, clock });
    this.#sandboxWaits = backoff({ initialMs: 1_000, maxMs: 60_000, resetAfterMs: 120_000, clock });
    this.#writer = statusWriter({ client, clock, log, pod });
    this.#tasks = tasks({
      onSettled: () => this.wake(),
      onError: (task, error) => log.error('a task of a pod failed', { pod: this.name, task, error: textOf(error) }),
    });
    this.#probes = podProbes({
      runtime,
      clock,
      onChange: () => this.wake(),
      onUnhealthy: (_container, message) => this.#event('Warning', 'Unhealthy', message),
    });
  }

  get name(): string {
    return `${this.#pod.metadata.namespace}/${this.#pod.metadata.name}`;
  }
  /** The pod with the status that this node last wrote or read. */
  get pod(): Pod {
    return this.#writer.pod;
  }
  /** As last looked at. */
  get state(): PodState {
    return this.#state;
  }
  get admitted(): boolean {
    return this.#admitted && !this.#ending?.complete;
  }

  /** The pod as the API has it now. */
  update(pod: Pod): void {
    const { labels, annotations } = this.#pod.metadata;
    if (!isDeepStrictEqual([labels, annotations], [pod.metadata.labels, pod.metadata.annotations])) this.#refreshAt = 0;
    this.#pod = pod;
    this.#writer.observe(pod);
    if (pod.metadata.deletionTimestamp) this.#end('deleted', graceSecondsOf(pod) * 1000);
    this.wake();
  }

  /** The API has no such pod (any more). */
  removed(): void {
    this.#end('gone', graceSecondsOf(this.#pod) * 1000);
    this.wake();
  }

  /** Takes the containers down and leaves the pod in the API as it is. Resolves when they are down. */
  async shutdown(boundMs: number): Promise<void> {
    this.#end('shutdown', Math.min(boundMs, (this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000));
    this.wake();
    await this.#ending!.down;
  }

  /** Lets go of the pod, which goes on as it is. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#probes.stop();
    this.#writer.stop();
    this.#tasks.abort();
    this.#ending?.close();
    await this.#tasks.settled();
    await this.#loop;
  }

  wake(): void {
    this.#dirty = true;
    if (this.#closed) return;
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined;
      if (this.#dirty && !this.#closed) this.wake();
    });
  }

  #wakeIn(ms: number): void {
    const at = this.#host.clock.now() + ms;
    if (this.#closed || (this.#timer && this.#timer.at <= at)) return;
    this.#timer?.cancel();
    const timer = this.#host.clock.setTimer(ms, () => {
      this.#timer = undefined;
      this.wake();
    });
    this.#timer = { at, cancel: timer.cancel };
  }

  async #run(): Promise<void> {
    while (this.#dirty && !this.#closed) {
      this.#dirty = false;
      try {
        await this.#look();
        this.#syncWaits.reset();
      } catch (error) {
        if (this.#closed) return;
        this.#host.log.warn('a pod could not be looked at; trying again', { pod: this.name, error: textOf(error) });
        this.#wakeIn(this.#syncWaits.next());
      }
    }
  }

  async #look(): Promise<void> {
    // What was under way while the runtime was read, may not show in it yet: it is busy for this look, and its end wakes the next.
    const busy = this.#tasks.names;
    await this.#readState();
    if (this.#closed) return;
    if (!this.#ending) this.#endIfDue();
    if (this.#ending) return this.#ending.step(this.#pod, this.#state, busy);
    if (!this.#admit()) return;
    this.#syncProbes();
    const plan = this.#plan(busy);
    if (plan.finished) {
      this.#end('finished', (this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000);
      this.wake();
      return;
    }
    await this.#carryOut(plan, busy);
    this.#report();
    if (plan.wakeInMs !== undefined) this.#wakeIn(plan.wakeInMs);
  }

  async #readState(): Promise<void> {
    const { runtime, volumes } = this.#host;
    this.#state = await readPodState(runtime, this.uid);
    const ids = new Set(this.#state.containers.map(({ id }) => id));
    for (const known of [this.#messages.keys(), this.#mustRestart, this.#inHook, this.#backOffSaid]) {
      for (const id of known) if (!ids.has(id)) this.#forget(id);
    }
    for (const container of this.#state.containers) {
      if (container.state !== 'exited' || this.#messages.has(container.id)) continue;
      const message = await terminationMessageOf({
        spec: this.#specOf(container.name),
        exitCode: container.exitCode ?? 137,
        file: terminationFileOf(volumes.directoryOf(this.uid), container.name, restartCountOf(container)),
        logPath: container.logPath,
      });
      this.#messages.set(container.id, message);
    }
  }

  #forget(containerId: string): void {
    this.#messages.delete(containerId);
    this.#mustRestart.delete(containerId);
    this.#inHook.delete(containerId);
    this.#backOffSaid.delete(containerId);
  }

  #specOf(name: string) {
    return containersOf(this.#pod).find(container => container.name === name);
  }

  /** The pod's address, or the node's with host network. */
  get #address(): string | undefined {
    return this.#pod.spec.hostNetwork ? this.#host.settings.address : readySandbox(this.#state)?.ip;
  }

  #end(cause: EndCause, graceMs: number, verdict?: { phase: Phase; reason: string; message: string }): void {
    if (this.#ending) {
      this.#ending.again(cause, graceMs);
      return;
    }
    this.#probes.stopRestarting();
    this.#ending = new PodEnding({
      host: this.#host,
      tasks: this.#tasks,
      cause,
      graceMs,
      event: (type, reason, message) => this.#event(type, reason, message),
      specOf: name => this.#specOf(name),
      address: () => this.#address,
      report: state => this.#report(state),
      flush: () => this.#writer.flush(),
      pod: () => this.#writer.pod,
      wakeIn: ms => this.#wakeIn(ms),
      onGone: () => {
        this.#closed = true;
        this.#timer?.cancel();
        this.#probes.stop();
        this.#writer.stop();
        this.#host.images.forget(this.uid);
        for (const { name } of containersOf(this.#pod)) this.#host.restartBackOffs.forget(this.#backOffKey(name));
        this.#host.onGone(this.uid);
      },
      ...(verdict ? { verdict } : {}),
    });
  }

  /** What ends the pod without anybody deleting it. */
  #endIfDue(): void {
    const { phase, startTime } = this.#pod.status ?? {};
    const graceMs = (this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
    const seconds = this.#pod.spec.activeDeadlineSeconds;
    if (phase === 'Succeeded' || phase === 'Failed') this.#end('finished', graceMs);
    else if (seconds !== undefined) this.#endAtDeadline(startTime, seconds, graceMs);
  }

  #endAtDeadline(startTime: string | undefined, seconds: number, graceMs: number): void {
    const left = (parseTime(startTime) ?? this.#firstSeen) + seconds * 1000 - this.#host.clock.now();
    if (left > 0) {
      this.#wakeIn(left);
      return;
    }
    const message = 'Pod was active on the node longer than the specified deadline';
    this.#event('Normal', 'DeadlineExceeded', message);
    this.#end('finished', graceMs, { phase: 'Failed', reason: 'DeadlineExceeded', message });
  }

  #admit(): boolean {
    if (this.#admitted) return true;
    const isNew = this.#state.sandboxes.length === 0 && this.#pod.status?.startTime === undefined;
    const refusal = isNew ? refusalOf(this.#pod, this.#host.others(this.uid), this.#host.settings.maxPods) : undefined;
    if (refusal) {
      this.#event('Warning', refusal.reason, refusal.message);
      this.#end('finished', 0, { phase: 'Failed', ...refusal });
      this.wake();
      return false;
    }
    this.#admitted = true;
    if (isNew && this.#limitations.length > 0) this.#event('Warning', 'Limited', this.#limitations.join('; '));
    return true;
  }

  #syncProbes(): void {
    const running = this.#state.containers.flatMap(status => {
      const spec = this.#specOf(status.name);
      return spec && status.state === 'running' && !this.#inHook.has(status.id) ? [{ spec, status }] : [];
    });
    this.#probes.sync(running, this.#address);
  }

  #plan(busy: ReadonlySet<string>): Plan {
    return planOf({
      pod: this.#pod,
      state: this.#state,
      busy,
      verdict: ({ id }) => this.#probes.verdict(id),
      hasStarted: ({ id }) => this.#hasStarted(id),
      mustRestart: ({ id }) => this.#mustRestart.has(id),
      waitOf: (name, last) => this.#waitOf(name, last),
    });
  }

  #hasStarted(containerId: string): boolean {
    return this.#probes.hasStarted(containerId) && !this.#inHook.has(containerId);
  }

  #backOffKey(name: string): string {
    return `${this.uid}/${name}`;
  }

  #waitOf(name: string, last: ContainerStatus | undefined): number {
    const failure = this.#failures.get(name);
    const afterFailure = failure ? failure.retryAt - this.#host.clock.now() : 0;
    const afterEnd = last ? this.#restartWait(last) : 0;
    return Math.max(0, afterFailure, afterEnd);
  }

  #restartWait(last: ContainerStatus): number {
    return this.#host.restartBackOffs.remaining(this.#backOffKey(last.name), last.finishedAt ?? last.createdAt);
  }

  async #carryOut(plan: Plan, busy: ReadonlySet<string>): Promise<void> {
    const { runtime } = this.#host;
    for (const id of plan.removeContainers) await runtime.removeContainer(id);
    for (const id of plan.removeSandboxes) await runtime.removeSandbox(id);
    for (const stop of plan.stop) this.#stop(stop);
    if ((plan.createSandbox || plan.start.length > 0) && !this.#mounted) this.#mount();
    else if (plan.createSandbox && !busy.has(sandboxTask)) this.#createSandbox();
    else for (const start of plan.start) this.#start(start);
    if (this.#mounted) this.#refreshVolumes();
  }

  #payloadInput(signal: AbortSignal): PayloadInput {
    const { settings, allocatable, references } = this.#host;
    const address = this.#address;
    return {
      pod: this.#pod,
      place: { nodeName: settings.name, hostIPs: [settings.address], podIPs: address ? [address] : [] },
      allocatable,
      references,
      signal,
    };
  }

  /** Tries something until it works; what went wrong stands in the pod's status meanwhile. */
  #attempt(task: string, reason: string, waitMs: () => number, what: (signal: AbortSignal) => Promise<void>): void {
    const failure = this.#failures.get(task);
    const now = this.#host.clock.now();
    if (failure && failure.retryAt > now) {
      this.#wakeIn(failure.retryAt - now);
      return;
    }
    this.#tasks.run(task, async signal => {
      try {
        await what(signal);
        this.#failures.delete(task);
      } catch (error) {
        if (signal.aborted) return;
        const at = this.#host.clock.now();
        const message = textOf(error);
        this.#failures.set(task, { reason, message, at, retryAt: at + waitMs() });
        this.#event('Warning', reason, message);
      }
    });
  }

  #mount(): void {
    this.#attempt(
      mountTask,
      'FailedMount',
      () => this.#host.settings.configRetryMs,
      async signal => {
        this.#mounted = await this.#host.volumes.mount(this.#payloadInput(signal));
        this.#refreshAt = this.#host.clock.now() + this.#host.settings.volumeSyncMs;
      },
    );
  }

  #refreshVolumes(): void {
    const shown = (this.#pod.spec.volumes ?? []).some(
      ({ configMap, secret, downwardAPI, projected }) => configMap ?? secret ?? downwardAPI ?? projected,
    );
    if (!shown) return;
    const { clock, settings, volumes } = this.#host;
    if (clock.now() < this.#refreshAt) {
      this.#wakeIn(this.#refreshAt - clock.now());
      return;
    }
    this.#refreshAt = clock.now() + settings.volumeSyncMs;
    // A source that went away leaves the files as they were: the pod goes on with them.
    this.#tasks.run(refreshTask, async signal => {
      await volumes.refresh(this.#payloadInput(signal)).catch(error => {
        if (!signal.aborted) this.#event('Warning', 'FailedMount', textOf(error));
      });
    });
  }

  #createSandbox(): void {
    const { runtime, settings, agentId, volumes } = this.#host;
    const last = this.#state.sandboxes[0];
    this.#attempt(
      sandboxTask,
      'FailedCreatePodSandBox',
      () => this.#sandboxWaits.next(),
      async signal => {
        if (last) this.#event('Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
        for (const { id } of this.#state.sandboxes) await runtime.stopSandbox(id);
        const podCIDR = this.#host.podCIDR();
        const config = await sandboxConfigOf({
          pod: this.#pod,
          attempt: last ? last.attempt + 1 : 0,
          agentId,
          podDirectory: volumes.directoryOf(this.uid),
          nodeHostname: settings.hostname,
          clusterDNS: settings.clusterDNS,
          clusterDomain: settings.clusterDomain,
          ...(podCIDR ? { podCIDR } : {}),
        });
        await runtime.runSandbox(config, signal);
      },
    );
  }

  #start({ container, type, attempt, last }: Start): void {
    const { runtime, clock, images, agentId, volumes, restartBackOffs, settings } = this.#host;
    const { name } = container;
    const sandboxId = readySandbox(this.#state)!.id;
    const mounted = this.#mounted!;
    if (last && !this.#mustRestart.has(last.id)) {
      restartBackOffs.next(this.#backOffKey(name), last.finishedAt ?? last.createdAt);
    }
    this.#tasks.run(name, async signal => {
      let id: string | undefined;
      try {
        await startContainer({
          ...this.#payloadInput(signal),
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
          address: this.#address,
          signal,
          report: (eventType, reason, message) => this.#event(eventType, reason, message),
          onStarted: started => {
            id = started;
            this.#failures.delete(name);
            if (container.lifecycle?.postStart) this.#inHook.add(started);
            this.wake();
          },
        });
        this.#failures.delete(name);
      } catch (error) {
        if (signal.aborted) return;
        if (!isStartError(error)) throw error;
        const at = clock.now();
        if (error.wait === 'own') restartBackOffs.next(`${this.#backOffKey(name)}/start`, at);
        const waitMs =
          error.wait === 'own'
            ? restartBackOffs.current(`${this.#backOffKey(name)}/start`)
            : error.wait === 'config'
              ? settings.configRetryMs
              : error.wait;
        this.#failures.set(name, { reason: error.reason, message: error.message, at, retryAt: at + waitMs });
        this.#event(
          'Warning',
          'Failed',
          error.reason === 'ErrImagePull' ? 'Error: ErrImagePull' : `Error: ${error.message}`,
        );
      } finally {
        if (id) this.#inHook.delete(id);
      }
    });
  }

  #stop({ container, spec, message, restart, verdict }: Stop): void {
    const { runtime, clock } = this.#host;
    const probe = verdict === 'liveness' ? spec?.livenessProbe : verdict === 'startup' ? spec?.startupProbe : undefined;
    const seconds = probe?.terminationGracePeriodSeconds ?? this.#pod.spec.terminationGracePeriodSeconds ?? 30;
    if (restart) this.#mustRestart.add(container.id);
    this.#event('Normal', 'Killing', message);
    this.#tasks.run(container.name, async () => {
      await stopContainer({
        container: spec,
        containerId: container.id,
        address: this.#address,
        runtime,
        clock,
        graceMs: seconds * 1000,
        report: (type, reason, text) => this.#event(type, reason, text),
      });
    });
  }

  /** Half of its wait a failed pull is ErrImagePull, then ImagePullBackOff, as one sees it with upstream's kubelet. */
  #waitingOf(name: string): Waiting | undefined {
    const failure = this.#failures.get(name);
    const now = this.#host.clock.now();
    const latest = latestOf(this.#state, name);
    if (failure) {
      const { reason, message, at, retryAt } = failure;
      if (reason !== 'ErrImagePull' || this.#tasks.has(name)) return { reason, message };
      const flipAt = at + (retryAt - at) / 2;
      if (now < flipAt) {
        this.#wakeIn(flipAt - now);
        return { reason, message };
      }
      const image = this.#specOf(name)?.image ?? '';
      if (!failure.said) this.#event('Normal', 'BackOff', `Back-off pulling image "${image}"`);
      failure.said = true;
      return { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}": ErrImagePull: ${message}` };
    }
    if (latest?.state === 'exited' && !this.#tasks.has(name)) {
      if (this.#restartWait(latest) <= 0) return undefined;
      const seconds = this.#host.restartBackOffs.current(this.#backOffKey(name)) / 1000;
      const { name: pod, namespace } = this.#pod.metadata;
      const what = `restarting failed container=${name} pod=${pod}_${namespace}(${this.uid})`;
      if (!this.#backOffSaid.has(latest.id)) this.#event('Warning', 'BackOff', `Back-off ${what}`);
      this.#backOffSaid.add(latest.id);
      return { reason: 'CrashLoopBackOff', message: `back-off ${seconds}s ${what}` };
    }
    const blocked = this.#blocked();
    return blocked ? { reason: 'ContainerCreating', message: blocked } : undefined;
  }

  #blocked(): string | undefined {
    return (this.#failures.get(mountTask) ?? this.#failures.get(sandboxTask))?.message;
  }

  #report(state: PodState = this.#state): void {
    const { clock, runtime, settings } = this.#host;
    if (this.#ending?.cause === 'shutdown') return;
    const now = clock.now();
    const verdict = this.#ending?.verdict;
    const ending = this.#ending !== undefined;
    const blocked = this.#blocked();
    // Computed now: the status may be written later, when the worker has gone on.
    const waiting = new Map(
      containersOf(this.#pod).map(({ name }) => [name, ending ? this.#failures.get(name) : this.#waitingOf(name)]),
    );
    const messages = new Map(this.#messages);
    this.#writer.set(pod => ({
      ...podStatusOf({
        pod,
        state,
        now,
        runtimeName: runtime.name,
        hostIPs: [settings.address],
        waiting: name => {
          const found = waiting.get(name);
          return found && { reason: found.reason, ...(found.message ? { message: found.message } : {}) };
        },
        restarts: container => {
          const spec = this.#specOf(container.name);
          return (
            (spec !== undefined && isSidecar(spec)) ||
            this.#mustRestart.has(container.id) ||
            wantsRestart(this.#pod, container)
          );
        },
        isReady: id => this.#probes.isReady(id),
        hasStarted: id => this.#hasStarted(id),
        messageOf: ({ id }) => messages.get(id),
        ending,
        limitations: this.#limitations,
        ...(verdict ? { verdict } : {}),
        ...(blocked && !ending ? { blocked } : {}),
      }),
      startTime: pod.status?.startTime ?? formatTime(this.#firstSeen),
    }));
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#host.event(this.#pod, type, reason, message);
  }
}
