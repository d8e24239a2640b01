/**
 * The intermediate form of a type: the facts table is read into it, zod is lowered into it, and everything else
 * (decoding, defaults, patches, OpenAPI, protobuf) reads it.
 */

export type ScalarForm =
  | 'string'
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'double'
  | 'bytes'
  | 'time'
  | 'microtime'
  | 'duration'
  | 'quantity'
  | 'int-or-string'
  /** Any JSON value, kept as it is. */
  | 'any';

/** A type, as far as orbitkit knows one. */
export type Schema = ScalarSchema | StructSchema | ListSchema | MapSchema;

/** A single value. */
export interface ScalarSchema {
  readonly type: 'scalar';
  readonly form: ScalarForm;
  /** Values with a meaning; legal is only what is listed when `enumClosed`. */
  readonly enum?: readonly string[];
  readonly enumClosed?: boolean;
  /** Name of the type in its own package where it has one, `v1.Protocol`: only error texts speak of it. */
  readonly named?: string;
}

/** A list of one type. */
export interface ListSchema {
  readonly type: 'list';
  readonly items: Schema;
  /** Server-side apply: how lists merge. Default atomic. */
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
}

/** A mapping from texts to one type. Server-side apply owns it entry by entry (granular, the default) or as a whole. */
export interface MapSchema {
  readonly type: 'map';
  readonly values: Schema;
  readonly mapType?: 'atomic' | 'granular';
}

/** A type with fields. */
export interface StructSchema {
  readonly type: 'struct';
  /** Name of the type: `core/v1.PodSpec`. */
  readonly name: string;
  /** By JSON name. Inlined fields stand in the place of their holder. A getter may resolve it on first use (types recur). */
  readonly fields: ReadonlyMap<string, FieldSchema>;
  readonly structType?: 'atomic' | 'granular';
  /** Unknown fields are kept instead of dropped (custom resources). */
  readonly preserveUnknownFields?: boolean;
  readonly description?: string;
}

/** One field of a type, with what Go's encoding does with it. */
export interface FieldSchema {
  readonly name: string;
  readonly schema: Schema;
  readonly required: boolean;
  /** A Go pointer: its zero value is kept; without one and with omitempty a zero is absent. */
  readonly pointer: boolean;
  readonly omitEmpty: boolean;
  /** A null that is written is kept. Default false: null is absent. */
  readonly nullable?: boolean;
  readonly default?: unknown;
  /** Strategic merge: `merge`, `retainKeys`, or both. */
  readonly patchStrategy?: readonly ('merge' | 'retainKeys')[];
  readonly patchMergeKey?: string;
  readonly description?: string;
}
