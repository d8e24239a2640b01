/**
 * Writes the JSON form of an object as its message, byte for byte as Kubernetes' own writer does: fields in the order of their
 * numbers, keys of maps sorted, scalars and structs that are no pointers always there.
 *
 * The value has the type's form (a kind's `decode` has seen it); what is not in the type is left out.
 */
import { type Message, type MessageField, unionParts } from './message.js';
import { durationOf, timeOf } from './text-forms.js';
import { WireType } from './wire-reader.js';
import type { WireWriter } from './wire-writer.js';

type JsonObject = Readonly<Record<string, unknown>>;

export function encodeMessage(writer: WireWriter, message: Message, value: JsonObject): void {
  for (const field of message.fields) {
    if (field.inlined) {
      writer.tag(field.number, WireType.bytes);
      writer.message(() => encodeMessage(writer, field.message(), value));
    } else writeField(writer, field, value[field.json] ?? undefined);
  }
}

function writeField(writer: WireWriter, field: MessageField, value: unknown): void {
  if (field.map) {
    const map = (value ?? {}) as JsonObject;
    for (const key of Object.keys(map).sort(byBytes)) {
      writer.tag(field.number, WireType.bytes);
      writer.message(() => {
        writer.tag(1, WireType.bytes);
        writer.string(key);
        writeValue(writer, field, 2, map[key]);
      });
    }
    return;
  }
  if (field.repeated) {
    for (const each of (value ?? []) as unknown[]) writeValue(writer, field, field.number, each);
    return;
  }
  if (value === undefined && (field.pointer || field.form === 'bytes')) return;
  writeValue(writer, field, field.number, value);
}

/** Go sorts texts by their UTF-8 bytes. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** @param value undefined or null for the zero of its type. */
function writeValue(writer: WireWriter, field: MessageField, number: number, value: unknown): void {
  const tag = (wireType: number): void => writer.tag(number, wireType);
  const small = (write: () => void): void => {
    tag(WireType.bytes);
    writer.message(write);
  };
  switch (field.form) {
    case 'string':
      tag(WireType.bytes);
      writer.string((value ?? '') as string);
      return;
    case 'boolean':
      tag(WireType.varint);
      writer.uint32(value === true ? 1 : 0);
      return;
    case 'int32':
    case 'int64':
      tag(WireType.varint);
      writer.int64((value ?? 0) as number);
      return;
    case 'double':
      tag(WireType.fixed64);
      writer.double((value ?? 0) as number);
      return;
    case 'bytes':
      tag(WireType.bytes);
      writer.bytes(Buffer.from((value ?? '') as string, 'base64'));
      return;
    case 'time':
    case 'microtime':
      small(() => {
        if (value === undefined || value === null) return;
        const { seconds, nanos } = timeOf(value as string);
        writer.tag(1, WireType.varint);
        writer.int64(seconds);
        writer.tag(2, WireType.varint);
        writer.int64(nanos);
      });
      return;
    case 'duration':
      small(() => {
        writer.tag(1, WireType.varint);
        writer.int64(durationOf((value ?? '0s') as string));
      });
      return;
    case 'quantity':
      small(() => {
        writer.tag(1, WireType.bytes);
        writer.string(String(value ?? '0'));
      });
      return;
    case 'int-or-string':
      small(() => {
        const isText = typeof value === 'string';
        writer.tag(1, WireType.varint);
        writer.uint32(isText ? 1 : 0);
        writer.tag(2, WireType.varint);
        writer.int64(isText ? 0 : ((value ?? 0) as number));
        writer.tag(3, WireType.bytes);
        writer.string(isText ? value : '');
      });
      return;
    case 'any':
      small(() => {
        if (value === undefined) return;
        writer.tag(1, WireType.bytes);
        writer.string(JSON.stringify(value));
      });
      return;
    case 'strings':
      small(() => {
        for (const item of (value ?? []) as string[]) {
          writer.tag(1, WireType.bytes);
          writer.string(item);
        }
      });
      return;
    case 'union':
      small(() => writeUnion(writer, field.message(), value));
      return;
    case 'message':
      small(() => encodeMessage(writer, field.message(), (value ?? {}) as JsonObject));
  }
}

function writeUnion(writer: WireWriter, message: Message, value: unknown): void {
  const { schema, other } = unionParts(message);
  const isSchema = typeof value === 'object' && value !== null && !Array.isArray(value);
  for (const part of message.fields) {
    if (part === schema) writeField(writer, part, isSchema ? value : undefined);
    // What allows a schema allows something.
    else writeField(writer, other, isSchema ? (other.form === 'boolean' ? true : undefined) : value);
  }
}
