/**
 * The protobuf messages of the built-in types, made from the same facts as their JSON form, each on its first use.
 *
 * What is inlined in JSON is a message of its own on the wire (a probe's handler); TypeMeta is never there (the envelope names the
 * kind). Field numbers are those of Kubernetes' `generated.proto` files.
 */
import { type FactsRow, factsOf, qualify, scalarForms } from '../kinds/facts.js';
import type { ScalarForm } from '../kinds/schema.js';

/** How one value stands on the wire and in JSON; `any` is a message with one field of JSON text (1). */
export type WireForm =
  | ScalarForm
  /** A message with one repeated text (1); a bare list in JSON. */
  | 'strings'
  /** A schema, or something shorter in its place (a list, a boolean). */
  | 'union'
  /** An object of fields. */
  | 'message';

export interface MessageField {
  readonly number: number;
  /** '' for what has no name in JSON: inlined messages and the parts of a union. */
  readonly json: string;
  readonly form: WireForm;
  /** Of a message or a union. */
  readonly message: () => Message;
  readonly repeated: boolean;
  readonly map: boolean;
  readonly inlined: boolean;
  /** A Go pointer: absent is not zero. */
  readonly pointer: boolean;
  readonly omitEmpty: boolean;
}

export interface Message {
  readonly name: string;
  /** In the order of their numbers. */
  readonly fields: readonly MessageField[];
  readonly byNumber: ReadonlyMap<number, MessageField>;
}

const forms: Readonly<Record<string, WireForm>> = { ...scalarForms, Strings: 'strings' };

const messages = new Map<string, Message>();

/** `core/v1.PodSpec`; the same value each time. */
export function messageOf(name: string): Message {
  let message = messages.get(name);
  if (!message) {
    const group = name.slice(0, name.indexOf('.', name.indexOf('/') + 1));
    const fields = factsOf(name)
      .f.filter(([, , , number]) => number > 0)
      .map(row => fieldOf(row, group))
      .sort((a, b) => a.number - b.number);
    message = { name, fields, byNumber: new Map(fields.map(field => [field.number, field])) };
    messages.set(name, message);
  }
  return message;
}

function fieldOf([json, type, flags, number]: FactsRow, group: string): MessageField {
  const scalar = forms[type];
  const name = qualify(type, group);
  let own: Message | undefined;
  return {
    number,
    json,
    form: scalar ?? (factsOf(name).form === undefined ? 'message' : 'union'),
    message: () => {
      own ??= messageOf(name);
      return own;
    },
    repeated: flags.includes('l'),
    map: flags.includes('m'),
    inlined: flags.includes('i'),
    pointer: flags.includes('p'),
    omitEmpty: flags.includes('o'),
  };
}

/** The two fields of a union: the schema, and what may stand in its place. */
export function unionParts({ fields }: Message): { schema: MessageField; other: MessageField } {
  const schema = fields.find(field => field.form === 'message' && !field.repeated)!;
  return { schema, other: fields.find(field => field !== schema)! };
}
