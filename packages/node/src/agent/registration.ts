/**
 * Keeps the Node object and its Lease: registers the node, adopts an object of its name that is there already, reports what
 * changes, and says every ten seconds that it lives.
 *
 * - A Node that somebody deletes is registered again at the next report.
 * - What others own stays: taints, unschedulable, podCIDR of an existing object, labels and annotations that are not ours.
 * - Status is computed every `statusCheckMs` and written when it differs or `statusReportMs` has passed; also at once when the
 *   node lifecycle controller called the node lost. Constants: kubelet `nodestatus`, virtual-kubelet `node/lease_controller_v1.go`.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  backoff,
  type Client,
  type Clock,
  type corev1,
  formatMicroTime,
  formatTime,
  isAlreadyExists,
  isConflict,
  isNotFound,
  Lease,
  type Logger,
  Node,
} from '@orbitkit/core';
import type { Runtime } from '../runtime/contract.js';
import {
  type MachineFacts,
  type NodeFacts,
  nodeAnnotationsOf,
  nodeDraft,
  nodeLabelsOf,
  nodeStatusOf,
} from './node-object.js';
import type { Settings } from './options.js';

export interface Registration {
  /** Resolves when the Node is there with this agent's status; tries until then. Rejects with the signal's reason. */
  register(signal: AbortSignal): Promise<void>;
  /** Reports and renews until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Of the options, else of the Node object; a range that a controller is about to assign is waited for shortly. */
  podCIDR(signal: AbortSignal): Promise<string | undefined>;
  /** Of the Node object, as last read. */
  labels(): Readonly<Record<string, string>>;
  /** Writes once that the node goes away. Failures are let be: the lease says the same a little later. */
  reportStopping(signal: AbortSignal): Promise<void>;
}

export interface RegistrationOptions {
  settings: Settings;
  client: Client;
  runtime: Runtime;
  clock: Clock;
  log: Logger;
  machine: MachineFacts;
  serving: NodeFacts['serving'];
  runtimeFailure(): string | undefined;
  /** Called with the Node as it was read at each status check. Its failure fails the check, which is repeated. */
  onChecked(node: Node, signal: AbortSignal): Promise<void>;
}

const leaseNamespace = 'kube-node-lease';
const callMs = 10_000;
const conflictsAtOnce = 5;
/** How long after registration a controller that assigns ranges may take; most clusters without one never pay this but once. */
const assignmentMs = 1_000;
const assignmentPollMs = 50;

