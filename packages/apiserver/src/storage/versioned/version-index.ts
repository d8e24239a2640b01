/**
 * What a store knows, in memory: the newest entry of each key, the entries that newer ones replaced, and the writes in the
 * order of their revisions. Entries are the bytes that were written, shared by every reader; nothing here parses them.
 *
 * Holds the newest state and everything back to `trimmed`: reads at a revision from there on are exact, and the events
 * after it are complete. Revisions have no gaps: every write that is applied takes the next one.
 * Does not check compares, leases or durability: see `versioned-store.ts`.
 */
import type { Entry, StoreEvent } from '../contract.js';
import { OrderedKeys } from './ordered-keys.js';

/** A state of a key that a newer write replaced: an entry, or its absence. */
type PastState = Entry | { readonly value: undefined; readonly modRevision: bigint };

export interface IndexRange {
  revision: bigint;
  limit?: number | undefined;
  after?: string | undefined;
}

export class VersionIndex {
  readonly #live = new Map<string, Entry>();
  readonly #liveKeys = new OrderedKeys();
  /** Ascending by revision; only for keys that were written more than once since `trimmed`. */
  readonly #past = new Map<string, PastState[]>();
  /** Keys that do not exist now but have a past. */
  readonly #gone = new OrderedKeys();
  /** The events of `#firstEvent`, `#firstEvent + 1`, … starting at index `#head`. */
  #history: (StoreEvent | undefined)[] = [];
  #head = 0;
  #revision: bigint;
  #trimmed: bigint;
  #liveBytes = 0;
  #historyBytes = 0;

  constructor(revision = 1n) {
    this.#revision = revision;
    this.#trimmed = revision;
  }

