/** Interests of the built-in plugins, from a yes or no over typed objects. What an event does not tell is taken for yes. */
import type { KubeObject, Node, Pod } from '@orbitkit/core';
import type { Snapshot } from '../snapshot/snapshot.js';
import type { ClusterEvent, ClusterEventType, HintedInterest } from './event.js';

export interface NodeChange {
  /** The node as it is; of a deleted one, as it was. */
  readonly node: Node;
  /** Of a changed one. */
  readonly before: Node | undefined;
}

export interface PodChange {
  /** As it counted before, and as it counts now. One of them is there. */
  readonly before: Pod | undefined;
  readonly after: Pod | undefined;
  /** The node it is, or was, on. */
  readonly node: string | undefined;
}

type Answer<T> = (pod: Pod, change: T, snapshot: Snapshot | undefined) => boolean;

function interests<T>(
  types: readonly ClusterEventType[],
  read: (event: ClusterEvent) => T | undefined,
  helps: Answer<T>,
  perClass: boolean,
): HintedInterest[] {
  return types.map(type => ({
    type,
    perClass,
    hint(pod, event, snapshot) {
      const change = read(event);
      return change === undefined || helps(pod, change, snapshot) ? 'Queue' : 'Skip';
    },
  }));
}

export const onNode = (types: readonly ClusterEventType[], helps: Answer<NodeChange>): HintedInterest[] =>
  interests(
    types,
    ({ before, after }) => {
      const node = (after ?? before) as Node | undefined;
      return node && { node, before: after && (before as Node | undefined) };
    },
    helps,
    true,
  );

/** `perClass` is false for hints that read claims, whose names may have the pod's in them. */
export const onPod = (
  types: readonly ClusterEventType[],
  helps: Answer<PodChange>,
  perClass = true,
): HintedInterest[] =>
  interests(
    types,
    event => {
      const before = event.before as Pod | undefined;
      // A pod that ended is still an object, and counts no more.
      const after = event.type === 'PodDelete' ? undefined : (event.after as Pod | undefined);
      const pod = after ?? before;
      return pod && { before, after, node: event.node ?? pod.spec.nodeName };
    },
    helps,
    perClass,
  );

/** Of objects that are neither: the newest version, and the one before. */
export const onObject = <T extends KubeObject>(
  type: ClusterEventType,
  helps: (pod: Pod, after: T | undefined, before: T | undefined, snapshot: Snapshot | undefined) => boolean,
): HintedInterest[] =>
  interests(
    [type],
    ({ before, after }) =>
      before || after ? { before: before as T | undefined, after: after as T | undefined } : undefined,
    (pod, { before, after }, snapshot) => helps(pod, after, before, snapshot),
    false,
  );
