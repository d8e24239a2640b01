/** What the scheduler writes about a pod: its binding, why it waits, where it will go, and who must end for it. */
import { type Client, type Clock, isConflict, isNotFound, type Logger, Pod } from '@orbitkit/core';
import type { Preemption } from '../framework/plugin.js';
import type { SchedulerEvents } from './scheduler-events.js';

const askAgainMs = 500;

export interface PodWriter {
  bind(pod: Pod, node: string, signal: AbortSignal): Promise<void>;
  /** Whether the pod is on the node after all. Asks until it gets an answer, for that long; then, and when the scheduler ends, no. */
  isBound(pod: Pod, node: string, boundMs: number): Promise<boolean>;
  /** The condition PodScheduled=False, if it says something new, with the nominated node: a name, or '' to clear it. */
  waits(pod: Pod, message: string, nominatedNode?: string): Promise<void>;
  /** Ends the victims, with the condition that says why. */
  preempt(pod: Pod, preemption: Preemption): Promise<void>;
}

export function podWriter(options: {
  client: Client;
  clock: Clock;
  log: Logger;
  events: SchedulerEvents;
  signal: AbortSignal;
}): PodWriter {
  const { client, clock, log, events, signal } = options;
  const nowText = (): string => `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;

  async function patchStatus(pod: Pod, status: object): Promise<void> {
    const patch = { metadata: { uid: pod.metadata.uid }, status };
    try {
      await client.patch(Pod, pod.metadata, { type: 'strategic', patch }, { subresource: 'status', signal });
    } catch (error) {
      if (!signal.aborted && !isNotFound(error) && !isConflict(error))
        log.warn('cannot write the status of a pod', { pod: pod.metadata.name, error });
    }
  }

  return {
    async bind(pod, node, bounded) {
      const { name, namespace, uid } = pod.metadata;
      await client.createSubresource(
        Pod,
        pod.metadata,
        'binding',
        {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name, namespace, uid },
          target: { apiVersion: 'v1', kind: 'Node', name: node },
        },
        { signal: bounded },
      );
    },

    async isBound(pod, node, boundMs) {
      const end = clock.now() + boundMs;
      while (!signal.aborted) {
        try {
          const now = await client.get(Pod, pod.metadata, { signal });
          return now.metadata.uid === pod.metadata.uid && now.spec.nodeName === node;
        } catch (error) {
          if (isNotFound(error) || clock.now() >= end) return false;
        }
        await clock.sleep(askAgainMs, signal).catch(() => {});
      }
      return false;
    },

    async waits(pod, message, nominatedNode) {
      const known = pod.status.conditions?.find(condition => condition.type === 'PodScheduled');
      const told = known?.status === 'False' && known.reason === 'Unschedulable' && known.message === message;
      const nominated = nominatedNode !== undefined && nominatedNode !== (pod.status.nominatedNodeName ?? '');
      if (told && !nominated) return;
      const condition = {
        type: 'PodScheduled',
        status: 'False',
        reason: 'Unschedulable',
        message,
        lastProbeTime: null,
        lastTransitionTime: known?.status === 'False' ? known.lastTransitionTime : nowText(),
      };
      await patchStatus(pod, {
        ...(told ? {} : { conditions: [condition] }),
        ...(nominated ? { nominatedNodeName: nominatedNode || null } : {}),
      });
    },

    async preempt(pod, { node, victims }) {
      await Promise.all(
        victims
          .filter(victim => !victim.metadata.deletionTimestamp)
          .map(async victim => {
            const by = pod.spec.schedulerName ?? 'default-scheduler';
            const condition = {
              type: 'DisruptionTarget',
              status: 'True',
              reason: 'PreemptionByScheduler',
              message: `${by}: preempting to accommodate a higher priority pod`,
              lastTransitionTime: nowText(),
            };
            await patchStatus(victim, { conditions: [condition] });
            try {
              const { uid } = victim.metadata;
              await client.delete(Pod, victim.metadata, { preconditions: { uid }, signal });
              events.preempted(victim, pod, node);
            } catch (error) {
              // Gone, or another pod of that name: the room is free either way.
              if (!signal.aborted && !isNotFound(error) && !isConflict(error)) throw error;
            }
          }),
      );
    },
  };
}
