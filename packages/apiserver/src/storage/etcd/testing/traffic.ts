/**
 * Writers and watchers over several stores of one etcd, and the judge of what they saw: every acknowledged write stands in the history
 * with its revision and value, and every watcher saw the history, each event once and in order, with gaps only where it was told
 * that what it needed is compacted.
 */
import assert from 'node:assert/strict';
import { isCompacted, isStoreUnavailable, isWatchOverflow, type Store, type StoreEvent } from '../../contract.js';

interface Seen {
  readonly revision: bigint;
  readonly text: string;
}
const seen = ({ type, key, value, revision }: StoreEvent): Seen => ({
  revision,
  text: `${type} ${key} ${type === 'put' ? Buffer.from(value).toString() : ''}`,
});

/** What one watcher saw without a gap. */
interface Stretch {
  readonly from: bigint;
  readonly events: Seen[];
  /** Everything up to it was delivered. */
  reached: bigint;
}

export class Traffic {
  readonly #stop = new AbortController();
  readonly #running: Promise<void>[] = [];
  readonly #acknowledged: Seen[] = [];
  readonly #watchers: Stretch[][] = [];
  #lastFailure = 'none';
  readonly prefix: string;
  acknowledged = 0;
  failed = 0;
  /** Watchers that had to list again. */
  listedAgain = 0;

  constructor(prefix = '/registry/core/things/') {
    this.prefix = prefix;
  }

  /** Puts with compare, updates, deletes; what fails for the store's sake is tried again with what is there then. */
  write(store: Store, name: string): void {
    const { signal } = this.#stop;
    const work = async (): Promise<void> => {
      const held = new Map<string, bigint>();
      for (let turn = 0; !signal.aborted; turn++) {
        const key = `${this.prefix}${name}/${turn % 7}`;
        const value = `${name}-${turn}`;
        const remove = turn % 11 === 10 && held.get(key) !== undefined;
        try {
          const compare = [{ key, modRevision: held.get(key) ?? 0n }];
          const result = await store.txn(
            compare,
            remove ? { type: 'delete', key } : { type: 'put', key, value: Buffer.from(value) },
          );
          if (!result.ok) {
            // An earlier write whose answer was lost.
            if (result.current === undefined) held.delete(key);
            else held.set(key, result.current.modRevision);
            continue;
          }
          if (remove && result.previous === undefined) continue;
          this.acknowledged++;
          this.#acknowledged.push({
            revision: result.revision,
            text: remove ? `delete ${key} ` : `put ${key} ${value}`,
          });
          if (remove) held.delete(key);
          else held.set(key, result.revision);
        } catch (error) {
          this.failed++;
          await this.#unavailable(error);
        }
        if (turn % 16 === 0) await new Promise(resolve => setImmediate(resolve));
      }
    };
    this.#running.push(work());
  }

  /** Watches from `from` on, again and again from where it was. */
  watch(store: Store, from: bigint): void {
    const { signal } = this.#stop;
    const stretches: Stretch[] = [{ from, events: [], reached: from }];
    this.#watchers.push(stretches);
    const work = async (): Promise<void> => {
      while (!signal.aborted) {
        const stretch = stretches[stretches.length - 1]!;
        try {
          for await (const { events, revision } of store.watch(this.prefix, stretch.reached, { signal })) {
            stretch.events.push(...events.map(seen));
            stretch.reached = revision;
          }
        } catch (error) {
          if (isCompacted(error) || isWatchOverflow(error)) {
            const list = await this.#list(store);
            if (list === undefined) continue;
            this.listedAgain++;
            stretches.push({ from: list, events: [], reached: list });
          } else await this.#unavailable(error);
        }
      }
    };
    this.#running.push(work());
  }

  /** What is there again in a moment; also a store that is closed for good leaves the others their turn. */
  async #unavailable(error: unknown): Promise<void> {
    if (!isStoreUnavailable(error)) throw error;
    this.#lastFailure = error.message;
    await new Promise(resolve => setTimeout(resolve, 20));
  }

  async #list(store: Store): Promise<bigint | undefined> {
    try {
      return (await store.list(this.prefix)).revision;
    } catch (error) {
      await this.#unavailable(error);
      return undefined;
    }
  }

  /** Writes made so far. */
  async progress(more: number, withinMs = 30_000): Promise<void> {
    const goal = this.acknowledged + more;
    const until = performance.now() + withinMs;
    while (this.acknowledged < goal) {
      assert.ok(
        performance.now() < until,
        `only ${this.acknowledged} of ${goal} writes were acknowledged within ${withinMs} ms; last failure: ${this.#lastFailure}`,
      );
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  }

  /** Ends the writers, lets the watchers catch up, ends them, and judges. `history`: a store that never saw a fault. */
  async judge(history: Store, stores: readonly Store[], historyFrom: bigint): Promise<void> {
    // One last write, which every watcher must see.
    const last = await history.txn([], { type: 'put', key: `${this.prefix}last`, value: Buffer.from('') });
    const until = performance.now() + 30_000;
    const behind = () => this.#watchers.filter(stretches => stretches[stretches.length - 1]!.reached < last.revision);
    while (behind().length > 0) {
      assert.ok(
        performance.now() < until,
        `${behind().length} watchers did not reach revision ${last.revision}; last failure: ${this.#lastFailure}`,
      );
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    this.#stop.abort();
    await Promise.all(this.#running);

    const truth: Seen[] = [];
    const enough = new AbortController();
    const end = (await history.list('')).revision;
    const close = await history.txn([], { type: 'put', key: `${this.prefix}close`, value: Buffer.from('') });
    for await (const { events, revision } of history.watch(this.prefix, historyFrom, { signal: enough.signal })) {
      truth.push(...events.map(seen));
      if (revision >= close.revision) break;
    }
    enough.abort();
    for (let i = 1; i < truth.length; i++)
      assert.ok(truth[i]!.revision > truth[i - 1]!.revision, 'one revision per write');

    const byRevision = new Map(truth.map(event => [event.revision, event.text]));
    for (const { revision, text } of this.#acknowledged) {
      if (revision > historyFrom) assert.equal(byRevision.get(revision), text, `the acknowledged write at ${revision}`);
    }
    for (const stretches of this.#watchers) {
      for (const { from, events, reached } of stretches) {
        const expected = truth.filter(({ revision }) => revision > from && revision <= reached);
        const known = events.filter(({ revision }) => revision > historyFrom);
        assert.deepEqual(
          known,
          expected.filter(({ revision }) => revision > historyFrom),
        );
      }
    }
    // Every store reads the same, and what was written last.
    const [first, ...others] = await Promise.all(stores.map(store => store.list(this.prefix)));
    assert.ok(first!.revision >= end);
    const plain = (list: typeof first) =>
      list!.entries.map(({ key, value, modRevision }) => [key, Buffer.from(value).toString(), modRevision]);
    for (const other of others) assert.deepEqual(plain(other), plain(first));
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running);
  }
}
