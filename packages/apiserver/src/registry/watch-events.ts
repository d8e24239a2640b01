/**
 * The events of a watch: what the cache records of one write, and the lines that watchers get for it.
 *
 * A watcher with selectors sees a world of its own: an object that begins to match is ADDED, one that ceases to match is DELETED
 * with its old state under the new revision (kube-wire.md 7). Frames are made on demand and once.
 */
import { apiVersionOf, type DynamicObject, type Kind, type StatusError } from '@orbitkit/core';
import type { WatchBatch, WatchEvent } from './contract.js';
import type { Filter } from './filter.js';
import { type ChangeType, StoredObject } from './object-bytes.js';

/** One write to one object. */
export class CacheEvent {
  #natural: ObjectEvent | undefined;

  constructor(
    readonly type: ChangeType,
    readonly path: string,
    readonly namespace: string,
    readonly name: string,
    /** The new state; of a deletion the last state, under the deletion's revision. */
    readonly object: StoredObject,
    /** The state before, if any. */
    readonly previous: StoredObject | undefined,
    /** When the cache took it, in milliseconds since 1970. */
    readonly time: number,
  ) {}

  get revision(): bigint {
    return this.object.revision;
  }

  /** As one sees it who selects everything. Shared. */
  natural(): ObjectEvent {
    this.#natural ??= new ObjectEvent(this.type, this.object);
    return this.#natural;
  }

  /** As one sees it who selects by labels or fields; undefined when it does not concern him. */
  through(filter: Filter): ObjectEvent | undefined {
    if (!filter.selective) return this.natural();
    const after = this.type !== 'DELETED' && filter.matches(this.object);
    const before = this.previous !== undefined && filter.matches(this.previous);
    if (after) return before === (this.type === 'MODIFIED') ? this.natural() : new ObjectEvent('ADDED', this.object);
    if (!before) return undefined;
    return this.type === 'DELETED' ? this.natural() : new ObjectEvent('DELETED', this.previous!.at(this.revision));
  }
}

export class ObjectEvent implements WatchEvent {
  #frame: Buffer | undefined;

  constructor(
    readonly type: ChangeType,
    readonly object: StoredObject,
  ) {}

  get frame(): Buffer {
    this.#frame ??= this.object.frame(this.type);
    return this.#frame;
  }
}

const framing = 64;

export class EventBatch implements WatchBatch {
  #bytes: Buffer | undefined;
  /** For the bounds of queues: about what the frames take, without making them. */
  readonly size: number;

  constructor(readonly events: readonly WatchEvent[]) {
    let size = 0;
    for (const { object } of events)
      size += (object instanceof StoredObject ? object.size : object.bytes.length) + framing;
    this.size = size;
  }

  get bytes(): Buffer {
    this.#bytes ??=
      this.events.length === 1 ? this.events[0]!.frame : Buffer.concat(this.events.map(event => event.frame));
    return this.#bytes;
  }
}

function plainEvent(type: 'BOOKMARK' | 'ERROR', object: object, revision: bigint): WatchEvent {
  const json = JSON.stringify(object);
  return {
    type,
    object: { bytes: Buffer.from(json), revision, object: () => object as DynamicObject },
    frame: Buffer.from(`{"type":"${type}","object":${json}}\n`),
  };
}

/** Says that everything up to this revision was sent. */
export function bookmark(kind: Kind, revision: bigint, initialEventsEnd = false): WatchEvent {
  return plainEvent(
    'BOOKMARK',
    {
      kind: kind.kind,
      apiVersion: apiVersionOf(kind),
      metadata: {
        resourceVersion: String(revision),
        ...(initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
      },
    },
    revision,
  );
}

/** The last event of a stream that cannot go on. */
export function errorEvent(error: StatusError): WatchEvent {
  return plainEvent('ERROR', error.toStatus(), 0n);
}
