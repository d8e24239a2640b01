/**
 * Fields whose values are a closed set, found by the schema: one mechanism for every kind, built in or not.
 *
 * The walk goes only where a closed set lies below, and leaves out `status`, which servers and controllers of other versions write.
 * An empty text is for the rules of the field to judge.
 */
import { formatPath } from '../decode.js';
import type { Schema, StructSchema } from '../schema.js';
import type { Report } from './report.js';

/** `path` holds the way to the value in its first `depth` steps. */
type Walk = (value: any, path: (string | number)[], depth: number, report: Report) => void;

const walks = new WeakMap<Schema, Walk | null>();
const rootWalks = new WeakMap<StructSchema, Walk | null>();

export function checkClosedEnums(report: Report, schema: StructSchema, object: object): void {
  let walk = rootWalks.get(schema);
  if (walk === undefined) {
    walk = ofStruct(schema, new Set(['metadata', 'status']));
    rootWalks.set(schema, walk);
  }
  walk?.(object, [], 0, report);
}

/** Null when nothing below has a closed set. A type that contains itself is walked as far as it goes. */
function walkOf(schema: Schema): Walk | null {
  const known = walks.get(schema);
  if (known !== undefined) return known;
  walks.set(schema, (value, path, depth, report) => walks.get(schema)?.(value, path, depth, report));
  const walk = compile(schema);
  walks.set(schema, walk);
  return walk;
}

function compile(schema: Schema): Walk | null {
  switch (schema.type) {
    case 'scalar': {
      if (!schema.enumClosed || !schema.enum) return null;
      const values = schema.enum;
      const supported = values.filter(value => value !== '');
      return (value, path, depth, report) => {
        if (value !== '' && !values.includes(value))
          report.unsupported(formatPath(path.slice(0, depth)), value, supported);
      };
    }
    case 'list': {
      const walk = walkOf(schema.items);
      if (!walk) return null;
      return (value, path, depth, report) => {
        for (let i = 0; i < value.length; i++) {
          path[depth] = i;
          walk(value[i], path, depth + 1, report);
        }
      };
    }
    case 'map': {
      const walk = walkOf(schema.values);
      if (!walk) return null;
      return (value, path, depth, report) => {
        for (const key in value) {
          path[depth] = key;
          walk(value[key], path, depth + 1, report);
        }
      };
    }
    case 'struct':
      return ofStruct(schema, new Set());
  }
}

function ofStruct(schema: StructSchema, leaveOut: ReadonlySet<string>): Walk | null {
  const below = new Map<string, Walk>();
  for (const field of schema.fields.values()) {
    const walk = leaveOut.has(field.name) ? null : walkOf(field.schema);
    if (walk) below.set(field.name, walk);
  }
  if (below.size === 0) return null;
  // By what is there: most of what could be there is not, and looking for a missing property of an object of any shape is slow.
  return (value, path, depth, report) => {
    for (const name in value) {
      const walk = below.get(name);
      if (walk === undefined) continue;
      const found = value[name];
      if (found === undefined || found === null) continue;
      path[depth] = name;
      walk(found, path, depth + 1, report);
    }
  };
}
