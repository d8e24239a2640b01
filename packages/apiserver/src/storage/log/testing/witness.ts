/**
 * A workload whose every write is accounted for: writers that put, overwrite and delete keys of their own, and a witness that knows what
 * was acknowledged, what was begun, and so what may and what must be there after a crash.
 */
import assert from 'node:assert/strict';
import type { Store } from '../../contract.js';

/** The value says what it is a value of, and every byte of it is determined. */
export const contentOf = (key: string, turn: number): Buffer =>
  Buffer.from(`${key}#${turn}|`.repeat(1 + ((turn * 7) % 5)));

interface Track {
  /** The turn of the last write of the key that was acknowledged, and of the last that was begun. A delete is a turn as well. */
  acknowledged: number;
  revision: bigint;
  begun: number;
}

const isDelete = (turn: number): boolean => turn % 4 === 3;

export class Witness {
  readonly #tracks = new Map<string, Track>();
  /** Acknowledged writes, all keys together. */
  acknowledged = 0;

  /** One write of the key; rejects as the store does. */
  async write(store: Store, key: string): Promise<void> {
    const track = this.#tracks.get(key) ?? { acknowledged: -1, revision: 0n, begun: -1 };
    this.#tracks.set(key, track);
    const turn = track.acknowledged + 1;
    track.begun = Math.max(track.begun, turn);
    const result = await store.txn(
      [],
      isDelete(turn) ? { type: 'delete', key } : { type: 'put', key, value: contentOf(key, turn) },
    );
    assert.ok(result.ok);
    track.acknowledged = turn;
    track.revision = result.revision;
    this.acknowledged++;
  }

  /** The write was refused and must not have happened. */
  forget(key: string): void {
    const track = this.#tracks.get(key);
    if (track !== undefined) track.begun = track.acknowledged;
  }

  /** Every acknowledged write is there, none is half there, and nothing is there that nobody wrote. */
  async check(store: Store): Promise<void> {
    const { entries, revision } = await store.list('');
    const found = new Map(entries.map(entry => [entry.key, entry]));
    for (const [key, track] of this.#tracks) {
      const entry = found.get(key);
      found.delete(key);
      const possible = new Set([track.acknowledged, track.begun]);
      const turn = [...possible].find(candidate =>
        candidate < 0 || isDelete(candidate)
          ? entry === undefined
          : entry !== undefined && contentOf(key, candidate).equals(Buffer.from(entry.value)),
      );
      assert.ok(
        turn !== undefined,
        `${key}: turn ${track.acknowledged} was acknowledged, ${track.begun} begun, and there is ${entry ? Buffer.from(entry.value) : 'nothing'}`,
      );
      assert.ok(
        revision >= track.revision,
        `${key} was acknowledged at ${track.revision}, the store is at ${revision}`,
      );
      if (turn === track.acknowledged && entry !== undefined && turn >= 0)
        assert.equal(entry.modRevision, track.revision, key);
    }
    assert.deepEqual([...found.keys()], []);
  }
}
