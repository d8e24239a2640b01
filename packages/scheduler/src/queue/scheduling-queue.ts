/**
 * Pods that wait for a node, in three places, as in kube-scheduler:
 *
 * - *active*: ready to be decided, best first;
 * - *backing off*: failed lately, waits 1 s doubling to 10 s (kube-scheduler `podInitialBackoff`, `podMaxBackoff`);
 * - *unschedulable*: refused; waits for a cluster event that concerns one of the plugins that refused it, at most 5 minutes
 *   (`podMaxInUnschedulablePodsDuration`).
 *
 * Gated pods wait aside for their next update. An event that arrives while a pod is being decided or bound counts too: if it is refused, it then goes to
 * back-off, not to rest. Every operation costs at most the logarithm of the pods that wait, a noticed event the pods it concerns.
 */
import type { Clock, Pod } from '@orbitkit/core';
import type { ClusterEvent, ClusterEventType } from '../framework/event.js';
import type { QueuedPod } from '../framework/plugin.js';
import type { Profile } from '../framework/profile.js';
import { classOf, type PodClass } from '../snapshot/pod-class.js';
import type { Snapshot } from '../snapshot/snapshot.js';
import { Heap } from './heap.js';

/** Milliseconds; defaults are kube-scheduler's. */
export interface SchedulingQueueOptions {
  /** Its sort orders the queue; it judges the pods that `profileOf` does not know. */
  profile: Profile;
  /** The profile of a pod, where there are several. */
  profileOf?(pod: Pod): Profile | undefined;
  clock: Clock;
  /** The cluster that decisions are made in: plugins' hints look at it. Without it they know less, and let more pods try. */
  snapshot?: Snapshot;
  /** Default 1 s. */
  initialBackoffMs?: number;
  /** Default 10 s. */
  maxBackoffMs?: number;
  /** Default 5 min. */
  maxUnschedulableMs?: number;
}

type Place = 'active' | 'backoff' | 'unschedulable' | 'gated' | 'flying' | 'gone';

interface Waiting extends QueuedPod {
  pod: Pod;
  priority: number;
  place: Place;
  attempts: number;
  refusedBy: ReadonlySet<string>;
  /** Not before this time, while backing off. */
  notBefore: number;
  /** Since when it rests, and among whom. */
  since: number;
  alike: Alike | undefined;
  /** While flying: the number of the first event that it has not seen. */
  seen: number;
  /** Changes with the place: an entry of a heap with another number is out of date. */
  turn: number;
}

/** Pods at rest that were refused by the same plugins, for one scheduler name and nominated node. */
interface Rest {
  readonly key: string;
  readonly refusedBy: ReadonlySet<string>;
  readonly byClass: Map<PodClass, Alike>;
}

/** Those of one class among them: a hint that sees no more of a pod is asked once for all. */
interface Alike {
  readonly rest: Rest;
  readonly podClass: PodClass;
  readonly pods: Map<string, Waiting>;
}

interface Turn {
  readonly waiting: Waiting;
  readonly turn: number;
}

/** A pod that is being decided. Every one that was taken is placed, refused or removed. */
export interface PoppedPod {
  readonly pod: Pod;
  readonly attempts: number;
  readonly enqueuedAt: number;
}

/** The pods of one scheduler that have no node yet. */
export interface SchedulingQueue {
  /** Adds a pod, or takes its newer version. Gated pods are kept aside. */
  add(pod: Pod): void;
  remove(uid: string): void;
  /** The next pod to decide, if there is one now. */
  take(): PoppedPod | undefined;
  /** The next pod to decide; undefined when the signal aborts. */
  pop(signal: AbortSignal): Promise<PoppedPod | undefined>;
  /** The decision was no. */
  refuse(uid: string, refusedBy: ReadonlySet<string>): void;
  /** Something went wrong that is nobody's decision: try again after back-off. */
  retry(uid: string): void;
  /** The pod is placed. */
  done(uid: string): void;
  notice(event: ClusterEvent | ClusterEventType): void;
  /** Rules changed: order and refusals are out of date. */
  reconsider(): void;
  /** Milliseconds until a pod that backs off or rests is due: 0 or less when one can be taken now, Infinity when none waits for time. */
  untilDue(): number;
  has(uid: string): boolean;
  readonly sizes: { active: number; backoff: number; unschedulable: number; gated: number };
}

/** Events remembered for pods in flight; who flies longer is taken to have missed something. */
const eventLimit = 10_000;
const nobody: ReadonlySet<string> = new Set();

