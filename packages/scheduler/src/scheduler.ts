/**
 * The live scheduler: informers → queue → snapshot → decide → assume → bind.
 *
 * One pod is decided at a time, so that each decision sees the one before it; binding goes on beside. What cannot be placed gets the
 * condition PodScheduled=False and a FailedScheduling event with every node's reason, and is tried again when something relevant
 * changes. A placement whose binding failed is taken back. It may be killed at any instruction: what is bound is in the
 * store, what is not is decided again.
 */
import {
  type Component,
  type ComponentContext,
  type EventRecorder,
  eventRecorder,
  isConflict,
  isNotFound,
  Namespace,
  Node,
  Pod,
} from '@orbitkit/core';
import { type DeepReadonly, sharedInformer } from '@orbitkit/informer';
import { commit, type Decision, decide, rollback } from './decide.js';
import { refusalsByNode } from './explain.js';
import type { ClusterEvent, Plugin } from './framework/plugin.js';
import { type Profile, profile } from './framework/profile.js';
import { defaultPlugins } from './profiles.js';
import { schedulingQueue } from './queue/scheduling-queue.js';
import { isReady, isUsable } from './snapshot/node-info.js';
import { schedulerCache } from './snapshot/snapshot.js';

export interface SchedulerOptions {
  /** Default: `defaultPlugins()`. */
  plugins?: readonly Plugin[];
  /** Only pods with this `spec.schedulerName`. Default `default-scheduler`. */
  schedulerName?: string;
  /** Bindings under way at the most; deciding waits beyond it. Default 64. */
  bindConcurrency?: number;
  /** Bound on waiting in Permit, PreBind and Bind together. Default 60 s. */
  bindTimeoutMs?: number;
}

const isTerminal = (pod: DeepReadonly<Pod>): boolean =>
  pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';

export function scheduler(options: SchedulerOptions = {}): Component {
  return {
    name:
      options.schedulerName && options.schedulerName !== 'default-scheduler' ? options.schedulerName : 'kube-scheduler',
    user: { username: 'system:kube-scheduler', groups: ['system:authenticated'] },
    async run(context) {
      const rules = profile({
        plugins: options.plugins ?? defaultPlugins(),
        ...(options.schedulerName ? { schedulerName: options.schedulerName } : {}),
      });
      await run(context, rules, options);
    },
  };
}

