/**
 * Reads one message into the JSON object that Go would write for it.
 *
 * - A zero scalar that is no pointer and may be omitted (`generateName: ""`) is absent, as in JSON; behind a pointer it is kept
 *   (`replicas: 0`). An empty time is absent. Structs that are no pointers stay, if empty, as `{}`.
 * - Field numbers that are not known are passed over; a field that comes twice is merged or replaced, as protobuf demands.
 * - Free JSON (managedFields, extensions) is parsed. Nesting is bounded.
 */
import { type Message, type MessageField, unionParts } from './message.js';
import { durationText, timeText } from './text-forms.js';
import { type WireReader, WireType } from './wire-reader.js';

type JsonObject = Record<string, unknown>;

/** Only schemas recur; theirs are some ten levels deep. */
const maxDepth = 300;

export function decodeMessage(reader: WireReader, message: Message): JsonObject {
  const value: JsonObject = {};
  readFields(reader, message, value, 0);
  return value;
}

function readFields(reader: WireReader, message: Message, into: JsonObject, depth: number): void {
  if (depth > maxDepth) throw reader.fault(`messages are nested more than ${maxDepth} levels deep`);
  while (reader.at < reader.end) {
    const from = reader.at;
    const tag = reader.uint32();
    const wireType = tag & 7;
    const number = tag >>> 3;
    if (number === 0) throw reader.fault('a field has the number 0', from);
    const field = message.byNumber.get(number);
    if (!field) reader.skip(wireType);
    else if (field.inlined) {
      expectType(reader, message, field, wireType, WireType.bytes, from);
      reader.message(() => readFields(reader, field.message(), into, depth + 1));
    } else readField(reader, message, field, wireType, into, depth, from);
  }
}

function readField(
  reader: WireReader,
  message: Message,
  field: MessageField,
  wireType: number,
  into: JsonObject,
  depth: number,
  from: number,
): void {
  const name = field.json === '' ? String(field.number) : field.json;
  if (field.map) {
    expectType(reader, message, field, wireType, WireType.bytes, from);
    into[name] ??= {};
    readEntry(reader, message, field, into[name] as JsonObject, depth);
    return;
  }
  const plain = wireTypeOf(field);
  if (field.repeated) {
    into[name] ??= [];
    const list = into[name] as unknown[];
    if (wireType === WireType.bytes && plain !== WireType.bytes) {
      reader.message(() => {
        while (reader.at < reader.end) list.push(readValue(reader, field, undefined, depth));
      });
      return;
    }
    expectType(reader, message, field, wireType, plain, from);
    list.push(readValue(reader, field, undefined, depth) ?? null);
    return;
  }
  expectType(reader, message, field, wireType, plain, from);
  const value = readValue(reader, field, into[name], depth);
  const absent = value === undefined || (field.omitEmpty && !field.pointer && isZero(value));
  if (!absent) into[name] = value;
  else if (name in into) delete into[name];
}

const isZero = (value: unknown): boolean => value === '' || value === 0 || value === false;

