/**
 * Strategic merge patch: a merge patch that knows the type. Lists whose field says `patchStrategy: merge` are merged by
 * their merge key, the others are replaced; directives (see strategic-directives.ts) say the rest.
 *
 * Pure: nothing that comes in is changed; the result may share parts with both. Behaves as an API server does (checked
 * against `kubectl patch --local`, which runs the same code), with these differences: what it answers with an internal
 * error is BadRequest here; a directive that finds nothing to act on never becomes data, and `$patch: replace` that finds
 * nothing leaves its content, which is dropped there; where Go's random order of members decides (a list that is both
 * merged and deleted from), merging comes first; an order for an empty list is no error.
 */
import { badRequest } from '../errors/status-error.js';
import type { FieldSchema, Schema } from '../kinds/schema.js';
import { type Identity, orderElements } from './element-order.js';
import { isObject, type Json, type JsonObject, memberOf, refuseTooDeep, setMember } from './json.js';
import {
  deleteFromListPrefix,
  elementOrderPrefix,
  isDirective,
  patchDirective,
  retainKeysDirective,
  withoutDirectives,
} from './strategic-directives.js';

/** @throws StatusError BadRequest that names the field when the patch cannot be understood. */
export function applyStrategicPatch(target: object, patch: unknown, schema: Schema): JsonObject {
  if (!isObject(patch)) throw badRequest('error decoding patch: a strategic merge patch is a mapping');
  refuseTooDeep(patch);
  return mergeObjects(target as JsonObject, patch, schema, '');
}

export interface PatchedField {
  schema: Schema | undefined;
  mergesList: boolean;
  retainsKeys: boolean;
  mergeKey: string | undefined;
}

const unknownField: PatchedField = { schema: undefined, mergesList: false, retainsKeys: false, mergeKey: undefined };

/** How the member `key` of a value of this type is patched. What is not known is merged as JSON: mappings merge, lists do not. */
export function patchedField(schema: Schema | undefined, key: string): PatchedField {
  if (schema?.type === 'map') return { ...unknownField, schema: schema.values };
  const field: FieldSchema | undefined = schema?.type === 'struct' ? schema.fields.get(key) : undefined;
  if (!field) return unknownField;
  return {
    schema: field.schema,
    mergesList: field.schema.type === 'list' && (field.patchStrategy?.includes('merge') ?? false),
    retainsKeys: field.patchStrategy?.includes('retainKeys') ?? false,
    mergeKey: field.patchMergeKey,
  };
}

export const itemsOf = (schema: Schema | undefined): Schema | undefined =>
  schema?.type === 'list' ? schema.items : undefined;

const below = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);
function refuse(path: string, why: string): never {
  throw badRequest(`error applying patch: ${path || 'the object'}: ${why}`);
}

function mergeObjects(current: JsonObject, patch: JsonObject, schema: Schema | undefined, path: string): JsonObject {
  const directive = memberOf(patch, patchDirective);
  if (directive !== undefined) {
    if (directive === 'delete') return {};
    if (directive !== 'replace')
      refuse(path, `unknown patch type: ${goText(directive)} in map: ${goText(patch)} (replace and delete are known)`);
    const { [patchDirective]: _, ...replacement } = patch;
    return withoutDirectives(replacement) as JsonObject;
  }

  const result: JsonObject = {};
  const kept = retained(patch, path);
  for (const [key, value] of Object.entries(current)) {
    if (!kept || kept.has(key)) setMember(result, key, value);
  }
  for (const key of Object.keys(patch)) {
    if (key.startsWith(elementOrderPrefix)) setOrderedList(result, patch, key, schema, path);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (isDirective(key) || Object.hasOwn(patch, elementOrderPrefix + key)) continue;
    mergeMember(result, key, value, schema, path);
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(deleteFromListPrefix))
      deleteFromList(result, key.slice(deleteFromListPrefix.length), value, path);
  }
  return result;
}

