/**
 * Pods that wait for a node, in three places, as in kube-scheduler:
 *
 * - *active*: ready to be decided, best first;
 * - *backing off*: failed lately, waits 1 s doubling to 10 s (kube-scheduler `podInitialBackoff`, `podMaxBackoff`);
 * - *unschedulable*: refused; waits for a cluster event that concerns one of the plugins that refused it, at most 5 minutes
 *   (`podMaxInUnschedulablePodsDuration`).
 *
 * An event that arrives while a pod is being decided counts too: the refused pod then goes to back-off, not to rest.
 */
import type { Clock, Pod } from '@orbitkit/core';
import type { ClusterEvent, QueuedPod } from '../framework/plugin.js';
import type { Profile } from '../framework/profile.js';

export interface SchedulingQueueOptions {
  profile: Profile;
  clock: Clock;
  initialBackoffMs?: number;
  maxBackoffMs?: number;
  maxUnschedulableMs?: number;
}

interface Waiting extends QueuedPod {
  attempts: number;
  refusedBy: ReadonlySet<string>;
  /** Not before this time, while backing off. */
  notBefore: number;
  /** Since when it rests. */
  since: number;
}

export interface SchedulingQueue {
  /** Adds a pod, or takes its newer version. Gated pods are kept aside. */
  add(pod: Pod): void;
  remove(uid: string): void;
  /** The next pod to decide; undefined when the signal aborts. */
  pop(signal: AbortSignal): Promise<{ pod: Pod; attempts: number; enqueuedAt: number } | undefined>;
  /** The decision was no. */
  refuse(uid: string, refusedBy: ReadonlySet<string>): void;
  /** Something went wrong that is nobody's decision: try again after back-off. */
  retry(uid: string): void;
  /** The pod is placed. */
  done(uid: string): void;
  notice(event: ClusterEvent): void;
  readonly sizes: { active: number; backoff: number; unschedulable: number; gated: number };
}

export function schedulingQueue(options: SchedulingQueueOptions): SchedulingQueue {
  const { profile, clock } = options;
  const initialBackoffMs = options.initialBackoffMs ?? 1_000;
  const maxBackoffMs = options.maxBackoffMs ?? 10_000;
  const maxUnschedulableMs = options.maxUnschedulableMs ?? 300_000;

  const active: Waiting[] = [];
  const backoff = new Map<string, Waiting>();
  const unschedulable = new Map<string, Waiting>();
  const gated = new Map<string, Waiting>();
  /** Popped and not yet answered, with the events that came meanwhile. */
  const inFlight = new Map<string, { waiting: Waiting; events: ClusterEvent[] }>();
  let sequence = 0;
  let wake: (() => void) | undefined;

  function activate(waiting: Waiting): void {
    let low = 0;
    let high = active.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (profile.compare(active[middle]!, waiting) <= 0) low = middle + 1;
      else high = middle;
    }
    active.splice(low, 0, waiting);
    wake?.();
  }

  const backoffOf = (attempts: number): number =>
    Math.min(maxBackoffMs, initialBackoffMs * 2 ** Math.max(0, attempts - 1));

  function delay(waiting: Waiting): void {
    const now = clock.now();
    if (waiting.notBefore <= now) {
      activate(waiting);
      return;
    }
    backoff.set(waiting.pod.metadata.uid, waiting);
    wake?.();
  }

  function find(uid: string): { waiting: Waiting; take(): void } | undefined {
    for (const place of [backoff, unschedulable, gated]) {
      const waiting = place.get(uid);
      if (waiting) return { waiting, take: () => place.delete(uid) };
    }
    const at = active.findIndex(each => each.pod.metadata.uid === uid);
    return at < 0 ? undefined : { waiting: active[at]!, take: () => active.splice(at, 1) };
  }

  const isGated = (pod: Pod): boolean => profile.plugins.some(plugin => plugin.preEnqueue?.(pod));

  /** Moves what is due; answers the time until the next is. */
  function settle(): number {
    const now = clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [uid, waiting] of backoff) {
      if (waiting.notBefore <= now) {
        backoff.delete(uid);
        activate(waiting);
      } else next = Math.min(next, waiting.notBefore - now);
    }
    for (const [uid, waiting] of unschedulable) {
      const due = waiting.since + maxUnschedulableMs;
      if (due <= now) {
        unschedulable.delete(uid);
        activate(waiting);
      } else next = Math.min(next, due - now);
    }
    return next;
  }

  return {
    add(pod) {
      const uid = pod.metadata.uid;
      const flying = inFlight.get(uid);
      if (flying) {
        flying.waiting = { ...flying.waiting, pod };
        return;
      }
      const known = find(uid);
      known?.take();
      const specChanged =
        known !== undefined &&
        JSON.stringify([known.waiting.pod.spec, known.waiting.pod.metadata.labels]) !==
          JSON.stringify([pod.spec, pod.metadata.labels]);
      const waiting: Waiting = known
        ? { ...known.waiting, pod, priority: pod.spec.priority ?? 0 }
        : {
            pod,
            priority: pod.spec.priority ?? 0,
            enqueuedAt: clock.now(),
            sequence: sequence++,
            attempts: 0,
            refusedBy: new Set(),
            notBefore: 0,
            since: 0,
          };
      if (isGated(pod)) gated.set(uid, waiting);
      else if (known && waiting.refusedBy.size > 0 && !specChanged) unschedulable.set(uid, waiting);
      else delay(waiting);
    },
    remove(uid) {
      find(uid)?.take();
      inFlight.delete(uid);
    },
    async pop(signal) {
      while (!signal.aborted) {
        const untilNext = settle();
        const waiting = active.shift();
        if (waiting) {
          waiting.attempts += 1;
          inFlight.set(waiting.pod.metadata.uid, { waiting, events: [] });
          return { pod: waiting.pod, attempts: waiting.attempts, enqueuedAt: waiting.enqueuedAt };
        }
        await new Promise<void>(resolve => {
          const timer = Number.isFinite(untilNext) ? clock.setTimer(untilNext, resolve) : undefined;
          const finish = () => {
            timer?.cancel();
            signal.removeEventListener('abort', finish);
            wake = undefined;
            resolve();
          };
          wake = finish;
          signal.addEventListener('abort', finish, { once: true });
        });
        wake?.();
      }
      return undefined;
    },
    refuse(uid, refusedBy) {
      const flying = inFlight.get(uid);
      if (!flying) return;
      inFlight.delete(uid);
      const now = clock.now();
      const waiting: Waiting = {
        ...flying.waiting,
        refusedBy,
        since: now,
        notBefore: now + backoffOf(flying.waiting.attempts),
      };
      if (flying.events.some(event => profile.concerns(event, refusedBy))) delay(waiting);
      else {
        unschedulable.set(uid, waiting);
        wake?.();
      }
    },
    retry(uid) {
      const flying = inFlight.get(uid);
      if (!flying) return;
      inFlight.delete(uid);
      delay({ ...flying.waiting, refusedBy: new Set(), notBefore: clock.now() + backoffOf(flying.waiting.attempts) });
    },
    done(uid) {
      inFlight.delete(uid);
    },
    notice(event) {
      for (const flying of inFlight.values()) flying.events.push(event);
      for (const [uid, waiting] of unschedulable) {
        if (!profile.concerns(event, waiting.refusedBy)) continue;
        unschedulable.delete(uid);
        delay({ ...waiting, refusedBy: new Set() });
      }
    },
    get sizes() {
      return { active: active.length, backoff: backoff.size, unschedulable: unschedulable.size, gated: gated.size };
    },
  };
}
