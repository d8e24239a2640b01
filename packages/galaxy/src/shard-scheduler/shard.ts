/**
 * The placement of a shard: which of its nodes gets an instance. Pure bookkeeping, no I/O.
 *
 * A node's room is what it last reported less what was promised since. Among those with room the one with the smallest
 * share in use wins (of the fuller of cpu and memory), so instances spread; ties go to the one chosen longest ago.
 */
import type { Capacity } from '../protocol/schema.js';

interface Seat {
  capacity: Capacity | undefined;
  promisedCpu: number;
  promisedMemory: number;
  chosenAt: number;
}

export interface Wish {
  cpuMillis: number;
  memoryBytes: number;
}

export interface Shard {
  add(node: string): void;
  remove(node: string): void;
  report(node: string, capacity: Capacity): void;
  /** A node with room, not among `except`; its room is promised until `settle`. */
  choose(wish: Wish, except: ReadonlySet<string>): string | undefined;
  /** The promise is kept or void: what counts now is in the node's reports. */
  settle(node: string, wish: Wish): void;
  /** A node has not said yet how much room it has: it was added, or its connection broke, a moment ago. */
  readonly unheard: boolean;
  readonly nodes: readonly string[];
}

export function shard(): Shard {
  const seats = new Map<string, Seat>();
  let turn = 0;
  return {
    add(node) {
      if (!seats.has(node)) seats.set(node, { capacity: undefined, promisedCpu: 0, promisedMemory: 0, chosenAt: 0 });
    },
    remove: node => void seats.delete(node),
    report(node, capacity) {
      const seat = seats.get(node);
      if (seat) seat.capacity = capacity;
    },
    choose(wish, except) {
      let best: { name: string; seat: Seat; load: number } | undefined;
      for (const [name, seat] of seats) {
        const { capacity } = seat;
        if (!capacity || except.has(name)) continue;
        const cpu = capacity.usedCpuMillis + seat.promisedCpu + wish.cpuMillis;
        const memory = capacity.usedMemoryBytes + seat.promisedMemory + wish.memoryBytes;
        if (cpu > capacity.cpuMillis || memory > capacity.memoryBytes) continue;
        const load = Math.max(cpu / Math.max(1, capacity.cpuMillis), memory / Math.max(1, capacity.memoryBytes));
        if (!best || load < best.load || (load === best.load && seat.chosenAt < best.seat.chosenAt))
          best = { name, seat, load };
      }
      if (!best) return undefined;
      best.seat.promisedCpu += wish.cpuMillis;
      best.seat.promisedMemory += wish.memoryBytes;
      best.seat.chosenAt = ++turn;
      return best.name;
    },
    settle(node, wish) {
      const seat = seats.get(node);
      if (!seat) return;
      seat.promisedCpu = Math.max(0, seat.promisedCpu - wish.cpuMillis);
      seat.promisedMemory = Math.max(0, seat.promisedMemory - wish.memoryBytes);
    },
    get unheard() {
      return [...seats.values()].some(seat => !seat.capacity);
    },
    get nodes() {
      return [...seats.keys()];
    },
  };
}
