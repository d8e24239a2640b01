/**
 * Pods that are bound to a node which is no longer there. Nobody will ever report on them or finish them, so they are
 * marked as failed and deleted without grace.
 *
 * A node counts as gone only after it was missing for a while and a live look agrees: at the start of a cluster pods may
 * be seen before their nodes. Source of the rules: kube-controller-manager `gc_controller.go` (40 s quarantine).
 */
import { formatTime, isNotFound, Node, Pod, setCondition } from '@orbitkit/core';
import type { Store } from '@orbitkit/informer';
import type { ControllerContext } from '../../controller.js';
import { isTerminal, type PodView } from '../../pods/pod-state.js';

/** `quarantineTime` upstream. */
export const nodeQuarantineMs = 40_000;

export class OrphanedPods {
  /** Since when each node that pods name is missing. */
  readonly #missing = new Map<string, number>();

  constructor(
    private readonly context: ControllerContext,
    private readonly nodes: Store<Node>,
    private readonly pods: Store<Pod>,
    private readonly quarantineMs: number,
  ) {}

  async collect(): Promise<void> {
    const { clock, client } = this.context;
    const now = clock.now();
    const named = new Set(this.pods.indexValues('byNode'));
    for (const node of this.#missing.keys()) {
      if (!named.has(node) || this.nodes.has(node)) this.#missing.delete(node);
    }
    for (const node of named) {
      if (this.nodes.has(node)) continue;
      const since = this.#missing.get(node) ?? now;
      this.#missing.set(node, since);
      if (now - since < this.quarantineMs) continue;
      try {
        await client.get(Node, { name: node });
      } catch (error) {
        if (!isNotFound(error)) throw error;
        for (const pod of this.pods.byIndex('byNode', node))
          await forceDelete(this.context, pod, `node ${node} is gone`);
      }
    }
  }
}

/** Marks a pod that is not over as failed, then deletes it without grace. A pod that is gone already is fine. */
export async function forceDelete({ client, clock, log }: ControllerContext, pod: PodView, why: string): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  try {
    if (!isTerminal(pod)) {
      const now = clock.now();
      const condition = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'DeletionByPodGC',
        message: `PodGC: ${why}`,
        lastTransitionTime: formatTime(now),
      };
      const conditions = setCondition(pod.status.conditions as Pod['status']['conditions'], condition, now);
      const { resourceVersion } = pod.metadata;
      const patch = { metadata: { uid, resourceVersion }, status: { phase: 'Failed', conditions } };
      await client.patch(Pod, { name, namespace }, { type: 'merge', patch }, { subresource: 'status' });
    }
    log.info('deleting a pod that nobody runs any more', { pod: `${namespace}/${name}`, why });
    await client.delete(Pod, { name, namespace }, { gracePeriodSeconds: 0, preconditions: { uid } });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
