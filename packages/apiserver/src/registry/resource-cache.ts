/**
 * What the watch cache knows of one resource: the newest version of each object in key order, the last events, and who watches.
 *
 * Watchers that select the same share a group; groups are found by namespace, name or the resource's indexed field, so that an event
 * costs nothing for watchers that it cannot concern, and one projection for all that it does.
 */
import type { StatusError } from '@orbitkit/core';
import { OrderedKeys } from '../storage/versioned/ordered-keys.js';
import { EventWindow, type WindowBounds } from './event-window.js';
import { type SelectableFields, selectableFieldsOf } from './field-selectors.js';
import type { Filter } from './filter.js';
import type { StoredObject } from './object-bytes.js';
import { nameOfPath, namespaceOfPath, type ResourceId } from './storage-keys.js';
import { CacheEvent, EventBatch, type ObjectEvent } from './watch-events.js';
import type { Watcher } from './watcher.js';

interface WatcherGroup {
  readonly filter: Filter;
  readonly watchers: Set<Watcher>;
}

/** Groups by what can concern them, then by filter. */
type Buckets = Map<string, Map<string, WatcherGroup>>;

const any = '*';
const inScope = (namespace: string, name: string): string => `${namespace}/${name}`;
const withIndexed = (value: string): string => `=${value}`;

function bucketOf(filter: Filter): string {
  if (filter.indexed !== undefined && filter.name === undefined) return withIndexed(filter.indexed);
  return inScope(filter.namespace ?? any, filter.name ?? any);
}

export class ResourceCache {
  readonly keys = new OrderedKeys();
  readonly objects = new Map<string, StoredObject>();
  /** What stands in the store but cannot be read (encrypted with another key, changed), and why. */
  readonly unreadable = new Map<string, StatusError>();
  readonly fields: SelectableFields;
  readonly window: EventWindow;
  /** Revision of the last write to this resource. */
  lastRevision: bigint;
  readonly #buckets: Buckets = new Map();
  #pending: CacheEvent[] = [];

  constructor(
    readonly id: ResourceId,
    since: bigint,
    bounds: WindowBounds | undefined,
  ) {
    this.fields = selectableFieldsOf(id);
    this.window = new EventWindow(since, bounds);
    this.lastRevision = since;
  }

  /** Takes an object of the first list. */
  restore(path: string, object: StoredObject): void {
    this.objects.set(path, object);
    this.keys.add(path);
  }

  /** The object is not served any more, and no event tells of it. */
  setUnreadable(path: string, error: StatusError): void {
    if (this.objects.delete(path)) this.keys.delete(path);
    this.unreadable.set(path, error);
  }

  /** A list that leaves out what it cannot read would be taken for the whole truth. @throws StatusError that names the object */
  checkReadable({ namespace, name }: Filter): void {
    for (const [path, error] of this.unreadable) {
      if (namespace !== undefined && namespaceOfPath(path) !== namespace) continue;
      if (name === undefined || nameOfPath(path) === name) throw error;
    }
  }

  put(path: string, object: StoredObject, time: number): void {
    if (this.unreadable.size > 0) this.unreadable.delete(path);
    const previous = this.objects.get(path);
    this.objects.set(path, object);
    if (previous === undefined) this.keys.add(path);
    this.#record(previous === undefined ? 'ADDED' : 'MODIFIED', path, object, previous, time);
  }

  delete(path: string, revision: bigint, time: number): void {
    if (this.unreadable.size > 0) this.unreadable.delete(path);
    const previous = this.objects.get(path);
    if (previous === undefined) return;
    this.objects.delete(path);
    this.keys.delete(path);
    this.#record('DELETED', path, previous.at(revision), previous, time);
  }

