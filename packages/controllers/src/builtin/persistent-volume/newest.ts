/**
 * A cache seen together with what its reader has written itself: of each object the newer of the two. So a decision that weighs many objects
 * does not run ahead of its own last write. Others' writes are seen when the cache has them.
 */
import { type Clock, type KubeObject, keyOf } from '@orbitkit/core';
import { compareVersions, type DeepReadonly, type Store } from '@orbitkit/informer';
import { rememberedMs } from '../../own-writes.js';

export class Newest<T extends KubeObject> {
  readonly #written = new Map<string, { object: DeepReadonly<T>; at: number }>();

  constructor(
    private readonly store: Store<T>,
    private readonly clock: Clock,
  ) {}

  wrote(object: DeepReadonly<T>): void {
    this.#written.set(keyOf(object as unknown as KubeObject), { object, at: this.clock.now() });
  }

  get(key: string): DeepReadonly<T> | undefined {
    const cached = this.store.get(key);
    return cached && this.of(cached);
  }

  /** Gone from the cache is gone; else the newer one. */
  of(cached: DeepReadonly<T>): DeepReadonly<T> {
    const key = keyOf(cached as unknown as KubeObject);
    const own = this.#written.get(key);
    if (!own) return cached;
    const reached =
      own.object.metadata.uid !== cached.metadata.uid ||
      compareVersions(cached.metadata.resourceVersion ?? '', own.object.metadata.resourceVersion) >= 0;
    if (!reached && this.clock.now() - own.at < rememberedMs) return own.object;
    this.#written.delete(key);
    return cached;
  }

  forget(key: string): void {
    this.#written.delete(key);
  }
}
