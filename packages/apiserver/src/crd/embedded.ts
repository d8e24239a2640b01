/**
 * Objects within a custom resource that are resources themselves (`x-kubernetes-embedded-resource`): they carry apiVersion, kind and an
 * ordinary metadata. Source: apiextensions-apiserver `schema/objectmeta` (v0.33).
 */
import { builtinSchema, decodeStruct, type FieldError, isStatusError, metadataErrors } from '@orbitkit/core';
import { invalidValue, required } from './field-errors.js';
import { isObject, itemPath, memberPath, type Structural } from './structural.js';

export function hasEmbedded(node: Structural): boolean {
  return (
    node.embedded ||
    (node.items !== undefined && hasEmbedded(node.items)) ||
    (typeof node.additional === 'object' && hasEmbedded(node.additional)) ||
    [...node.properties.values()].some(hasEmbedded)
  );
}

/** Calls `visit` for every embedded resource below the node. */
function walk(
  node: Structural,
  value: unknown,
  path: string,
  visit: (value: Record<string, unknown>, path: string) => void,
) {
  if (Array.isArray(value)) {
    if (node.items) for (const [i, item] of value.entries()) walk(node.items, item, itemPath(path, i), visit);
    return;
  }
  if (!isObject(value)) return;
  if (node.embedded) visit(value, path);
  for (const name of Object.keys(value)) {
    const known = node.properties.get(name) ?? node.additional;
    if (typeof known === 'object') walk(known, value[name], memberPath(path, name), visit);
  }
}

/** Drops from embedded metadata what metadata does not have, in place; `unknown` gets its paths. */
export function settleEmbedded(root: Structural, object: unknown, unknown: string[]): void {
  walk(root, object, '', (value, path) => {
    if (!isObject(value['metadata'])) return;
    try {
      const meta = decodeStruct(builtinSchema('meta/v1.ObjectMeta'), value['metadata'], {
        kind: 'ObjectMeta',
        version: 'v1',
      });
      value['metadata'] = meta.value;
      unknown.push(...meta.unknownFields.map(each => `${memberPath(path, 'metadata')}.${each}`));
    } catch (error) {
      // What cannot be read is left for validation to refuse.
      if (!isStatusError(error)) throw error;
    }
  });
}

export function checkEmbedded(root: Structural, object: unknown, errors: FieldError[]): void {
  walk(root, object, '', (value, path) => {
    for (const name of ['apiVersion', 'kind']) {
      if (typeof value[name] !== 'string' || value[name] === '')
        errors.push(required(memberPath(path, name), 'must not be empty'));
    }
    const at = memberPath(path, 'metadata');
    const metadata = value['metadata'];
    if (metadata === undefined || metadata === null) return;
    if (!isObject(metadata)) {
      errors.push(invalidValue(at, metadata, 'must be an object'));
      return;
    }
    let read: Record<string, unknown>;
    try {
      read = decodeStruct(builtinSchema('meta/v1.ObjectMeta'), structuredClone(metadata), {
        kind: 'ObjectMeta',
        version: 'v1',
      }).value;
    } catch (error) {
      if (!isStatusError(error)) throw error;
      errors.push(invalidValue(at, metadata, error.message));
      return;
    }
    // An embedded object needs no name and may be in any namespace or none.
    const named = { ...read, name: read['name'] || 'embedded', namespace: undefined };
    for (const error of metadataErrors(named as never, { namespaced: false }))
      errors.push({ ...error, field: `${memberPath(path, error.field)}` });
  });
}
