/**
 * How large what a schema describes can be: `maxLength`, `maxItems` and `maxProperties` where they are set, else what fits into a request.
 * And how often a place can occur in one object. Source: apiserver `cel/common/schemas.go`, apiextensions `validation` (v0.33).
 */
import { type Bound, maxRequestBytes } from '../cel/cost-estimate.js';
import { escapedName } from './cel-types.js';
import type { Structural } from './structural.js';

/** The fewest bytes of JSON that a value takes. */
function leastBytes(node: Structural): number {
  if (node.intOrString) return 1;
  switch (node.type) {
    case 'boolean':
      return 4;
    case 'integer':
    case 'number':
      return 1;
    case 'object': {
      let bytes = 2;
      for (const name of node.source.required ?? []) {
        const property = node.properties.get(name);
        if (property && property.default === undefined) bytes += name.length + leastBytes(property) + 4;
      }
      return bytes;
    }
    default:
      return 2;
  }
}

const itemsThatFit = (least: number): number => Math.floor((maxRequestBytes - 2) / (least + 1));
const entriesThatFit = (least: number): number => Math.floor((maxRequestBytes - 2) / (least + 6));

const formatBytes: Readonly<Record<string, number>> = { date: 10, 'date-time': 36, duration: 32 };

function textSize({ source: { maxLength, enum: values, format } }: Structural): number {
  if (Array.isArray(values)) {
    const lengths = values.map(each => (typeof each === 'string' ? each.length : 0));
    return lengths.reduce((most, each) => Math.max(most, each), 0);
  }
  return maxLength ?? formatBytes[format ?? ''] ?? maxRequestBytes - 2;
}

export function boundOf(node: Structural, isResource: boolean): Bound {
  if (node.intOrString) return { size: node.source.maxLength ?? maxRequestBytes - 2 };
  const { additional, items } = node;
  switch (node.type) {
    case 'string':
      return { size: textSize(node) };
    case 'array':
      return {
        size: node.source.maxItems ?? itemsThatFit(items ? leastBytes(items) : 1),
        element: items && boundOf(items, items.embedded),
      };
    case 'object': {
      if (node.properties.size === 0 && typeof additional === 'object') {
        return {
          size: node.source.maxProperties ?? entriesThatFit(leastBytes(additional)),
          isMap: true,
          element: boundOf(additional, additional.embedded),
        };
      }
      return { size: 1, field: fieldsOf(node, isResource) };
    }
    default:
      return { size: 1 };
  }
}

/** Names and namespaces are not longer than this. */
const nameBytes = 253;

function fieldsOf(node: Structural, isResource: boolean): (name: string) => Bound | undefined {
  const known = new Map<string, Bound>();
  return name => {
    const made = known.get(name);
    if (made) return made;
    let bound: Bound | undefined;
    if (isResource && name === 'metadata') bound = { size: 1, field: () => ({ size: nameBytes }) };
    else if (isResource && (name === 'apiVersion' || name === 'kind')) bound = { size: nameBytes };
    else {
      const property = [...node.properties].find(([key]) => escapedName(key) === name)?.[1];
      bound = property && boundOf(property, property.embedded);
    }
    if (bound) known.set(name, bound);
    return bound;
  };
}

/** How often a place occurs in one object at most; undefined while nothing but the size of a request bounds it. */
export type Cardinality = number | undefined;

export const withinItems = (node: Structural, outer: Cardinality): Cardinality =>
  outer === undefined || node.source.maxItems === undefined ? undefined : outer * node.source.maxItems;

export const withinValues = (node: Structural, outer: Cardinality): Cardinality =>
  outer === undefined || node.source.maxProperties === undefined ? undefined : outer * node.source.maxProperties;

export const occurrences = (node: Structural, cardinality: Cardinality): number =>
  cardinality ?? itemsThatFit(leastBytes(node));
