/**
 * The JSON patch (RFC 6902) that makes one value of another: what a mutating webhook answers. Members are compared one by one, lists of the same
 * length element by element; a list whose length changed is replaced.
 */
import { type Json, type JsonObject, jsonEqual } from '@orbitkit/core';

export type PatchOperation = { op: 'add' | 'replace'; path: string; value: Json } | { op: 'remove'; path: string };

const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const step = (name: string): string => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;

export function jsonDiff(before: Json, after: Json, path = ''): PatchOperation[] {
  if (jsonEqual(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    const operations: PatchOperation[] = [];
    for (const name of Object.keys(before)) {
      if (!Object.hasOwn(after, name)) operations.push({ op: 'remove', path: path + step(name) });
    }
    for (const [name, value] of Object.entries(after)) {
      const at = path + step(name);
      if (Object.hasOwn(before, name)) operations.push(...jsonDiff(before[name]!, value, at));
      else operations.push({ op: 'add', path: at, value });
    }
    return operations;
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length)
    return before.flatMap((item, i) => jsonDiff(item, after[i]!, `${path}/${i}`));
  return [{ op: 'replace', path, value: after }];
}