  get revision(): bigint {
    return this.#revision;
  }
  /** The oldest revision that can be read. */
  get trimmed(): bigint {
    return this.#trimmed;
  }
  get keys(): number {
    return this.#live.size;
  }
  /** Keys with states that only reads of the past need, and keys that exist only in the past. */
  get past(): { keys: number; gone: number } {
    return { keys: this.#past.size, gone: this.#gone.size };
  }
  /** Bytes of the keys and values that exist. */
  get liveBytes(): number {
    return this.#liveBytes;
  }
  /** Writes after `trimmed`. */
  get historyLength(): number {
    return this.#history.length - this.#head;
  }
  /** Bytes of their values. */
  get historyBytes(): number {
    return this.#historyBytes;
  }

  /** Takes an entry of a snapshot, in any order, before the first write. */
  restore(entry: Entry): void {
    this.#live.set(entry.key, entry);
    this.#liveKeys.add(entry.key);
    this.#liveBytes += entry.key.length + entry.value.length;
  }

  put(key: string, value: Uint8Array, revision: bigint): StoreEvent {
    const previous = this.#live.get(key);
    const createRevision = previous === undefined ? revision : previous.createRevision;
    const entry: Entry = { key, value, createRevision, modRevision: revision };
    this.#live.set(key, entry);
    this.#liveBytes += value.length;
    if (previous === undefined) {
      this.#liveKeys.add(key);
      this.#liveBytes += key.length;
      if (this.#past.has(key)) this.#gone.delete(key);
    } else {
      this.#liveBytes -= previous.value.length;
      this.#supersede(previous);
    }
    return this.#record({ type: 'put', key, value, revision, createRevision, previous });
  }

  /** The key must exist. */
  delete(key: string, revision: bigint): StoreEvent {
    const previous = this.#live.get(key)!;
    this.#live.delete(key);
    this.#liveKeys.delete(key);
    this.#liveBytes -= key.length + previous.value.length;
    this.#supersede(previous).push({ value: undefined, modRevision: revision });
    this.#gone.add(key);
    const { value, createRevision } = previous;
    return this.#record({ type: 'delete', key, value, revision, createRevision, previous });
  }

  get(key: string): Entry | undefined {
    return this.#live.get(key);
  }

  /** `revision` is at least `trimmed`. */
  getAt(key: string, revision: bigint): Entry | undefined {
    const live = this.#live.get(key);
    if (live !== undefined && live.modRevision <= revision) return live;
    const past = this.#past.get(key);
    for (let i = (past?.length ?? 0) - 1; i >= 0; i--) {
      const state = past![i]!;
      if (state.modRevision <= revision) return state.value === undefined ? undefined : state;
    }
    return undefined;
  }

  /** The first entries under the prefix at the revision, which is at least `trimmed`. */
  page(prefix: string, { revision, limit, after }: IndexRange): Entry[] {
    const bound = limit ?? Number.POSITIVE_INFINITY;
    const entries: Entry[] = [];
    if (revision >= this.#revision) {
      for (const key of this.#liveKeys.range(prefix, after)) {
        if (entries.length >= bound) break;
        entries.push(this.#live.get(key)!);
      }
      return entries;
    }
    for (const key of this.#knownKeys(prefix, after)) {
      if (entries.length >= bound) break;
      const entry = this.getAt(key, revision);
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  /** How many entries there are under the prefix and after the key at the revision: those of now, corrected by what was written since. */
  count(prefix: string, after: string | undefined, revision: bigint): number {
    let count = this.#liveKeys.count(prefix, after);
    if (revision >= this.#revision) return count;
    const seen = new Set<string>();
    for (const { key } of this.#eventsSince(revision)) {
      if (seen.has(key) || !key.startsWith(prefix) || (after !== undefined && !this.#liveKeys.before(after, key)))
        continue;
      seen.add(key);
      count += (this.getAt(key, revision) === undefined ? 0 : 1) - (this.#live.has(key) ? 1 : 0);
    }
    return count;
  }

  /** The writes under the prefix after `revision`, which is at least `trimmed`. */
  eventsAfter(prefix: string, revision: bigint): StoreEvent[] {
    const events: StoreEvent[] = [];
    for (const event of this.#eventsSince(revision)) if (event.key.startsWith(prefix)) events.push(event);
    return events;
  }

  /** Forgets what only reads before `revision` need. */
  trim(revision: bigint): void {
    if (revision <= this.#trimmed) return;
    const count = Number(revision - this.#trimmed);
    this.#trimmed = revision;
    for (let i = 0; i < count && this.#head < this.#history.length; i++) {
      const event = this.#history[this.#head]!;
      this.#history[this.#head++] = undefined;
      this.#historyBytes -= event.value.length;
      this.#trimKey(event.key);
    }
    if (this.#head > 1024 && this.#head * 2 > this.#history.length) {
      this.#history = this.#history.slice(this.#head);
      this.#head = 0;
    }
  }

  #trimKey(key: string): void {
    const past = this.#past.get(key);
    if (past === undefined) return;
    const live = this.#live.get(key);
    let drop = past.length;
    if (live === undefined || live.modRevision > this.#trimmed) {
      drop = 0;
      while (drop + 1 < past.length && past[drop + 1]!.modRevision <= this.#trimmed) drop++;
      const oldest = past[drop];
      if (oldest !== undefined && oldest.value === undefined && oldest.modRevision <= this.#trimmed) drop++;
    }
    if (drop < past.length) {
      if (drop > 0) past.splice(0, drop);
      return;
    }
    this.#past.delete(key);
    if (live === undefined) this.#gone.delete(key);
  }

  #supersede(entry: Entry): PastState[] {
    const past = this.#past.get(entry.key);
    if (past !== undefined) {
      past.push(entry);
      return past;
    }
    const states: PastState[] = [entry];
    this.#past.set(entry.key, states);
    return states;
  }

  #record(event: StoreEvent): StoreEvent {
    this.#history.push(event);
    this.#historyBytes += event.value.length;
    this.#revision = event.revision;
    return event;
  }

  *#eventsSince(revision: bigint): Generator<StoreEvent, void, void> {
    let index = this.#head + Math.max(0, Number(revision - this.#trimmed));
    for (; index < this.#history.length; index++) yield this.#history[index]!;
  }

  /** Keys that exist or existed, in order. */
  *#knownKeys(prefix: string, after: string | undefined): Generator<string, void, void> {
    const live = this.#liveKeys.range(prefix, after);
    const gone = this.#gone.range(prefix, after);
    let a = live.next();
    let b = gone.next();
    while (!a.done || !b.done) {
      if (!a.done && (b.done || this.#liveKeys.before(a.value, b.value))) {
        yield a.value;
        a = live.next();
      } else {
        yield b.value as string;
        b = gone.next();
      }
    }
  }
}
