/**
 * Lowers a zod schema into the intermediate form, by way of zod's own JSON Schema of its input.
 *
 * What JSON Schema does not say is said with `.meta()`: `{ form: 'quantity' }` on a string (also time, microtime, duration,
 * bytes, int-or-string, int64), and on an array `{ listType: 'map', listMapKeys: ['name'] }` or `{ listType: 'set' }`, which strategic merge
 * follows too. Alternatives that are all objects become one struct with the fields of each; other alternatives are kept as they
 * come, and zod alone judges them. What JSON cannot carry (dates, maps, bigints) is refused when the kind is defined.
 */
import { toJSONSchema, type ZodType } from 'zod';
import type { FieldSchema, ScalarForm, ScalarSchema, Schema, StructSchema } from './schema.js';

/** The part of JSON Schema that zod writes, and the meta convention. */
interface JsonSchema {
  type?: string | string[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema | boolean;
  prefixItems?: JsonSchema[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  minimum?: number;
  maximum?: number;
  default?: unknown;
  description?: string;
  form?: ScalarForm;
  listType?: 'atomic' | 'set' | 'map';
  listMapKeys?: string[];
  mapType?: 'atomic' | 'granular';
  patchMergeKey?: string;
}

/** `at` names the schema in errors: `spec of Widget`. Structs are named `name`, then by their path: `example.com/v1.WidgetSpecPorts`. */
export function lowerZod(schema: ZodType, name: string, at: string): Schema {
  let root: JsonSchema;
  try {
    root = toJSONSchema(schema, { io: 'input' }) as JsonSchema;
  } catch (error) {
    throw new Error(`${at}: this zod schema has no JSON form: ${(error as Error).message}`, { cause: error });
  }
  return new Lowering(root, at).lower(root, name);
}

class Lowering {
  readonly #root: JsonSchema;
  readonly #at: string;
  readonly #taken = new Set<string>();
  readonly #lowered = new Map<JsonSchema, Schema>();

  constructor(root: JsonSchema, at: string) {
    this.#root = root;
    this.#at = at;
  }

  lower(given: JsonSchema, name: string): Schema {
    const json = this.#resolve(given);
    // A type that contains itself is the same schema again.
    const known = this.#lowered.get(json);
    if (known) return known;
    const alternatives = json.anyOf ?? json.oneOf;
    if (alternatives) return this.#lowerAlternatives(json, alternatives, name);
    if (json.allOf) return any;
    const types = typesOf(json).filter(type => type !== 'null');
    if (json.form) return scalarOf(json, json.form);
    if (types.length !== 1) return any;
    switch (types[0]) {
      case 'object':
        return this.#lowerObject(json, name);
      case 'array':
        return this.#lowerArray(json, name);
      case 'string':
        return scalarOf(json, 'string');
      case 'boolean':
        return scalarOf(json, 'boolean');
      case 'number':
        return scalarOf(json, 'double');
      case 'integer':
        return scalarOf(
          json,
          (json.minimum ?? -Infinity) >= -(2 ** 31) && (json.maximum ?? Infinity) < 2 ** 31 ? 'int32' : 'int64',
        );
      default:
        return any;
    }
  }

  #resolve(json: JsonSchema): JsonSchema {
    if (json.$ref === undefined) return json;
    if (json.$ref === '#') return this.#root;
    const target = /^#\/\$defs\/(.+)$/.exec(json.$ref)?.[1];
    const found = target === undefined ? undefined : this.#root.$defs?.[target];
    if (!found) throw new Error(`${this.#at}: cannot follow ${json.$ref}`);
    return found;
  }

  #lowerObject(json: JsonSchema, name: string): Schema {
    const extra = json.additionalProperties;
    if (!json.properties && typeof extra === 'object' && Object.keys(extra).length > 0) {
      return {
        type: 'map',
        values: this.lower(extra, `${name}Value`),
        ...(json.mapType ? { mapType: json.mapType } : {}),
      };
    }
    const open = extra === true || typeof extra === 'object';
    if (!json.properties && open) return any;
    return this.#struct(json, name, open, json.properties ?? {}, new Set(json.required));
  }

