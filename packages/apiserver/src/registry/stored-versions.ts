/**
 * Kinds that are stored in the form of another (`kind.storage`): a view of the resources in which such a kind reads and writes its
 * own form, while keys, revisions, watch cache, admission, rules, generations and field managers are those of the stored kind.
 *
 * - Bodies are decoded, and unknown fields reported, in the version of the request; then they are converted and go the way of every
 *   write. A patch is applied to the object in the version in which the patch is written; what server-side apply is given is
 *   converted, so that every entry of managedFields speaks of the stored version.
 * - Conversions of one stored version are made once and shared by its readers and watchers.
 * - Errors speak of the stored kind, as kube-apiserver's do (rules are checked on the internal form there).
 * - Selectors are those of the stored kind.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  apiVersionOf,
  type DynamicObject,
  decodeStruct,
  invalid,
  isStatusError,
  type Kind,
  type StorageForm,
} from '@orbitkit/core';
import type {
  Body,
  ListResult,
  ObjectBytes,
  PatchBody,
  RequestContext,
  Resources,
  WatchBatch,
  WatchEvent,
  WriteOptions,
  Written,
} from './contract.js';
import { reportFields } from './field-validation.js';
import { patched } from './patch.js';
import { EventBatch, errorEvent } from './watch-events.js';

type Version = Kind & { storage: StorageForm };

/** By kind, then by what is stored: entries go with the object. */
const converted = new WeakMap<Kind, WeakMap<ObjectBytes, ObjectBytes>>();

/** How long objects are converted before others get their turn. */
const sliceMs = 8;

/** Where conversion takes time, it is done for all at once; what has been converted is not converted again. */
async function viewAll(kind: Version, stored: readonly ObjectBytes[]): Promise<ObjectBytes[]> {
  if (kind.storage.prepare === undefined) {
    const views: ObjectBytes[] = [];
    let sliceEnd = performance.now() + sliceMs;
    for (const each of stored) {
      views.push(view(kind, each));
      if ((views.length & 63) !== 0 || performance.now() < sliceEnd) continue;
      await nextTurn();
      sliceEnd = performance.now() + sliceMs;
    }
    return views;
  }
  const known = converted.get(kind);
  const missing = stored.filter(each => known?.get(each) === undefined);
  const objects = missing.map(each => each.object());
  if (objects.length > 0) await kind.storage.prepare(objects);
  for (const [i, each] of missing.entries()) view(kind, each, objects[i]);
  return stored.map(each => view(kind, each));
}

function viewOf(kind: Version, stored: ObjectBytes): ObjectBytes | Promise<ObjectBytes> {
  if (kind.storage.prepare === undefined) return view(kind, stored);
  return viewAll(kind, [stored]).then(([made]) => made!);
}

function view(kind: Version, stored: ObjectBytes, from: Readonly<DynamicObject> = stored.object()): ObjectBytes {
  let views = converted.get(kind);
  if (views === undefined) {
    views = new WeakMap();
    converted.set(kind, views);
  }
  let made = views.get(stored);
  if (made === undefined) {
    const object = kind.storage.fromStorage(from as never) as unknown as DynamicObject;
    made =
      (object as unknown) === from
        ? stored
        : { bytes: Buffer.from(textOf(object)), revision: stored.revision, object: () => object };
    views.set(stored, made);
  }
  return made;
}

/** Kind, apiVersion and metadata first, as in every stored object. */
function textOf({ kind, apiVersion, metadata, ...rest }: DynamicObject): string {
  return JSON.stringify({ kind, apiVersion, metadata, ...rest });
}

const listView = async (kind: Version, list: ListResult): Promise<ListResult> => ({
  ...list,
  items: await viewAll(kind, list.items),
});

const events = new WeakMap<Kind, WeakMap<WatchEvent, WatchEvent>>();
function eventView(kind: Version, event: WatchEvent): WatchEvent {
  if (event.type === 'ERROR') return event;
  let views = events.get(kind);
  if (views === undefined) {
    views = new WeakMap();
    events.set(kind, views);
  }
  let made = views.get(event);
  if (made === undefined) {
    made = event.type === 'BOOKMARK' ? bookmarkView(kind, event) : framed(event.type, view(kind, event.object));
    views.set(event, made);
  }
  return made;
}

const framed = (type: WatchEvent['type'], object: ObjectBytes): WatchEvent => ({
  type,
  object,
  frame: Buffer.from(`{"type":"${type}","object":${object.bytes.toString()}}\n`),
});

function bookmarkView(kind: Version, { object }: WatchEvent): WatchEvent {
  const { metadata } = object.object();
  const mark = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata } as DynamicObject;
  const bytes = Buffer.from(textOf(mark));
  return framed('BOOKMARK', { bytes, revision: object.revision, object: () => mark });
}

