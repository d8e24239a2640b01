/**
 * The contract as a naive program: every state of the store, one map a revision. A store and the model are given the same operations, and
 * must answer the same.
 */
import assert from 'node:assert/strict';
import { type Entry, isCompacted, isFutureRevision, type Store, type StoreEvent } from '../contract.js';
import { bytes, keysOf, text, watchUntil } from './subject.js';

/** One step. `pick` numbers choose among what exists at that moment, so that any sequence of operations makes sense. */
export type ModelOperation =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'delete'; readonly key: string }
  /** Compare with a revision of the past (or 0), then put, or delete when there is no value. */
  | { readonly type: 'compare'; readonly key: string; readonly pick: number; readonly value: string | undefined }
  | {
      readonly type: 'list';
      readonly prefix: string;
      readonly pick: number;
      readonly limit: number;
      readonly after: string | undefined;
    }
  | { readonly type: 'get'; readonly key: string; readonly pick: number }
  | { readonly type: 'watch'; readonly prefix: string; readonly pick: number }
  | { readonly type: 'compact'; readonly pick: number }
  /** Several puts at once, without waiting in between. */
  | { readonly type: 'burst'; readonly keys: readonly string[] }
  /** Close and open again, where the store is durable. */
  | { readonly type: 'reopen' };

/** The keys of random operations: prefixes of each other, and some that sort apart as UTF-16 and as UTF-8. */
export const modelKeys = ['a', 'a/b', 'a/b/c', 'a/c', 'a0', 'b', 'b/\u{10000}', 'b/\uffff', 'b/a', 'c'] as const;
/** The prefixes that random operations list and watch. */
export const modelPrefixes = ['', 'a', 'a/', 'a/b', 'b/', 'x'] as const;

const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

class Model {
  /** States by revision minus one. */
  readonly states: ReadonlyMap<string, Entry>[] = [new Map()];
  readonly events: StoreEvent[] = [];
  compacted = 1n;

  get revision(): bigint {
    return BigInt(this.states.length);
  }
  at(revision: bigint): ReadonlyMap<string, Entry> {
    return this.states[Number(revision) - 1]!;
  }
  write(key: string, value: string | undefined): Entry | undefined {
    const before = this.at(this.revision);
    const previous = before.get(key);
    if (value === undefined && previous === undefined) return undefined;
    const state = new Map(before);
    const revision = this.revision + 1n;
    const createRevision = previous?.createRevision ?? revision;
    const data = value === undefined ? previous!.value : bytes(value);
    if (value === undefined) state.delete(key);
    else state.set(key, { key, value: data, createRevision, modRevision: revision });
    this.states.push(state);
    this.events.push({
      type: value === undefined ? 'delete' : 'put',
      key,
      value: data,
      revision,
      createRevision,
      previous,
    });
    return previous;
  }
  /** From before the oldest readable revision to beyond the newest. */
  revisionFor(pick: number): bigint {
    const from = this.compacted - 1n;
    return from + (BigInt(pick) % (this.revision - from + 2n));
  }
}

const plain = (entry: Entry | undefined) =>
  entry && {
    key: entry.key,
    value: text(entry.value),
    createRevision: entry.createRevision,
    modRevision: entry.modRevision,
  };
const plainEvent = ({ previous, value, ...rest }: StoreEvent) => ({
  ...rest,
  value: text(value),
  previous: plain(previous),
});

