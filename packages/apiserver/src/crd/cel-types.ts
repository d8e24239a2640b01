/**
 * What validation rules see of a custom resource: each object of the schema becomes a type of its own with its fields, and JSON becomes values
 * of these types. Fields that a schema leaves open are not visible, nor is metadata but for `name` and `generateName`.
 *
 * Lists of type set or map are compared without order (cel/values.ts).
 *
 * Names that are no identifiers are written as Kubernetes does: `foo-bar` is `foo__dash__bar`. A null that the schema allows is an absent field.
 * Source: apiserver `cel/common` (SchemaDeclType, values; v0.33).
 */
import { celEnvironment } from '../cel/environment.js';
import type { CelEnvironment } from '../cel/expression.js';
import { keyOfValue, markKeyed, sameValue } from '../cel/values.js';
import { isObject, type Structural } from './structural.js';

/** Turns JSON of one place in the schema into a value. */
export type ToCel = (value: unknown) => unknown;

export interface CelType {
  /** As declarations name it: `int`, `list<string>`, `object.spec`. */
  readonly name: string;
  readonly toCel: ToCel;
  /** A list, or map of lists, that is not compared element by element. */
  readonly keyed?: true;
}

const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

/** The identifier that stands for a property; undefined when there is none. */
export function escapedName(name: string): string | undefined {
  if (reserved.has(name)) return `__${name}__`;
  if (!/^[A-Za-z_./-][A-Za-z0-9_./-]*$/.test(name)) return undefined;
  const escaped = name
    .replace(/__/g, '__underscores__')
    .replace(/\./g, '__dot__')
    .replace(/-/g, '__dash__')
    .replace(/\//g, '__slash__');
  return /^[A-Za-z_]/.test(escaped) ? escaped : undefined;
}

/** The types of one schema. Types are declared as they are asked for. */
export class CelTypes {
  readonly #environment: CelEnvironment = celEnvironment();
  readonly #types = new Map<Structural, CelType | undefined>();
  #count = 0;

  /** @param isResource The root, or an embedded resource. Undefined for what rules cannot see. */
  typeOf(node: Structural, name: string, isResource = node.embedded): CelType | undefined {
    if (this.#types.has(node)) return this.#types.get(node);
    const type = this.#make(node, name, isResource);
    this.#types.set(node, type);
    return type;
  }

  /** An environment in which `self` and `oldSelf` are of this type. Ask for all types first. */
  environmentOf(type: CelType, optionalOldSelf: boolean): CelEnvironment {
    return this.#environment
      .clone()
      .registerVariable('self', type.name)
      .registerVariable('oldSelf', optionalOldSelf ? `optional<${type.name}>` : type.name);
  }

  #make(node: Structural, name: string, isResource: boolean): CelType | undefined {
    if (node.intOrString)
      return { name: 'dyn', toCel: value => (typeof value === 'number' ? BigInt(Math.trunc(value)) : value) };
    switch (node.type) {
      case 'boolean':
        return { name: 'bool', toCel: same };
      case 'integer':
        return { name: 'int', toCel: value => (typeof value === 'number' ? BigInt(Math.trunc(value)) : value) };
      case 'number':
        return { name: 'double', toCel: same };
      case 'string':
        return stringType(node.source.format);
      case 'array': {
        const items = node.items && this.typeOf(node.items, `${name}.items`);
        if (!items) return undefined;
        return listType(node, items);
      }
      case 'object':
        if (node.properties.size === 0 && typeof node.additional === 'object') {
          const values = this.typeOf(node.additional, `${name}.values`);
          if (!values) return undefined;
          const mapName = `map<string, ${values.name}>`;
          if (!values.keyed) return { name: mapName, toCel: value => mapOf(value, values.toCel) };
          return {
            name: mapName,
            keyed: true,
            toCel: value => (isObject(value) ? markKeyed(mapOf(value, values.toCel) as object, undefined) : value),
          };
        }
        return this.#objectType(node, name, isResource);
      default:
        return undefined;
    }
  }

  #objectType(node: Structural, name: string, isResource: boolean): CelType {
    const fields: Record<string, string> = {};
    const readers: [key: string, field: string, toCel: ToCel, nullable: boolean][] = [];
    const add = (key: string, type: CelType | undefined, nullable: boolean): void => {
      const field = escapedName(key);
      if (type === undefined || field === undefined) return;
      fields[field] = type.name;
      readers.push([key, field, type.toCel, nullable]);
    };
    for (const [key, property] of node.properties) {
      if (isResource && (key === 'metadata' || key === 'apiVersion' || key === 'kind')) continue;
      add(key, this.typeOf(property, `${name}.${key}`), property.nullable);
    }
    if (isResource) {
      for (const key of ['apiVersion', 'kind']) add(key, { name: 'string', toCel: same }, false);
      add('metadata', this.#metadataType(), false);
    }
    return this.#declare(name, fields, readers);
  }

  #metadata: CelType | undefined;
  #metadataType(): CelType {
    this.#metadata ??= this.#declare('object.metadata', { name: 'string', generateName: 'string' }, [
      ['name', 'name', same, false],
      ['generateName', 'generateName', same, false],
    ]);
    return this.#metadata;
  }

  #declare(
    name: string,
    fields: Record<string, string>,
    readers: readonly [key: string, field: string, toCel: ToCel, nullable: boolean][],
  ): CelType {
    // A class of its own: the engine tells types of values by their constructor.
    const Type = class {};
    const declared = `${name.replace(/[^A-Za-z0-9_]/g, '_')}_${this.#count++}`;
    this.#environment.registerType(declared, { ctor: Type, fields });
    this.#environment.registerOperator(`${declared} == ${declared}`, sameValue);
    this.#environment.registerOperator(`${declared} == null`, () => false);
    return {
      name: declared,
      toCel(value) {
        if (!isObject(value)) return value;
        const made = new Type() as Record<string, unknown>;
        for (const [key, field, toCel, nullable] of readers) {
          if (!Object.hasOwn(value, key)) continue;
          const given = value[key];
          if (given === undefined || (given === null && nullable)) continue;
          made[field] = toCel(given);
        }
        return made;
      },
    };
  }
}