async function* watchView(kind: Version, batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch, void> {
  for await (const batch of batches) {
    if (kind.storage.prepare) {
      const objects = batch.events
        .filter(({ type }) => type !== 'ERROR' && type !== 'BOOKMARK')
        .map(each => each.object);
      try {
        await viewAll(kind, objects);
      } catch (error) {
        // Whoever watches lists again, and is told then.
        if (!isStatusError(error)) throw error;
        yield new EventBatch([errorEvent(error)]);
        return;
      }
    }
    yield new EventBatch(batch.events.map(event => eventView(kind, event)));
  }
}

/** The body in the stored form. Fields are judged here, in the version that the writer speaks. @throws StatusError */
async function storedBody(
  context: RequestContext,
  kind: Version,
  body: Body,
  options: WriteOptions,
  isNew = false,
): Promise<Body> {
  const { object, unknownFields } = kind.decode(body.value);
  reportFields(context, kind, unknownFields, body.duplicateFields ?? [], options);
  kind.applyDefaults(object);
  // Rules of this version alone for what is new; metadata and what is common are judged in the stored form.
  const errors = isNew ? kind.validate(object).filter(({ field }) => !field.startsWith('metadata')) : [];
  if (errors.length > 0) throw invalid(kind, object.metadata.name ?? '', errors);
  await kind.storage.prepare?.([object]);
  return { value: kind.storage.toStorage(object) };
}

const applyPatchType = 'application/apply-patch+yaml';

async function storedPatch(
  context: RequestContext,
  kind: Version,
  patch: PatchBody,
  options: WriteOptions,
): Promise<PatchBody> {
  const { contentType } = patch;
  if (contentType === applyPatchType) {
    const { value, unknownFields } = decodeStruct(kind.schema, patch.value, kind);
    reportFields(context, kind, unknownFields, patch.duplicateFields ?? [], options, true);
    await kind.storage.prepare?.([value as never]);
    return { contentType, value: kind.storage.toStorage(value as never) };
  }
  let reported = false;
  return {
    contentType,
    value: patch.value,
    async apply(stored) {
      await kind.storage.prepare?.([stored]);
      const document = JSON.parse(JSON.stringify(kind.storage.fromStorage(stored as never))) as DynamicObject;
      const { object, unknownFields } = kind.decode(patched(kind.schema, document, patch));
      if (!reported) reportFields(context, kind, unknownFields, patch.duplicateFields ?? [], options, true);
      reported = true;
      kind.applyDefaults(object);
      await kind.storage.prepare?.([object]);
      return kind.storage.toStorage(object) as unknown as DynamicObject;
    },
  };
}

/** Fields have been judged in the version of the request. */
const judged = (options: WriteOptions): WriteOptions => ({ ...options, fieldValidation: 'Ignore' });

/** @param resources Those of stored kinds. What is made here is only for kinds with a storage form. */
export function storedVersions(resources: Resources): Resources {
  const written = async (kind: Version, write: Promise<Written>): Promise<Written> => {
    const { object, created } = await write;
    return { object: await viewOf(kind, object), created };
  };
  return {
    get: async (context, kind, key, options) =>
      viewOf(kind as Version, await resources.get(context, storedKind(kind), key, options)),
    list: async (context, kind, options) =>
      listView(kind as Version, await resources.list(context, storedKind(kind), options)),
    watch: async (context, kind, options) =>
      watchView(kind as Version, await resources.watch(context, storedKind(kind), options)),
    async create(context, kind, key, body, options = {}) {
      const stored = await storedBody(context, kind as Version, body, options, true);
      return written(kind as Version, resources.create(context, storedKind(kind), key, stored, judged(options)));
    },
    async update(context, kind, key, body, options = {}) {
      const stored = await storedBody(context, kind as Version, body, options);
      return written(kind as Version, resources.update(context, storedKind(kind), key, stored, judged(options)));
    },
    async patch(context, kind, key, patch, options = {}) {
      const stored = await storedPatch(context, kind as Version, patch, options);
      return written(kind as Version, resources.patch(context, storedKind(kind), key, stored, judged(options)));
    },
    async delete(context, kind, key, options) {
      const deleted = await resources.delete(context, storedKind(kind), key, options);
      return deleted.type === 'object'
        ? { type: 'object', object: await viewOf(kind as Version, deleted.object) }
        : deleted;
    },
    deleteCollection: async (context, kind, options, selection) =>
      listView(kind as Version, await resources.deleteCollection(context, storedKind(kind), options, selection)),
    async getSubresource(context, kind, key, name, options) {
      const object = await resources.getSubresource(context, storedKind(kind), key, name, options);
      return isScale(name) ? object : viewOf(kind as Version, object);
    },
    async updateSubresource(context, kind, key, name, body, options = {}) {
      const of = storedKind(kind);
      if (isScale(name)) return resources.updateSubresource(context, of, key, name, body, options);
      const stored = await storedBody(context, kind as Version, body, options);
      return written(kind as Version, resources.updateSubresource(context, of, key, name, stored, judged(options)));
    },
    async patchSubresource(context, kind, key, name, patch, options = {}) {
      const of = storedKind(kind);
      if (isScale(name)) return resources.patchSubresource(context, of, key, name, patch, options);
      const stored = await storedPatch(context, kind as Version, patch, options);
      return written(kind as Version, resources.patchSubresource(context, of, key, name, stored, judged(options)));
    },
    createSubresource: (context, kind, key, name, body, options) =>
      resources.createSubresource(context, storedKind(kind), key, name, body, options),
  };
}

const storedKind = (kind: Kind): Kind => (kind as Version).storage.kind;
/** A Scale is the same in every version. */
const isScale = (subresource: string): boolean => subresource === 'scale';
