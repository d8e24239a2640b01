/**
 * Read your own writes: a cache as its controller must see it. What the controller wrote is there at once and never goes back to an older version,
 * although the watch may bring it much later; what it deleted is gone at once.
 *
 * - An own write stands over the cache until the cache has that version or a later one of the object, or has as a whole come past it. Somebody
 *   else's later write is then what is read.
 * - Only answers are remembered: a write whose answer was lost is seen when the watch brings it. Collections that were deleted are not followed.
 * - It takes no calls and no waiting. A write that never shows up (a server that was set back) is forgotten after a minute.
 * - Indexes work on own writes too; so they must be declared by the controller that reads them.
 */
import { type Clock, type KubeObject, keyOf, type ObjectKey } from '@orbitkit/core';
import {
  compareVersions,
  type DeepReadonly,
  type IndexFunction,
  mutableCopy,
  type SharedInformer,
  type Store,
} from '@orbitkit/informer';

export const rememberedWriteMs = 60_000;

interface Write<T> {
  /** Undefined: deleted. */
  object: DeepReadonly<T> | undefined;
  uid: string;
  /** Of the write; of a deletion, the last version that is known to have been there. */
  version: string;
  at: number;
}

const byNamespace: IndexFunction<KubeObject> = ({ metadata }) => [metadata.namespace ?? ''];

export class WrittenStore<T extends KubeObject> implements Store<T> {
  readonly #writes = new Map<string, Write<T>>();
  readonly #indexes: Map<string, IndexFunction<T>>;

  constructor(
    private readonly informer: Pick<SharedInformer<T>, 'store' | 'resourceVersion' | 'kind'>,
    indexers: Record<string, IndexFunction<T>>,
    private readonly clock: Clock,
  ) {
    this.#indexes = new Map(Object.entries({ namespace: byNamespace as IndexFunction<T>, ...indexers }));
  }

  /** An answer of the API to a write of ours. */
  wrote(answer: KubeObject): void {
    const { uid, resourceVersion } = answer.metadata;
    if (answer.kind !== this.informer.kind.kind || !uid || !resourceVersion) return;
    const key = keyOf(answer);
    const known = this.#write(key);
    if (known && compareVersions(known.version, resourceVersion) >= 0) return;
    const write: Write<T> = { object: undefined, uid, version: resourceVersion, at: this.clock.now() };
    if (this.#reached(key, write, true)) return;
    const { managedFields: _managedFields, ...metadata } = answer.metadata;
    write.object = mutableCopy({ ...answer, metadata } as unknown as DeepReadonly<T>) as unknown as DeepReadonly<T>;
    this.#writes.delete(key);
    this.#writes.set(key, write);
    this.#sweep();
  }

  /** The API says that a deletion of ours is through. */
  deleted(key: string): void {
    const seen = this.get(key);
    if (!seen) return;
    const { uid, resourceVersion } = seen.metadata;
    this.#writes.delete(key);
    this.#writes.set(key, {
      object: undefined,
      uid: uid as string,
      version: resourceVersion as string,
      at: this.clock.now(),
    });
    this.#sweep();
  }

  get size(): number {
    return this.#none ? this.informer.store.size : this.list().length;
  }

  get(key: string | ObjectKey): DeepReadonly<T> | undefined {
    if (this.#none) return this.informer.store.get(key);
    const text = typeof key === 'string' ? key : keyOf({ metadata: key });
    const write = this.#write(text);
    return write ? write.object : this.informer.store.get(text);
  }

  has(key: string | ObjectKey): boolean {
    return this.get(key) !== undefined;
  }

  list(namespace?: string): DeepReadonly<T>[] {
    return namespace === undefined
      ? this.#merged(this.informer.store.list(), () => true)
      : this.byIndex('namespace', namespace);
  }

  keys(): string[] {
    return this.#none ? this.informer.store.keys() : this.list().map(each => keyOf(each as unknown as KubeObject));
  }

  byIndex(index: string, value: string): DeepReadonly<T>[] {
    const of = this.#index(index);
    return this.#merged(this.informer.store.byIndex(index, value), object => valuesOf(of, object).includes(value));
  }

  indexValues(index: string): string[] {
    const of = this.#index(index);
    const values = this.informer.store.indexValues(index);
    if (this.#none) return values;
    const own = [...this.#writes.values()].flatMap(({ object }) => (object ? valuesOf(of, object) : []));
    return [...new Set([...values, ...own])].filter(value => this.byIndex(index, value).length > 0);
  }

  addIndexers(indexers: Record<string, IndexFunction<T>>): void {
    this.informer.store.addIndexers(indexers);
    for (const [name, of] of Object.entries(indexers)) this.#indexes.set(name, of);
  }

  get #none(): boolean {
    return this.#writes.size === 0;
  }

  #merged(cached: DeepReadonly<T>[], wanted: (object: DeepReadonly<T>) => boolean): DeepReadonly<T>[] {
    if (this.#none) return cached;
    const own = [...this.#writes.keys()].filter(key => this.#write(key));
    if (own.length === 0) return cached;
    const replaced = new Set(own);
    const result = cached.filter(object => !replaced.has(keyOf(object as unknown as KubeObject)));
    for (const key of own) {
      const { object } = this.#writes.get(key)!;
      if (object && wanted(object)) result.push(object);
    }
    return result;
  }

  /** The write that stands over the cache at this key, if one does. */
  #write(key: string): Write<T> | undefined {
    const write = this.#writes.get(key);
    if (write && this.#reached(key, write, write.object !== undefined)) {
      this.#writes.delete(key);
      return undefined;
    }
    return write;
  }

  #reached(key: string, { uid, version, at }: Write<T>, exists: boolean): boolean {
    if (this.clock.now() - at > rememberedWriteMs) return true;
    const cached = this.informer.store.get(key)?.metadata;
    // A deletion is seen when the cache has something else there, or nothing although it is past what was deleted.
    if (!exists && cached?.uid === uid) return false;
    if (cached && compareVersions(cached.resourceVersion as string, version) >= 0) return true;
    const { resourceVersion } = this.informer;
    return resourceVersion !== undefined && compareVersions(resourceVersion, version) >= 0;
  }

  /** Writes come in the order of their versions, so those that the cache has reached stand first. */
  #sweep(): void {
    for (const key of this.#writes.keys()) if (this.#write(key)) return;
  }

  #index(name: string): IndexFunction<T> {
    const of = this.#indexes.get(name);
    if (of) return of;
    const { kind, plural } = this.informer.kind;
    throw new Error(
      `this controller has no index "${name}" of ${plural}: declare it with .reads(${kind}, { ${name}: … })`,
    );
  }
}

function valuesOf<T>(of: IndexFunction<T>, object: DeepReadonly<T>): readonly string[] {
  try {
    return of(object);
  } catch {
    // As in the cache: what cannot be indexed is not in the index.
    return [];
  }
}