  #record(
    type: CacheEvent['type'],
    path: string,
    object: StoredObject,
    previous: StoredObject | undefined,
    time: number,
  ): void {
    const event = new CacheEvent(type, path, namespaceOfPath(path), nameOfPath(path), object, previous, time);
    this.window.push(event);
    this.lastRevision = event.revision;
    if (this.#buckets.size > 0) this.#pending.push(event);
  }

  /** The objects in a namespace (or all) in key order, after a path. */
  *paths(namespace: string | undefined, after?: string): Generator<string, void> {
    yield* this.keys.range(namespace === undefined ? '' : `${namespace}/`, after);
  }

  /** The objects that can match, by scope alone; labels and fields are not looked at. */
  inScope(filter: Filter): StoredObject[] {
    if (filter.name !== undefined && filter.namespace !== undefined) {
      const object = this.objects.get(inScope(filter.namespace, filter.name));
      return object === undefined ? [] : [object];
    }
    if (filter.name !== undefined) {
      const object = this.objects.get(filter.name);
      if (object !== undefined) return [object];
    }
    const found: StoredObject[] = [];
    for (const path of this.paths(filter.namespace)) {
      if (filter.name === undefined || nameOfPath(path) === filter.name) found.push(this.objects.get(path)!);
    }
    return found;
  }

  /** Past events as the filter sees them. `after` is not before the window. */
  replay(filter: Filter, after: bigint): ObjectEvent[] {
    const events: ObjectEvent[] = [];
    for (const event of this.window.after(after)) {
      if (!concerns(filter, event)) continue;
      const seen = event.through(filter);
      if (seen !== undefined) events.push(seen);
    }
    return events;
  }

  add(watcher: Watcher, filter: Filter): () => void {
    const bucketKey = bucketOf(filter);
    const groupKey = `${filter.namespace ?? any}\n${filter.key}`;
    let bucket = this.#buckets.get(bucketKey);
    if (bucket === undefined) {
      bucket = new Map();
      this.#buckets.set(bucketKey, bucket);
    }
    let group = bucket.get(groupKey);
    if (group === undefined) {
      group = { filter, watchers: new Set() };
      bucket.set(groupKey, group);
    }
    group.watchers.add(watcher);
    return () => {
      group.watchers.delete(watcher);
      if (group.watchers.size === 0 && bucket.get(groupKey) === group) bucket.delete(groupKey);
      if (bucket.size === 0 && this.#buckets.get(bucketKey) === bucket) this.#buckets.delete(bucketKey);
    };
  }

  /** Hands what was recorded since the last call to those it concerns. @returns how many watchers that are. */
  dispatch(): number {
    const events = this.#pending;
    if (events.length === 0) return 0;
    this.#pending = [];
    const touched = new Map<WatcherGroup, CacheEvent[]>();
    const touch = (bucket: Map<string, WatcherGroup> | undefined, event: CacheEvent): void => {
      if (bucket === undefined) return;
      for (const group of bucket.values()) {
        const known = touched.get(group);
        if (known === undefined) touched.set(group, [event]);
        else if (known[known.length - 1] !== event) known.push(event);
      }
    };
    for (const event of events) {
      touch(this.#buckets.get(inScope(any, any)), event);
      touch(this.#buckets.get(inScope(any, event.name)), event);
      if (event.namespace !== '') touch(this.#buckets.get(inScope(event.namespace, any)), event);
      touch(this.#buckets.get(inScope(event.namespace === '' ? any : event.namespace, event.name)), event);
      const { indexed } = this.fields;
      if (indexed === undefined) continue;
      const now = event.object.selectable(this.fields).fields[indexed] ?? '';
      touch(this.#buckets.get(withIndexed(now)), event);
      if (event.type === 'MODIFIED' && event.previous !== undefined) {
        const before = event.previous.selectable(this.fields).fields[indexed] ?? '';
        if (before !== now) touch(this.#buckets.get(withIndexed(before)), event);
      }
    }
    let told = 0;
    for (const [group, groupEvents] of touched) {
      const seen: ObjectEvent[] = [];
      for (const event of groupEvents) {
        if (group.filter.namespace !== undefined && group.filter.namespace !== event.namespace) continue;
        const view = event.through(group.filter);
        if (view !== undefined) seen.push(view);
      }
      if (seen.length === 0) continue;
      const batch = new EventBatch(seen);
      told += group.watchers.size;
      for (const watcher of [...group.watchers]) watcher.push(batch);
    }
    return told;
  }
}

function concerns(filter: Filter, event: CacheEvent): boolean {
  if (filter.namespace !== undefined && filter.namespace !== event.namespace) return false;
  return filter.name === undefined || filter.name === event.name;
}
