/**
 * Who owns which fields after a write. Pure: the server says what was there, what is wanted and who wants it.
 *
 * - An update makes its manager the owner of what it changed, and takes that from everybody else.
 * - An applied configuration is merged into the live object; its manager then owns exactly what the configuration says. What it no longer
 *   says, and nobody else owns, goes. To change what another manager owns is a conflict, unless it is forced; to say the same is shared
 *   ownership.
 * - Entries may be of other API versions than the write: `convert` shows an object as they see it. An entry of a version that is not served
 *   any more goes.
 * Source: structured-merge-diff `merge.Updater`, apimachinery `util/managedfields`.
 */
import type { Schema, StructSchema } from '../kinds/schema.js';
import type { JsonObject } from '../patch/json.js';
import { type Comparison, compare, isSame, noDifference, type SkippedFields, sameBut } from './compare.js';
import { CreatedShapes } from './created-fields.js';
import {
  difference,
  emptySet,
  type FieldSet,
  fieldSet,
  intersection,
  isEmptySet,
  pathTexts,
  recursiveDifference,
  union,
} from './field-set.js';
import {
  type FieldManager,
  type FieldManagers,
  keepText,
  managerEntry,
  sameManager,
  settled,
  withFields,
} from './managed-fields.js';
import { fieldElement } from './path-element.js';
import { mergeTyped } from './typed-merge.js';
import { type Emptied, fieldSetOf, reconciled, withNamedParents, withoutFields } from './typed-value.js';
import { zeroObject } from './zero-object.js';

/** An object as one API version sees it. */
export interface VersionedObject {
  readonly apiVersion: string;
  readonly schema: Schema;
  readonly value: JsonObject;
}

/** The object as another version sees it; undefined when that version is not served (any more). */
export type ConvertVersion = (object: VersionedObject, apiVersion: string) => VersionedObject | undefined;

/** For kinds with one version. */
const sameVersionOnly: ConvertVersion = (object, apiVersion) => (object.apiVersion === apiVersion ? object : undefined);

/** Who writes, through what. */
export interface Writer {
  readonly manager: string;
  readonly subresource?: string | undefined;
  /** RFC 3339, seconds. */
  readonly time: string;
  /** Fields that such a write cannot change, with all below them: `status`, or everything but it. */
  readonly ignored?: FieldSet | undefined;
}

const at = (...names: string[]) => names.map(fieldElement);
/** The server's own: nobody is said to own them. */
const unowned = ['apiVersion', 'kind', 'metadata'] as const;
const unownedMetadata = [
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'generation',
  'managedFields',
  'resourceVersion',
] as const;
const stripped = fieldSet(...unowned.map(name => at(name)), ...unownedMetadata.map(name => at('metadata', name)));

/** The same for walks that need not even look at them; `metadata` itself is looked into. */
function skippedBy(ignored: FieldSet | undefined): SkippedFields {
  let skipped = skips.get(ignored ?? emptySet);
  if (skipped === undefined) {
    const names = Object.keys(ignored ?? emptySet).map(element => element.slice(2));
    skipped = { fields: new Set(['apiVersion', 'kind', ...names]), metadata: new Set(unownedMetadata) };
    skips.set(ignored ?? emptySet, skipped);
  }
  return skipped;
}
const skips = new WeakMap<FieldSet, SkippedFields>();

/** Sets that agree with a type already. They are immutable and outlive their entries. */
const reconciledWith = new WeakMap<FieldSet, Schema>();

function reconciledEntries(managers: FieldManagers, live: VersionedObject, convert: ConvertVersion): FieldManagers {
  let result: FieldManager[] | undefined;
  for (const [index, entry] of managers.entries()) {
    const schema = entry.apiVersion === live.apiVersion ? live.schema : convert(live, entry.apiVersion)?.schema;
    if (schema === undefined || reconciledWith.get(entry.fieldsV1) === schema) continue;
    const fields = reconciled(schema, entry.fieldsV1);
    reconciledWith.set(fields, schema);
    if (fields === entry.fieldsV1) continue;
    result ??= [...managers];
    result[index] = withFields(entry, fields);
  }
  return result ?? managers;
}

/** The comparison as each API version sees it; undefined for one that is not served. */
function comparisons(
  old: VersionedObject,
  now: VersionedObject,
  writer: Writer,
  convert: ConvertVersion,
): (apiVersion: string) => Comparison | undefined {
  const skip = skippedBy(writer.ignored);
  const known = new Map<string, Comparison | undefined>();
  return apiVersion => {
    if (known.has(apiVersion)) return known.get(apiVersion);
    const [before, after] =
      apiVersion === now.apiVersion ? [old, now] : [convert(old, apiVersion), convert(now, apiVersion)];
    const found = before && after ? compare(after.schema, before.value, after.value, skip) : undefined;
    known.set(apiVersion, found);
    return found;
  };
}

