/**
 * Takes one pod off the node, in order: what is being started is given up; containers are stopped, sidecars after the others and in
 * reverse; the sandbox is stopped; and then, as the cause says,
 *
 * - `finished`: the pod stays in the API with its last status, its ended containers stay for `logs`, until it is deleted;
 * - `deleted`: last status, sandbox and files removed, and only then the pod is deleted from the API, which frees its name;
 * - `gone`: the same, but there is nothing left to write to;
 * - `shutdown`: the agent stops; the API and the files stay as they are.
 *
 * The grace counts from the first moment and can only get shorter. Every step may be repeated: a killed agent starts here again.
 */
import { backoff, isConflict, isNotFound, Pod } from '@orbitkit/core';
import { labels } from '../agent/labels.js';
import type { ContainerStatus } from '../runtime/contract.js';
import type { Phase } from '../status/phase.js';
import { addressOf, type PodContext, specOf, textOf } from './pod-context.js';
import { isSidecar, type PodState } from './pod-state.js';
import { stopContainer } from './stop-container.js';

export type EndCause = 'finished' | 'deleted' | 'gone' | 'shutdown';

export interface PodEndingOptions {
  context: PodContext;
  cause: EndCause;
  graceMs: number;
  verdict?: { phase: Phase; reason: string; message: string };
  report(state: PodState): void;
  /** Resolves when the status is written. */
  flush(): Promise<void>;
  onGone(): void;
}

const rank: Readonly<Record<EndCause, number>> = { shutdown: 0, finished: 1, deleted: 2, gone: 3 };
const removeTask = 'Remove';
const stopRetryMs = 1_000;

export class PodEnding {
  readonly verdict: PodEndingOptions['verdict'];
  /** Resolves when no container of the pod runs and its sandbox is stopped. */
  readonly down: Promise<void>;
  readonly #options: PodEndingOptions;
  #isDown!: () => void;
  #cause: EndCause;
  #killBy: number;
  #aborted = false;
  #complete = false;
  #closed = false;
  /** What the pod ended with; the runtime may forget it while the status is still being written. */
  #final: PodState | undefined;

  constructor(options: PodEndingOptions) {
    this.#options = options;
    this.#cause = options.cause;
    this.verdict = options.verdict;
    this.#killBy = options.context.host.clock.now() + options.graceMs;
    this.down = new Promise(resolve => {
      this.#isDown = resolve;
    });
  }

  get cause(): EndCause {
    return this.#cause;
  }

  /** Everything of it is stopped; a finished pod stays like this until it is deleted. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Another reason, another grace: a reason that removes more replaces one that removes less, a shorter grace a longer one. */
  again(cause: EndCause, graceMs: number): void {
    // An agent that is stopping leaves the rest to the next one.
    if (rank[cause] > rank[this.#cause] && this.#cause !== 'shutdown') this.#cause = cause;
    const sooner = this.#options.context.host.clock.now() + graceMs;
    if (sooner >= this.#killBy - 500) return;
    this.#killBy = sooner;
    this.#hasten(graceMs);
  }

  close(): void {
    this.#closed = true;
    this.#isDown();
  }

  /** A stop that is under way already waits for the longer grace: stopping again with less is the runtime's to obey. */
  #hasten(graceMs: number): void {
    const { host } = this.#options.context;
    for (const container of this.#running) host.runtime.stopContainer(container.id, graceMs).catch(() => {});
  }

  #running: readonly ContainerStatus[] = [];

  /** @param busy What was under way when `state` was read: its outcome may not show in it yet. */
  async step(pod: Pod, state: PodState, busy: ReadonlySet<string>): Promise<void> {
    const { report, context } = this.#options;
    const { host, tasks } = context;
    if (!this.#aborted) {
      this.#aborted = true;
      tasks.abort();
    }
    this.#running = state.containers.filter(
      container => container.state === 'running' || container.state === 'unknown',
    );
    if (this.#running.length > 0) {
      this.#stopNext(pod, busy);
      report(state);
      return;
    }
    // A start that was given up may have made its container all the same.
    if (tasks.size > 0 || busy.size > 0) return;
    for (const { id, state: its } of state.sandboxes) if (its === 'ready') await host.runtime.stopSandbox(id);
    this.#final ??= state;
    this.#complete = true;
    if (this.#cause !== 'shutdown') report(this.#final);
    this.#isDown();
    if (this.#cause === 'deleted' || this.#cause === 'gone')
      tasks.run(removeTask, signal => this.#remove(state, signal));
  }

  /** Containers first, all together; then sidecars, the last one first. */
  #stopNext(pod: Pod, busy: ReadonlySet<string>): void {
    const order = (pod.spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name);
    const isOne = ({ name, labels: its }: ContainerStatus) =>
      order.includes(name) || its[labels.containerType] === 'sidecar';
    const others = this.#running.filter(container => !isOne(container));
    const last = [...this.#running].sort((a, b) => order.indexOf(b.name) - order.indexOf(a.name))[0]!;
    for (const container of others.length > 0 ? others : [last]) {
      if (!busy.has(container.name)) this.#stop(container);
    }
  }

  #stop(container: ContainerStatus): void {
    const { context } = this.#options;
    const { host, tasks, event } = context;
    const { runtime, clock } = host;
    const stop = async (signal: AbortSignal) => {
      try {
        await stopContainer({
          container: specOf(context, container.name),
          containerId: container.id,
          address: addressOf(context),
          runtime,
          clock,
          graceMs: Math.max(0, this.#killBy - clock.now()),
          report: event,
          signal,
        });
      } catch (error) {
        if (signal.aborted) return;
        event('Warning', 'FailedKillPod', `container ${container.name} could not be stopped: ${textOf(error)}`);
        await clock.sleep(stopRetryMs, signal).catch(() => {});
      }
    };
    const began = tasks.run(container.name, stop, { lasting: true });
    if (began) event('Normal', 'Killing', `Stopping container ${container.name}`);
  }

  async #remove(state: PodState, signal: AbortSignal): Promise<void> {
    const { context, flush, onGone } = this.#options;
    const { runtime, volumes, clock, log } = context.host;
    const { uid } = context;
    const waits = backoff({ initialMs: 500, maxMs: 10_000, clock });
    while (!signal.aborted && !this.#closed) {
      try {
        for (const { id } of state.sandboxes) await runtime.removeSandbox(id);
        await volumes.remove(uid);
        if (this.#cause === 'deleted') {
          await flush();
          if (signal.aborted) return;
          await this.#deleteFromApi(signal);
        }
        return onGone();
      } catch (error) {
        if (signal.aborted) return;
        log.warn('a pod could not be removed; trying again', { uid, error: textOf(error) });
        await clock.sleep(waits.next(), signal).catch(() => {});
      }
    }
  }

  async #deleteFromApi(signal: AbortSignal): Promise<void> {
    const { host, pod } = this.#options.context;
    const { metadata } = pod();
    try {
      await host.client.delete(
        Pod,
        { name: metadata.name, namespace: metadata.namespace },
        { gracePeriodSeconds: 0, preconditions: { uid: metadata.uid }, signal, timeoutMs: 15_000 },
      );
    } catch (error) {
      // Gone already, or another pod has the name: both are what we want.
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }
}