  #struct(
    json: JsonSchema,
    name: string,
    open: boolean,
    properties: Record<string, JsonSchema>,
    required: ReadonlySet<string>,
  ): StructSchema {
    const unique = this.#uniqueName(name);
    const fields = new Map<string, FieldSchema>();
    const struct: StructSchema = {
      type: 'struct',
      name: unique,
      fields,
      ...(json.mapType ? { structType: json.mapType } : {}),
      ...(open ? { preserveUnknownFields: true } : {}),
      ...(json.description ? { description: json.description } : {}),
    };
    this.#lowered.set(json, struct);
    for (const [key, property] of Object.entries(properties)) {
      fields.set(
        key,
        this.#field(key, property, `${unique}${key.charAt(0).toUpperCase()}${key.slice(1)}`, required.has(key)),
      );
    }
    return struct;
  }

  #field(key: string, json: JsonSchema, name: string, required: boolean): FieldSchema {
    const schema = this.lower(json, name);
    const nullable = typesOf(json).includes('null') || (json.anyOf ?? []).some(each => each.type === 'null');
    const mergeKey = json.patchMergeKey ?? (json.listType === 'map' ? json.listMapKeys?.[0] : undefined);
    const merges = mergeKey !== undefined || json.listType === 'set';
    return {
      name: key,
      schema,
      required,
      // As with pointers: what is written is kept, zero or not.
      pointer: true,
      omitEmpty: true,
      ...(nullable ? { nullable } : {}),
      ...(json.default === undefined ? {} : { default: json.default }),
      ...(merges ? { patchStrategy: ['merge'] as const } : {}),
      ...(mergeKey === undefined ? {} : { patchMergeKey: mergeKey }),
      ...(json.description ? { description: json.description } : {}),
    };
  }

  #lowerArray(json: JsonSchema, name: string): Schema {
    const items = typeof json.items === 'object' && !json.prefixItems ? this.lower(json.items, `${name}Item`) : any;
    if (json.listType === 'map' && !json.listMapKeys?.length) {
      throw new Error(`${this.#at}: a list of type map needs listMapKeys in its meta (${name})`);
    }
    return {
      type: 'list',
      items,
      ...(json.listType ? { listType: json.listType } : {}),
      ...(json.listMapKeys ? { listMapKeys: json.listMapKeys } : {}),
    };
  }

  #lowerAlternatives(json: JsonSchema, given: readonly JsonSchema[], name: string): Schema {
    const alternatives = given.map(each => this.#resolve(each)).filter(each => each.type !== 'null');
    if (alternatives.length === 1) return this.lower(alternatives[0]!, name);
    const types = new Set(alternatives.flatMap(typesOf));
    if (types.size === 2 && types.has('integer') && types.has('string'))
      return { type: 'scalar', form: 'int-or-string' };
    if (types.size === 1 && types.has('string')) return this.#unitedText(alternatives);
    const objects = alternatives.every(each => each.type === 'object' && each.properties && !each.additionalProperties);
    if (!objects) return any;
    const properties: Record<string, JsonSchema> = {};
    for (const alternative of alternatives) {
      for (const [key, property] of Object.entries(alternative.properties!)) {
        const other = properties[key];
        properties[key] = other ? { anyOf: [...(other.anyOf ?? [other]), property] } : property;
      }
    }
    const inAll = Object.keys(properties).filter(key => alternatives.every(each => each.required?.includes(key)));
    return this.#struct(json, name, false, properties, new Set(inAll));
  }

  /** `'a' | 'b'`, written as alternatives. */
  #unitedText(alternatives: readonly JsonSchema[]): Schema {
    const values = alternatives.map(textsOf);
    if (values.some(each => each === undefined)) return { type: 'scalar', form: 'string' };
    return { type: 'scalar', form: 'string', enum: [...new Set(values.flatMap(each => each!))] };
  }

  #uniqueName(name: string): string {
    let unique = name;
    for (let count = 2; this.#taken.has(unique); count++) unique = `${name}${count}`;
    this.#taken.add(unique);
    return unique;
  }
}

const any: ScalarSchema = { type: 'scalar', form: 'any' };

const typesOf = ({ type }: JsonSchema): string[] => (type === undefined ? [] : Array.isArray(type) ? type : [type]);

function textsOf(json: JsonSchema): string[] | undefined {
  const values = json.enum ?? (json.const === undefined ? undefined : [json.const]);
  return values?.every(value => typeof value === 'string') ? values : undefined;
}

/** The values of an enum are for OpenAPI and completion; zod itself refuses others. */
function scalarOf(json: JsonSchema, form: ScalarForm): ScalarSchema {
  const values = form === 'string' ? textsOf(json) : undefined;
  return { type: 'scalar', form, ...(values ? { enum: values, enumClosed: true } : {}) };
}
