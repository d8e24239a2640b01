/** What the suite is run against, and with. */
import assert from 'node:assert/strict';
import type { Entry, Store, StoreBatch, StoreEvent, StoreFactory } from '../contract.js';

/** Data of its own for one clause. */
export interface StoreSubject {
  /** Opens the subject's data: empty the first time. A durable store is opened again by it after `close`. */
  readonly open: StoreFactory;
  /** Lets time pass for the store's leases. Default: real time passes. */
  elapse?(ms: number): Promise<void>;
  /** After the store was closed: removes what is left. */
  dispose?(): Promise<void>;
}

/** A back end, and what it claims. */
export interface StoreConformanceOptions {
  /** For the names of the tests. */
  readonly name: string;
  /** A new subject for each clause. */
  create(): Promise<StoreSubject>;
  /** Acknowledged writes, leases and history are there after closing and opening again. */
  readonly durable: boolean;
  /** The back end takes revisions for itself (for leases, or to open a watch on the past): writes may leave gaps. */
  readonly ownWrites?: boolean;
  /** A watcher may fall behind by so many bytes at most; the suite writes twice that. Absent: the back end has no bound of its own. */
  readonly watchQueueBytes?: number;
}

/** The part of vitest (or a runner shaped like it) that the suite uses. */
export interface TestRunner {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>, timeoutMs?: number): void;
}

/** What a clause works with; its store is closed and its subject disposed of afterwards. */
export interface Bench {
  readonly store: Store;
  elapse(ms: number): Promise<void>;
  /** Closes the store and opens it again. */
  reopen(): Promise<Store>;
}

export type Clause = (name: string, body: (bench: Bench) => Promise<void>) => void;

export const bytes = (text: string): Uint8Array => Buffer.from(text);
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString();
export const keysOf = (entries: readonly Entry[]): string[] => entries.map(({ key }) => key);

/** An unconditional put that must succeed; its revision. */
export async function put(store: Store, key: string, value: string | Uint8Array, lease?: bigint): Promise<bigint> {
  const data = typeof value === 'string' ? bytes(value) : value;
  const result = await store.txn([], { type: 'put', key, value: data, ...(lease === undefined ? {} : { lease }) });
  assert.equal(result.ok, true);
  return result.revision;
}

/** An unconditional delete; its revision. */
export async function remove(store: Store, key: string): Promise<bigint> {
  const result = await store.txn([], { type: 'delete', key });
  assert.equal(result.ok, true);
  return result.revision;
}

/** Longest wait for an event that must come. */
const eventWaitMs = 10_000;

/** Reads batches until `enough`; fails when that takes too long. The watch is over then. */
export async function watchUntil(
  store: Store,
  prefix: string,
  from: bigint,
  enough: (events: readonly StoreEvent[], batches: readonly StoreBatch[]) => boolean,
): Promise<{ events: StoreEvent[]; batches: StoreBatch[] }> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), eventWaitMs);
  const events: StoreEvent[] = [];
  const batches: StoreBatch[] = [];
  try {
    for await (const batch of store.watch(prefix, from, { signal: stop.signal })) {
      batches.push(batch);
      events.push(...batch.events);
      if (enough(events, batches)) return { events, batches };
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
  const seen = events.map(({ type, key, revision }) => `${type} ${key} at ${revision}`).join(', ') || 'nothing';
  assert.fail(
    `the watch of "${prefix}" after ${from} did not deliver what it should within ${eventWaitMs} ms; it delivered ${seen}`,
  );
}

/** The error that a promise rejects with; fails when it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it should have been refused');
}
