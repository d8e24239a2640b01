/**
 * Records `events.k8s.io/v1` events as client-go's newer recorder (`tools/events`) does: who acts, what he does, and of what is repeated a series.
 *
 * - Events are the same when type, reason, action, reporter, the object and the related one are; the note may differ, and the first one's stays
 *   (with `byNote` another note is another event: what was said last is there to be read).
 * - The second one is told at once (`series.count` 2). Further ones are counted in memory and told every 30 minutes, and for the last time when none
 *   has come for 6 minutes; the next one is then a new event.
 * - Never blocks and never throws: an event that cannot be written is counted and dropped. 1,000 wait and 1,000 series are remembered at the most.
 *
 * For events that people read in `describe`, with a count and a bound for each object, see `eventRecorder`.
 */
import type { Client } from '../client/client.js';
import { type Clock, systemClock } from '../clock/clock.js';
import { isNotFound } from '../errors/status-error.js';
import { EventsV1Event } from '../kinds/generated/kinds.js';
import type { Event } from '../kinds/generated/types/events-v1.js';
import type { KubeObject } from '../meta/object.js';
import { formatMicroTime } from '../meta/time.js';
import type { EventType } from './recorder.js';

/** One thing that happened, as a reporter tells it. */
export interface SeriesEvent {
  about: KubeObject;
  related?: KubeObject;
  type: EventType;
  reason: string;
  /** What the reporter does about it, in upper camel case: `Binding`. */
  action: string;
  note: string;
}

/** Tells of objects; `dropped` counts what was not written. */
export interface EventSeriesRecorder {
  event(event: SeriesEvent): void;
  /** Resolves when everything recorded so far is written, dropped or counted. */
  flush(): Promise<void>;
  readonly dropped: number;
}

/** Who reports, and through which client. */
export interface EventSeriesRecorderOptions {
  client: Client;
  /** `reportingController`, e.g. `default-scheduler`. */
  controller: string;
  /** `reportingInstance`: which one of several. */
  instance: string;
  clock?: Clock;
  /** Events whose notes differ are different ones. Default false, as client-go. */
  byNote?: boolean;
  /** Ends it: nothing is written any more and no timer is left. */
  signal?: AbortSignal;
}

/** Of client-go `tools/events/event_broadcaster.go`. */
const finishMs = 6 * 60_000;
const refreshMs = 30 * 60_000;
const queueLimit = 1_000;
const remembered = 1_000;
/** Message limit of the API. */
const noteLimit = 1_024;

interface Known {
  event: Event;
  /** When it came last. */
  at: number;
  count: number;
  /** When the API heard of it last, and the count that it heard. */
  toldAt: number;
  told: number;
}

/** A recorder of series; it keeps a timer as long as it remembers one. @see EventSeriesRecorderOptions.signal */
export function eventSeriesRecorder(options: EventSeriesRecorderOptions): EventSeriesRecorder {
  const { client, controller, instance, clock = systemClock, byNote = false, signal } = options;
  const call = signal ? { signal } : {};
  const known = new Map<string, Known>();
  const work: (() => Promise<void>)[] = [];
  let dropped = 0;
  let sequence = 0;
  let worker: Promise<void> | undefined;
  let timer: { cancel(): void } | undefined;

  const stop = () => {
    timer?.cancel();
    timer = undefined;
    known.clear();
    work.length = 0;
  };
  if (signal?.aborted) stop();
  else signal?.addEventListener('abort', stop, { once: true });

  async function drain(): Promise<void> {
    for (let next = work.shift(); next; next = work.shift()) {
      try {
        await next();
      } catch {
        dropped += 1;
      }
    }
  }
  function enqueue(task: () => Promise<void>): void {
    work.push(task);
    start();
  }
  function start(): void {
    worker ??= drain().finally(() => {
      worker = undefined;
      if (work.length > 0) start();
    });
  }

  async function create(entry: Known): Promise<void> {
    const { resourceVersion: _, ...metadata } = entry.event.metadata;
    entry.event = await client.create(EventsV1Event, { ...entry.event, metadata }, call);
  }

  /** Tells of the series; one whose event is gone by now is written anew. */
  async function tell(entry: Known): Promise<void> {
    const series = { count: entry.count, lastObservedTime: formatMicroTime(entry.at) };
    entry.told = entry.count;
    entry.toldAt = clock.now();
    entry.event.series = series;
    try {
      entry.event = await client.patch(EventsV1Event, entry.event.metadata, { type: 'merge', patch: { series } }, call);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await create(entry);
    }
  }

  function sweep(): void {
    timer = undefined;
    const now = clock.now();
    for (const [key, entry] of known) {
      const finished = now - entry.at >= finishMs;
      if (finished) known.delete(key);
      if (entry.count > entry.told && (finished || now - entry.toldAt >= refreshMs)) enqueue(() => tell(entry));
    }
    arm();
  }
  function arm(): void {
    if (known.size > 0 && !signal?.aborted) timer ??= clock.setTimer(finishMs, sweep);
  }

  function eventOf({ about, related, type, reason, action, note }: SeriesEvent, now: number): Event {
    const { name, namespace } = about.metadata;
    sequence += 1;
    const suffix = `${now.toString(16)}${(sequence % 0x10000).toString(16).padStart(4, '0')}`;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${name.slice(0, 230)}.${suffix}`, namespace: namespace ?? 'default' } as Event['metadata'],
      eventTime: formatMicroTime(now),
      reportingController: controller,
      reportingInstance: instance,
      action,
      reason,
      regarding: referenceTo(about),
      ...(related ? { related: referenceTo(related) } : {}),
      note: note.length > noteLimit ? `${note.slice(0, noteLimit - 3)}...` : note,
      type,
    };
  }

  return {
    event(given) {
      if (signal?.aborted) return;
      const now = clock.now();
      const { type, reason, action, about, related, note } = given;
      const key = JSON.stringify([
        type,
        reason,
        action,
        referenceTo(about),
        related && referenceTo(related),
        byNote && note,
      ]);
      const entry = known.get(key);
      if (entry) {
        entry.count += 1;
        entry.at = now;
        if (entry.count === 2) enqueue(() => tell(entry));
        return;
      }
      if (work.length >= queueLimit) {
        dropped += 1;
        return;
      }
      if (known.size >= remembered) known.delete(known.keys().next().value as string);
      const first: Known = { event: eventOf(given, now), at: now, count: 1, toldAt: now, told: 1 };
      known.set(key, first);
      enqueue(() => create(first));
      arm();
    },
    async flush() {
      while (worker) await worker;
    },
    get dropped() {
      return dropped;
    },
  };
}

function referenceTo({ apiVersion, kind, metadata }: KubeObject) {
  const { name, namespace, uid } = metadata;
  return { apiVersion, kind, name, uid, ...(namespace ? { namespace } : {}) };
}
