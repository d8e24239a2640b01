/**
 * The cache of an informer: objects by key (`namespace/name`), and by the values of any number of index functions.
 *
 * The index `namespace` is always there. Whoever shares the cache may add indexes at any time; adding the same function
 * under the same name again is harmless. Objects are shared and read-only; `mutableCopy` them to change.
 */
import { type KubeObject, keyOf, type ObjectKey } from '@orbitkit/core';
import { cacheKeyOf, identified } from './lazy/lazy-object.js';
import type { DeepReadonly } from './read-only.js';

/** The values under which an object is found. None: it is not in this index. */
export type IndexFunction<T> = (object: DeepReadonly<T>) => readonly string[];

/** What readers of a cache may do. */
export interface Store<T extends KubeObject = KubeObject> {
  readonly size: number;
  get(key: string | ObjectKey): DeepReadonly<T> | undefined;
  has(key: string | ObjectKey): boolean;
  /** All objects, or those of one namespace. In no particular order. */
  list(namespace?: string): DeepReadonly<T>[];
  keys(): string[];
  /** @throws Error when there is no such index. */
  byIndex(index: string, value: string): DeepReadonly<T>[];
  /** The values that occur in an index. @throws Error when there is no such index. */
  indexValues(index: string): string[];
  addIndexers(indexers: Record<string, IndexFunction<T>>): void;
}

interface Index<T> {
  /** What was given, to know it again. */
  readonly given: IndexFunction<T>;
  /** The same, never throwing. */
  readonly of: IndexFunction<T>;
  /** Keys of the objects under each value. */
  readonly keys: Map<string, Set<string>>;
}

const byNamespace: IndexFunction<KubeObject> = object => [identified(object).namespace ?? ''];

/** A cache that is written by one informer and read by anybody. `Store` is its read-only face. */
export class Indexer<T extends KubeObject = KubeObject> implements Store<T> {
  readonly #objects = new Map<string, DeepReadonly<T>>();
  readonly #indexes = new Map<string, Index<T>>();

  /** `onIndexError` hears of index functions that throw; the object is then not in that index. */
  constructor(
    indexers: Record<string, IndexFunction<T>> = {},
    private readonly onIndexError: (index: string, error: unknown) => void = () => {},
  ) {
    this.addIndexers({ namespace: byNamespace as IndexFunction<T>, ...indexers });
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string | ObjectKey): DeepReadonly<T> | undefined {
    return this.#objects.get(textOf(key));
  }

  has(key: string | ObjectKey): boolean {
    return this.#objects.has(textOf(key));
  }

  list(namespace?: string): DeepReadonly<T>[] {
    return namespace === undefined ? [...this.#objects.values()] : this.byIndex('namespace', namespace);
  }

  keys(): string[] {
    return [...this.#objects.keys()];
  }

  byIndex(index: string, value: string): DeepReadonly<T>[] {
    const keys = this.#index(index).keys.get(value);
    if (!keys) return [];
    return Array.from(keys, key => this.#objects.get(key)!);
  }

  indexValues(index: string): string[] {
    return [...this.#index(index).keys.keys()];
  }

  addIndexers(indexers: Record<string, IndexFunction<T>>): void {
    for (const [name, of] of Object.entries(indexers)) {
      const known = this.#indexes.get(name);
      if (known?.given === of) continue;
      if (known) throw new Error(`index "${name}" exists with another function; give yours a name of its own`);
      const index: Index<T> = { given: of, of: this.#guarded(name, of), keys: new Map() };
      for (const [key, object] of this.#objects) insert(index, key, object);
      this.#indexes.set(name, index);
    }
  }

  /** Puts an object in the place of the one with its key, which is returned. */
  set(object: DeepReadonly<T>): DeepReadonly<T> | undefined {
    const key = cacheKeyOf(object as unknown as KubeObject);
    const previous = this.#objects.get(key);
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) {
      if (previous) move(index, key, previous, object);
      else insert(index, key, object);
    }
    return previous;
  }

  /** Takes an object out and returns it. */
  delete(key: string | ObjectKey): DeepReadonly<T> | undefined {
    const text = textOf(key);
    const previous = this.#objects.get(text);
    if (!previous) return undefined;
    this.#objects.delete(text);
    for (const index of this.#indexes.values()) remove(index, text, index.of(previous));
    return previous;
  }

  #guarded(name: string, of: IndexFunction<T>): IndexFunction<T> {
    return object => {
      try {
        return of(object);
      } catch (error) {
        this.onIndexError(name, error);
        return [];
      }
    };
  }

  #index(name: string): Index<T> {
    const index = this.#indexes.get(name);
    if (!index)
      throw new Error(
        `there is no index "${name}"; add it with addIndexers, there are: ${[...this.#indexes.keys()].join(', ')}`,
      );
    return index;
  }
}

function textOf(key: string | ObjectKey): string {
  return typeof key === 'string' ? key : keyOf({ metadata: key });
}

function insert<T>(index: Index<T>, key: string, object: DeepReadonly<T>): void {
  for (const value of index.of(object)) add(index, value, key);
}

function move<T>(index: Index<T>, key: string, previous: DeepReadonly<T>, object: DeepReadonly<T>): void {
  const before = index.of(previous);
  const after = index.of(object);
  if (before.length === after.length && before.every((value, i) => value === after[i])) return;
  remove(index, key, before);
  for (const value of after) add(index, value, key);
}

function add<T>(index: Index<T>, value: string, key: string): void {
  const keys = index.keys.get(value);
  if (keys) keys.add(key);
  else index.keys.set(value, new Set([key]));
}

function remove<T>(index: Index<T>, key: string, values: readonly string[]): void {
  for (const value of values) {
    const keys = index.keys.get(value);
    keys?.delete(key);
    if (keys?.size === 0) index.keys.delete(value);
  }
}
