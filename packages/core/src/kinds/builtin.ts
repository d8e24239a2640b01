/**
 * Makes a built-in kind out of its row in the table of facts. The schema is read and compiled on first use; defaults, rules
 * and columns come from the kind's own files (behaviour.ts).
 */
import { StatusError } from '../errors/status-error.js';
import type { KubeObject } from '../meta/object.js';
import { behaviourOf, validateObject } from './behaviour.js';
import { decodeStruct } from './decode.js';
import { builtinSchema } from './facts.js';
import { apiVersionOf, type Decoded, type Kind, type StorageForm } from './kind.js';
import type { StructSchema } from './schema.js';

type Static = Pick<
  Kind,
  | 'group'
  | 'version'
  | 'kind'
  | 'plural'
  | 'singular'
  | 'listKind'
  | 'namespaced'
  | 'shortNames'
  | 'categories'
  | 'subresources'
  | 'virtual'
> & { verbs: readonly string[] };

/** @param storedAs,conversion Of a kind that is stored as another. */
export function builtin<T extends KubeObject>(
  type: string,
  facts: Static,
  storedAs?: Kind<any>,
  conversion?: Omit<StorageForm<T>, 'kind'>,
): Kind<T> {
  return {
    ...(facts as Static & Pick<Kind, 'verbs'>),
    ...(storedAs && conversion ? { storage: { kind: storedAs, ...conversion } } : {}),
    get schema() {
      return builtinSchema(type);
    },
    get columns() {
      return behaviourOf(type).columns ?? [];
    },
    decode: value => decodeObject<T>(facts, builtinSchema(type), value),
    applyDefaults(object) {
      behaviourOf(type).applyDefaults?.(object);
    },
    validate(object, previous) {
      return validateObject(behaviourOf(type), builtinSchema(type), facts.namespaced, object, previous);
    },
    rowConditions(object) {
      return behaviourOf(type).rowConditions?.(object);
    },
  };
}

/** Decodes a whole API object: its address is checked or filled in, and spec and status are there when the type has them by value. */
export function decodeObject<T extends KubeObject>(
  kind: { group: string; version: string; kind: string },
  schema: StructSchema,
  value: unknown,
): Decoded<T> {
  const apiVersion = apiVersionOf(kind);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const given = value as Partial<KubeObject>;
    if (typeof given.kind === 'string' && given.kind !== '' && given.kind !== kind.kind) {
      throw new StatusError(
        'BadRequest',
        `${given.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: the body is of kind ${given.kind}, expected ${kind.kind}`,
      );
    }
    if (typeof given.apiVersion === 'string' && given.apiVersion !== '' && given.apiVersion !== apiVersion) {
      throw new StatusError(
        'BadRequest',
        `the API version in the data (${given.apiVersion}) does not match the expected API version (${apiVersion})`,
      );
    }
  }
  const { value: decoded, unknownFields } = decodeStruct(schema, value ?? {}, kind);
  const object = (
    decoded['kind'] === undefined || decoded['apiVersion'] === undefined
      ? { apiVersion, kind: kind.kind, ...decoded }
      : decoded
  ) as T & Record<string, unknown>;
  object.metadata ??= {} as T['metadata'];
  for (const name of ['spec', 'status']) {
    if (object[name] !== undefined) continue;
    const field = schema.fields.get(name);
    if (field && !field.pointer && field.schema.type === 'struct') {
      (object as Record<string, unknown>)[name] = decodeStruct(field.schema, {}, kind).value;
    }
  }
  return { object, unknownFields };
}
