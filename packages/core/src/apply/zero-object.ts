/**
 * The object that a server starts from before anything is set: what of a new object is its creator's doing is what differs from it.
 * Structs that are no pointers are there, fields that are always written have their zero. So a creator owns `spec.containers[…]`
 * without owning `spec.containers` itself, as on a real server.
 */
import type { ScalarForm, Schema, StructSchema } from '../kinds/schema.js';
import type { Json, JsonObject } from '../patch/json.js';

const zeros = new WeakMap<Schema, JsonObject>();

/** The same value each time: read only. Of a custom resource it is empty. */
export function zeroObject(schema: StructSchema): JsonObject {
  let zero = zeros.get(schema);
  if (zero === undefined) {
    zero = zeroOf(schema);
    zeros.set(schema, zero);
  }
  return zero;
}

function zeroOf(schema: StructSchema): JsonObject {
  const zero: JsonObject = {};
  for (const { name, schema: type, pointer, omitEmpty } of schema.fields.values()) {
    if (pointer) continue;
    if (type.type === 'struct') zero[name] = zeroOf(type);
    else if (!omitEmpty) zero[name] = type.type === 'scalar' ? zeroScalar(type.form) : null;
  }
  return zero;
}

function zeroScalar(form: ScalarForm): Json {
  switch (form) {
    case 'boolean':
      return false;
    case 'int32':
    case 'int64':
    case 'double':
    case 'int-or-string':
      return 0;
    case 'quantity':
      return '0';
    case 'time':
    case 'microtime':
    case 'bytes':
    case 'any':
      return null;
    default:
      return '';
  }
}