/** What is left of an entry after others' changes; undefined when its version is not served or nothing is left. */
function afterChange(entry: FieldManager, change: Comparison | undefined): FieldManager | undefined {
  if (change === undefined) return undefined;
  if (change === noDifference) return entry;
  let fields = entry.fieldsV1;
  for (const set of [change.modified, change.added, change.removed]) {
    if (set !== emptySet) fields = difference(fields, set);
  }
  return isEmptySet(fields) ? undefined : withFields(entry, fields);
}

/** The managers after an update from `old` to `now`. The very same array when nothing that anybody can own changed. */
export function recordUpdate(
  old: VersionedObject,
  now: VersionedObject,
  managers: FieldManagers,
  writer: Writer,
  convert: ConvertVersion = sameVersionOnly,
): FieldManagers {
  const current = reconciledEntries(managers, old, convert);
  const changeAt = comparisons(old, now, writer, convert);
  const own = changeAt(now.apiVersion)!;
  if (own === noDifference && current === managers && current.every(each => changeAt(each.apiVersion) === noDifference))
    return managers;
  const left: FieldManager[] = [];
  for (const entry of current) {
    const rest = afterChange(entry, changeAt(entry.apiVersion));
    if (rest !== undefined) left.push(rest);
  }
  const taken = union(own.modified, own.added);
  if (isEmptySet(taken)) return settled(left);
  const identity = { ...writer, operation: 'Update' as const, apiVersion: now.apiVersion };
  const before = left.findIndex(entry => sameManager(entry, identity));
  const fields = before < 0 ? taken : union(left[before]!.fieldsV1, taken);
  const entry = managerEntry(identity, fields, writer.time);
  if (before < 0) left.push(entry);
  else left[before] = entry;
  return settled(left);
}

/** What creates of a type own, by what such writes cannot change. */
const createdShapes = new WeakMap<Schema, WeakMap<SkippedFields, CreatedShapes>>();

function shapesOf(schema: StructSchema, skip: SkippedFields): CreatedShapes {
  let bySkip = createdShapes.get(schema);
  if (bySkip === undefined) {
    bySkip = new WeakMap();
    createdShapes.set(schema, bySkip);
  }
  let shapes = bySkip.get(skip);
  if (shapes === undefined) {
    shapes = new CreatedShapes(schema, zeroObject(schema), skip);
    bySkip.set(skip, shapes);
  }
  return shapes;
}

/** The managers of a new object: its creator owns what it set, and what defaults filled in. */
export function recordCreate(
  object: VersionedObject & { readonly schema: StructSchema },
  writer: Writer,
): FieldManagers {
  const { schema, apiVersion, value } = object;
  const shape = shapesOf(schema, skippedBy(writer.ignored)).of(value);
  const known = shape?.owned;
  if (known !== undefined) return [managerEntry({ ...writer, operation: 'Update', apiVersion }, known, writer.time)];
  const managers = recordUpdate({ ...object, value: zeroObject(schema) }, object, [], writer);
  const [made] = managers;
  if (made !== undefined && shape !== undefined) {
    keepText(made.fieldsV1);
    shape.owned = made.fieldsV1;
  }
  return managers;
}

/** One field that the configuration would change and somebody else owns. */
export interface FieldConflict {
  readonly manager: FieldManager;
  /** `.spec.replicas` */
  readonly path: string;
}

export type ApplyOutcome =
  | { readonly conflicts: readonly FieldConflict[] }
  | {
      readonly conflicts?: undefined;
      /** The merged object; undefined when the configuration changes nothing of the live one. */
      readonly value: JsonObject | undefined;
      readonly managers: FieldManagers;
    };

export interface ApplyOptions {
  /** Take what others own. */
  readonly force?: boolean | undefined;
  /** Fields that may be taken from others all the same. Asked only when there is a conflict. */
  readonly allowed?: (() => FieldSet) | undefined;
  readonly convert?: ConvertVersion | undefined;
}

