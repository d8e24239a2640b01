/** The last decisions of a live scheduler, newest first, for those who ask why. Bounded by number; of a pod only the latest is found by name. */
import type { Pod } from '@orbitkit/core';
import { type Explanation, explanationOf } from '../explain.js';
import type { Decision } from '../schedule.js';

/** One decision, whose it is and when it was made. */
export interface DecisionRecord extends Explanation {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly time: string;
}

/** The decisions that are remembered. */
export interface DecisionLog {
  add(pod: Pod, decision: Decision, now: number): void;
  get(namespace: string, name: string): DecisionRecord | undefined;
  /** Newest first. */
  list(limit?: number): DecisionRecord[];
}

interface Entry {
  readonly pod: Pod;
  readonly decision: Decision;
  readonly now: number;
}

export function decisionLog(limit = 1_000): DecisionLog {
  // Insertion order is age; explained only when somebody asks.
  const entries = new Map<string, Entry>();
  const record = ({ pod, decision, now }: Entry): DecisionRecord => ({
    namespace: pod.metadata.namespace,
    name: pod.metadata.name,
    uid: pod.metadata.uid,
    labels: pod.metadata.labels ?? {},
    time: new Date(now).toISOString(),
    ...explanationOf(decision),
  });
  return {
    add(pod, decision, now) {
      if (limit === 0) return;
      const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
      entries.delete(key);
      entries.set(key, { pod, decision, now });
      if (entries.size > limit) entries.delete(entries.keys().next().value!);
    },
    get(namespace, name) {
      const entry = entries.get(`${namespace}/${name}`);
      return entry && record(entry);
    },
    list: (wanted = limit) => [...entries.values()].reverse().slice(0, wanted).map(record),
  };
}