/** Runs the operations on the store and on the model; fails at the first difference. `reopen` is absent for a store that forgets. */
export async function compareWithModel(
  opened: Store,
  operations: readonly ModelOperation[],
  reopen?: () => Promise<Store>,
): Promise<void> {
  let store = opened;
  const model = new Model();

  /** The read's answer, or that it was rightly refused. */
  const read = async <T>(revision: bigint, call: () => Promise<T>): Promise<T | undefined> => {
    try {
      const answer = await call();
      assert.ok(
        revision >= model.compacted && revision <= model.revision,
        `revision ${revision} should have been refused`,
      );
      return answer;
    } catch (error) {
      if (isCompacted(error)) assert.ok(revision < model.compacted, `revision ${revision} is not compacted`);
      else if (isFutureRevision(error))
        assert.ok(revision > model.revision, `revision ${revision} is not in the future`);
      else throw error;
      return undefined;
    }
  };

  const steps: { [T in ModelOperation['type']]: (operation: Extract<ModelOperation, { type: T }>) => Promise<void> } = {
    async put({ key, value }) {
      const result = await store.txn([], { type: 'put', key, value: bytes(value) });
      const previous = model.write(key, value);
      assert.ok(result.ok);
      assert.deepEqual([result.revision, plain(result.previous)], [model.revision, plain(previous)]);
    },
    async delete({ key }) {
      const result = await store.txn([], { type: 'delete', key });
      const previous = model.write(key, undefined);
      assert.ok(result.ok);
      assert.deepEqual([result.revision, plain(result.previous)], [model.revision, plain(previous)]);
    },
    async compare({ key, pick, value }) {
      const current = model.at(model.revision).get(key);
      const modRevision = pick % 3 === 0 ? (current?.modRevision ?? 0n) : BigInt(pick) % (model.revision + 1n);
      const write =
        value === undefined ? ({ type: 'delete', key } as const) : ({ type: 'put', key, value: bytes(value) } as const);
      const result = await store.txn([{ key, modRevision }], write);
      const holds = (current?.modRevision ?? 0n) === modRevision;
      if (holds) model.write(key, value);
      assert.equal(result.ok, holds);
      assert.equal(result.revision, model.revision);
      assert.deepEqual(plain(result.ok ? result.previous : result.current), plain(current));
    },
    async list({ prefix, pick, limit, after }) {
      const revision = pick % 2 === 0 ? model.revision : model.revisionFor(pick);
      const options = { limit, ...(after === undefined ? {} : { after }), ...(pick % 2 === 0 ? {} : { revision }) };
      const result = await read(revision, () => store.list(prefix, options));
      if (result === undefined) return;
      const all = [...model.at(revision).values()]
        .filter(({ key }) => key.startsWith(prefix) && (after === undefined || byBytes(after, key) < 0))
        .sort((a, b) => byBytes(a.key, b.key));
      const remaining = Math.max(0, all.length - limit);
      assert.deepEqual(result.entries.map(plain), all.slice(0, limit).map(plain));
      assert.deepEqual([result.revision, result.remaining, result.more], [revision, remaining, remaining > 0]);
    },
    async get({ key, pick }) {
      const revision = model.revisionFor(pick);
      const result = await read(revision, () => store.get(key, { revision }));
      if (result !== undefined)
        assert.deepEqual([plain(result.entry), result.revision], [plain(model.at(revision).get(key)), model.revision]);
      assert.deepEqual(plain((await store.get(key)).entry), plain(model.at(model.revision).get(key)));
    },
    async watch({ prefix, pick }) {
      const from = model.compacted + (BigInt(pick) % (model.revision - model.compacted + 1n));
      const expected = model.events.filter(event => event.revision > from && event.key.startsWith(prefix));
      const { events } = await watchUntil(store, prefix, from, (events, batches) =>
        expected.length === 0 ? batches.length > 0 : events.length >= expected.length,
      );
      const withPrevious = (event: StoreEvent) => ({
        ...plainEvent(event),
        ...(event.revision === from + 1n ? { previous: undefined } : {}),
      });
      assert.deepEqual(events.map(withPrevious), expected.map(withPrevious));
    },
    async compact({ pick }) {
      const to = model.compacted + (BigInt(pick) % (model.revision - model.compacted + 1n));
      await store.compact(to);
      if (to > model.compacted) model.compacted = to;
    },
    async burst({ keys }) {
      const results = await Promise.all(
        keys.map((key, i) => store.txn([], { type: 'put', key, value: bytes(String(i)) })),
      );
      const order = keys.map((key, i) => ({ key, value: String(i), revision: results[i]!.revision }));
      for (const { key, value, revision } of order.sort((a, b) => Number(a.revision - b.revision))) {
        model.write(key, value);
        assert.equal(revision, model.revision);
      }
    },
    async reopen() {
      if (reopen !== undefined) store = await reopen();
    },
  };

  for (const operation of operations) {
    await steps[operation.type](operation as never);
    const { revision, compactedRevision, keys } = await store.status();
    const state = model.at(model.revision);
    assert.deepEqual(
      { revision, compactedRevision, keys },
      { revision: model.revision, compactedRevision: model.compacted, keys: state.size },
    );
  }
  const { entries } = await store.list('');
  assert.deepEqual(keysOf(entries), [...model.at(model.revision).keys()].sort(byBytes));
}

/** Operations from a seed, for runners without a generator of their own (mulberry32). */
export function randomOperations(seed: number, count: number): ModelOperation[] {
  let state = seed >>> 0;
  const random = (below: number): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
  const key = () => modelKeys[random(modelKeys.length)]!;
  const prefix = () => modelPrefixes[random(modelPrefixes.length)]!;
  const value = () => String(random(1_000));
  const pick = () => random(1_000_000);
  const choices: (() => ModelOperation)[] = [
    () => ({ type: 'put', key: key(), value: value() }),
    () => ({ type: 'put', key: key(), value: value() }),
    () => ({ type: 'delete', key: key() }),
    () => ({ type: 'compare', key: key(), pick: pick(), value: random(3) === 0 ? undefined : value() }),
    () => ({
      type: 'list',
      prefix: prefix(),
      pick: pick(),
      limit: 1 + random(5),
      after: random(2) === 0 ? undefined : key(),
    }),
    () => ({ type: 'get', key: key(), pick: pick() }),
    () => ({ type: 'watch', prefix: prefix(), pick: pick() }),
    () => ({ type: 'burst', keys: Array.from({ length: 1 + random(8) }, key) }),
    () => (random(4) === 0 ? { type: 'compact', pick: pick() } : { type: 'reopen' }),
  ];
  return Array.from({ length: count }, () => choices[random(choices.length)]!());
}
