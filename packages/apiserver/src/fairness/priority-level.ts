/**
 * One priority level: how many seats its requests may take at a time, and the queues of those that wait.
 *
 * - A request takes seats by its weight. While nobody waits and seats are free it goes through at once.
 * - Otherwise it waits in the shortest queue of its flow's hand. Queues are served by virtual time: each pays for what its requests took
 *   (seats x seconds; an estimate at first, corrected when the request ends), and the one that paid least is next. A flow with a thousand
 *   requests waiting thus gets as much as one with a single request.
 * - Heavy requests (more than one seat) leave a fifth of the level's seats to light ones, which need not wait until a heavy one has ended. Who
 *   passes a heavy request that is next takes one of these.
 * - A level may go beyond its share while the lendable seats of the others are free (`Seats`).
 * - Full queues, and waiting longer than `waitLimitMs`, are refused.
 */
import { deal } from './shuffle-sharding.js';

export interface LevelSettings {
  readonly name: string;
  readonly uid: string;
  readonly exempt: boolean;
  readonly shares: number;
  readonly lendablePercent: number;
  /** Undefined: no limit of its own. */
  readonly borrowingLimitPercent: number | undefined;
  /** Undefined: what does not fit is refused. */
  readonly queuing:
    | { readonly queues: number; readonly handSize: number; readonly queueLengthLimit: number }
    | undefined;
}

export type Refusal = 'queue-full' | 'concurrency-limit' | 'time-out' | 'cancelled';

/** A request that waits. */
export interface Waiter {
  readonly seats: number;
  go(passed: boolean): void;
}
interface QueuedWaiter extends Waiter {
  readonly queue: Queue;
}

interface Queue {
  /** First in, first out; an entry is undefined when it has left. */
  waiting: QueuedWaiter[];
  /** Virtual time at which its next request may start: what it has paid. */
  next: number;
}

/** Assumed time of a request until it is known (upstream's is 3 ms as well). */
const estimatedSeconds = 0.003;

/** What one request holds; give it back with `end`. */
export interface Held {
  readonly seats: number;
  readonly queue: Queue | undefined;
  /** It has passed a heavy request. */
  readonly passed: boolean;
}

export class PriorityLevel {
  settings: LevelSettings;
  /** Seats by its share of all. */
  nominal = 0;
  /** Seats that nobody may borrow. */
  kept = 0;
  inUse = 0;
  waiting = 0;
  #queues: Queue[] = [];
  /** Queues with somebody in them. */
  readonly #active = new Set<Queue>();
  #virtualTime = 0;
  /** Requests that run and have passed a heavy one. */
  #passing = 0;

  constructor(
    settings: LevelSettings,
    private readonly seats: Seats,
  ) {
    this.settings = settings;
    this.configure(settings);
  }

  /** Takes other settings; who waits goes on waiting. */
  configure(settings: LevelSettings): void {
    this.settings = settings;
    const queues = settings.queuing?.queues ?? 0;
    if (queues !== this.#queues.length)
      this.#queues = Array.from({ length: queues }, () => ({ waiting: [], next: this.#virtualTime }));
  }

  /** Seats for light requests alone. */
  get light(): number {
    return Math.ceil(this.nominal / 5);
  }

  /** Seats that a request of this weight takes: never more than the level has for such. */
  weigh(seats: number): number {
    return Math.max(1, Math.min(seats, this.nominal - this.light));
  }

  #allows(seats: number): boolean {
    return this.seats.allows(this, seats > 1 ? seats + this.light : seats);
  }

