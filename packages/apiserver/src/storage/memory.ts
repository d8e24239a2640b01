/**
 * The store for tests: everything of the contract except that a write survives the end of the process, as its name says.
 */
import type { StoreFactory } from './contract.js';
import { VersionedStore, type VersionedStoreOptions } from './versioned/versioned-store.js';

export type MemoryStoreOptions = VersionedStoreOptions;

/** Each call of the returned factory opens a new, empty store. */
export function memoryStore(options: MemoryStoreOptions = {}): StoreFactory {
  return async () => new VersionedStore('memory (not durable)', options);
}
