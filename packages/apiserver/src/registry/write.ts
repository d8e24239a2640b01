/**
 * One write to one object: decide on what there is, compare and swap, decide again when someone else was faster.
 *
 * The decision starts from the watch cache, which may be a moment behind: whatever it leads to other than a successful swap (an error,
 * "nothing to change") is confirmed against the store before it is answered. A swap compares the version that the decision saw, so a
 * lost update is impossible, and a refused write wrote nothing.
 */
import {
  type DynamicObject,
  type FieldManagers,
  type Kind,
  StatusError,
  sameOwnership,
  staleVersion,
} from '@orbitkit/core';
import { decodeValue } from '../storage/value.js';
import type { RequestContext } from './contract.js';
import { currentForm, hasForm } from './current-form.js';
import { sameJson } from './json-value.js';
import { type ReadonlyObject, StoredObject, serialize } from './object-bytes.js';
import { newestObject, ofEntry } from './read.js';
import { type ResourceId, storageKey } from './storage-keys.js';
import type { WatchCache } from './watch-cache.js';

/** etcd's default limit of a request: what one object may take. */
const objectLimitBytes = 1.5 * 1024 * 1024;

/** Decisions that a write may take against faster writers; each lost round means that another write succeeded. */
const maxRounds = 500;

export type Decision =
  /** Nothing to write: the answer is this version, or (of a dry run) this object. */
  | { readonly type: 'answer'; readonly object: StoredObject; readonly created?: boolean }
  | {
      readonly type: 'put';
      readonly object: DynamicObject;
      /** `serialize(object)` */
      readonly value: Buffer;
      readonly lease?: bigint | undefined;
      /** Gives back what the decision took, when it is not carried out. */
      readonly undo?: (() => Promise<void>) | undefined;
      /** After the write; the write does not fail with it. */
      readonly after?: (() => Promise<void>) | undefined;
    }
  | {
      readonly type: 'delete';
      /** Serialised, what the write made of the object: the answer. Default: its last state. */
      readonly last?: Buffer;
      readonly undo?: (() => Promise<void>) | undefined;
    };

export interface WriteResult {
  /** The version now; of a deletion the last state, or what the write made of it, under the deletion's revision. */
  readonly object: StoredObject;
  /** What was there before. */
  readonly previous: StoredObject | undefined;
  readonly outcome: 'unchanged' | 'created' | 'updated' | 'deleted';
}

/** What a write answers. */
export interface StoredWrite {
  readonly object: StoredObject;
  readonly created: boolean;
}

export interface WriteTarget {
  readonly kind: Kind;
  readonly id: ResourceId;
  readonly path: string;
  readonly name: string;
}

/** @param decide May run several times; it must start from what it is given each time. */
export async function writeObject(
  cache: WatchCache,
  context: RequestContext,
  target: WriteTarget,
  decide: (current: StoredObject | undefined) => Decision | Promise<Decision>,
): Promise<WriteResult> {
  const { kind, id, path, name } = target;
  const key = storageKey(id, path);
  const { signal } = context;
  const inForm = (object: StoredObject | undefined) =>
    object !== undefined && hasForm(kind) ? currentForm(kind, object, cache.forms) : object;
  const newest = async () => inForm(await newestObject(cache, kind, path, signal));
  let current: StoredObject | undefined;
  // What is decided is confirmed or compared in the end, so that a look at the cache does for a beginning, also when it has nothing.
  let certain = !cache.live;
  if (certain) current = await newest();
  else {
    current = cache.peek(id, path);
    if (current !== undefined && hasForm(kind)) current = await inForm(current);
  }
  for (let round = 0; round < maxRounds; round++) {
    signal.throwIfAborted();
    let decision: Decision | undefined;
    let failure: unknown;
    try {
      decision = await decide(current);
    } catch (error) {
      failure = error;
    }
    if (decision === undefined || decision.type === 'answer') {
      if (!certain) {
        const confirmed = await newest();
        certain = true;
        if (confirmed?.revision !== current?.revision) {
          current = confirmed;
          continue;
        }
      }
      if (decision === undefined) throw failure;
      return { object: decision.object, previous: current, outcome: decision.created ? 'created' : 'unchanged' };
    }
    const compare = [{ key, modRevision: current?.revision ?? 0n }];
    // A client that goes away now does not stop the write. When the store fails here, nobody knows whether it was written: what was
    // reserved for it stays reserved, and is found to be unused later.
    const put = decision.type === 'put' ? decision : undefined;
    if (put !== undefined) cache.announce(put.value, put.object);
    const result = await cache.store.txn(
      compare,
      put === undefined
        ? { type: 'delete', key }
        : { type: 'put', key, value: put.value, ...(put.lease === undefined ? {} : { lease: put.lease }) },
    );
    if (!result.ok && put !== undefined) cache.withdraw(put.value);
    if (result.ok) {
      const previous = current;
      if (decision.type === 'delete') {
        const { last } = decision;
        const object = last
          ? new StoredObject(decodeValue(last), result.revision, cache.forms)
          : previous!.at(result.revision);
        return { object, previous, outcome: 'deleted' };
      }
      await decision.after?.().catch(() => undefined);
      const version = String(result.revision);
      // The cache may have said so already, and others read the object since.
      if (decision.object.metadata.resourceVersion !== version) decision.object.metadata.resourceVersion = version;
      const object = cache.adopt(id, path, decision.value, result.revision, decision.object);
      return { object, previous, outcome: previous === undefined ? 'created' : 'updated' };
    }
    await decision.undo?.();
    current = result.current === undefined ? undefined : ofEntry(cache, cache.resource(id), path, result.current);
    if (current !== undefined && hasForm(kind)) current = await inForm(current);
    certain = true;
  }
  throw staleVersion(kind, name);
}

/** The one serialisation of a write. @throws StatusError RequestEntityTooLarge */
export function serialized(kind: Kind, object: DynamicObject): Buffer {
  let value = serialize(object);
  if (value.length > objectLimitBytes && object.metadata.managedFields !== undefined) {
    // Better an object whose owners are forgotten than none (kube-apiserver does the same).
    object.metadata.managedFields = undefined as never;
    value = serialize(object);
  }
  if (value.length <= objectLimitBytes) return value;
  throw new StatusError(
    'RequestEntityTooLarge',
    `${kind.kind} "${object.metadata.name}" is too large: ${value.length} bytes to store, at most ${objectLimitBytes} are allowed; split it into several objects`,
  );
}

/** What a dry run answers: the object as it would be; `revision` 0 for one that would be created. */
export function dryRunAnswer(cache: WatchCache, value: Buffer, revision: bigint): StoredObject {
  return new StoredObject(decodeValue(value), revision, cache.forms);
}

/** Whether this is what is stored already. */
export function unchanged(current: StoredObject, old: ReadonlyObject, object: DynamicObject, value: Buffer): boolean {
  if (current.stale) return false;
  const json = decodeValue(value);
  if (current.sameJson(json)) return true;
  // Another order of the members changes no length.
  if (current.jsonLength !== json.length) return false;
  // Nor does a newer time of an entry that owns what it owned: it tried to change something and did not.
  const [before, now] = [old.metadata.managedFields, object.metadata.managedFields];
  const managedFields = before && now && sameOwnership(before as FieldManagers, now as FieldManagers) ? now : before;
  return sameJson({ ...old, metadata: { ...old.metadata, resourceVersion: undefined, managedFields } }, object);
}
