/**
 * Group commit: one commit is under way at a time, and the changes that are staged meanwhile form the next one.
 *
 * A change goes through three stages. *Staged*: it has its revision. *Committed*: the journal has it safe. *Applied*: in one synchronous
 * step the whole commit is applied in order, its writers are answered, and its events are handed on. When a commit fails, everything
 * staged is refused, since it was built on it, and the revisions are given out again.
 */
import type { StoreEvent } from '../contract.js';
import type { Change, Journal } from './change.js';

export interface GroupCommitOptions {
  readonly journal: Journal | undefined;
  /** Of the newest applied change. */
  readonly revision: bigint;
  /** Full when so many bytes are staged. */
  readonly stagedBytes: number;
  /** Makes a change visible. Must not throw. */
  apply(change: Change): StoreEvent | undefined;
  /** A commit was applied and its writers are answered. Must not throw. */
  applied(events: readonly StoreEvent[]): void;
}

interface Waiter {
  settle(events: readonly (StoreEvent | undefined)[]): void;
  fail(error: unknown): void;
}

class Commit {
  readonly changes: Change[] = [];
  readonly waiters: Waiter[] = [];
}

/** The newest write of a key that is not applied yet. */
export interface Staged {
  /** `undefined`: a delete. */
  readonly lease: bigint | undefined;
  readonly revision: bigint;
  readonly commit: Commit;
}

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #staged = new Map<string, Staged>();
  #gathering = new Commit();
  #stagedBytes = 0;
  #stagedRevision: bigint;
  #appliedRevision: bigint;
  #flushing: Promise<void> | undefined;
  #waitingForRoom: (() => void)[] = [];

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#stagedRevision = options.revision;
    this.#appliedRevision = options.revision;
  }

  /** The highest revision given out. */
  get stagedRevision(): bigint {
    return this.#stagedRevision;
  }
  get isFull(): boolean {
    return this.#stagedBytes > this.#options.stagedBytes;
  }
  staged(key: string): Staged | undefined {
    return this.#staged.get(key);
  }
  allStaged(): IterableIterator<[string, Staged]> {
    return this.#staged.entries();
  }

  /**
   * Puts changes into the commit that gathers; puts and deletes have the revisions after `stagedRevision`. Resolves with the answer once they
   * are applied; it is made from the event of the first of them. @throws what the journal throws
   */
  stage<T>(changes: readonly Change[], answer: (event: StoreEvent | undefined) => T): Promise<T> {
    const commit = this.#gathering;
    const first = commit.changes.length;
    for (const change of changes) {
      commit.changes.push(change);
      this.#stagedBytes += changeBytes(change);
      if (change.type !== 'put' && change.type !== 'delete') continue;
      this.#stagedRevision = change.revision;
      const lease = change.type === 'put' ? change.lease : undefined;
      this.#staged.set(change.key, { lease, revision: change.revision, commit });
    }
    this.#flushing ??= this.#flush();
    return new Promise<T>((resolve, fail) => {
      commit.waiters.push({ settle: events => resolve(answer(events[first])), fail });
    });
  }

  /** Answers when the commit of a staged write is applied; fails when it fails. */
  after<T>({ commit }: Staged, answer: () => T): Promise<T> {
    return new Promise<T>((resolve, fail) => {
      commit.waiters.push({ settle: () => resolve(answer()), fail });
    });
  }

  /** Resolves when a commit has ended. @throws the signal's reason */
  room(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => reject(signal!.reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waitingForRoom.push(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }

  /** Resolves when nothing is staged any more. */
  async settled(): Promise<void> {
    await this.#flushing;
  }

  async #flush(): Promise<void> {
    const { journal } = this.#options;
    // Writers of the same turn of the event loop share the first commit. Requests come from sockets one by one within a turn: with a disk
    // behind it, whoever is heard in this turn is waited for. Nobody else is: the immediate comes right after them.
    if (journal === undefined) await Promise.resolve();
    else await new Promise(setImmediate);
    while (this.#gathering.changes.length > 0) {
      const commit = this.#gathering;
      this.#gathering = new Commit();
      try {
        await journal?.commit(commit.changes);
      } catch (error) {
        this.#fail(commit, error);
        continue;
      }
      this.#apply(commit);
      journal?.applied();
    }
    this.#flushing = undefined;
  }

  #apply(commit: Commit): void {
    const events: StoreEvent[] = [];
    const byChange: (StoreEvent | undefined)[] = [];
    for (const change of commit.changes) {
      this.#stagedBytes -= changeBytes(change);
      const event = this.#options.apply(change);
      byChange.push(event);
      if (event === undefined) continue;
      events.push(event);
      this.#appliedRevision = event.revision;
      if (this.#staged.get(event.key)?.revision === event.revision) this.#staged.delete(event.key);
    }
    for (const waiter of commit.waiters) waiter.settle(byChange);
    this.#options.applied(events);
    this.#giveRoom();
  }

  #fail(commit: Commit, error: unknown): void {
    const gathered = this.#gathering;
    this.#gathering = new Commit();
    this.#staged.clear();
    this.#stagedBytes = 0;
    this.#stagedRevision = this.#appliedRevision;
    for (const waiter of [...commit.waiters, ...gathered.waiters]) waiter.fail(error);
    this.#giveRoom();
  }

  #giveRoom(): void {
    if (this.#waitingForRoom.length === 0) return;
    const waiting = this.#waitingForRoom;
    this.#waitingForRoom = [];
    for (const go of waiting) go();
  }
}

const changeBytes = (change: Change): number =>
  change.type === 'put' ? change.value.length + change.key.length + 64 : 64;
