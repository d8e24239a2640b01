/**
 * What a pod stands on before its first container: its volumes, then its sandbox. Each is tried until it works; meanwhile what is
 * in the way stands in the pod's status. Volumes that show API objects are brought up to date while the pod runs.
 */
import { type Backoff, backoff } from '@orbitkit/core';
import type { MountedVolumes } from '../volumes/pod-volumes.js';
import { type PodContext, payloadInputOf, textOf } from './pod-context.js';
import { sandboxConfigOf } from './sandbox-config.js';

/** Names of the pod's own tasks; a container's name has no capital letters. */
const mountTask = 'Mount';
const refreshTask = 'Refresh';
const sandboxTask = 'Sandbox';

export class PodGround {
  readonly #context: PodContext;
  readonly #sandboxWaits: Backoff;
  readonly #failures = new Map<string, { message: string; retryAt: number }>();
  #mounted: MountedVolumes | undefined;
  #refreshAt = 0;

  constructor(context: PodContext) {
    this.#context = context;
    const { clock } = context.host;
    this.#sandboxWaits = backoff({ initialMs: 1_000, maxMs: 60_000, resetAfterMs: 120_000, clock });
  }

  /** Undefined until the volumes are there. */
  get volumes(): MountedVolumes | undefined {
    return this.#mounted;
  }

  /** What is in the way. */
  get blocked(): string | undefined {
    return (this.#failures.get(mountTask) ?? this.#failures.get(sandboxTask))?.message;
  }

  mount(): void {
    const { volumes, settings, clock } = this.#context.host;
    this.#attempt(
      mountTask,
      'FailedMount',
      () => settings.configRetryMs,
      async signal => {
        this.#mounted = await volumes.mount(payloadInputOf(this.#context, signal));
        this.#refreshAt = clock.now() + settings.volumeSyncMs;
      },
    );
  }

  /** Brings the volumes up to date when it is time. */
  refresh(): void {
    const { host, tasks, pod, event, wakeIn } = this.#context;
    const { clock, settings, volumes } = host;
    const shown = (pod().spec.volumes ?? []).some(
      ({ configMap, secret, downwardAPI, projected }) => configMap ?? secret ?? downwardAPI ?? projected,
    );
    if (!shown || !this.#mounted) return;
    if (clock.now() < this.#refreshAt) {
      wakeIn(this.#refreshAt - clock.now());
      return;
    }
    this.#refreshAt = clock.now() + settings.volumeSyncMs;
    // A source that went away leaves the files as they were: the pod goes on with them.
    tasks.run(refreshTask, async signal => {
      await volumes.refresh(payloadInputOf(this.#context, signal)).catch(error => {
        if (!signal.aborted) event('Warning', 'FailedMount', textOf(error));
      });
    });
  }

  /** Labels or annotations changed: files that show them are due. */
  expire(): void {
    this.#refreshAt = 0;
  }

  /** @param busy What was under way when the runtime was read: a sandbox among it may not show yet. */
  createSandbox(busy: ReadonlySet<string>): void {
    if (busy.has(sandboxTask)) return;
    const { host, uid, pod, state, event } = this.#context;
    const { runtime, settings, agentId, volumes } = host;
    const { sandboxes } = state();
    const last = sandboxes[0];
    this.#attempt(
      sandboxTask,
      'FailedCreatePodSandBox',
      () => this.#sandboxWaits.next(),
      async signal => {
        if (last) event('Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
        for (const { id } of sandboxes) await runtime.stopSandbox(id);
        const podCIDR = await host.podCIDR(signal);
        const config = await sandboxConfigOf({
          pod: pod(),
          attempt: last ? last.attempt + 1 : 0,
          agentId,
          podDirectory: volumes.directoryOf(uid),
          nodeHostname: settings.hostname,
          clusterDNS: settings.clusterDNS,
          clusterDomain: settings.clusterDomain,
          ...(podCIDR ? { podCIDR } : {}),
          ...(settings.hostPortIP ? { hostPortIP: settings.hostPortIP } : {}),
        });
        await runtime.runSandbox(config, signal);
      },
    );
  }

  #attempt(task: string, reason: string, waitMs: () => number, what: (signal: AbortSignal) => Promise<void>): void {
    const { host, tasks, event, wakeIn } = this.#context;
    const now = host.clock.now();
    const failure = this.#failures.get(task);
    if (failure && failure.retryAt > now) {
      wakeIn(failure.retryAt - now);
      return;
    }
    tasks.run(task, async signal => {
      try {
        await what(signal);
        this.#failures.delete(task);
      } catch (error) {
        if (signal.aborted) return;
        const message = textOf(error);
        this.#failures.set(task, { message, retryAt: host.clock.now() + waitMs() });
        event('Warning', reason, message);
      }
    });
  }
}
