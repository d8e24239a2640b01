/**
 * The store for tests: everything of the contract except that a write survives the end of the process, as its name says.
 */
import type { StoreFactory } from './contract.js';
import { defaultRevisionBump, type LoadedSnapshot, stateOf } from './snapshot/snapshot.js';
import { VersionedStore, type VersionedStoreOptions } from './versioned/versioned-store.js';

/** Everything has a default. */
export interface MemoryStoreOptions extends VersionedStoreOptions {
  /** What the store begins with. Default: nothing. */
  snapshot?: LoadedSnapshot;
}

/** Each call of the returned factory opens a new store: empty, or with what the snapshot holds. */
export function memoryStore(options: MemoryStoreOptions = {}): StoreFactory {
  const { snapshot } = options;
  return async () => {
    const state = snapshot && stateOf(snapshot, snapshot.revision + defaultRevisionBump);
    return new VersionedStore('memory (not durable)', options, undefined, state);
  };
}
