/**
 * Items that become due later, over one timer. An item waits once: adding it again can only bring it forward, never
 * put it off (client-go `util/workqueue/delaying_queue.go`).
 */
import type { Clock } from '@orbitkit/core';

/** Longest wait of one timer: Node fires at once when asked for more than 2^31-1 ms. A later item re-arms it. */
const longestTimerMs = 2 ** 31 - 1;

interface Entry<K> {
  item: K;
  at: number;
  /** Items due at the same time come in the order in which they were added. */
  order: number;
}

const earlier = (a: Entry<unknown>, b: Entry<unknown>): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

export class DelayedItems<K> {
  /** The truth: when each waiting item is due. The heap may hold older entries of it, which are skipped. */
  readonly #due = new Map<K, number>();
  readonly #heap: Entry<K>[] = [];
  #order = 0;
  #timer: { at: number; cancel(): void } | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly deliver: (item: K) => void,
  ) {}

  get size(): number {
    return this.#due.size;
  }

  add(item: K, ms: number): void {
    const at = this.clock.now() + ms;
    const known = this.#due.get(item);
    if (known !== undefined && known <= at) return;
    this.#due.set(item, at);
    this.#push({ item, at, order: this.#order++ });
    this.#arm();
  }

  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#due.clear();
    this.#heap.length = 0;
  }

  #arm(): void {
    const next = this.#heap[0];
    if (!next) return;
    if (this.#timer && this.#timer.at <= next.at) return;
    this.#timer?.cancel();
    const ms = Math.min(Math.max(0, next.at - this.clock.now()), longestTimerMs);
    this.#timer = { at: next.at, ...this.clock.setTimer(ms, () => this.#fire()) };
  }

  #fire(): void {
    this.#timer = undefined;
    const now = this.clock.now();
    for (let top = this.#heap[0]; top && top.at <= now; top = this.#heap[0]) {
      this.#pop();
      if (this.#due.get(top.item) !== top.at) continue;
      this.#due.delete(top.item);
      this.deliver(top.item);
    }
    this.#arm();
  }

  #push(entry: Entry<K>): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (earlier(heap[parent]!, entry)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child++;
      if (earlier(last, heap[child]!)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}