  /** Takes the seats when nobody waits and they are free. */
  take(seats: number): Held | undefined {
    if (this.waiting > 0 || !this.#allows(seats)) return undefined;
    this.#hold(seats);
    return { seats, queue: undefined, passed: false };
  }

  /** Waits in a queue of the flow's hand. `go` is called, with the seats taken, when its turn has come. */
  enqueue(hash: number, seats: number, go: (held: Held) => void): QueuedWaiter | Refusal {
    const { queuing } = this.settings;
    if (queuing === undefined) return 'concurrency-limit';
    let queue: Queue | undefined;
    for (const card of deal(hash, this.#queues.length, queuing.handSize)) {
      const candidate = this.#queues[card]!;
      if (
        queue === undefined ||
        candidate.waiting.length < queue.waiting.length ||
        (candidate.waiting.length === queue.waiting.length && candidate.next < queue.next)
      )
        queue = candidate;
    }
    if (queue === undefined || queue.waiting.length >= queuing.queueLengthLimit) return 'queue-full';
    const chosen = queue;
    const waiter: QueuedWaiter = { seats, queue: chosen, go: passed => go({ seats, queue: chosen, passed }) };
    if (chosen.waiting.length === 0) {
      // An idle queue saves nothing up.
      chosen.next = Math.max(chosen.next, this.#virtualTime);
      this.#active.add(chosen);
    }
    chosen.waiting.push(waiter);
    this.waiting++;
    return waiter;
  }

  /** Somebody does not wait any longer. */
  leave(waiter: QueuedWaiter): void {
    const { queue } = waiter;
    const at = queue.waiting.indexOf(waiter);
    if (at < 0) return;
    queue.waiting.splice(at, 1);
    this.waiting--;
    if (queue.waiting.length === 0) this.#active.delete(queue);
  }

  /** Gives the seats back; the queue pays for the time that was really taken. */
  end({ seats, queue, passed }: Held, seconds: number): void {
    if (passed) this.#passing--;
    this.inUse -= seats;
    this.seats.inUse -= seats;
    if (queue !== undefined) queue.next += seats * (seconds - estimatedSeconds);
  }

  /** Lets in whom there are seats for. */
  dispatch(): void {
    while (this.waiting > 0) {
      let first: Queue | undefined;
      let firstLight: Queue | undefined;
      for (const queue of this.#active) {
        if (first === undefined || queue.next < first.next) first = queue;
        if (queue.waiting[0]!.seats === 1 && (firstLight === undefined || queue.next < firstLight.next))
          firstLight = queue;
      }
      if (first === undefined) return;
      if (this.#allows(first.waiting[0]!.seats)) this.#letIn(first, false);
      else if (firstLight !== undefined && firstLight !== first && this.#passing < this.light && this.#allows(1))
        this.#letIn(firstLight, true);
      else return;
    }
  }

  #letIn(queue: Queue, passed: boolean): void {
    const waiter = queue.waiting.shift()!;
    this.waiting--;
    if (queue.waiting.length === 0) this.#active.delete(queue);
    this.#virtualTime = Math.max(this.#virtualTime, queue.next);
    queue.next += waiter.seats * estimatedSeconds;
    if (passed) this.#passing++;
    this.#hold(waiter.seats);
    waiter.go(passed);
  }

  #hold(seats: number): void {
    this.inUse += seats;
    this.seats.inUse += seats;
  }
}

/**
 * The seats of all levels. Each has its share; what a level may lend, others use while it does not. A level that comes back to its share gets it
 * at once, so that for a moment more seats may be taken than there are.
 */
export class Seats {
  inUse = 0;
  #levels: readonly PriorityLevel[] = [];

  constructor(readonly total: number) {}

  divide(levels: readonly PriorityLevel[]): void {
    this.#levels = levels;
    const limited = levels.filter(({ settings }) => !settings.exempt);
    const shares = limited.reduce((sum, { settings }) => sum + settings.shares, 0);
    for (const level of levels) {
      const { settings } = level;
      level.nominal = settings.exempt || shares === 0 ? 0 : Math.ceil((this.total * settings.shares) / shares);
      level.kept = Math.round((level.nominal * (100 - settings.lendablePercent)) / 100);
    }
  }

  allows(level: PriorityLevel, seats: number): boolean {
    if (level.inUse + seats <= level.nominal) return true;
    const { borrowingLimitPercent: limit } = level.settings;
    if (limit !== undefined && level.inUse + seats > level.nominal * (1 + limit / 100)) return false;
    if (this.inUse + seats > this.total) return false;
    let reserved = 0;
    for (const other of this.#levels) if (other !== level) reserved += Math.max(0, other.kept - other.inUse);
    return this.inUse + seats <= this.total - reserved;
  }
}
