/**
 * `metadata.managedFields` on every write: a create and an update make their manager the owner of what they set and changed, through
 * whatever subresource; an apply goes by its configuration (apply.ts). Subresources have entries of their own.
 *
 * - What counts is the object as its writer sent it, with defaults, before admission changes it (as kube-apiserver does it).
 * - A client may send managedFields: valid ones of an update replace what is stored, `[{}]` clears them, anything else is taken as not
 *   sent. A subresource and a create take none.
 * - Nothing changes that nobody can own: the entries stay the very same value, time included.
 *
 * Hot paths: sets are kept in the form of the wire and share their parts with the stored object, which nobody may change. One walk
 * over old and new; an owner who changes the same fields again keeps its set.
 */
import {
  apiVersionOf,
  type ConvertVersion,
  type DynamicObject,
  type FieldManagers,
  type FieldSet,
  fieldElement,
  fieldSet,
  formatTime,
  isReset,
  type JsonObject,
  type Kind,
  readManagers,
  recordCreate,
  recordUpdate,
  type VersionedObject,
  type Writer,
} from '@orbitkit/core';
import type { WriteOptions } from './contract.js';
import { sameJson } from './json-value.js';
import type { ReadonlyObject } from './object-bytes.js';
import { hasStatusSubresource } from './strategy.js';
import type { Writing } from './writing.js';

/** Who writes when nobody said so: this program itself. */
const unnamedManager = 'orbitkit';
const none: FieldManagers = Object.freeze([]);

/** The object as its kind sees it. */
export const versioned = (kind: Kind, object: ReadonlyObject): VersionedObject => ({
  apiVersion: apiVersionOf(kind),
  schema: kind.schema,
  value: object as unknown as JsonObject,
});

/** All versions of a group's kind are stored in one form, so that entries of another version speak of the same paths. */
export const withinGroup: ConvertVersion = (object, apiVersion) =>
  groupOf(apiVersion) === groupOf(object.apiVersion) ? { ...object, apiVersion } : undefined;
const groupOf = (apiVersion: string): string => apiVersion.slice(0, Math.max(0, apiVersion.indexOf('/')));

const statusFields = fieldSet([fieldElement('status')]);
const allButStatus = new WeakMap<Kind, FieldSet>();

/** What a write through this subresource cannot change. */
function ignoredBy(kind: Kind, subresource: string | undefined): FieldSet | undefined {
  if (subresource === undefined) return hasStatusSubresource(kind) ? statusFields : undefined;
  if (subresource !== 'status') return undefined;
  let ignored = allButStatus.get(kind);
  if (ignored === undefined) {
    const names = [...kind.schema.fields.keys()].filter(name => name !== 'status');
    ignored = fieldSet(...['metadata', 'spec', ...names].map(name => [fieldElement(name)]));
    allButStatus.set(kind, ignored);
  }
  return ignored;
}

export function writerOf(
  writing: Writing,
  kind: Kind,
  { fieldManager }: WriteOptions,
  subresource: string | undefined,
): Writer {
  return {
    manager: fieldManager || unnamedManager,
    subresource,
    time: formatTime(writing.clock.now()),
    ignored: ignoredBy(kind, subresource),
  };
}

/** The entries of a stored object: canonical, since nothing else is stored. */
export const managersOf = (object: ReadonlyObject): FieldManagers =>
  (object.metadata.managedFields as FieldManagers | undefined) ?? none;

export function setManagers(object: DynamicObject, managers: FieldManagers): void {
  (object.metadata as { managedFields: unknown }).managedFields = managers.length > 0 ? managers : undefined;
}

/** The object's creator owns what it set. Before admission. */
export function ownCreated(writing: Writing, kind: Kind, object: DynamicObject, options: WriteOptions): void {
  const managers = writing.managedFields ? ownedBy(kind, object, writerOf(writing, kind, options, undefined)) : none;
  setManagers(object, managers);
}

/** As if this writer had created the object. */
export const ownedBy = (kind: Kind, object: ReadonlyObject, writer: Writer): FieldManagers =>
  recordCreate({ ...versioned(kind, object), schema: kind.schema }, writer);

/** Its writer owns what is different from `old`. Before admission. */
export function ownUpdated(
  writing: Writing,
  kind: Kind,
  object: DynamicObject,
  old: ReadonlyObject,
  options: WriteOptions,
  subresource: string | undefined,
): void {
  if (!writing.managedFields) {
    setManagers(object, none);
    return;
  }
  const managers = subresource === undefined ? givenOr(object, old) : managersOf(old);
  const writer = writerOf(writing, kind, options, subresource);
  setManagers(
    object,
    recordUpdate(versioned(kind, old), versioned(kind, object), managers, writer, writing.convertVersion),
  );
}

/** What the writer sent as managedFields, when that means something. */
function givenOr(object: DynamicObject, old: ReadonlyObject): FieldManagers {
  const stored = managersOf(old);
  const { managedFields: given } = object.metadata;
  if (given === undefined || given.length === 0 || sameJson(given, stored)) return stored;
  if (isReset(given)) return none;
  return readManagers(given) ?? stored;
}
