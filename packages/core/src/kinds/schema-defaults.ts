/**
 * Defaults that a schema states, filled into an object in place: a field that is absent gets its default, and what is there, given
 * or just filled in, is looked into. A default inside an absent object without a default of its own stays out.
 */
import type { Schema, StructSchema } from './schema.js';

export function applySchemaDefaults(schema: Schema, value: unknown): void {
  switch (schema.type) {
    case 'scalar':
      return;
    case 'list':
      if (Array.isArray(value)) for (const item of value) applySchemaDefaults(schema.items, item);
      return;
    case 'map':
      if (isObject(value)) for (const key in value) applySchemaDefaults(schema.values, value[key]);
      return;
    case 'struct':
      if (isObject(value)) fillStruct(schema, value);
  }
}

function fillStruct(schema: StructSchema, value: Record<string, unknown>): void {
  for (const field of schema.fields.values()) {
    if (value[field.name] === undefined && field.default !== undefined)
      value[field.name] = structuredClone(field.default);
    const given = value[field.name];
    if (given !== undefined && given !== null) applySchemaDefaults(field.schema, given);
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
