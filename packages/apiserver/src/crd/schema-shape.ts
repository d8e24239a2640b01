/**
 * Reads the places of a JSON schema that may hold one thing or another (`items`: a schema or several; `additionalProperties`: a schema or a
 * boolean), which the type of a definition leaves open, so that everything behind it works on a schema of the right shape.
 */
import { badRequest, builtinSchema, decodeStruct, isStatusError, StatusError } from '@orbitkit/core';
import { isObject, type JsonSchema } from './structural.js';

const label = { kind: 'CustomResourceDefinition', version: 'v1' };
/** Deeper schemas are refused: whoever walks them uses the stack. */
const maxDepth = 100;

/** In place. @throws StatusError BadRequest with the path. */
export function settleSchema(schema: JsonSchema, path: string, depth = 0): void {
  if (depth > maxDepth) throw badRequest(`${path}: the schema is nested deeper than ${maxDepth} levels`);
  const inner = (value: unknown, at: string): JsonSchema => {
    const read = decodeAt(value, at);
    settleSchema(read, at, depth + 1);
    return read;
  };
  const { items, additionalProperties, additionalItems, dependencies } = schema as Record<string, unknown>;
  if (items !== undefined) {
    schema.items = Array.isArray(items)
      ? items.map((each, i) => inner(each, `${path}.items[${i}]`))
      : inner(items, `${path}.items`);
  }
  if (additionalProperties !== undefined && typeof additionalProperties !== 'boolean')
    schema.additionalProperties = inner(additionalProperties, `${path}.additionalProperties`);
  if (additionalItems !== undefined && typeof additionalItems !== 'boolean')
    schema.additionalItems = inner(additionalItems, `${path}.additionalItems`);
  if (isObject(dependencies)) {
    for (const [name, each] of Object.entries(dependencies)) {
      if (!Array.isArray(each)) dependencies[name] = inner(each, `${path}.dependencies[${name}]`);
    }
  }
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const) {
    for (const [i, each] of (schema[name] ?? []).entries()) settleSchema(each, `${path}.${name}[${i}]`, depth + 1);
  }
  if (schema.not) settleSchema(schema.not, `${path}.not`, depth + 1);
  for (const name of ['properties', 'patternProperties', 'definitions'] as const) {
    for (const [key, each] of Object.entries(schema[name] ?? {}))
      settleSchema(each, `${path}.${name}[${key}]`, depth + 1);
  }
}

function decodeAt(value: unknown, path: string): JsonSchema {
  try {
    if (!isObject(value)) throw badRequest('must be a schema');
    return decodeStruct(builtinSchema('apiextensions.k8s.io/v1.JSONSchemaProps'), value, label).value as JsonSchema;
  } catch (error) {
    if (!isStatusError(error)) throw error;
    throw new StatusError('BadRequest', `${path}: ${error.message}`, { details: error.details });
  }
}
