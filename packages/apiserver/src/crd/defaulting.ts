/**
 * Defaults of a custom resource's schema, in place: an absent field gets its default; a null that the schema does not allow counts as absent.
 * What was just filled in is looked into as well. Source: apiextensions-apiserver `schema/defaulting` (v0.33).
 */
import { copyJson } from '../registry/json-value.js';
import { isObject, type Structural } from './structural.js';

export function fillDefaults(node: Structural, value: unknown): void {
  if (node.hasDefaults) fill(node, value);
}

function fill(node: Structural, value: unknown): void {
  if (Array.isArray(value)) {
    if (node.items?.hasDefaults) for (const item of value) fill(node.items, item);
    return;
  }
  if (!isObject(value)) return;
  for (const [name, property] of node.properties) {
    if (property.default !== undefined && !Object.hasOwn(value, name)) value[name] = copyJson(property.default);
    if (property.hasDefaults && Object.hasOwn(value, name)) fill(property, value[name]);
  }
  const { additional } = node;
  if (typeof additional === 'boolean' || !additional.hasDefaults) return;
  for (const name of Object.keys(value)) if (!node.properties.has(name)) fill(additional, value[name]);
}

/** Drops nulls where the schema has no room for them, so that their defaults apply. Elements of lists stay for validation. */
export function dropNulls(node: Structural, value: unknown): void {
  if (Array.isArray(value)) {
    if (node.items) for (const item of value) dropNulls(node.items, item);
    return;
  }
  if (!isObject(value)) return;
  for (const name of Object.keys(value)) {
    const known = node.properties.get(name) ?? node.additional;
    if (typeof known === 'boolean') continue;
    if (value[name] === null) {
      if (!known.nullable && !(known.type === '' && known.preserve)) delete value[name];
    } else dropNulls(known, value[name]);
  }
}
