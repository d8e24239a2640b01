/**
 * The fast interface of plugins: rules compiled once for a class of equal pods and asked by node slot.
 *
 * `scope` says what an answer depends on, and so how long it is kept:
 * - `object`: on the node object alone (labels, taints, images, allocatable): until the node object changes;
 * - `node`: on what is on the node as well: until anything on the node changes;
 * - `cluster`: on anything else: never kept.
 *
 * Rules read typed arrays of `snapshot.columns` and counters of `snapshot.counts`. They are compiled anew when arrays were replaced, when
 * `counts.version` changed, and when they say that they are `stale`.
 */
import type { Counter } from '../snapshot/topology.js';
import type { Refusal } from './plugin.js';

/** What an answer depends on, and so how long it is kept. */
export type Scope = 'object' | 'node' | 'cluster';

/** A filter for a class of equal pods, by node slot. */
export interface FilterRule {
  readonly scope: Scope;
  /** Whether the node can take the pod. */
  passes(slot: number): boolean;
  /** Why not, of a node that does not pass. Equal answers should be one object: they are counted by identity. */
  refusal(slot: number): Refusal;
  /**
   * The same answer as numbers, which are compared without a call for each node: a node passes when it passes all of them, and the `fixed` ones. Asked
   * after `begin`, once a decision.
   */
  ranges?(): readonly CountRange[];
  /** Ranges whose bounds never change: where each node is a domain of its own, their answer is kept with the node. Only beside `ranges`. */
  readonly fixed?: readonly CountRange[];
}

/** What the counter has for the node's domain lies between `least` and `most`, both included. */
export interface CountRange {
  readonly counter: Counter;
  readonly least: number;
  readonly most: number;
  /** Whether a node without the label passes. */
  readonly unlabelled: boolean;
}

/**
 * `highest`: the best raw score becomes 100, others in proportion (whole numbers, rounded down), all zero stay zero.
 * `lowest`: the same, then turned round: the worst becomes 0, and all zero become 100.
 * A function maps `scores[0…slots.length)` in place.
 */
export type Normalization = 'highest' | 'lowest' | ((scores: Float64Array, slots: Int32Array) => void);

/** A score for a class of equal pods, by node slot. */
export interface ScoreRule {
  readonly scope: Scope;
  /** 0…100, or anything when `normalize` is given. */
  of(slot: number): number;
  /** The same for many nodes at once: `scores[i]` is what `of(slots[i])` is. After `begin`. */
  fill?(scores: Float64Array, slots: Int32Array): void;
  readonly normalize?: Normalization;
  /** What every node gets at the moment, if that is known to be one score: it decides nothing, and the nodes are not asked. */
  uniform?(): number | undefined;
  /** Before the nodes that passed are scored; `skip` leaves the score out. */
  begin?(slots: Int32Array): 'skip' | void;
}

/** What a plugin has to say to a class of equal pods. */
export interface Rules {
  /** Refuses every node. */
  readonly refuseAll?: Refusal;
  readonly filter?: FilterRule;
  readonly score?: ScoreRule;
  /** Before each decision. */
  begin?(): void;
  stale?(): boolean;
}

/** kube-scheduler's DefaultNormalizeScore. */
export function normalizeTo100(scores: Float64Array, count: number, reverse: boolean): void {
  let best = 0;
  for (let i = 0; i < count; i++) if (scores[i]! > best) best = scores[i]!;
  for (let i = 0; i < count; i++) {
    const share = best === 0 ? 0 : Math.floor((100 * scores[i]!) / best);
    scores[i] = reverse ? 100 - share : share;
  }
}
