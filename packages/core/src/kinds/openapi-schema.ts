/**
 * The schemas of an OpenAPI v3 document, generated from the intermediate form: properties, required, and the extensions with
 * which clients merge (`x-kubernetes-patch-merge-key`, `-list-type`, …). Names are Kubernetes' own, `io.k8s.api.core.v1.Pod`;
 * a kind of one's own is named by its group backwards. Descriptions are few.
 */
import { openApiNameOf, builtinSchema as structOf } from './facts.js';
import type { Kind } from './kind.js';
import type { FieldSchema, ScalarSchema, Schema, StructSchema } from './schema.js';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };

export const reference = (name: string): JsonObject => ({ $ref: `#/components/schemas/${name}` });

/** `io.k8s.api.apps.v1.Deployment`; `com.example.v1.Widget` for a kind of group example.com. */
export function openApiNameOfStruct(name: string): string {
  const known = openApiNameOf(name);
  if (known) return known;
  const slash = name.indexOf('/');
  if (slash < 0) return name;
  return `${name.slice(0, slash).split('.').reverse().join('.')}.${name.slice(slash + 1)}`;
}

export const openApiNameOfList = (kind: Kind<any>): string =>
  openApiNameOfStruct(kind.schema.name).replace(/[^.]+$/, kind.listKind);

/** The forms that are schemas of their own, as the published documents have them. */
const namedForms: Partial<Record<ScalarSchema['form'], readonly [name: string, schema: JsonObject]>> = {
  time: [
    'io.k8s.apimachinery.pkg.apis.meta.v1.Time',
    { type: 'string', format: 'date-time', description: 'A time in RFC 3339, in whole seconds.' },
  ],
  microtime: [
    'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime',
    { type: 'string', format: 'date-time', description: 'A time in RFC 3339, with microseconds.' },
  ],
  duration: [
    'io.k8s.apimachinery.pkg.apis.meta.v1.Duration',
    { type: 'string', description: 'A span of time such as 1m30s.' },
  ],
  quantity: [
    'io.k8s.apimachinery.pkg.api.resource.Quantity',
    { oneOf: [{ type: 'string' }, { type: 'number' }], description: 'An amount such as 100m, 1.5Gi or 2.' },
  ],
  'int-or-string': [
    'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
    {
      format: 'int-or-string',
      oneOf: [{ type: 'integer' }, { type: 'string' }],
      description: 'A number, or a text such as a name or 25%.',
    },
  ],
};

const plainForms: Partial<Record<ScalarSchema['form'], JsonObject>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
  any: { 'x-kubernetes-preserve-unknown-fields': true },
};

/** Gathers the schemas that kinds need, each once. */
export class SchemaCollector {
  readonly #schemas = new Map<string, JsonObject>();

  /** In order of name. */
  schemas(): JsonObject {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  has(name: string): boolean {
    return this.#schemas.has(name);
  }

  put(name: string, schema: JsonObject): void {
    this.#schemas.set(name, schema);
  }

  /** A kind and its list. */
  addKind(kind: Kind<any>): void {
    const gvk: Json = [{ group: kind.group, kind: kind.kind, version: kind.version }];
    const name = this.#addObject(kind);
    this.put(name, { ...(this.#schemas.get(name) as JsonObject), 'x-kubernetes-group-version-kind': gvk });
    if (!kind.verbs.includes('list')) return;
    this.put(openApiNameOfList(kind), {
      description: `A list of ${kind.kind} objects.`,
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: { type: 'string', description: apiVersionText },
        items: { type: 'array', items: { default: {}, allOf: [reference(name)] } },
        kind: { type: 'string', description: kindText },
        metadata: { default: {}, allOf: [reference(this.addNamed('meta/v1.ListMeta'))] },
      },
      'x-kubernetes-group-version-kind': [{ group: kind.group, kind: kind.listKind, version: kind.version }],
    });
  }

  /** What a definition publishes is its author's own text; it refers to ObjectMeta and to nothing else. */
  #addObject(kind: Kind<any>): string {
    if (!kind.custom) return this.addStruct(kind.schema);
    this.addNamed('meta/v1.ObjectMeta');
    const name = openApiNameOfStruct(kind.schema.name);
    this.put(name, kind.custom.published as JsonObject);
    return name;
  }

  addNamed(name: string): string {
    return this.addStruct(structOf(name));
  }

  addStruct(schema: StructSchema): string {
    const name = openApiNameOfStruct(schema.name);
    if (this.#schemas.has(name)) return name;
    // Put first: types contain themselves.
    this.#schemas.set(name, {});
    const properties: JsonObject = {};
    const required: string[] = [];
    for (const field of [...schema.fields.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      properties[field.name] = this.#property(field);
      if (field.required) required.push(field.name);
    }
    this.#schemas.set(name, {
      ...(schema.description ? { description: schema.description } : {}),
      type: 'object',
      ...(required.length > 0 ? { required } : {}),
      ...(Object.keys(properties).length > 0 ? { properties } : {}),
      ...(schema.structType ? { 'x-kubernetes-map-type': schema.structType } : {}),
      ...(schema.preserveUnknownFields ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
    });
    return name;
  }

  #property(field: FieldSchema): Json {
    const text = field.description ?? commonTexts[field.name];
    const byValue = field.schema.type === 'struct' && !field.pointer;
    return {
      ...(text ? { description: text } : {}),
      ...(field.default === undefined ? (byValue ? { default: {} } : {}) : { default: field.default as Json }),
      ...(this.#schema(field.schema) as JsonObject),
      ...(field.nullable ? { nullable: true } : {}),
      ...(field.patchMergeKey ? { 'x-kubernetes-patch-merge-key': field.patchMergeKey } : {}),
      ...(field.patchStrategy ? { 'x-kubernetes-patch-strategy': field.patchStrategy.join(',') } : {}),
    };
  }

  #schema(schema: Schema): Json {
    switch (schema.type) {
      case 'scalar':
        return this.#scalar(schema);
      case 'list':
        return {
          type: 'array',
          items: this.#element(schema.items),
          ...(schema.listMapKeys ? { 'x-kubernetes-list-map-keys': [...schema.listMapKeys] } : {}),
          ...(schema.listType ? { 'x-kubernetes-list-type': schema.listType } : {}),
        };
      case 'map':
        return {
          type: 'object',
          additionalProperties: this.#element(schema.values),
          ...(schema.mapType ? { 'x-kubernetes-map-type': schema.mapType } : {}),
        };
      case 'struct':
        return {
          allOf: [reference(this.addStruct(schema))],
          ...(schema.structType ? { 'x-kubernetes-map-type': schema.structType } : {}),
        };
    }
  }

  #element(schema: Schema): Json {
    const element = this.#schema(schema) as JsonObject;
    return schema.type === 'struct' ? { default: {}, ...element } : element;
  }

  #scalar({ form, enum: values, enumClosed }: ScalarSchema): Json {
    const named = namedForms[form];
    if (named) {
      this.put(named[0], named[1]);
      return { allOf: [reference(named[0])] };
    }
    return { ...plainForms[form], ...(values && enumClosed ? { enum: [...values] } : {}) };
  }
}

const apiVersionText = 'Group and version of the kind, such as apps/v1.';
const kindText = 'Name of the kind, such as Deployment.';
/** Fields that mean the same wherever they stand. */
const commonTexts: Readonly<Record<string, string>> = {
  apiVersion: apiVersionText,
  kind: kindText,
  metadata: 'Name, labels and what else every object has.',
  spec: 'What is wanted.',
  status: 'What is, as its controllers report it.',
};
