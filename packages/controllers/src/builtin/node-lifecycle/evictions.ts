/**
 * Drives pods from nodes with NoExecute taints: at once when a pod does not tolerate one, after its tolerationSeconds when
 * it does for a time, never when it does for ever. Counted from the moment when the taint was put there, so a restart of
 * this controller neither hurries nor delays it; when the taint goes first, the pod stays.
 *
 * Source of the rules: kube-controller-manager `pkg/controller/tainteviction`.
 */
import { formatTime, isDeleting, isNotFound, type Node, Pod, parseTime, setCondition } from '@orbitkit/core';
import { type DeepReadonly, mutableCopy, type Store } from '@orbitkit/informer';
import type { ControllerContext } from '../../controller.js';
import type { PodView } from '../../pods/pod-state.js';
import type { ReconcileResult } from '../../reconcile-loop.js';
import { notReadyTaint, stayingSeconds, type Taint, type Toleration, unreachableTaint } from './node-taints.js';

export class Evictions {
  /** When taints without a time of their own were first seen, by node. */
  readonly #firstSeen = new Map<string, Map<string, number>>();
  /** Pods that will be driven away unless their node gets well: their uid by their key. */
  readonly #waiting = new Map<string, string>();

  constructor(
    private readonly context: ControllerContext,
    private readonly nodes: Store<Node>,
    private readonly pods: Store<Pod>,
    /** Takes the place of longer tolerations of node outages. */
    private readonly tolerationSeconds: number | undefined,
  ) {}

  async reconcile(key: string): Promise<ReconcileResult> {
    const pod = this.pods.get(key);
    const node = pod?.spec.nodeName ? this.nodes.get(pod.spec.nodeName) : undefined;
    if (!pod || !node || isDeleting(pod)) {
      this.#waiting.delete(key);
      return undefined;
    }
    const taints = (node.spec.taints ?? []).filter(taint => taint.effect === 'NoExecute');
    const since = this.#since(node, taints);
    const seconds = taints.length > 0 ? stayingSeconds(taints, this.#tolerationsOf(pod)) : undefined;
    if (seconds === undefined) {
      this.#spare(key, pod);
      return undefined;
    }
    const left = since + seconds * 1000 - this.context.clock.now();
    if (seconds > 0 && left > 0) {
      this.#waiting.set(key, pod.metadata.uid);
      return { requeueAfter: left };
    }
    await this.#evict(pod);
    this.#waiting.delete(key);
    return undefined;
  }

  /** It stays: whoever read that it would go is told. */
  #spare(key: string, pod: PodView): void {
    const awaited = this.#waiting.get(key) === pod.metadata.uid;
    this.#waiting.delete(key);
    if (awaited) this.context.events.event(pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`);
  }

  forgetNode(name: string): void {
    this.#firstSeen.delete(name);
  }

  #tolerationsOf(pod: PodView): readonly Toleration[] {
    const limit = this.tolerationSeconds;
    const tolerations = pod.spec.tolerations ?? [];
    if (limit === undefined) return tolerations;
    return tolerations.map(toleration =>
      toleration.tolerationSeconds !== undefined && [notReadyTaint, unreachableTaint].includes(toleration.key ?? '')
        ? { ...toleration, tolerationSeconds: Math.min(limit, toleration.tolerationSeconds) }
        : toleration,
    );
  }

  /** Since when the node has the newest of the taints. */
  #since(node: DeepReadonly<Node>, taints: readonly Taint[]): number {
    const now = this.context.clock.now();
    const before = this.#firstSeen.get(node.metadata.name);
    const seen = new Map<string, number>();
    for (const taint of taints) {
      const id = `${taint.key}=${taint.value ?? ''}`;
      seen.set(id, parseTime(taint.timeAdded) ?? before?.get(id) ?? now);
    }
    if (seen.size > 0) this.#firstSeen.set(node.metadata.name, seen);
    else this.#firstSeen.delete(node.metadata.name);
    return Math.max(0, ...seen.values());
  }

  async #evict(pod: PodView): Promise<void> {
    const { client, clock, events } = this.context;
    const { name, namespace, uid } = pod.metadata;
    events.event(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${name}`);
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
      lastTransitionTime: formatTime(clock.now()),
    };
    try {
      const next = mutableCopy<Pod>(pod);
      next.status.conditions = setCondition(next.status.conditions, condition, clock.now());
      await client.updateStatus(Pod, next);
      await client.delete(Pod, { name, namespace }, { preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}