const same: ToCel = value => value;

function listType({ listType: type, listMapKeys }: Structural, items: CelType): CelType {
  const name = `list<${items.name}>`;
  const elements = (value: unknown[]): unknown[] => value.map(items.toCel);
  if (type === 'atomic' && !items.keyed)
    return { name, toCel: value => (Array.isArray(value) ? elements(value) : value) };
  const fields = listMapKeys.map(key => escapedName(key) ?? key);
  const keyOf =
    type === 'set'
      ? keyOfValue
      : type === 'map'
        ? (element: unknown) =>
            keyOfValue(fields.map(field => (element as Record<string, unknown> | null)?.[field] ?? null))
        : undefined;
  return {
    name,
    keyed: true,
    toCel: value => (Array.isArray(value) ? markKeyed(elements(value), keyOf) : value),
  };
}

function mapOf(value: unknown, toCel: ToCel): unknown {
  if (!isObject(value)) return value;
  return new Map(Object.keys(value).map(key => [key, toCel(value[key])]));
}

function stringType(format: string | undefined): CelType {
  switch (format) {
    case 'date':
    case 'date-time':
      return {
        name: 'google.protobuf.Timestamp',
        toCel: value => (typeof value === 'string' ? new Date(value) : value),
      };
    case 'byte':
      return {
        name: 'bytes',
        toCel: value => (typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : value),
      };
    case 'duration':
      return { name: 'google.protobuf.Duration', toCel: durationOf };
    default:
      return { name: 'string', toCel: same };
  }
}

let parseDuration: ((variables: Record<string, unknown>) => unknown) | undefined;
/** The engine's own durations, of which it exports no constructor. */
function durationOf(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  parseDuration ??= celEnvironment().registerVariable('text', 'string').parse('duration(text)');
  return parseDuration({ text: value });
}
