/**
 * Pruning: what the schema does not know is dropped, in place, and named. What it leaves open (`x-kubernetes-preserve-unknown-fields`) stays;
 * known fields in there are still pruned. A value of another type than the schema's is left for validation to refuse.
 * Source: apiextensions-apiserver `schema/pruning` (v0.33).
 */
import { isObject, itemPath, memberPath, resourceMembers, type Structural } from './structural.js';

/** @param unknown Gets the paths of what was dropped. */
export function prune(node: Structural, value: unknown, unknown: string[], path = '', isResource = true): void {
  if (Array.isArray(value)) {
    const { items } = node;
    if (items === undefined) return;
    for (let i = 0; i < value.length; i++) prune(items, value[i], unknown, itemPath(path, i), items.embedded);
    return;
  }
  if (!isObject(value)) return;
  for (const name of Object.keys(value)) {
    if (isResource && resourceMembers.has(name)) continue;
    const known = node.properties.get(name) ?? node.additional;
    if (known === false) {
      if (node.preserve) continue;
      delete value[name];
      unknown.push(memberPath(path, name));
    } else if (known !== true) prune(known, value[name], unknown, memberPath(path, name), known.embedded);
  }
}