/** One entry of a map: a message with the key (1) and the value (2), of which each may be left out. */
function readEntry(reader: WireReader, message: Message, field: MessageField, map: JsonObject, depth: number): void {
  reader.message(() => {
    let key = '';
    let value: unknown;
    while (reader.at < reader.end) {
      const from = reader.at;
      const tag = reader.uint32();
      if (tag >>> 3 === 1) {
        expectType(reader, message, field, tag & 7, WireType.bytes, from);
        key = reader.string();
      } else if (tag >>> 3 === 2) {
        expectType(reader, message, field, tag & 7, wireTypeOf(field), from);
        value = readValue(reader, field, value, depth);
      } else reader.skip(tag & 7);
    }
    // Assigning to this name would set the prototype.
    if (key === '__proto__')
      Object.defineProperty(map, key, {
        value: value ?? emptyOf(field),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    else map[key] = value ?? emptyOf(field);
  });
}

function emptyOf(field: MessageField): unknown {
  switch (field.form) {
    case 'string':
    case 'bytes':
      return '';
    case 'quantity':
      return '0';
    case 'boolean':
      return false;
    case 'int32':
    case 'int64':
    case 'double':
      return 0;
    case 'strings':
      return [];
    case 'message':
      return {};
    default:
      return null;
  }
}

function wireTypeOf({ form }: MessageField): number {
  switch (form) {
    case 'boolean':
    case 'int32':
    case 'int64':
      return WireType.varint;
    case 'double':
      return WireType.fixed64;
    default:
      return WireType.bytes;
  }
}

function expectType(
  reader: WireReader,
  message: Message,
  field: MessageField,
  found: number,
  wanted: number,
  from: number,
): void {
  if (found === wanted) return;
  const name = `${message.name.slice(message.name.indexOf('/') + 1)}.${field.json || field.number}`;
  throw reader.fault(`${name} has the wire type ${found} instead of ${wanted}`, from);
}

/** @param before what the field held when it came before: messages are merged. Undefined: there is no value. */
function readValue(reader: WireReader, field: MessageField, before: unknown, depth: number): unknown {
  switch (field.form) {
    case 'string':
      return reader.string();
    case 'boolean':
      return reader.boolean();
    case 'int32':
      return reader.int32();
    case 'int64':
      return reader.int64();
    case 'double':
      return reader.double();
    case 'bytes':
      return reader.bytes().toString('base64');
    case 'time':
    case 'microtime':
      return readTime(reader, field.form === 'microtime');
    case 'duration': {
      let nanoseconds = 0n;
      readSmall(
        reader,
        number => number === 1 && WireType.varint,
        () => {
          nanoseconds = reader.int64Exact();
        },
      );
      return durationText(nanoseconds);
    }
    case 'quantity': {
      let text = '0';
      readSmall(
        reader,
        number => number === 1 && WireType.bytes,
        () => {
          text = reader.string();
        },
      );
      return text;
    }
    case 'int-or-string':
      return readIntOrString(reader);
    case 'any':
      return readJson(reader);
    case 'strings': {
      const items: string[] = [];
      readSmall(
        reader,
        number => number === 1 && WireType.bytes,
        () => {
          items.push(reader.string());
        },
      );
      return items;
    }
    case 'union':
      return readUnion(reader, field, depth);
    case 'message': {
      const value = (before ?? {}) as JsonObject;
      reader.message(() => readFields(reader, field.message(), value, depth + 1));
      return value;
    }
  }
}

/** A message of few scalars. `typeOf` answers the wire type of a number, false when it is not known. */
function readSmall(
  reader: WireReader,
  typeOf: (number: number) => number | false,
  read: (number: number) => void,
): void {
  reader.message(() => {
    while (reader.at < reader.end) {
      const from = reader.at;
      const tag = reader.uint32();
      const wanted = typeOf(tag >>> 3);
      if (wanted === false) reader.skip(tag & 7);
      else if (wanted !== (tag & 7))
        throw reader.fault(`a field has the wire type ${tag & 7} instead of ${wanted}`, from);
      else read(tag >>> 3);
    }
  });
}

/** Seconds (1) and nanoseconds (2); an empty message is no time. */
function readTime(reader: WireReader, micro: boolean): string | undefined {
  const from = reader.at;
  let seconds: number | undefined;
  let nanos = 0;
  readSmall(
    reader,
    number => (number === 1 || number === 2) && WireType.varint,
    number => {
      if (number === 1) seconds = reader.int64();
      else {
        nanos = reader.int32();
        seconds ??= 0;
      }
    },
  );
  if (seconds === undefined) return undefined;
  const text = timeText(seconds, nanos, micro);
  if (text === undefined) throw reader.fault('a time is outside of the years 0000 to 9999', from);
  return text;
}

/** Type (1): 0 is the number (2), anything else the text (3). */
function readIntOrString(reader: WireReader): number | string {
  let type = 0;
  let number = 0;
  let text = '';
  readSmall(
    reader,
    field => (field === 3 ? WireType.bytes : field < 3 && field > 0 && WireType.varint),
    field => {
      if (field === 1) type = reader.int64();
      else if (field === 2) number = reader.int32();
      else text = reader.string();
    },
  );
  return type === 0 ? number : text;
}

function readJson(reader: WireReader): unknown {
  const from = reader.at;
  let text = '';
  readSmall(
    reader,
    number => number === 1 && WireType.bytes,
    () => {
      text = reader.string();
    },
  );
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw reader.fault(`a field of free JSON holds something else: ${(error as Error).message}`, from);
  }
}

/** A schema, and in another field what may stand in its place: a list goes before it, a boolean behind it. */
function readUnion(reader: WireReader, field: MessageField, depth: number): unknown {
  const parts: JsonObject = {};
  reader.message(() => readFields(reader, field.message(), parts, depth + 1));
  const { schema, other } = unionParts(field.message());
  if (other.repeated) return parts[other.number] ?? parts[schema.number];
  return parts[schema.number] ?? parts[other.number] ?? false;
}
