/**
 * The structural schema of a custom resource definition, from a zod schema, by way of zod's JSON Schema of its input.
 *
 * Bounds, lengths, patterns, formats, enums, defaults, nullability and descriptions go along. `.meta()` says the rest: `form`, `listType`, `listMapKeys`
 * and `mapType` as in zod-schema.ts, `cel: [{ rule, message }]` for rules in CEL, `embeddedResource: true` for a whole object of another kind.
 * Alternatives that are objects become one object with the fields of each; which go together is kept as constraints.
 *
 * What a definition cannot say is refused with the field's path and what to do instead: tuples, recursion, alternatives of different types, patterns
 * that RE2 does not know, and refinements in code unless CEL stands beside them.
 * Rules of structural schemas: Kubernetes documentation, "Specifying a structural schema".
 */
import { globalRegistry, toJSONSchema, type ZodType } from 'zod';
import type { apiextensionsv1 } from './generated/types/index.js';

export type JsonSchemaProps = apiextensionsv1.JSONSchemaProps;

export interface StructuralOptions {
  /** What becomes of `.refine()` without CEL beside it: it is an error, or is left to whoever uses the zod schema. Default `refuse`. */
  refinements?: 'refuse' | 'leave out';
}

/** What zod writes, and the meta convention. */
interface Json {
  type?: string | string[];
  properties?: Record<string, Json>;
  required?: string[];
  additionalProperties?: Json | boolean;
  propertyNames?: Json;
  items?: Json | boolean;
  prefixItems?: Json[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Json[];
  oneOf?: Json[];
  allOf?: Json[];
  not?: Json;
  $ref?: string;
  $defs?: Record<string, Json>;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  pattern?: string;
  format?: string;
  form?: string;
  listType?: string;
  listMapKeys?: string[];
  mapType?: string;
  embeddedResource?: boolean;
  cel?: { rule: string; message?: string; [more: string]: unknown }[];
  [other: string]: unknown;
}

/** Formats that a Kubernetes API server checks, by zod's name; their patterns are then not needed. */
const formats: Readonly<Record<string, string>> = {
  'date-time': 'date-time',
  date: 'date',
  email: 'email',
  uri: 'uri',
  uuid: 'uuid',
  ipv4: 'ipv4',
  ipv6: 'ipv6',
  cidrv4: 'cidr',
  cidrv6: 'cidr',
  base64: 'byte',
  hostname: 'hostname',
};

/** `k8s.io/apimachinery` `resource.Quantity`, as controller-gen writes it. */
const quantityPattern =
  '^(\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\\+|-)?(([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))))?$';

const forms: Readonly<Record<string, JsonSchemaProps>> = {
  quantity: {
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    pattern: quantityPattern,
    'x-kubernetes-int-or-string': true,
  },
  'int-or-string': { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true },
  time: { type: 'string', format: 'date-time' },
  microtime: { type: 'string', format: 'date-time' },
  duration: { type: 'string' },
  bytes: { type: 'string', format: 'byte' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  any: { 'x-kubernetes-preserve-unknown-fields': true },
};

/** Kept as they are, wherever they stand. */
const constraints = [
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
  'multipleOf',
  'uniqueItems',
] as const;
const [leastInt32, mostInt32] = [-(2 ** 31), 2 ** 31 - 1];

/** @param at Names the schema in errors: `spec`. @throws Error with the path of what cannot be said. */
export function structuralSchema(schema: ZodType, at: string, options: StructuralOptions = {}): JsonSchemaProps {
  const refined = new Set<string>();
  const expressed = new Set<string>();
  let root: Json;
  try {
    root = toJSONSchema(schema, {
      io: 'input',
      // A schema that says more of another comes after it, at the same path.
      override({ zodSchema, path }) {
        const { checks } = zodSchema._zod.def as { checks?: { _zod: { def: { check: string } } }[] };
        if (globalRegistry.get(zodSchema as never)?.['cel'] !== undefined) expressed.add(fieldOf(at, path));
        if (checks?.some(check => check._zod.def.check === 'custom')) refined.add(fieldOf(at, path));
      },
    }) as Json;
  } catch (error) {
    throw new Error(`${at}: this zod schema has no JSON form: ${(error as Error).message}`, { cause: error });
  }
  const unsaid = [...refined].find(field => !expressed.has(field));
  if (unsaid !== undefined && options.refinements !== 'leave out') {
    throw new Error(
      `${unsaid}: .refine() is code, which a definition cannot carry: say it in CEL, .meta({ cel: [{ rule: "self …" }] }), or pass refinements: 'leave out'`,
    );
  }
  return new Writing(root).schema(root, at);
}

/** `spec.parts[].name`, of a path through a JSON schema. */
function fieldOf(at: string, path: readonly (string | number)[]): string {
  let field = at;
  for (let i = 0; i < path.length; i++) {
    if (path[i] === 'properties') field += `.${path[++i]}`;
    else if (path[i] === 'items') field += '[]';
    else if (path[i] === 'additionalProperties') field += '[*]';
  }
  return field;
}

class Writing {
  readonly #open = new Set<Json>();

  constructor(private readonly root: Json) {}

  schema(given: Json, at: string): JsonSchemaProps {
    const target = this.#target(given, at);
    if (this.#open.has(target))
      throw new Error(`${at}: a type that contains itself cannot be written: use z.unknown() where it begins again`);
    this.#open.add(target);
    try {
      const json = this.#resolve(given, at);
      return { ...this.#bare(json, at), ...annotations(json) };
    } finally {
      this.#open.delete(target);
    }
  }

  /** What is meant, which several may refer to. */
  #target(json: Json, at: string): Json {
    if (json.$ref === undefined) return json;
    if (json.$ref === '#') return this.root;
    const name = /^#\/\$defs\/(.+)$/.exec(json.$ref)?.[1];
    const found = name === undefined ? undefined : this.root.$defs?.[name];
    if (!found) throw new Error(`${at}: cannot follow ${json.$ref}`);
    return found;
  }

  /** With what is said beside the reference. */
  #resolve(json: Json, at: string): Json {
    if (json.$ref === undefined) return json;
    const { $ref: _ref, ...beside } = json;
    return { ...this.#target(json, at), ...beside };
  }

  #bare(json: Json, at: string): JsonSchemaProps {
    if (json.form !== undefined) {
      const form = forms[json.form];
      if (!form) throw new Error(`${at}: there is no form "${json.form}"; there are ${Object.keys(forms).join(', ')}`);
      return form;
    }
    if (json.not) throw new Error(`${at}: what must not be cannot be written`);
    const alternatives = json.anyOf ?? json.oneOf;
    if (alternatives) return this.#alternatives(json, alternatives, at);
    const types = typesOf(json).filter(type => type !== 'null');
    const nullable = types.length < typesOf(json).length ? { nullable: true } : {};
    if (types.length > 1) throw differentTypes(at);
    switch (types[0]) {
      case 'object':
        return { ...this.#object(json, at), ...nullable };
      case 'array':
        if (json.prefixItems) throw new Error(`${at}: a tuple cannot be written: use an object or a list`);
        return {
          type: 'array',
          items: typeof json.items === 'object' ? this.schema(json.items, `${at}[]`) : anything,
          ...limits(json, at),
          ...nullable,
        };
      case 'integer':
      case 'number':
        return { ...numeric(json, types[0]), ...limits(json, at), ...nullable };
      case 'string':
      case 'boolean':
        return { type: types[0], ...values(json), ...limits(json, at), ...nullable };
      case undefined:
        if (json.const !== undefined || json.enum) return { ...this.#typedValues(json, at), ...nullable };
        return anything;
      default:
        throw new Error(`${at}: a schema that allows nothing but null cannot be written`);
    }
  }

  #typedValues(json: Json, at: string): JsonSchemaProps {
    const allowed = json.enum ?? [json.const];
    const types = new Set(allowed.map(each => typeof each));
    if (types.size > 1) throw differentTypes(at);
    return { type: [...types][0]!, enum: allowed as never };
  }

  #object(json: Json, at: string): JsonSchemaProps {
    const { properties, additionalProperties: extra, propertyNames } = json;
    if (propertyNames && Object.keys(propertyNames).some(key => key !== 'type'))
      throw new Error(`${at}: rules for keys cannot be written: say them in CEL, rule: "self.all(key, …)"`);
    const open = extra === true || (typeof extra === 'object' && Object.keys(extra).length === 0);
    if (typeof extra === 'object' && !open) {
      if (properties && Object.keys(properties).length > 0)
        throw new Error(`${at}: named fields and a schema for all others cannot stand together`);
      return { type: 'object', additionalProperties: this.schema(extra, `${at}[*]`) as never, ...limits(json, at) };
    }
    return {
      type: 'object',
      ...(properties
        ? {
            properties: Object.fromEntries(
              Object.entries(properties).map(([name, each]) => [name, this.schema(each, `${at}.${name}`)]),
            ),
          }
        : {}),
      ...(json.required?.length ? { required: json.required } : {}),
      ...(open ? { 'x-kubernetes-preserve-unknown-fields': true } : {}),
      ...limits(json, at),
    };
  }

  #alternatives(json: Json, given: readonly Json[], at: string): JsonSchemaProps {
    const all = given.map(each => this.#resolve(each, at));
    const some = all.filter(each => each.type !== 'null');
    const nullable = some.length < all.length ? { nullable: true } : {};
    if (some.length === 1) return { ...this.schema(some[0]!, at), ...nullable };
    const types = new Set(some.flatMap(typesOf));
    if (types.size === 2 && types.has('integer') && types.has('string')) {
      const bounded = some.some(each => Object.keys({ ...limits(each, at), ...bounds(each) }).length > 0);
      if (bounded) throw new Error(`${at}: bounds of a number or text cannot be written: say them in CEL`);
      return { ...forms['int-or-string']!, ...nullable };
    }
    if (types.size !== 1) throw differentTypes(at);
    const texts = some.map(each => each.enum ?? (each.const === undefined ? undefined : [each.const]));
    if (texts.every(each => each !== undefined))
      return { type: [...types][0]!, enum: [...new Set(texts.flat())] as never, ...nullable };
    if (!some.every(each => each.type === 'object' && each.properties && typeof each.additionalProperties !== 'object'))
      throw new Error(`${at}: alternatives of this form cannot be written: use one schema, and CEL for the difference`);
    return { ...this.#united(json.oneOf ? 'oneOf' : 'anyOf', some, at), ...nullable };
  }

  /** One object with the fields of all; each alternative remains as what it requires and what its fixed fields say. */
  #united(keyword: 'oneOf' | 'anyOf', alternatives: readonly Json[], at: string): JsonSchemaProps {
    const properties: Record<string, JsonSchemaProps> = {};
    for (const alternative of alternatives) {
      for (const [name, each] of Object.entries(alternative.properties!)) {
        const schema = this.schema(each, `${at}.${name}`);
        const known = properties[name];
        if (known?.enum && schema.enum && known.type === schema.type)
          properties[name] = { ...known, enum: [...new Set([...known.enum, ...schema.enum])] };
        else if (known && JSON.stringify(known) !== JSON.stringify(schema))
          throw new Error(
            `${at}.${name}: it differs between the alternatives of ${at}: give it one schema, or two names`,
          );
        else properties[name] = schema;
      }
    }
    const common = Object.keys(properties).filter(name => alternatives.every(each => each.required?.includes(name)));
    const choices = alternatives.map(each => {
      const fixed = Object.entries(each.properties!).filter(([, { const: value }]) => value !== undefined);
      return {
        ...(fixed.length > 0
          ? { properties: Object.fromEntries(fixed.map(([name, value]) => [name, { enum: [value.const] as never }])) }
          : {}),
        ...(each.required?.length ? { required: each.required } : {}),
      };
    });
    return {
      type: 'object',
      properties,
      ...(common.length > 0 ? { required: common } : {}),
      [keyword]: choices,
    };
  }
}

const anything: JsonSchemaProps = { 'x-kubernetes-preserve-unknown-fields': true };
const typesOf = ({ type }: Json): string[] => (type === undefined ? [] : Array.isArray(type) ? type : [type]);
const differentTypes = (at: string): Error =>
  new Error(`${at}: alternatives of different types cannot be written: use one type, or z.unknown() and CEL`);

function values(json: Json): JsonSchemaProps {
  if (json.const !== undefined) return { enum: [json.const] as never };
  return json.enum ? { enum: json.enum as never } : {};
}

/** zod bounds every integer to what a double holds; that says nothing. */
function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Json): JsonSchemaProps {
  return {
    ...(minimum !== undefined && minimum !== Number.MIN_SAFE_INTEGER && minimum !== leastInt32 ? { minimum } : {}),
    ...(maximum !== undefined && maximum !== Number.MAX_SAFE_INTEGER && maximum !== mostInt32 ? { maximum } : {}),
    ...(exclusiveMinimum === undefined ? {} : { minimum: exclusiveMinimum, exclusiveMinimum: true }),
    ...(exclusiveMaximum === undefined ? {} : { maximum: exclusiveMaximum, exclusiveMaximum: true }),
  };
}

function numeric(json: Json, type: 'integer' | 'number'): JsonSchemaProps {
  const small = (json.minimum ?? -Infinity) >= leastInt32 && (json.maximum ?? Infinity) <= mostInt32;
  const format = type === 'integer' ? { format: small ? 'int32' : 'int64' } : {};
  return { type, ...format, ...bounds(json), ...values(json) };
}

function limits(json: Json, at: string): JsonSchemaProps {
  const result: Record<string, unknown> = {};
  for (const name of constraints) if (json[name] !== undefined) result[name] = json[name];
  const format = json.format === undefined ? undefined : formats[json.format];
  if (format !== undefined) result['format'] = format;
  else if (json.pattern !== undefined) result['pattern'] = re2(json.pattern, at);
  if (json.allOf) result['allOf'] = json.allOf.map(({ pattern }) => ({ pattern: re2(pattern ?? '', at) }));
  return result;
}

function re2(pattern: string, at: string): string {
  if (/\(\?(?:[=!]|<[=!])|\\[1-9]|\\k</.test(pattern))
    throw new Error(
      `${at}: the pattern ${pattern} looks around or back, which RE2 cannot: write it otherwise, or in CEL`,
    );
  return pattern;
}

function annotations(json: Json): JsonSchemaProps {
  const { description, default: value, listType, listMapKeys, mapType, embeddedResource, cel } = json;
  return {
    ...(typeof description === 'string' ? { description } : {}),
    ...(value === undefined ? {} : { default: value as never }),
    ...(listType ? { 'x-kubernetes-list-type': listType } : {}),
    ...(listMapKeys ? { 'x-kubernetes-list-map-keys': listMapKeys } : {}),
    ...(mapType ? { 'x-kubernetes-map-type': mapType } : {}),
    ...(embeddedResource
      ? { 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true }
      : {}),
    ...(cel ? { 'x-kubernetes-validations': cel } : {}),
  };
}
