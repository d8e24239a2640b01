/**
 * The plugin points of the scheduler, named as in kube-scheduler's framework.
 *
 * A plugin is a plain object with a name and any of the points below. Points that decide (`preFilter`, `filter`, `score`, …) are
 * pure: they see the pod, the snapshot and the state of their own policy, and change nothing. What a placement changes in
 * a policy's state (a round-robin queue, say) happens in `reserve`, and is taken back in `unreserve`.
 *
 * `filter(pod, node)` and `score(pod, node)` are all that most policies need. `compile` is the fast interface, which the built-in plugins use:
 * see rules.ts. One plugin object belongs to one scheduler: factories such as `roundRobin()` make a new one each.
 */
import type { Pod } from '@orbitkit/core';
import type { NodeInfo } from '../snapshot/node-info.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import type { EventInterest } from './event.js';
import type { SchedulerHandle } from './handle.js';
import type { Rules } from './rules.js';

/** kube-scheduler's status codes, as `explain` gives them. */
export type StatusCode =
  | 'Success'
  | 'Error'
  | 'Unschedulable'
  | 'UnschedulableAndUnresolvable'
  | 'Wait'
  | 'Skip'
  | 'Pending';

/** Why a node, or every node, cannot take the pod. */
export interface Refusal {
  /** Short, countable texts in kube-scheduler's words: `Insufficient cpu`. */
  readonly reasons: readonly string[];
  /** Removing pods from the node would not help (UnschedulableAndUnresolvable). */
  readonly unresolvable?: boolean;
}

/** Values that one decision's plugin points share; keyed by the plugin's own choice. */
export type CycleState = Map<string, unknown>;

/** What is the same for every question about one pod. */
export interface Cycle {
  readonly snapshot: Snapshot;
  readonly state: CycleState;
  /** Whether the filters' answers for this pod hang on each node and its pods alone, and so stay the same until something happens to it. */
  readonly verdictsAreLocal: boolean;
  /** Changes when the profile's plugins do. */
  readonly rulesVersion: number;
  /** One more plugin whose `events` make the pod worth another try: it stands in the way of what was supposed, say. */
  waitsFor(plugin: string): void;
  /** Asks every filter about one node in a cluster without or with some pods, and puts everything back: what preemption is made of. */
  suppose<T>(node: NodeInfo, ask: (trial: Trial) => T): T;
}

/** A node with other pods on it, as far as the filters see. All is put back when the trial ends. */
export interface Trial {
  remove(pod: Pod): void;
  /** On the node that the trial is about. */
  add(pod: Pod): void;
  refusal(): NodeRefusal | undefined;
}

/** A way out for a pod that fits nowhere. */
export interface Preemption {
  readonly node: string;
  /** Pods that must end before the pod fits. */
  readonly victims: readonly Pod[];
  /** All ways out that were looked at, with how many disruption budgets each would break: extenders choose among them. */
  readonly candidates?: readonly { readonly node: string; readonly victims: readonly Pod[]; readonly broken: number }[];
}

/** A part of a policy: every point is optional. */
export interface Plugin {
  readonly name: string;
  /** Weight of the score, default 1. */
  readonly weight?: number;
  /** A pod that this plugin refused is tried again on these. Default: on every event. */
  readonly events?: readonly EventInterest[];

  /** Keeps a pod out of the queue, with a reason, until its next update. */
  preEnqueue?(pod: Pod): Refusal | undefined;
  /** QueueSort: negative when `a` goes first. At most one plugin of a profile has it. */
  less?(a: QueuedPod, b: QueuedPod): number;
  /** Once per pod: refuse it altogether, or name the only nodes worth a look. */
  preFilter?(pod: Pod, cycle: Cycle): Refusal | { nodes: ReadonlySet<string> } | undefined;
  filter?(pod: Pod, node: NodeInfo, cycle: Cycle): Refusal | undefined;
  /** When no node passed: a way out (preemption); or that there is `none`, so that an earlier nomination is given up; or nothing: it stays as it is. */
  postFilter?(pod: Pod, refusals: NodeRefusals, cycle: Cycle): Preemption | 'none' | undefined;
  /** Once before scoring; `skip` leaves this plugin's score out for the pod. */
  preScore?(pod: Pod, nodes: readonly NodeInfo[], cycle: Cycle): 'skip' | void;
  /** 0 (worst) to 100 (best), unless `normalizeScore` maps it there. */
  score?(pod: Pod, node: NodeInfo, cycle: Cycle): number;
  /** Maps raw scores to 0…100, in place, by node name. */
  normalizeScore?(pod: Pod, scores: Map<string, number>, cycle: Cycle): void;
  /** The decision stands: take note, or refuse it after all. */
  reserve?(pod: Pod, node: string): Refusal | undefined | void;
  /** Binding failed after all: take it back. */
  unreserve?(pod: Pod, node: string): void;
  /** Approve, refuse, or wait (bounded by the signal) before binding. */
  permit?(pod: Pod, node: string, signal: AbortSignal): Promise<Refusal | undefined> | Refusal | undefined;
  preBind?(pod: Pod, node: string, signal: AbortSignal): Promise<void>;
  /** Binds the pod itself and answers true, or leaves it to the next plugin and the default. */
  bind?(pod: Pod, node: string, signal: AbortSignal): Promise<boolean>;
  postBind?(pod: Pod, node: string): void;
  /** A node became usable (Ready and schedulable), or stopped being so. */
  nodeJoined?(name: string): void;
  nodeLeft?(name: string): void;

  /** A live scheduler starts: what it lends. */
  attach?(handle: SchedulerHandle): void;

  /** The fast interface: rules for a class of equal pods; undefined when the plugin has nothing to say about such pods. */
  compile?(pod: Pod, snapshot: Snapshot): Rules | undefined;
  /** What else than the class (see pod-class.ts) the compiled rules depend on. */
  sign?(pod: Pod): string;
}

/** A plugin that says which nodes can take a pod. */
export type FilterPlugin = Plugin & Required<Pick<Plugin, 'filter'>>;
/** A plugin that says which nodes are better. */
export type ScorePlugin = Plugin & Required<Pick<Plugin, 'score'>>;

/** A refusal with the plugin that made it. */
export interface NodeRefusal extends Refusal {
  readonly plugin: string;
}

/** By node name. */
export interface NodeRefusals extends ReadonlyMap<string, NodeRefusal> {
  /** Nodes on which removing pods may help, in the order they were looked at. */
  resolvable(): Iterable<NodeInfo>;
}

/** The code under which kube-scheduler knows such a refusal. */
export const statusOf = (refusal: Refusal): StatusCode =>
  refusal.unresolvable ? 'UnschedulableAndUnresolvable' : 'Unschedulable';

/** A pod in the queue, as a sort sees it. */
export interface QueuedPod {
  readonly pod: Pod;
  readonly priority: number;
  /** Milliseconds since 1970 when it entered the queue. */
  readonly enqueuedAt: number;
  /** Order of arrival; breaks ties. */
  readonly sequence: number;
}
