/**
 * An object that stays JSON text until somebody reads of it what only parsing tells.
 *
 * It behaves as the parsed object would, read-only: its name, namespace, uid, resourceVersion and labels are found in the bytes; everything
 * else parses the text, once for as long as the result is in use somewhere (it is held weakly). `JSON.stringify`, spreading, `mutableCopy`
 * and iteration work; `structuredClone` does not take it: use `mutableCopy`. Writing to it is a TypeError.
 */
import { keyOf } from '@orbitkit/core';
import type { ChunkUse } from './kept-bytes.js';
import { identityOf, labelsOf } from './object-identity.js';

/** What all objects of one cache have in common. */
export interface LazyForm {
  kind: string;
  apiVersion: string;
  /** What is done with a parsed object before anyone sees it: it is completed, transformed, frozen. */
  finish(parsed: any): any;
  /** Whether `finish` may change labels: then they are not read from the bytes. */
  changesLabels: boolean;
}

const recordKey = Symbol('orbitkit lazy object');

/** The text behind an object, and what is known of it without parsing. */
export class LazyRecord {
  readonly name: string;
  /** Undefined for a cluster-scoped object. */
  readonly namespace: string | undefined;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Where a cache accounts for the memory, while it keeps the object. */
  use: ChunkUse | undefined;
  /** As `keyOf`. */
  readonly key: string;
  #metadata: object | undefined;
  #parsed: WeakRef<any> | undefined;
  #labels: Record<string, string> | undefined | null = null;

  constructor(
    public bytes: Buffer,
    public start: number,
    public end: number,
    readonly form: LazyForm,
  ) {
    const { name, namespace, uid, resourceVersion } = identityOf(bytes, start);
    this.name = name;
    this.namespace = namespace === '' ? undefined : namespace;
    this.uid = uid;
    this.resourceVersion = resourceVersion;
    this.key = namespace === '' ? name : `${namespace}/${name}`;
  }

  get metadata(): object {
    this.#metadata ??= new Proxy(this, metadataHandler);
    return this.#metadata;
  }

  parsed(): any {
    const known = this.#parsed?.deref();
    if (known !== undefined) return known;
    const object = this.form.finish(JSON.parse(this.bytes.toString('utf8', this.start, this.end)));
    this.#parsed = new WeakRef(object);
    return object;
  }

  get labels(): Record<string, string> | undefined {
    if (this.form.changesLabels) return this.parsed().metadata.labels;
    if (this.#labels === null) {
      this.#labels = labelsOf(this.bytes, this.start);
      if (this.#labels) Object.freeze(this.#labels);
    }
    return this.#labels;
  }
}

/** @throws SyntaxError as `identityOf`. */
export function lazyObject<T>(bytes: Buffer, start: number, end: number, form: LazyForm): T {
  return new Proxy(new LazyRecord(bytes, start, end, form), objectHandler) as T;
}

/** The record of an object that `lazyObject` made. */
export function recordOf(object: object): LazyRecord | undefined {
  return (object as { [recordKey]?: LazyRecord })[recordKey];
}

/** The metadata of an object as far as caches need it: without a detour when it is lazy. */
export function identified(object: {
  metadata: { name: string; namespace?: string | undefined; uid: string; resourceVersion: string };
}): {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid: string;
  readonly resourceVersion: string;
} {
  return recordOf(object) ?? object.metadata;
}

/** `keyOf`, likewise. */
export function cacheKeyOf(object: { metadata: { name: string; namespace?: string } }): string {
  return recordOf(object)?.key ?? keyOf(object);
}

function readOnly(): never {
  throw new TypeError('an object of a cache is read-only; change a mutableCopy of it');
}

/** What reads of the parsed object, and refuses to write. `of` says which part of it; `get` answers what needs no parsing. */
function handler(
  of: (record: LazyRecord) => object,
  get: (record: LazyRecord, name: string | symbol) => unknown,
): ProxyHandler<LazyRecord> {
  return {
    get,
    has: (record, name) => Reflect.has(of(record), name),
    ownKeys: record => Reflect.ownKeys(of(record)),
    getOwnPropertyDescriptor(record, name) {
      if (!Object.hasOwn(of(record), name)) return undefined;
      return { value: get(record, name), enumerable: true, configurable: true, writable: false };
    },
    getPrototypeOf: () => Object.prototype,
    set: readOnly,
    deleteProperty: readOnly,
    defineProperty: readOnly,
    setPrototypeOf: readOnly,
    preventExtensions: readOnly,
  };
}

const objectHandler = handler(
  record => record.parsed(),
  (record, name) => {
    switch (name) {
      case 'metadata':
        return record.metadata;
      case 'kind':
        return record.form.kind;
      case 'apiVersion':
        return record.form.apiVersion;
      case recordKey:
        return record;
      case 'then':
      case 'toJSON':
        return undefined;
      default:
        return record.parsed()[name];
    }
  },
);

const metadataHandler = handler(
  record => record.parsed().metadata,
  (record, name) => {
    switch (name) {
      case 'name':
        return record.name;
      case 'namespace':
        return record.namespace;
      case 'resourceVersion':
        return record.resourceVersion;
      case 'uid':
        return record.uid;
      case 'labels':
        return record.labels;
      case 'then':
      case 'toJSON':
        return undefined;
      default:
        return record.parsed().metadata[name];
    }
  },
);
