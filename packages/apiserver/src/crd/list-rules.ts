/**
 * Lists of type set hold no element twice, lists of type map no key twice. On an update only lists that changed are judged.
 * Source: apiextensions-apiserver `schema/listtype` (v0.33).
 */
import type { FieldError } from '@orbitkit/core';
import { sameJson } from '../registry/json-value.js';
import { duplicate } from './field-errors.js';
import { isObject, itemPath, mapKeyOf, memberPath, type Structural } from './structural.js';

/** Whether there is any list to judge at or below the node. */
export function hasKeyedLists(node: Structural): boolean {
  return (
    node.listType !== 'atomic' ||
    (node.items !== undefined && hasKeyedLists(node.items)) ||
    (typeof node.additional === 'object' && hasKeyedLists(node.additional)) ||
    [...node.properties.values()].some(hasKeyedLists)
  );
}

export function checkKeyedLists(
  node: Structural,
  value: unknown,
  old: unknown,
  path: string,
  errors: FieldError[],
): void {
  if (Array.isArray(value)) {
    if (old !== undefined && sameJson(value, old)) return;
    if (node.listType !== 'atomic') checkUnique(node, value, path, errors);
    if (node.items)
      for (const [i, item] of value.entries()) checkKeyedLists(node.items, item, undefined, itemPath(path, i), errors);
    return;
  }
  if (!isObject(value)) return;
  const before = isObject(old) ? old : {};
  for (const name of Object.keys(value)) {
    const known = node.properties.get(name) ?? node.additional;
    if (typeof known === 'object') checkKeyedLists(known, value[name], before[name], memberPath(path, name), errors);
  }
}

/** Members in one order, so that equal values have equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

function checkUnique(node: Structural, list: readonly unknown[], path: string, errors: FieldError[]): void {
  const seen = new Set<string>();
  const told = new Set<string>();
  for (const [index, item] of list.entries()) {
    const key = node.listType === 'map' ? mapKeyOf(node, item) : canonical(item);
    if (key === undefined) continue;
    if (!seen.has(key)) seen.add(key);
    else if (!told.has(key)) {
      told.add(key);
      errors.push(duplicate(itemPath(path, index), node.listType === 'map' ? keyMembers(node, item) : item));
    }
  }
}

function keyMembers(node: Structural, item: unknown): Record<string, unknown> {
  const members: Record<string, unknown> = {};
  for (const name of node.listMapKeys) {
    const value = (item as Record<string, unknown>)[name];
    if (value !== undefined) members[name] = value;
  }
  return members;
}
