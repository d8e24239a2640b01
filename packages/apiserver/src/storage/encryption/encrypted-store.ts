/**
 * Encryption at rest: a store whose values of some resources are sealed on the way in and opened on the way out. All back ends and
 * snapshots then hold the sealed form; what is not encrypted passes untouched, for the price of looking at one byte.
 *
 * A value that cannot be opened (its key is not configured, or it was changed) does not stop the others: it is handed on sealed, marked
 * with the reason, and whoever decodes it gets that reason with the name of the object (`decodeValue`).
 */
import type { Entry, GetResult, ListResult, Store, StoreBatch, StoreEvent, StoreFactory } from '../contract.js';
import { StoreUnavailableError } from '../contract.js';
import { serverSecretPrefix } from '../server-secret.js';
import { encodeValueText, markUnreadable } from '../value.js';
import {
  type EncryptionKey,
  type EncryptionRules,
  encryptionOf,
  type ResourceEncryption,
  resourceOfKey,
} from './configuration.js';
import { isSealed, seal, sealedWith, unseal } from './sealed-value.js';

/** What `rewrite` did. */
export interface RewriteResult {
  /** Entries that were looked at. */
  readonly examined: number;
  readonly rewritten: number;
  /** Keys of entries that cannot be opened: they were left as they are. */
  readonly unreadable: readonly string[];
}

/** A store that seals, whatever is below it. */
export interface EncryptedStore extends Store {
  /**
   * Writes every entry anew that is not in the form that the configuration asks for: after a change of keys, or of what is encrypted.
   * Each is a write like any other, with a revision and an event; entries that others write meanwhile are in the new form already.
   */
  rewrite(options?: { signal?: AbortSignal }): Promise<RewriteResult>;
}

/** Whether a store came from {@link encryptedStore}. */
export const isEncryptedStore = (store: Store): store is EncryptedStore => 'rewrite' in store;

/**
 * @throws StoreUnavailableError when other servers of this store encrypt with a key that these rules do not have: what one wrote, the
 * other could not read.
 */
export function encryptedStore(inner: StoreFactory, rules: EncryptionRules): () => Promise<EncryptedStore> {
  return async () => {
    const store = await inner();
    try {
      if (store.shared) await agreeOnKeys(store, rules);
    } catch (error) {
      await store.close();
      throw error;
    }
    return encrypted(store, rules);
  };
}

/** A value that is sealed with a key in use: who cannot open it does not belong to these servers. */
const sampleKey = '/orbitkit/encryption-sample';

const writerOf = (rules: EncryptionRules): EncryptionKey | undefined =>
  rules.resources.find(({ encryption }) => encryption.writes !== undefined)?.encryption.writes;

async function agreeOnKeys(store: Store, rules: EncryptionRules): Promise<void> {
  const writer = writerOf(rules);
  let sample = (await store.get(sampleKey)).entry?.value;
  if (sample === undefined) {
    if (writer === undefined) return;
    const value = seal(encodeValueText('{}'), sampleKey, writer);
    const made = await store.txn([{ key: sampleKey, modRevision: 0n }], { type: 'put', key: sampleKey, value });
    if (made.ok) return;
    sample = made.current?.value;
  }
  if (sample === undefined || !isSealed(sample)) return;
  const name = sealedWith(sample);
  const key = rules.keys.get(name);
  const problem = `the servers of this store encrypt with the key ${JSON.stringify(name)}`;
  const advice =
    "use the encryption configuration of the server that runs already (its data directory's encryption.yaml)";
  if (key === undefined) throw new StoreUnavailableError(`${problem}, which this one does not have: ${advice}`);
  try {
    unseal(sample, sampleKey, key);
  } catch {
    throw new StoreUnavailableError(`${problem}; the key that this one has under that name is another: ${advice}`);
  }
}