/** Applies a configuration of the live object's version. */
export function applyConfiguration(
  live: VersionedObject,
  configuration: JsonObject,
  managers: FieldManagers,
  writer: Writer,
  { force = false, allowed, convert = sameVersionOnly }: ApplyOptions = {},
): ApplyOutcome {
  const { apiVersion, schema } = live;
  const current = reconciledEntries(managers, live, convert);
  const identity = { ...writer, operation: 'Apply' as const, apiVersion };
  const last = current.find(entry => sameManager(entry, identity));
  const own = managerEntry(identity, withoutIgnored(fieldSetOf(schema, configuration), writer.ignored), last?.time);
  const others = current.filter(entry => entry !== last);

  const merged: VersionedObject = { ...live, value: mergeTyped(schema, live.value, configuration) as JsonObject };
  const emptied: Emptied[] = [];
  const pruned = last === undefined ? merged : prune(merged, [...others, own], last, convert, emptied);

  const changeAt = comparisons(live, pruned, writer, convert);
  const change = changeAt(apiVersion)!;
  const conflicts: FieldConflict[] = [];
  const left: FieldManager[] = [];
  for (const entry of others) {
    const seen = changeAt(entry.apiVersion);
    if (!force && seen !== undefined) {
      let fields = intersection(entry.fieldsV1, union(seen.modified, seen.added));
      if (allowed && !isEmptySet(fields)) fields = difference(fields, allowed());
      for (const path of pathTexts(fields)) conflicts.push({ manager: entry, path });
    }
    const rest = afterChange(entry, seen);
    if (rest !== undefined) left.push(rest);
  }
  if (conflicts.length > 0) return { conflicts };

  // Another order of a list is a change that nobody owns.
  const unchanged = isSame(change) && sameBut(skippedBy(writer.ignored), live.value, pruned.value);
  const fields = difference(own.fieldsV1, stripped);
  // Who owns the same as before, and changed nothing, has not written.
  const time =
    unchanged && last !== undefined && last.apiVersion === apiVersion && sameSet(last.fieldsV1, fields)
      ? last.time
      : writer.time;
  const value = pruned.value;
  for (const { holder, key } of emptied) delete holder[key];
  return {
    value: unchanged ? undefined : value,
    managers: settled([...left, managerEntry(identity, fields, time)]),
  };
}

const sameSet = (a: FieldSet, b: FieldSet): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);

const withoutIgnored = (set: FieldSet, ignored: FieldSet | undefined): FieldSet =>
  ignored === undefined ? set : recursiveDifference(set, ignored);

/**
 * Takes out what the manager's last configuration had and this one has not. Fields that others own come back, and so do those that only
 * went with a container of theirs.
 */
function prune(
  merged: VersionedObject,
  managers: FieldManagers,
  last: FieldManager,
  convert: ConvertVersion,
  emptied: Emptied[],
): VersionedObject {
  if (isEmptySet(last.fieldsV1)) return merged;
  const seen = versionOf(merged, last.apiVersion, convert);
  if (seen === undefined) return merged;
  const bare = less(seen, withNamedParents(seen.schema, last.fieldsV1));
  const owned = addBackOwned(seen, bare, managers, convert);
  const rest = addBackDangling(seen, owned, last, convert, emptied);
  return versionOf(rest, merged.apiVersion, convert) ?? merged;
}

const versionOf = (
  object: VersionedObject,
  apiVersion: string,
  convert: ConvertVersion,
): VersionedObject | undefined => (object.apiVersion === apiVersion ? object : convert(object, apiVersion));

const less = (object: VersionedObject, fields: FieldSet, emptied?: Emptied[]): VersionedObject => ({
  ...object,
  value: (withoutFields(object.schema, object.value, fields, emptied) ?? {}) as JsonObject,
});

/** What of `whole` neither `part` has nor the set speaks of. */
function missing(whole: VersionedObject, part: VersionedObject, fields: FieldSet): FieldSet {
  const { schema } = whole;
  const named = (set: FieldSet) => withNamedParents(schema, set);
  return difference(
    named(fieldSetOf(schema, whole.value)),
    union(named(fieldSetOf(schema, part.value)), named(fields)),
  );
}

function addBackOwned(
  merged: VersionedObject,
  bare: VersionedObject,
  managers: FieldManagers,
  convert: ConvertVersion,
): VersionedObject {
  const ownedAt = new Map<string, FieldSet>();
  // The version at hand first, so that nothing is converted that lacks what the conversion needs.
  ownedAt.set(bare.apiVersion, emptySet);
  for (const { apiVersion, fieldsV1 } of managers)
    ownedAt.set(apiVersion, union(ownedAt.get(apiVersion) ?? emptySet, fieldsV1));
  let result = bare;
  for (const [apiVersion, owned] of ownedAt) {
    if (isEmptySet(owned)) continue;
    const whole = versionOf(merged, apiVersion, convert);
    const part = versionOf(result, apiVersion, convert);
    if (whole === undefined || part === undefined) continue;
    result = less(whole, missing(whole, part, owned));
  }
  return result;
}

/** Only what the last configuration had may go. */
function addBackDangling(
  merged: VersionedObject,
  bare: VersionedObject,
  last: FieldManager,
  convert: ConvertVersion,
  emptied: Emptied[],
): VersionedObject {
  const part = versionOf(bare, merged.apiVersion, convert);
  if (part === undefined) return merged;
  const gone = missing(merged, part, emptySet);
  return less(merged, intersection(gone, withNamedParents(merged.schema, last.fieldsV1)), emptied);
}
