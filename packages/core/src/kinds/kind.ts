/**
 * What a kind is: one definition from which types, decoding, defaults, validation, patches, OpenAPI and columns come.
 *
 * A `ResourceRef` is enough to address objects over REST (a client needs no more); a `Kind` also knows its schema.
 * Importing a kind is cheap: the schema is read on first use.
 */
import type { FieldError } from '../errors/status-error.js';
import type { KubeObject } from '../meta/object.js';
import type { StructSchema } from './schema.js';

/** Addresses the objects of one kind: `/apis/{group}/{version}/namespaces/{ns}/{plural}`; the core group is `''`. */
export interface ResourceRef<T = KubeObject> {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Type only; never set. */
  readonly _type?: T;
}

/** What can be done with objects over REST, as discovery names it. */
export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

/** A path below an object, and the kind of its body. */
export interface Subresource {
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

/** A printed column. Priority 0 is always shown, 1 with wide output; the server always sends all. */
export interface Column<T = KubeObject> {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  readonly format: string;
  readonly description: string;
  readonly priority: number;
  /** The cell's value; `now` in milliseconds since 1970 for ages. */
  cell(object: T, now: number): string | number | boolean | null;
}

/** Where a kind of one's own keeps what its scale subresource speaks of; paths as in `.spec.replicas`. */
export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  /** Of a selector in text form. */
  readonly labelSelectorPath?: string;
}

/** Marks a row of a table: `Completed` for a pod that has ended. */
export interface RowCondition {
  type: string;
  status: 'True' | 'False' | 'Unknown' | (string & {});
  reason?: string;
  message?: string;
}

/** What becomes of fields that a kind does not have: dropped, dropped with a warning, refused. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** An object of the kind's own type. */
export interface Decoded<T> {
  object: T;
  /** Paths of fields that the kind does not have, e.g. `spec.template.spec.containers[0].foo`. They were dropped. */
  unknownFields: string[];
}

/**
 * How objects of a kind are stored in the form of another one: another version of the same resource, or the resource of another group.
 * All kinds with one `storage.kind` share its keys, versions, events and field managers; each is a view of what is stored.
 *
 * Conversion loses nothing in either direction. A kind that is its own `storage.kind` may have one too, for objects that were
 * stored in a form that has since been left.
 */
export interface StorageForm<T extends KubeObject = any> {
  readonly kind: Kind<any>;
  /**
   * Converts what is there and adds nothing, so that parts of an object (what server-side apply is given) convert too.
   * Consumes its argument.
   */
  toStorage(object: T): KubeObject;
  /**
   * Awaited before `toStorage` and `fromStorage` of these very objects, where conversion takes time (a webhook's): when it is done, they
   * answer at once. Absent: there is nothing to wait for.
   */
  prepare?(objects: readonly Readonly<KubeObject>[]): Promise<void>;
  /** The argument is shared and must not change; the very argument as the answer means that the stored bytes are right as they are. */
  fromStorage(object: Readonly<KubeObject>): T;
}

/** What a definition says of its kind beyond the intermediate form. */
export interface CustomKindFacts {
  /** The schema for OpenAPI documents, with the texts and constraints of its author. */
  readonly published: Readonly<Record<string, unknown>>;
  /** Told to everyone who uses this version. */
  readonly deprecation?: string;
}

/** Everything that is known of a kind. A value: built-in ones are constants, your own come from `defineKind`. */
export interface Kind<T extends KubeObject = KubeObject> extends ResourceRef<T> {
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly Verb[];
  readonly subresources: readonly Subresource[];
  /** The intermediate form of the type, read on first use. */
  readonly schema: StructSchema;
  /** Empty: the default columns (Name, Created At). */
  readonly columns: readonly Column<T>[];
  /**
   * Turns a JSON value into an object of this kind: unknown fields are dropped and named, null is absent, the forms of
   * times, quantities and int-or-string are checked. Missing apiVersion and kind are filled in. The value is consumed:
   * the result may share its parts.
   * @throws StatusError BadRequest with the field's path when a value has the wrong type.
   */
  decode(value: unknown): Decoded<T>;
  /** Fills in the defaults of Kubernetes' API machinery, in place. Idempotent. */
  applyDefaults(object: T): void;
  /** Rules beyond the shape. With `previous` also those of an update (immutable fields). */
  validate(object: T, previous?: T): FieldError[];
  /** Of a kind of one's own with a scale subresource. */
  readonly scale?: ScalePaths;
  /** Asked or computed, never stored (`TokenReview`, `NodeMetrics`): a server answers it by itself or not at all. */
  readonly virtual?: boolean;
  /** Absent: objects are stored as they are. */
  readonly storage?: StorageForm<T>;
  /** Beside name and namespace: by what objects can be selected, and how it is read. Built-in kinds have theirs in the server. */
  readonly selectableFields?: Readonly<Record<string, (object: any) => unknown>>;
  /** Of a kind that a CustomResourceDefinition defines. */
  readonly custom?: CustomKindFacts;
  /** What marks the object's row in a table, if anything. */
  rowConditions?(object: T): RowCondition[] | undefined;
}

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(ref: { group: string; version: string }): string {
  return ref.group ? `${ref.group}/${ref.version}` : ref.version;
}

/** The identity of a kind: `apps/v1/Deployment`, `/v1/Pod`. */
export function gvkOf(ref: { group: string; version: string; kind: string }): string {
  return `${ref.group}/${ref.version}/${ref.kind}`;
}

/** Path of a collection or object: `/api/v1/namespaces/default/pods/p1`. Names are percent-encoded. */
export function pathOf(
  ref: ResourceRef<any>,
  key: { name?: string; namespace?: string } = {},
  subresource?: string,
): string {
  const base = ref.group ? `/apis/${ref.group}/${ref.version}` : `/api/${ref.version}`;
  const namespace = ref.namespaced && key.namespace ? `/namespaces/${encodeURIComponent(key.namespace)}` : '';
  const name = key.name === undefined ? '' : `/${encodeURIComponent(key.name)}`;
  return `${base}${namespace}/${ref.plural}${name}${subresource ? `/${subresource}` : ''}`;
}