function encrypted(inner: Store, rules: EncryptionRules): EncryptedStore {
  const byResource = new Map<string, ResourceEncryption>();
  const keyFor = (key: string) => {
    if (key === sampleKey || key.startsWith(serverSecretPrefix)) return writerOf(rules);
    const resource = resourceOfKey(key);
    if (resource === undefined) return undefined;
    let found = byResource.get(resource);
    if (found === undefined) {
      found = encryptionOf(rules, resource);
      byResource.set(resource, found);
    }
    return found.writes;
  };

  /** The same value when it is not sealed. */
  function open(key: string, value: Uint8Array): Uint8Array {
    if (!isSealed(value)) return value;
    const name = sealedWith(value);
    const used = rules.keys.get(name);
    if (used === undefined) {
      const configured = [...rules.keys.keys()].map(each => JSON.stringify(each)).join(', ') || 'none';
      markUnreadable(
        value,
        `it is encrypted with the key ${JSON.stringify(name)}, which is not configured (configured: ${configured}); add that key to the encryption configuration`,
      );
      return value;
    }
    try {
      return unseal(value, key, used);
    } catch {
      markUnreadable(
        value,
        `it cannot be decrypted with the key ${JSON.stringify(name)}: the stored value was changed, or the key of that name is another one than that it was encrypted with`,
      );
      return value;
    }
  }
  function openEntry(entry: Entry): Entry;
  function openEntry(entry: Entry | undefined): Entry | undefined;
  function openEntry(entry: Entry | undefined): Entry | undefined {
    if (entry === undefined) return undefined;
    const value = open(entry.key, entry.value);
    return value === entry.value ? entry : { ...entry, value };
  }
  const openEvent = (event: StoreEvent): StoreEvent => {
    const value = open(event.key, event.value);
    const previous = openEntry(event.previous);
    return value === event.value && previous === event.previous ? event : { ...event, value, previous };
  };
  /** Watchers of one prefix share their batches: each is opened once. */
  const opened = new WeakMap<StoreBatch, StoreBatch>();
  function openBatch(batch: StoreBatch): StoreBatch {
    if (!batch.events.some(({ value, previous }) => isSealed(value) || (previous && isSealed(previous.value))))
      return batch;
    let made = opened.get(batch);
    if (made === undefined) {
      made = { events: batch.events.map(openEvent), revision: batch.revision };
      opened.set(batch, made);
    }
    return made;
  }

  const store: EncryptedStore = {
    name: inner.name,
    ...(inner.shared === undefined ? {} : { shared: inner.shared }),
    async get(key, options): Promise<GetResult> {
      const result = await inner.get(key, options);
      const entry = openEntry(result.entry);
      return entry === result.entry ? result : { ...result, entry };
    },
    async list(prefix, options): Promise<ListResult> {
      const result = await inner.list(prefix, options);
      return result.entries.some(({ value }) => isSealed(value))
        ? { ...result, entries: result.entries.map(entry => openEntry(entry)) }
        : result;
    },
    async txn(compare, write, options) {
      const used = write.type === 'put' ? keyFor(write.key) : undefined;
      const stored =
        used === undefined || write.type === 'delete' ? write : { ...write, value: seal(write.value, write.key, used) };
      const result = await inner.txn(compare, stored, options);
      if (result.ok) {
        const previous = openEntry(result.previous);
        return previous === result.previous ? result : { ...result, previous };
      }
      const current = openEntry(result.current);
      return current === result.current ? result : { ...result, current };
    },
    watch: (prefix, from, options) => ({
      [Symbol.asyncIterator]() {
        const batches = inner.watch(prefix, from, options)[Symbol.asyncIterator]();
        const done = { done: true, value: undefined } as const;
        return {
          async next() {
            const next = await batches.next();
            return next.done ? next : { done: false, value: openBatch(next.value) };
          },
          return: async () => (await batches.return?.()) ?? done,
        };
      },
    }),
    compact: revision => inner.compact(revision),
    status: () => inner.status(),
    grantLease: ttlMs => inner.grantLease(ttlMs),
    keepAlive: lease => inner.keepAlive(lease),
    revokeLease: lease => inner.revokeLease(lease),
    // Sealed values stay sealed in a snapshot.
    dump: options => inner.dump(options),
    close: () => inner.close(),
    async rewrite({ signal } = {}) {
      let examined = 0;
      let rewritten = 0;
      const unreadable: string[] = [];
      for await (const page of (await inner.dump(signal === undefined ? {} : { signal })).entries) {
        signal?.throwIfAborted();
        for (const { key, value, modRevision, lease } of page) {
          examined++;
          const wanted = keyFor(key)?.name;
          if ((isSealed(value) ? sealedWith(value) : undefined) === wanted) continue;
          const plain = open(key, value);
          if (isSealed(plain)) {
            unreadable.push(key);
            continue;
          }
          const write = { type: 'put', key, value: plain, ...(lease === 0n ? {} : { lease }) } as const;
          if ((await store.txn([{ key, modRevision }], write)).ok) rewritten++;
        }
      }
      return { examined, rewritten, unreadable };
    },
  };
  return store;
}
