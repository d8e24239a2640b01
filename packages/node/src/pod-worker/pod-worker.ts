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
import { type Backoff, backoff, formatTime, type Pod, parseTime } from '@orbitkit/core';
import { type PodProbes, podProbes } from '../probes/pod-probes.js';
import type { Phase } from '../status/phase.js';
import { podStatusOf } from '../status/pod-status.js';
import { type StatusWriter, statusWriter } from '../status/status-writer.js';
import { refusalOf } from './admission.js';
import { terminationFileOf } from './container-config.js';
import { removeContainerFiles } from './container-files.js';
import { limitationsOf } from './limitations.js';
import { type Plan, planOf, wantsRestart } from './plan.js';
import { PodContainers } from './pod-containers.js';
import { addressOf, type PodContext, specOf, textOf } from './pod-context.js';
import { type EndCause, PodEnding } from './pod-ending.js';
import { PodGround } from './pod-ground.js';
import type { PodHost } from './pod-host.js';
import {
  containersOf,
  emptyPodState,
  graceSecondsOf,
  isSidecar,
  type PodState,
  readPodState,
  restartCountOf,
} from './pod-state.js';
import { type Tasks, tasks } from './tasks.js';
import { terminationMessageOf } from './termination-message.js';

export class PodWorker {
  readonly uid: string;
  readonly #host: PodHost;
  readonly #context: PodContext;
  readonly #tasks: Tasks;
  readonly #ground: PodGround;
  readonly #containers: PodContainers;
  readonly #probes: PodProbes;
  readonly #writer: StatusWriter;
  /** What ended containers left to say, by id. */
  readonly #messages = new Map<string, string | undefined>();
  #limitations: readonly string[];
  readonly #firstSeen: number;
  readonly #lookWaits: Backoff;
  #pod: Pod;
  #state: PodState = emptyPodState;
  #admitted = false;
  #ending: PodEnding | undefined;
  #timer: { at: number; cancel(): void } | undefined;
  #dirty = false;
  #loop: Promise<void> | undefined;
  #closed = false;

