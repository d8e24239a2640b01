/**
 * Read your own writes: remembers the versions that a controller wrote, and says whether its cache has reached them.
 *
 * A conflict protects each single object from a decision that was made on an old copy of it, but not a decision that
 * weighs several objects against each other. Whoever makes one waits until all that it wrote last time is visible. A
 * write is remembered for a minute at the most: an object that was deleted meanwhile never shows up again.
 */
import { type Clock, type KubeObject, keyOf, systemClock } from '@orbitkit/core';
import { compareVersions, type DeepReadonly, type Store } from '@orbitkit/informer';

export const rememberedMs = 60_000;

export class OwnWrites<T extends KubeObject> {
  /** By the key of what the writes were made for, then by the key of what was written. */
  readonly #writes = new Map<string, Map<string, { version: string; at: number }>>();

  constructor(
    private readonly store: Store<T>,
    private readonly clock: Clock = systemClock,
  ) {}

  note(forKey: string, written: DeepReadonly<T>): void {
    const writes = this.#writes.get(forKey) ?? new Map();
    writes.set(keyOf(written as unknown as KubeObject), {
      version: written.metadata.resourceVersion,
      at: this.clock.now(),
    });
    this.#writes.set(forKey, writes);
  }

  /** Whether the cache shows everything that was written for the key. */
  visible(forKey: string): boolean {
    const writes = this.#writes.get(forKey);
    if (!writes) return true;
    const now = this.clock.now();
    for (const [key, { version, at }] of writes) {
      const cached = this.store.get(key);
      const reached = cached && compareVersions(cached.metadata.resourceVersion, version) >= 0;
      if (reached || now - at > rememberedMs) writes.delete(key);
    }
    if (writes.size > 0) return false;
    this.#writes.delete(forKey);
    return true;
  }

  forget(forKey: string): void {
    this.#writes.delete(forKey);
  }
}