async function run(context: ComponentContext, rules: Profile, options: SchedulerOptions): Promise<void> {
  const { client, clock, log, metrics, signal } = context;
  const cache = schedulerCache();
  const queue = schedulingQueue({ profile: rules, clock });
  const recorder: EventRecorder = eventRecorder({ client, component: rules.schedulerName, clock, signal });
  const attempts = metrics.counter('scheduler_schedule_attempts_total', 'Decisions by result', ['result']);
  const duration = metrics.histogram(
    'scheduler_pod_scheduling_sli_duration_seconds',
    'Seconds from entering the queue to bound',
  );

  const nodes = sharedInformer({ client, kind: Node, clock });
  const namespaces = sharedInformer({ client, kind: Namespace, clock });
  const pods = sharedInformer({ client, kind: Pod, clock });

  nodes.addHandler({
    onAdd(added) {
      const node = added as Node;
      cache.setNode(node);
      if (isUsable(node)) joined(node.metadata.name);
      queue.notice('NodeAdd');
    },
    onUpdate(before, after) {
      const [old, node] = [before as Node, after as Node];
      cache.setNode(node);
      if (isUsable(old) !== isUsable(node)) (isUsable(node) ? joined : left)(node.metadata.name);
      for (const event of nodeChanges(old, node)) queue.notice(event);
    },
    onDelete(node) {
      cache.removeNode(node.metadata.name);
      left(node.metadata.name);
    },
  });
  namespaces.addHandler({
    onAdd: namespace => cache.setNamespace(namespace.metadata.name, namespace.metadata.labels ?? {}),
    onUpdate(_old, namespace) {
      cache.setNamespace(namespace.metadata.name, namespace.metadata.labels ?? {});
      queue.notice('NamespaceLabel');
    },
    onDelete: namespace => cache.setNamespace(namespace.metadata.name, undefined),
  });
  pods.addHandler({
    onAdd: pod => seen(pod),
    onUpdate(old, pod) {
      seen(pod);
      if (pod.spec.nodeName && isTerminal(pod) && !isTerminal(old)) queue.notice('PodDelete');
      else if (JSON.stringify(old.metadata.labels) !== JSON.stringify(pod.metadata.labels)) queue.notice('PodLabel');
    },
    onDelete(pod) {
      cache.removePod(pod.metadata.uid);
      queue.remove(pod.metadata.uid);
      if (pod.spec.nodeName) queue.notice('PodDelete');
    },
  });

  function joined(name: string): void {
    for (const plugin of rules.plugins) plugin.nodeJoined?.(name);
  }
  function left(name: string): void {
    for (const plugin of rules.plugins) plugin.nodeLeft?.(name);
  }
  function seen(object: DeepReadonly<Pod>): void {
    // Plugins see the cache's own objects under their plain type; they are pure and change nothing.
    const pod = object as Pod;
    cache.setPod(pod);
    if (pod.spec.nodeName || isTerminal(pod) || pod.metadata.deletionTimestamp) {
      queue.remove(pod.metadata.uid);
      if (pod.spec.nodeName && !isTerminal(pod)) queue.notice('PodAdd');
    } else if (
      (pod.spec.schedulerName ?? 'default-scheduler') === rules.schedulerName &&
      !cache.isAssumed(pod.metadata.uid)
    ) {
      queue.add(pod);
    }
  }

  async function refuse(pod: Pod, decision: Decision & { outcome: 'unschedulable' }): Promise<void> {
    queue.refuse(pod.metadata.uid, decision.refusedBy);
    attempts.inc({ result: 'unschedulable' });
    const byNode = refusalsByNode(decision);
    const message = byNode ? `${decision.message} ${byNode}` : decision.message;
    recorder.event(pod, 'Warning', 'FailedScheduling', message);
    await reportCondition(pod, 'Unschedulable', message);
  }

  async function reportCondition(pod: Pod, reason: string, message: string): Promise<void> {
    const known = pod.status.conditions?.find(condition => condition.type === 'PodScheduled');
    if (known?.status === 'False' && known.reason === reason && known.message === message) return;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason,
      message,
      lastProbeTime: null,
      lastTransitionTime:
        known?.status === 'False' ? known.lastTransitionTime : `${new Date(clock.now()).toISOString().slice(0, 19)}Z`,
    };
    try {
      await client.patch(
        Pod,
        pod.metadata,
        { type: 'strategic', patch: { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition] } } },
        { subresource: 'status', signal },
      );
    } catch (error) {
      if (!signal.aborted && !isNotFound(error) && !isConflict(error))
        log.warn('cannot write a pod condition', { pod: pod.metadata.name, error });
    }
  }

  async function bind(pod: Pod, node: string, enqueuedAt: number): Promise<void> {
    const bound = AbortSignal.any([signal, AbortSignal.timeout(options.bindTimeoutMs ?? 60_000)]);
    try {
      for (const plugin of rules.plugins) {
        const refusal = await plugin.permit?.(pod, node, bound);
        if (!refusal) continue;
        undo(pod, node);
        const refusals = new Map([[node, { ...refusal, plugin: plugin.name }]]);
        const message = `0/1 nodes are available: ${refusal.reasons.join(', ')}.`;
        return await refuse(pod, { outcome: 'unschedulable', message, refusals, refusedBy: new Set([plugin.name]) });
      }
      for (const plugin of rules.plugins) await plugin.preBind?.(pod, node, bound);
      let done = false;
      for (const plugin of rules.plugins) {
        done = (await plugin.bind?.(pod, node, bound)) ?? false;
        if (done) break;
      }
      if (!done) {
        await client.createSubresource(
          Pod,
          pod.metadata,
          'binding',
          {
            apiVersion: 'v1',
            kind: 'Binding',
            metadata: { name: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid },
            target: { apiVersion: 'v1', kind: 'Node', name: node },
          },
          { signal: bound },
        );
      }
      queue.done(pod.metadata.uid);
      for (const plugin of rules.plugins) plugin.postBind?.(pod, node);
      attempts.inc({ result: 'scheduled' });
      duration.observe((clock.now() - enqueuedAt) / 1000);
      recorder.event(
        pod,
        'Normal',
        'Scheduled',
        `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${node}`,
      );
    } catch (error) {
      undo(pod, node);
      if (signal.aborted) return;
      attempts.inc({ result: 'error' });
      // Gone, or bound by someone else: the informer tells.
      if (isNotFound(error)) return queue.done(pod.metadata.uid);
      log.warn('binding failed; the pod will be decided again', { pod: pod.metadata.name, node, error });
      recorder.event(
        pod,
        'Warning',
        'FailedBinding',
        `binding to ${node} failed: ${error instanceof Error ? error.message : String(error)}`,
      );
      queue.retry(pod.metadata.uid);
    }
  }

  function undo(pod: Pod, node: string): void {
    cache.forget(pod.metadata.uid);
    rollback(pod, node, rules);
    queue.notice('PodDelete');
  }

  const informers = [nodes, namespaces, pods];
  const running = informers.map(informer => informer.run({ signal }));
  const binding = new Set<Promise<void>>();
  const limit = options.bindConcurrency ?? 64;

  async function loop(): Promise<void> {
    for (const informer of informers) await informer.waitForSync({ signal });
    context.ready();
    for (;;) {
      while (binding.size >= limit) await Promise.race(binding);
      const next = await queue.pop(signal);
      if (!next) return;
      const { pod, enqueuedAt } = next;
      try {
        const decision = decide(pod, cache.snapshot(), rules);
        if (decision.outcome === 'unschedulable') {
          track(refuse(pod, decision));
          continue;
        }
        commit(pod, decision.node, rules);
        cache.assume(pod, decision.node);
        track(bind(pod, decision.node, enqueuedAt));
      } catch (error) {
        attempts.inc({ result: 'error' });
        log.error('a plugin failed; the pod will be decided again', { pod: pod.metadata.name, error });
        recorder.event(
          pod,
          'Warning',
          'FailedScheduling',
          `a scheduler plugin failed: ${error instanceof Error ? error.message : String(error)}`,
        );
        queue.retry(pod.metadata.uid);
      }
    }
  }
  function track(work: Promise<void>): void {
    const tracked = work
      .catch(error => {
        if (!signal.aborted) log.error('scheduling failed', { error });
      })
      .finally(() => binding.delete(tracked));
    binding.add(tracked);
  }

  try {
    await loop();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await Promise.allSettled([...binding]);
    await Promise.allSettled(running);
    await recorder.flush();
  }
}

function nodeChanges(old: Node, node: Node): ClusterEvent[] {
  const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b);
  const events: ClusterEvent[] = [];
  if (differs(old.status.allocatable, node.status.allocatable)) events.push('NodeAllocatable');
  if (differs(old.metadata.labels, node.metadata.labels)) events.push('NodeLabel');
  if (differs([old.spec.taints, old.spec.unschedulable], [node.spec.taints, node.spec.unschedulable]))
    events.push('NodeTaint');
  if (isReady(old) !== isReady(node)) events.push('NodeReady');
  return events;
}