  constructor(host: PodHost, pod: Pod) {
    const { clock, runtime, client, log } = host;
    this.#host = host;
    this.#pod = pod;
    this.uid = pod.metadata.uid;
    this.#firstSeen = clock.now();
    this.#limitations = limitationsOf(pod, runtime.name, runtime.capabilities);
    this.#lookWaits = backoff({ initialMs: 500, maxMs: 10_000, clock });
    this.#writer = statusWriter({ client, clock, log, pod });
    this.#tasks = tasks({
      onSettled: () => this.wake(),
      onError: (task, error) => log.error('a task of a pod failed', { pod: this.name, task, error: textOf(error) }),
    });
    this.#context = {
      host,
      tasks: this.#tasks,
      uid: this.uid,
      pod: () => this.#pod,
      state: () => this.#state,
      event: (type, reason, message) => host.event(this.#pod, type, reason, message),
      wake: () => this.wake(),
      wakeIn: ms => this.#wakeIn(ms),
    };
    this.#ground = new PodGround(this.#context);
    this.#containers = new PodContainers(this.#context);
    this.#probes = podProbes({
      runtime,
      clock,
      onChange: () => this.wake(),
      onUnhealthy: (_container, message) => this.#context.event('Warning', 'Unhealthy', message),
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
    if (!isDeepStrictEqual([labels, annotations], [pod.metadata.labels, pod.metadata.annotations]))
      this.#ground.expire();
    this.#pod = pod;
    this.#limitations = limitationsOf(pod, this.#host.runtime.name, this.#host.runtime.capabilities);
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
    this.#tasks.abort({ all: true });
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
        this.#lookWaits.reset();
      } catch (error) {
        if (this.#closed) return;
        this.#host.log.warn('a pod could not be looked at; trying again', { pod: this.name, error: textOf(error) });
        this.#wakeIn(this.#lookWaits.next());
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
      this.#end('finished', this.#graceMs);
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
    this.#containers.keepOnly(ids);
    for (const id of this.#messages.keys()) if (!ids.has(id)) this.#messages.delete(id);
    for (const container of this.#state.containers) {
      if (container.state !== 'exited' || this.#messages.has(container.id)) continue;
      const message = await terminationMessageOf({
        spec: specOf(this.#context, container.name),
        exitCode: container.exitCode ?? 137,
        file: terminationFileOf(volumes.directoryOf(this.uid), container.name, restartCountOf(container)),
        logPath: container.logPath,
      });
      this.#messages.set(container.id, message);
    }
  }

  get #graceMs(): number {
    return (this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
  }

  #end(cause: EndCause, graceMs: number, verdict?: { phase: Phase; reason: string; message: string }): void {
    if (this.#ending) {
      this.#ending.again(cause, graceMs);
      return;
    }
    this.#probes.stopRestarting();
    this.#ending = new PodEnding({
      context: this.#context,
      cause,
      graceMs,
      report: state => this.#report(state),
      flush: () => this.#writer.flush(),
      onGone: () => this.#gone(),
      ...(verdict ? { verdict } : {}),
    });
  }

  #gone(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#probes.stop();
    this.#writer.stop();
    this.#containers.forget();
    this.#host.onGone(this.uid);
  }

  /** What ends the pod without anybody deleting it. */
  #endIfDue(): void {
    const { phase, startTime } = this.#pod.status ?? {};
    const seconds = this.#pod.spec.activeDeadlineSeconds;
    if (phase === 'Succeeded' || phase === 'Failed') this.#end('finished', this.#graceMs);
    else if (seconds !== undefined) this.#endAtDeadline(startTime, seconds);
  }

  #endAtDeadline(startTime: string | undefined, seconds: number): void {
    const left = (parseTime(startTime) ?? this.#firstSeen) + seconds * 1000 - this.#host.clock.now();
    if (left > 0) {
      this.#wakeIn(left);
      return;
    }
    const message = 'Pod was active on the node longer than the specified deadline';
    this.#context.event('Normal', 'DeadlineExceeded', message);
    this.#end('finished', this.#graceMs, { phase: 'Failed', reason: 'DeadlineExceeded', message });
  }

  #admit(): boolean {
    if (this.#admitted) return true;
    const { others, allocatable } = this.#host;
    const isNew = this.#state.sandboxes.length === 0 && this.#pod.status?.startTime === undefined;
    const refusal = isNew ? refusalOf(this.#pod, others(this.uid), allocatable) : undefined;
    if (refusal) {
      this.#context.event('Warning', refusal.reason, refusal.message);
      this.#end('finished', 0, { phase: 'Failed', ...refusal });
      this.wake();
      return false;
    }
    this.#admitted = true;
    if (isNew && this.#limitations.length > 0) this.#context.event('Warning', 'Limited', this.#limitations.join('; '));
    return true;
  }

  #syncProbes(): void {
    const running = this.#state.containers.flatMap(status => {
      const spec = specOf(this.#context, status.name);
      return spec && status.state === 'running' && !this.#containers.isInHook(status.id) ? [{ spec, status }] : [];
    });
    this.#probes.sync(running, addressOf(this.#context));
  }

  #plan(busy: ReadonlySet<string>): Plan {
    return planOf({
      pod: this.#pod,
      state: this.#state,
      busy,
      verdict: ({ id }) => this.#probes.verdict(id),
      hasStarted: ({ id }) => this.#hasStarted(id),
      mustRestart: ({ id }) => this.#containers.mustRestart(id),
      waitOf: (name, last) => this.#containers.waitOf(name, last),
    });
  }

  #hasStarted(containerId: string): boolean {
    return this.#probes.hasStarted(containerId) && !this.#containers.isInHook(containerId);
  }

  async #carryOut(plan: Plan, busy: ReadonlySet<string>): Promise<void> {
    const { runtime, volumes: files } = this.#host;
    for (const container of plan.removeContainers) {
      await runtime.removeContainer(container.id);
      await removeContainerFiles(files.directoryOf(this.uid), container);
    }
    for (const id of plan.removeSandboxes) await runtime.removeSandbox(id);
    for (const stop of plan.stop) this.#containers.stop(stop);
    const { volumes } = this.#ground;
    if (volumes) {
      if (plan.createSandbox) this.#ground.createSandbox(busy);
      for (const start of plan.start) this.#containers.start(start, volumes);
      this.#ground.refresh();
    } else if (plan.createSandbox || plan.start.length > 0) this.#ground.mount();
  }

  #report(state: PodState = this.#state): void {
    const { clock, runtime, settings } = this.#host;
    if (this.#ending?.cause === 'shutdown') return;
    // Taken now: the status may be written later, when the worker has gone on.
    const now = clock.now();
    const ending = this.#ending !== undefined;
    const verdict = this.#ending?.verdict;
    const blocked = ending ? undefined : this.#ground.blocked;
    const messages = new Map(this.#messages);
    const waiting = new Map(
      containersOf(this.#pod).map(({ name }) => [
        name,
        ending
          ? this.#containers.lastFailure(name)
          : (this.#containers.waitingOf(name) ??
            (blocked ? { reason: 'ContainerCreating', message: blocked } : undefined)),
      ]),
    );
    this.#writer.set(pod => ({
      ...podStatusOf({
        pod,
        state,
        now,
        runtimeName: runtime.name,
        hostIPs: [settings.address],
        waiting: name => waiting.get(name),
        restarts: container => {
          const spec = specOf(this.#context, container.name);
          const restarts = (spec && isSidecar(spec)) || this.#containers.mustRestart(container.id);
          return restarts || wantsRestart(this.#pod, container);
        },
        isReady: id => this.#probes.isReady(id),
        hasStarted: id => this.#hasStarted(id),
        messageOf: ({ id }) => messages.get(id),
        ending,
        limitations: this.#limitations,
        ...(verdict ? { verdict } : {}),
        ...(blocked ? { blocked } : {}),
      }),
      startTime: pod.status?.startTime ?? formatTime(this.#firstSeen),
    }));
  }
}
