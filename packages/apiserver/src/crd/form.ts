/**
 * A custom resource's schema in the intermediate form that patches and server-side apply read, and as it is published in OpenAPI
 * documents: the structural schema with the members that every resource has.
 */
import { builtinSchema, type FieldSchema, type Schema, type StructSchema } from '@orbitkit/core';
import type { JsonSchema, Structural } from './structural.js';

const metadata = (): StructSchema => builtinSchema('meta/v1.ObjectMeta');

/** @param name Of the type: `example.com/v1.Widget`. */
export function formOf(node: Structural, name: string): StructSchema {
  return structOf(node, name, true);
}

function field(name: string, schema: Schema, node?: Structural, required = false): FieldSchema {
  return {
    name,
    schema,
    required,
    pointer: true,
    omitEmpty: true,
    ...(node?.nullable ? { nullable: true } : {}),
    ...(node?.default === undefined ? {} : { default: node.default }),
    ...(node?.source.description ? { description: node.source.description } : {}),
  };
}

function structOf(node: Structural, name: string, isResource: boolean): StructSchema {
  const fields = new Map<string, FieldSchema>();
  const required = new Set(node.source.required ?? []);
  for (const [key, each] of node.properties) {
    fields.set(key, field(key, schemaOf(each, `${name}.${key}`), each, required.has(key)));
  }
  if (isResource) {
    fields.set('apiVersion', field('apiVersion', { type: 'scalar', form: 'string' }));
    fields.set('kind', field('kind', { type: 'scalar', form: 'string' }));
    fields.set('metadata', field('metadata', metadata()));
  }
  return {
    type: 'struct',
    name,
    fields,
    ...(node.atomicMap ? { structType: 'atomic' } : {}),
    ...(node.preserve ? { preserveUnknownFields: true } : {}),
    ...(node.source.description ? { description: node.source.description } : {}),
  };
}

function schemaOf(node: Structural, name: string): Schema {
  if (node.intOrString) return { type: 'scalar', form: 'int-or-string' };
  if (node.embedded) return structOf(node, name, true);
  switch (node.type) {
    case 'object':
      if (node.properties.size === 0 && typeof node.additional === 'object') {
        return {
          type: 'map',
          values: schemaOf(node.additional, `${name}.*`),
          ...(node.atomicMap ? { mapType: 'atomic' } : {}),
        };
      }
      if (node.properties.size === 0 && (node.additional === true || node.preserve)) {
        return {
          type: 'map',
          values: { type: 'scalar', form: 'any' },
          ...(node.atomicMap ? { mapType: 'atomic' } : {}),
        };
      }
      return structOf(node, name, false);
    case 'array':
      return {
        type: 'list',
        items: node.items ? schemaOf(node.items, `${name}[]`) : { type: 'scalar', form: 'any' },
        ...(node.source['x-kubernetes-list-type'] ? { listType: node.listType } : {}),
        ...(node.listMapKeys.length > 0 ? { listMapKeys: node.listMapKeys } : {}),
      };
    case 'string':
      return { type: 'scalar', form: 'string' };
    case 'boolean':
      return { type: 'scalar', form: 'boolean' };
    case 'integer':
      return { type: 'scalar', form: node.source.format === 'int32' ? 'int32' : 'int64' };
    case 'number':
      return { type: 'scalar', form: 'double' };
    default:
      if (node.preserve && node.properties.size > 0) return structOf(node, name, false);
      return { type: 'scalar', form: 'any' };
  }
}

/** The schema for OpenAPI documents. Member texts that every resource has are filled in where the author left them out. */
export function publishedSchema(
  source: JsonSchema | undefined,
  gvk: { group: string; version: string; kind: string },
): Record<string, unknown> {
  const { properties, ...rest } = withoutValidations(source ?? {}) as Record<string, any>;
  const own = properties as Record<string, unknown> | undefined;
  return {
    ...rest,
    type: 'object',
    properties: {
      ...own,
      apiVersion: { type: 'string', description: 'Group and version of the kind, such as apps/v1.' },
      kind: { type: 'string', description: 'Name of the kind, such as Deployment.' },
      metadata: {
        description: 'Name, labels and what else every object has.',
        allOf: [{ $ref: '#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta' }],
      },
    },
    'x-kubernetes-group-version-kind': [{ group: gvk.group, kind: gvk.kind, version: gvk.version }],
  };
}

/** Nothing that only the server checks is of use to clients. */
function withoutValidations(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutValidations);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(schema)) copy[name] = withoutValidations(value);
  return copy;
}