export function registration(options: RegistrationOptions): Registration {
  const { settings, client, runtime, clock, log, machine, serving } = options;
  const { name, heartbeat } = settings;
  let node: Node | undefined;
  let reportedAt = Number.NEGATIVE_INFINITY;
  let version: { name: string; version: string } | undefined;
  let registeredAt = 0;
  let stopping = false;

  const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

  async function facts(): Promise<NodeFacts> {
    let failure = stopping ? 'the node agent is stopping' : options.runtimeFailure();
    let images: NodeFacts['images'] = [];
    try {
      version = await runtime.version();
      images = await runtime.listImages();
    } catch (error) {
      failure ??= `the ${runtime.name} runtime does not answer: ${textOf(error)}`;
    }
    return {
      settings,
      machine,
      runtime: version ?? { name: runtime.name, version: 'unknown' },
      capabilities: runtime.capabilities,
      images,
      serving,
      failure,
    };
  }

  async function getOrCreate(current: NodeFacts, signal: AbortSignal): Promise<Node> {
    const call = { signal, timeoutMs: callMs };
    try {
      return await client.get(Node, { name }, call);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    try {
      const created = await client.create(Node, nodeDraft(current), call);
      log.info('registered the node', { node: name });
      return created;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return client.get(Node, { name }, call);
    }
  }

  /** Our labels and annotations on an object that was there before, or that somebody has edited. */
  async function claim(found: Node, current: NodeFacts, signal: AbortSignal): Promise<Node> {
    const labels = nodeLabelsOf(settings);
    const annotations = nodeAnnotationsOf(current);
    const has = (have: Record<string, string> | undefined, want: Record<string, string>) =>
      Object.entries(want).every(([key, value]) => have?.[key] === value);
    if (has(found.metadata.labels, labels) && has(found.metadata.annotations, annotations)) return found;
    const patch = { metadata: { labels, annotations } };
    return client.patch(Node, { name }, { type: 'merge', patch }, { signal, timeoutMs: callMs });
  }

  async function report(signal: AbortSignal): Promise<void> {
    const current = await facts();
    for (let conflicts = 0; ; conflicts++) {
      const found = await claim(await getOrCreate(current, signal), current, signal);
      node = found;
      const now = clock.now();
      const status = nodeStatusOf(current, found.status, now);
      if (isDeepStrictEqual(status, found.status) && now - reportedAt < heartbeat.statusReportMs) return;
      const lastHeartbeatTime = formatTime(now);
      const conditions = (status.conditions ?? []).map(
        (condition): corev1.NodeCondition => ({ ...condition, lastHeartbeatTime }),
      );
      try {
        node = await client.updateStatus(
          Node,
          { ...found, status: { ...status, conditions } },
          { signal, timeoutMs: callMs },
        );
        reportedAt = now;
        return;
      } catch (error) {
        if (!isConflict(error) || conflicts >= conflictsAtOnce) throw error;
      }
    }
  }

  async function renew(signal: AbortSignal): Promise<void> {
    const call = { signal, timeoutMs: callMs };
    const key = { namespace: leaseNamespace, name };
    const spec = {
      holderIdentity: name,
      leaseDurationSeconds: heartbeat.leaseDurationSeconds,
      renewTime: formatMicroTime(clock.now()),
    };
    const owner = node && [{ apiVersion: 'v1', kind: 'Node', name, uid: node.metadata.uid }];
    for (let conflicts = 0; ; conflicts++) {
      try {
        const lease = await client.get(Lease, key, call);
        const metadata = owner ? { ...lease.metadata, ownerReferences: owner } : lease.metadata;
        await client.update(Lease, { ...lease, metadata, spec: { ...lease.spec, ...spec } }, call);
        return;
      } catch (error) {
        if (isNotFound(error)) {
          await client.create(
            Lease,
            { metadata: { ...key, ...(owner ? { ownerReferences: owner } : {}) }, spec },
            call,
          );
          return;
        }
        if (!isConflict(error) || conflicts >= conflictsAtOnce) throw error;
      }
    }
  }

  /** Does something every `everyMs`, sooner again after a failure. */
  async function repeat(
    what: string,
    everyMs: number,
    signal: AbortSignal,
    once: (signal: AbortSignal) => Promise<void>,
  ) {
    const waits = backoff({ initialMs: Math.min(500, everyMs), maxMs: everyMs, jitter: 0.2, clock });
    while (!signal.aborted) {
      let wait = everyMs;
      try {
        await once(signal);
        waits.reset();
      } catch (error) {
        if (signal.aborted) return;
        log.warn(`${what} failed; trying again`, { node: name, error: textOf(error) });
        wait = waits.next();
      }
      await clock.sleep(wait, signal).catch(() => {});
    }
  }

  async function check(signal: AbortSignal): Promise<void> {
    await report(signal);
    if (node) await options.onChecked(node, signal);
  }

  return {
    async podCIDR(signal) {
      for (;;) {
        const known = settings.podCIDR ?? node?.spec.podCIDR;
        if (known !== undefined || clock.now() - registeredAt > assignmentMs) return known;
        await clock.sleep(assignmentPollMs, signal);
        node = await client.get(Node, { name }, { signal, timeoutMs: callMs });
      }
    },
    async register(signal) {
      const waits = backoff({ initialMs: 200, maxMs: 7_000, jitter: 0.2, clock });
      for (;;) {
        signal.throwIfAborted();
        try {
          await report(signal);
          registeredAt = clock.now();
          return;
        } catch (error) {
          signal.throwIfAborted();
          log.warn('the node could not be registered; trying again', { node: name, error: textOf(error) });
          await clock.sleep(waits.next(), signal);
        }
      }
    },
    async run(signal) {
      await Promise.all([
        repeat('renewing the node lease', heartbeat.leaseRenewMs, signal, renew),
        repeat('reporting the node status', heartbeat.statusCheckMs, signal, check),
      ]);
    },
    labels: () => node?.metadata.labels ?? nodeLabelsOf(settings),
    async reportStopping(signal) {
      stopping = true;
      await report(signal).catch(error => log.debug('the node could not say that it stops', { error: textOf(error) }));
    },
  };
}
