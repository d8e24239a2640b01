/**
 * Records `v1/Event`s about objects: what a person reads in `describe`.
 *
 * - Never blocks and never throws: an event that cannot be written is counted and dropped.
 * - The same event again (same object, type, reason, message) raises `count` of the one that is there.
 * - More than ten that differ in their message alone, each within ten minutes of the one before, go on as one, "(combined from similar events): …"
 *   (client-go `tools/record` aggregator).
 * - An object that causes a burst of events is limited: a bucket of 25 per object that refills one every 5 minutes
 *   (client-go `tools/record` spam filter), and 1,000 objects are remembered at the most.
 */
import type { Client } from '../client/client.js';
import { type Clock, systemClock } from '../clock/clock.js';
import { isNotFound } from '../errors/status-error.js';
import { Event } from '../kinds/generated/kinds.js';
import type { Event as EventObject } from '../kinds/generated/types/core-v1.js';
import type { KubeObject } from '../meta/object.js';

/** Warning is what a person should look at. */
export type EventType = 'Normal' | 'Warning';

/** Tells of objects. `reason` is a word in upper camel case; `dropped` counts what was not written. */
export interface EventRecorder {
  event(about: KubeObject, type: EventType, reason: string, message: string): void;
  /** Resolves when everything recorded so far is written or dropped. */
  flush(): Promise<void>;
  readonly dropped: number;
}

/** Who reports, and through which client. */
export interface EventRecorderOptions {
  client: Client;
  /** `source.component`, e.g. `default-scheduler`. */
  component: string;
  /** `source.host`. */
  host?: string;
  clock?: Clock;
  signal?: AbortSignal;
}

const burst = 25;
const refillMs = 300_000;
/** Messages that may differ before they are taken together; and for how long they belong together. */
const similarLimit = 10;
const similarWithinMs = 600_000;
const remembered = 1_000;
const queueLimit = 1_000;
/** Message limit of `v1/Event`. */
const messageLimit = 1_024;

interface Pending {
  about: KubeObject;
  type: EventType;
  reason: string;
  message: string;
  at: number;
}

/** A recorder that writes as this client's user. It keeps no timer; what waits is written in order. */
export function eventRecorder(options: EventRecorderOptions): EventRecorder {
  const clock = options.clock ?? systemClock;
  const seen = new Map<string, EventObject>();
  const buckets = new Map<string, { tokens: number; at: number }>();
  /** Messages of events that are alike but for those. */
  const similar = new Map<string, { messages: Set<string>; at: number }>();
  const queue: Pending[] = [];
  let dropped = 0;
  let sequence = 0;
  let worker: Promise<void> | undefined;

  const forgetOldest = <T>(map: Map<string, T>) => {
    if (map.size > remembered) map.delete(map.keys().next().value as string);
  };

  function allowed(key: string, now: number): boolean {
    const bucket = buckets.get(key) ?? { tokens: burst, at: now };
    bucket.tokens = Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs);
    bucket.at = now;
    buckets.delete(key);
    buckets.set(key, bucket);
    forgetOldest(buckets);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** Whether the message is one of too many, and so stands for them all. */
  function combined(key: string, message: string, now: number): boolean {
    const known = similar.get(key);
    const messages = known && now - known.at <= similarWithinMs ? known.messages : new Set<string>();
    if (messages.size <= similarLimit) messages.add(message);
    similar.delete(key);
    similar.set(key, { messages, at: now });
    forgetOldest(similar);
    return messages.size > similarLimit;
  }

  async function write({ about, type, reason, message: text, at }: Pending): Promise<void> {
    const { name, namespace, uid } = about.metadata;
    const alike = JSON.stringify([about.kind, namespace, name, uid, type, reason]);
    const oneOfMany = combined(alike, text, at);
    const message = oneOfMany ? `(combined from similar events): ${text}`.slice(0, messageLimit) : text;
    const key = oneOfMany ? alike : JSON.stringify([alike, text]);
    const time = `${new Date(at).toISOString().slice(0, 19)}Z`;
    const known = seen.get(key);
    const signal = options.signal ? { signal: options.signal } : {};
    if (known) {
      try {
        const count = (known.count ?? 1) + 1;
        const next = await options.client.patch(
          Event,
          known.metadata,
          { type: 'merge', patch: { count, lastTimestamp: time, ...(oneOfMany ? { message } : {}) } },
          signal,
        );
        seen.set(key, next);
        return;
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
    sequence += 1;
    const suffix = `${at.toString(16)}${(sequence % 0x10000).toString(16).padStart(4, '0')}`;
    const created = await options.client.create(
      Event,
      {
        metadata: { name: `${name.slice(0, 230)}.${suffix}`, namespace: namespace ?? 'default' },
        involvedObject: {
          apiVersion: about.apiVersion,
          kind: about.kind,
          name,
          uid,
          resourceVersion: about.metadata.resourceVersion,
          ...(namespace ? { namespace } : {}),
        },
        type,
        reason,
        message,
        source: { component: options.component, ...(options.host ? { host: options.host } : {}) },
        reportingComponent: options.component,
        reportingInstance: options.host ?? '',
        firstTimestamp: time,
        lastTimestamp: time,
        count: 1,
      },
      signal,
    );
    seen.delete(key);
    seen.set(key, created);
    forgetOldest(seen);
  }

  async function drain(): Promise<void> {
    for (let next = queue.shift(); next; next = queue.shift()) {
      try {
        await write(next);
      } catch {
        dropped += 1;
      }
    }
  }

  function start(): void {
    worker ??= drain().finally(() => {
      worker = undefined;
      // What came between the last look and here has no worker yet.
      if (queue.length > 0) start();
    });
  }

  return {
    event(about, type, reason, message) {
      const now = clock.now();
      const { name, namespace, uid } = about.metadata;
      if (
        options.signal?.aborted ||
        queue.length >= queueLimit ||
        !allowed(`${about.kind}/${namespace}/${name}/${uid}`, now)
      ) {
        dropped += 1;
        return;
      }
      const text = message.length > messageLimit ? `${message.slice(0, messageLimit - 3)}...` : message;
      queue.push({ about, type, reason, message: text, at: now });
      start();
    },
    async flush() {
      while (worker) await worker;
    },
    get dropped() {
      return dropped;
    },
  };
}
