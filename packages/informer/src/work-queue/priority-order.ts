/**
 * In which order the items of a work queue are handed out.
 *
 * - A higher priority first; within a priority, in the order of adding.
 * - Nobody starves: an item that has waited for 10 s has aged, and while aged items wait behind others, every fourth item handed out is the one
 *   of them that has waited longest at the head of its priority. So the low ones get a quarter of the work at least, and the high ones
 *   three quarters.
 * - Raised to a higher priority, an item goes to the end of that one, and keeps its age.
 */
import type { Clock } from '@orbitkit/core';

const agedMs = 10_000;
const everySo = 4;

interface Entry<K> {
  readonly item: K;
  readonly priority: number;
  /** When it was first added. */
  readonly at: number;
  gone: boolean;
}

interface Row<K> {
  readonly priority: number;
  entries: Entry<K>[];
  /** Entries before it were handed out. */
  head: number;
}

export class PriorityOrder<K> {
  readonly #queued = new Map<K, Entry<K>>();
  /** The highest priority first. Empty rows stay: a queue knows few priorities. */
  readonly #rows: Row<K>[] = [];
  #sinceAged = 0;

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.#queued.size;
  }

  /** Adds the item, or raises it when it waits with a lower priority. @returns whether it is new. */
  add(item: K, priority: number): boolean {
    const waiting = this.#queued.get(item);
    if (waiting && waiting.priority >= priority) return false;
    if (waiting) waiting.gone = true;
    const entry: Entry<K> = { item, priority, at: waiting?.at ?? this.clock.now(), gone: false };
    this.#queued.set(item, entry);
    this.#row(priority).entries.push(entry);
    return waiting === undefined;
  }

  /** The next one. Call it only when there is one. */
  take(): K {
    let first: Row<K> | undefined;
    let oldest: Row<K> | undefined;
    for (const row of this.#rows) {
      const head = headOf(row);
      if (!head) continue;
      if (!first) first = row;
      else if (!oldest || head.at < headOf(oldest)!.at) oldest = row;
    }
    const chosen = oldest && this.#turnOf(headOf(oldest)!) ? oldest : first!;
    const entry = chosen.entries[chosen.head++]!;
    if (chosen.head > 1024 && chosen.head * 2 > chosen.entries.length) {
      chosen.entries = chosen.entries.slice(chosen.head);
      chosen.head = 0;
    }
    this.#queued.delete(entry.item);
    return entry.item;
  }

  /** Whether it is time for one that waits behind others. */
  #turnOf(entry: Entry<K>): boolean {
    if (this.clock.now() - entry.at < agedMs) {
      this.#sinceAged = 0;
      return false;
    }
    this.#sinceAged = (this.#sinceAged + 1) % everySo;
    return this.#sinceAged === 0;
  }

  #row(priority: number): Row<K> {
    const at = this.#rows.findIndex(row => row.priority <= priority);
    const found = this.#rows[at];
    if (found?.priority === priority) return found;
    const row: Row<K> = { priority, entries: [], head: 0 };
    this.#rows.splice(at < 0 ? this.#rows.length : at, 0, row);
    return row;
  }
}

function headOf<K>(row: Row<K>): Entry<K> | undefined {
  while (row.entries[row.head]?.gone) row.head++;
  const head = row.entries[row.head];
  if (!head && row.head > 0) {
    row.entries = [];
    row.head = 0;
  }
  return head;
}