/** The keys of `$retainKeys`, when it is there. Everything that the patch sets must be among them. */
function retained(patch: JsonObject, path: string): ReadonlySet<string> | undefined {
  const keys = memberOf(patch, retainKeysDirective);
  if (keys === undefined) return undefined;
  if (!Array.isArray(keys) || keys.some(key => typeof key !== 'string'))
    refuse(path, '$retainKeys must be a list of names');
  const kept = new Set(keys as string[]);
  for (const [key, value] of Object.entries(patch)) {
    if (value !== null && !isDirective(key) && !kept.has(key))
      refuse(below(path, key), 'is set by the patch but not listed in $retainKeys');
  }
  return kept;
}

function mergeMember(result: JsonObject, key: string, value: Json, schema: Schema | undefined, path: string): void {
  if (value === null) {
    delete result[key];
    return;
  }
  const current = memberOf(result, key);
  const field = patchedField(schema, key);
  const at = below(path, key);
  if (isObject(value) && isObject(current)) setMember(result, key, mergeObjects(current, value, field.schema, at));
  else if (Array.isArray(value) && Array.isArray(current) && field.mergesList) {
    setMember(result, key, mergeLists(current, value, field, at).elements);
  } else {
    const replacement = withoutDirectives(value);
    if (replacement === undefined) delete result[key];
    else setMember(result, key, replacement);
  }
}

/** `$setElementOrder/list` together with the patch of that list, when there is one. */
function setOrderedList(
  result: JsonObject,
  patch: JsonObject,
  directive: string,
  schema: Schema | undefined,
  path: string,
): void {
  const key = directive.slice(elementOrderPrefix.length);
  const at = below(path, key);
  const wanted = memberOf(patch, directive)!;
  const change = memberOf(patch, key);
  if (!Array.isArray(wanted)) refuse(at, `${directive} must be a list`);
  if (change !== undefined && !Array.isArray(change)) refuse(at, 'must be a list, since the patch gives its order');
  const current = memberOf(result, key);
  if (current !== undefined && !Array.isArray(current)) refuse(at, 'is not a list, but the patch gives its order');
  if (current === undefined && change === undefined) return;

  const field = patchedField(schema, key);
  const identity = identityOf(field, at);
  if (change) refuseOtherOrder(change, wanted, identity, at);
  let merged: MergedList;
  if (change && current && field.mergesList) merged = mergeLists(current, change, field, at);
  else
    merged = {
      elements: change ? (withoutDirectives(change) as Json[]) : current!,
      remaining: current ?? [],
      added: [],
    };
  // An added element takes the place that a deleted one left at the end of the live order, as on a real server: its list is
  // changed in place there.
  const order = [...merged.remaining, ...merged.added].slice(0, current?.length ?? 0);
  setMember(result, key, orderElements(merged.elements, wanted, order, identity));
}

function identityOf(field: PatchedField, path: string): Identity {
  const { mergeKey } = field;
  if (mergeKey === undefined) return element => element;
  return element => {
    if (!isObject(element)) refuse(path, 'its elements are merged by key and must be mappings');
    const value = memberOf(element, mergeKey);
    if (value === undefined || value === null)
      refuse(path, `map: ${goText(element)} does not contain declared merge key: ${mergeKey}`);
    if (typeof value === 'object' && value !== null)
      refuse(path, `the merge key ${mergeKey} must not be a mapping or list`);
    return value;
  };
}

/** The elements of the patch must come in the order that `$setElementOrder` gives, and all be in it. */
function refuseOtherOrder(change: readonly Json[], order: readonly Json[], identity: Identity, path: string): void {
  if (change.length === 0 || order.length === 0) return;
  let at = 0;
  for (const element of change) {
    if (isObject(element) && memberOf(element, patchDirective) !== undefined) continue;
    const wanted = identity(element);
    while (at < order.length && identity(order[at]!) !== wanted) at += 1;
    if (at === order.length) {
      refuse(
        path,
        `The order in patch list:\n${goText([...change])}\n doesn't match $setElementOrder list:\n${goText([...order])}\n`,
      );
    }
    at += 1;
  }
}