/** An empty queue; it keeps timers on its clock alone. */
export function schedulingQueue(options: SchedulingQueueOptions): SchedulingQueue {
  const { profile, clock, snapshot } = options;
  const initialBackoffMs = options.initialBackoffMs ?? 1_000;
  const maxBackoffMs = options.maxBackoffMs ?? 10_000;
  const maxUnschedulableMs = options.maxUnschedulableMs ?? 300_000;
  const profileOf = (pod: Pod): Profile => options.profileOf?.(pod) ?? profile;

  const all = new Map<string, Waiting>();
  const sizes = { active: 0, backoff: 0, unschedulable: 0, gated: 0, flying: 0, gone: 0 };
  const active = new Heap<Turn>((a, b) => profile.compare(a.waiting, b.waiting));
  const backoff = new Heap<Turn>((a, b) => a.waiting.notBefore - b.waiting.notBefore);
  /** In order of their rest, and by who refused them. */
  const resting = new Map<string, Waiting>();
  const rests = new Map<string, Rest>();
  let events: ClusterEvent[] = [];
  let firstEvent = 0;
  let sequence = 0;
  const wakers = new Set<() => void>();
  const wake = (): void => {
    for (const each of [...wakers]) each();
  };

  function move(waiting: Waiting, place: Place): void {
    if (waiting.place === 'unschedulable') {
      resting.delete(waiting.pod.metadata.uid);
      leaveAlike(waiting);
    }
    sizes[waiting.place] -= 1;
    sizes[place] += 1;
    waiting.place = place;
    waiting.turn += 1;
    if (place === 'active') active.push({ waiting, turn: waiting.turn });
    else if (place === 'backoff') backoff.push({ waiting, turn: waiting.turn });
    else if (place === 'unschedulable') {
      resting.set(waiting.pod.metadata.uid, waiting);
      joinAlike(waiting);
    } else return;
    wake();
  }

  function joinAlike(waiting: Waiting): void {
    const { pod, refusedBy } = waiting;
    const key = [pod.spec.schedulerName, pod.status.nominatedNodeName, ...[...refusedBy].sort()].join('\0');
    let rest = rests.get(key);
    if (!rest) {
      rest = { key, refusedBy, byClass: new Map() };
      rests.set(key, rest);
    }
    const podClass = classOf(pod);
    let alike = rest.byClass.get(podClass);
    if (!alike) {
      alike = { rest, podClass, pods: new Map() };
      rest.byClass.set(podClass, alike);
    }
    alike.pods.set(pod.metadata.uid, waiting);
    waiting.alike = alike;
  }

  function leaveAlike(waiting: Waiting): void {
    const { rest, podClass, pods } = waiting.alike!;
    waiting.alike = undefined;
    pods.delete(waiting.pod.metadata.uid);
    if (pods.size > 0) return;
    rest.byClass.delete(podClass);
    if (rest.byClass.size === 0) rests.delete(rest.key);
  }

  const backoffOf = (attempts: number): number =>
    Math.min(maxBackoffMs, initialBackoffMs * 2 ** Math.max(0, attempts - 1));

  const delay = (waiting: Waiting): void => move(waiting, waiting.notBefore <= clock.now() ? 'active' : 'backoff');

  const isGated = (pod: Pod): boolean => profileOf(pod).plugins.some(plugin => plugin.preEnqueue?.(pod));

  /** Moves what is due; answers the time until the next is. */
  function settle(): number {
    const now = clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (let top = backoff.peek(); top; top = backoff.peek()) {
      const { waiting, turn } = top;
      if (waiting.turn === turn && waiting.notBefore > now) {
        next = waiting.notBefore - now;
        break;
      }
      backoff.pop();
      if (waiting.turn === turn) move(waiting, 'active');
    }
    for (const waiting of resting.values()) {
      const due = waiting.since + maxUnschedulableMs;
      if (due > now) {
        next = Math.min(next, due - now);
        break;
      }
      move(waiting, 'active');
    }
    return next;
  }

  function take(): PoppedPod | undefined {
    for (let top = active.pop(); top; top = active.pop()) {
      const { waiting, turn } = top;
      if (waiting.turn !== turn) continue;
      move(waiting, 'flying');
      waiting.attempts += 1;
      waiting.seen = firstEvent + events.length;
      return { pod: waiting.pod, attempts: waiting.attempts, enqueuedAt: waiting.enqueuedAt };
    }
    return undefined;
  }

  function drop(waiting: Waiting): void {
    all.delete(waiting.pod.metadata.uid);
    move(waiting, 'gone');
    landed();
  }
  function landed(): void {
    if (sizes.flying > 0) return;
    firstEvent += events.length;
    events = [];
  }

  /** Whether something happened since it was taken that concerns the refusal. */
  function missedSomething(waiting: Waiting, refusedBy: ReadonlySet<string>): boolean {
    if (waiting.seen < firstEvent) return true;
    const rules = profileOf(waiting.pod);
    for (let i = waiting.seen - firstEvent; i < events.length; i++)
      if (rules.concerns(events[i]!, waiting.pod, refusedBy, snapshot)) return true;
    return false;
  }

  function end(uid: string, refusedBy: ReadonlySet<string>): Waiting | undefined {
    const waiting = all.get(uid);
    if (waiting?.place !== 'flying') return undefined;
    const now = clock.now();
    waiting.refusedBy = refusedBy;
    waiting.since = now;
    waiting.notBefore = now + backoffOf(waiting.attempts);
    return waiting;
  }

  return {
    add(pod) {
      const { uid } = pod.metadata;
      const known = all.get(uid);
      const priority = pod.spec.priority ?? 0;
      if (!known) {
        const waiting: Waiting = {
          pod,
          priority,
          enqueuedAt: clock.now(),
          sequence: sequence++,
          place: 'gone',
          attempts: 0,
          refusedBy: nobody,
          notBefore: 0,
          since: 0,
          alike: undefined,
          seen: 0,
          turn: 0,
        };
        sizes.gone += 1;
        all.set(uid, waiting);
        if (isGated(pod)) move(waiting, 'gated');
        else delay(waiting);
        return;
      }
      const before = known.pod;
      if (known.place === 'flying') {
        known.pod = pod;
        return;
      }
      const changed = !sameForDecisions(before, pod);
      const gated = isGated(pod);
      // Out of its place under its former self, back under its new one.
      if (changed || gated !== (known.place === 'gated') || known.priority !== priority) {
        move(known, 'gone');
        known.pod = pod;
        known.priority = priority;
        if (gated) move(known, 'gated');
        else delay(known);
        return;
      }
      known.pod = pod;
      const nominated = before.status.nominatedNodeName;
      if (!known.alike || nominated === pod.status.nominatedNodeName) return;
      // Who lost the place that victims make room for looks for another.
      if (nominated) delay(known);
      else {
        leaveAlike(known);
        joinAlike(known);
      }
    },
    remove(uid) {
      const waiting = all.get(uid);
      if (waiting) drop(waiting);
    },
    take() {
      settle();
      return take();
    },
    async pop(signal) {
      while (!signal.aborted) {
        const untilNext = settle();
        const taken = take();
        if (taken) return taken;
        await new Promise<void>(resolve => {
          const finish = () => {
            timer?.cancel();
            signal.removeEventListener('abort', finish);
            wakers.delete(finish);
            resolve();
          };
          const timer = Number.isFinite(untilNext) ? clock.setTimer(untilNext, finish) : undefined;
          wakers.add(finish);
          signal.addEventListener('abort', finish, { once: true });
        });
      }
      return undefined;
    },
    refuse(uid, refusedBy) {
      const waiting = end(uid, refusedBy);
      if (!waiting) return;
      if (missedSomething(waiting, refusedBy)) {
        waiting.refusedBy = nobody;
        delay(waiting);
      } else move(waiting, isGated(waiting.pod) ? 'gated' : 'unschedulable');
      landed();
    },
    retry(uid) {
      const waiting = end(uid, nobody);
      if (!waiting) return;
      delay(waiting);
      landed();
    },
    done(uid) {
      const waiting = all.get(uid);
      if (waiting) drop(waiting);
    },
    notice(given) {
      const event = typeof given === 'string' ? { type: given } : given;
      if (sizes.flying > 0) {
        events.push(event);
        if (events.length > eventLimit) {
          const half = eventLimit / 2;
          events = events.slice(half);
          firstEvent += half;
        }
      }
      for (const { refusedBy, byClass } of [...rests.values()]) {
        const [first] = byClass.values();
        const rules = profileOf(anyOf(first!).pod);
        const interest = rules.interest(event.type, refusedBy);
        if (interest === 'none') continue;
        for (const alike of [...byClass.values()]) {
          if (interest === 'askOne' && !rules.concerns(event, anyOf(alike).pod, refusedBy, snapshot)) continue;
          for (const waiting of [...alike.pods.values()]) {
            if (interest === 'ask' && !rules.concerns(event, waiting.pod, refusedBy, snapshot)) continue;
            delay(waiting);
            waiting.refusedBy = nobody;
          }
        }
      }
    },
    reconsider() {
      active.rebuild(({ waiting, turn }) => waiting.turn === turn);
      for (const waiting of [...all.values()]) {
        if (waiting.place === 'gated' && !isGated(waiting.pod)) delay(waiting);
        else if (waiting.place === 'unschedulable') delay(waiting);
      }
    },
    untilDue() {
      const next = settle();
      return sizes.active > 0 ? 0 : next;
    },
    has: uid => all.has(uid),
    get sizes() {
      const { active: ready, backoff: delayed, unschedulable, gated } = sizes;
      return { active: ready, backoff: delayed, unschedulable, gated };
    },
  };
}

const anyOf = ({ pods }: Alike): Waiting => pods.values().next().value!;

/** Whether an update can make a refused pod schedulable: its own status cannot. */
function sameForDecisions(a: Pod, b: Pod): boolean {
  return a === b || JSON.stringify([a.spec, a.metadata.labels]) === JSON.stringify([b.spec, b.metadata.labels]);
}