/** A value as Go prints it, which is how the texts of servers show it: `map[image:x]`. */
function goText(value: Json): string {
  if (value === null) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (!isObject(value)) return String(value);
  const members = Object.keys(value)
    .sort()
    .map(key => `${key}:${goText(value[key]!)}`);
  return `map[${members.join(' ')}]`;
}

interface MergedList {
  elements: Json[];
  /** Of the live list, in its order. */
  remaining: readonly Json[];
  added: readonly Json[];
}

function mergeLists(current: readonly Json[], patch: readonly Json[], field: PatchedField, path: string): MergedList {
  if (current.length === 0 && patch.length === 0) return { elements: [], remaining: [], added: [] };
  const forms = new Set(
    [...current, ...patch].map(item => (Array.isArray(item) ? 'list' : isObject(item) ? 'mapping' : typeof item)),
  );
  if (forms.has('list')) refuse(path, 'lists of lists cannot be merged');
  if (forms.size > 1) refuse(path, `its elements are of several types: ${[...forms].join(', ')}`);
  const identity = identityOf(field, path);
  if (!forms.has('mapping')) {
    const elements = orderElements([...new Set([...current, ...patch])], patch, current, element => element);
    return { elements, remaining: current, added: [] };
  }
  if (field.mergeKey === undefined) refuse(path, 'a list of mappings without a merge key cannot be merged');

  const { live, changes } = elementDirectives(current as JsonObject[], patch as JsonObject[], identity, path);
  const merged: Json[] = [...live];
  const added: Json[] = [];
  const index = new Map<Json, number>();
  for (const [at, element] of live.entries()) {
    const key = memberOf(element, field.mergeKey);
    if (key !== undefined && !index.has(key)) index.set(key, at);
  }
  for (const change of changes) {
    const key = identity(change);
    const at = index.get(key);
    if (at === undefined) {
      index.set(key, merged.length);
      const element = withoutDirectives(change)!;
      merged.push(element);
      added.push(element);
    } else {
      merged[at] = mergeObjects(merged[at] as JsonObject, change, itemsOf(field.schema), `${path}[${at}]`);
    }
  }
  return { elements: orderElements(merged, changes, live, identity), remaining: live, added };
}

/** Carries out `$patch` in elements: what is left of the live list, and what is left of the patch. */
function elementDirectives(
  current: readonly JsonObject[],
  patch: readonly JsonObject[],
  identity: Identity,
  path: string,
): { live: readonly JsonObject[]; changes: readonly JsonObject[] } {
  const changes: JsonObject[] = [];
  const deleted = new Set<Json>();
  let replaces = false;
  for (const element of patch) {
    const directive = memberOf(element, patchDirective);
    if (directive === undefined) changes.push(element);
    else if (directive === 'delete') deleted.add(identity(element));
    else if (directive === 'replace') replaces = true;
    else
      refuse(
        path,
        `unknown patch type: ${goText(directive)} in map: ${goText(element)} (replace and delete are known)`,
      );
  }
  if (replaces) return { live: changes.map(change => withoutDirectives(change) as JsonObject), changes: [] };
  return { live: deleted.size === 0 ? current : current.filter(element => !deleted.has(identity(element))), changes };
}

function deleteFromList(result: JsonObject, key: string, values: Json, path: string): void {
  if (!Array.isArray(values)) refuse(below(path, key), `${deleteFromListPrefix}${key} must be a list`);
  const current = memberOf(result, key);
  if (!Array.isArray(current)) return;
  const gone = new Set(values as Json[]);
  setMember(
    result,
    key,
    current.filter(value => !gone.has(value)),
  );
}
