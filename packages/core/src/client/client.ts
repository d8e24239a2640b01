/**
 * One typed client over a {@link Transport}: the same code talks to an API server in this process, to `orbit up` and to
 * any Kubernetes.
 *
 * Results are the caller's own and mutable. Every failure is a `StatusError`. Everything that waits takes a signal.
 */
import type { FieldValidation, ResourceRef } from '../kinds/kind.js';
import type { Draft, DynamicObject, KubeObject, ObjectKey, ObjectList, ObjectMeta } from '../meta/object.js';
import type { Transport } from './transport.js';

/** Of every call that ends with one answer. */
export interface CallOptions {
  signal?: AbortSignal;
  /** Default 60 s. */
  timeoutMs?: number;
}

/** Which objects of a kind. */
export interface SelectorOptions {
  /** Default: all namespaces. */
  namespace?: string;
  /** `app=web,tier in (a,b)` */
  labelSelector?: string;
  /** `metadata.name=x,status.phase!=Running` */
  fieldSelector?: string;
}

/** Of a read of one object. With `resourceVersion` the answer is at least as new; `0` takes what the server has at hand. */
export interface GetOptions extends CallOptions {
  resourceVersion?: string;
}

/**
 * Makes an object of its JSON text: the bytes of `json` from `start` to `end`, where they arrived. They must not be changed; who keeps them
 * keeps what arrived together with them. Throws SyntaxError when it finds that they are no JSON.
 */
export type ObjectDecoder<T> = (json: Buffer, start: number, end: number) => T;

/** For those who know better than to parse every object at once: caches. */
export interface DecodeOptions<T = any> {
  /** Default: JSON.parse. */
  decode?: ObjectDecoder<T>;
  /** Asks for objects without anything but their metadata (PartialObjectMetadata). A server that cannot do that sends them whole. */
  metadataOnly?: boolean;
}

/** Of a list. `continue` is the token of the page before; a page whose version is compacted meanwhile fails with 410 Expired. */
export interface ListOptions extends CallOptions, SelectorOptions, DecodeOptions {
  /** Items per answer; without it all in one. */
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  resourceVersionMatch?: 'Exact' | 'NotOlderThan';
}

/** Of a watch. It has no bound of its own: its signal ends it, or the server. */
export interface WatchOptions extends SelectorOptions, DecodeOptions {
  signal?: AbortSignal;
  /** Events after this version. Without it, or with `0`, every existing object comes first as ADDED. */
  resourceVersion?: string;
  /** The server tells a quiet watch how far it is. Default: none are asked for. */
  allowWatchBookmarks?: boolean;
  /** What there is comes first, ended by a BOOKMARK (WatchList). See `Client.streamsLists`. */
  sendInitialEvents?: boolean;
  /** Server-side bound in seconds; the stream then ends cleanly. */
  timeoutSeconds?: number;
}

/** Of everything that writes. */
export interface WriteOptions extends CallOptions {
  /** Persist nothing, answer as if. */
  dryRun?: boolean;
  /** Name of the writer in managedFields. */
  fieldManager?: string;
  fieldValidation?: FieldValidation;
}

/** Of a server-side apply. The manager is `fieldManager`, of the call or of the client. */
export interface ApplyOptions extends WriteOptions {
  /** Take fields that other managers own, instead of failing with a Conflict that names them. Default false. */
  force?: boolean;
  /** `status`, `scale`: what is applied then has that form and its own ownership. */
  subresource?: string;
}

/** Of a delete. A precondition that does not hold is a Conflict. */
export interface DeleteOptions extends CallOptions {
  /** Seconds; 0 deletes at once. */
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  preconditions?: { uid?: string; resourceVersion?: string };
  /** Delete nothing, answer as if. */
  dryRun?: boolean;
}

/** A patch with its form: RFC 6902, RFC 7396, or Kubernetes' strategic merge, which custom resources do not have. */
export type Patch =
  | { type: 'json'; patch: readonly object[] }
  | { type: 'merge'; patch: object }
  | { type: 'strategic'; patch: object };

/** One change of the world. BOOKMARK carries only a resourceVersion; it ends the initial events when `initialEventsEnd`. */
export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; resourceVersion: string; initialEventsEnd: boolean };

/** Everything that the REST API offers of a kind. Safe for any number of calls at once. */
export interface Client {
  readonly transport: Transport;
  /** Whether its watches may ask for `sendInitialEvents`. Undefined: no; then who wants all objects has to list them. */
  readonly streamsLists?: boolean;

  get<T extends KubeObject>(kind: ResourceRef<T>, key: ObjectKey, options?: GetOptions): Promise<T>;
  list<T extends KubeObject>(kind: ResourceRef<T>, options?: ListOptions): Promise<ObjectList<T>>;
  /**
   * Changes as they happen. An expired version, and any other ERROR event, is thrown as StatusError; a clean end of the stream
   * ends the iteration. Leaving the loop closes the stream.
   */
  watch<T extends KubeObject>(kind: ResourceRef<T>, options?: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** As `watch`, one array for what arrived together: the server's commit batches. */
  watchBatches<T extends KubeObject>(kind: ResourceRef<T>, options?: WatchOptions): AsyncIterable<WatchEvent<T>[]>;

  /** `metadata.namespace` of the object says where; required for namespaced kinds. */
  create<T extends KubeObject>(kind: ResourceRef<T>, object: Draft<T>, options?: WriteOptions): Promise<T>;
  /** Replaces the object; with its resourceVersion set it is a compare-and-swap. */
  update<T extends KubeObject>(kind: ResourceRef<T>, object: T, options?: WriteOptions): Promise<T>;
  updateStatus<T extends KubeObject>(kind: ResourceRef<T>, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    kind: ResourceRef<T>,
    key: ObjectKey,
    patch: Patch,
    options?: WriteOptions & { subresource?: string },
  ): Promise<T>;
  /**
   * Server-side apply: creates the object or merges what is given into it. The field manager owns what it gave: what it leaves out the
   * next time goes, unless somebody else owns it too. A field that another manager owns with another value is a Conflict.
   */
  apply<T extends KubeObject>(kind: ResourceRef<T>, object: Draft<T>, options?: ApplyOptions): Promise<T>;
  /** Resolves to the object while it is on its way out, to undefined when it is gone at once. */
  delete<T extends KubeObject>(kind: ResourceRef<T>, key: ObjectKey, options?: DeleteOptions): Promise<T | undefined>;
  deleteCollection<T extends KubeObject>(
    kind: ResourceRef<T>,
    options?: DeleteOptions & SelectorOptions,
  ): Promise<void>;

  /** GET of a subresource: `scale`, `status`. */
  getSubresource<S = DynamicObject>(
    kind: ResourceRef<any>,
    key: ObjectKey,
    name: string,
    options?: CallOptions,
  ): Promise<S>;
  /** PUT of a subresource. */
  updateSubresource<S = DynamicObject>(
    kind: ResourceRef<any>,
    key: ObjectKey,
    name: string,
    body: object,
    options?: WriteOptions,
  ): Promise<S>;
  /** POST to a subresource: `binding`, `eviction`, `token`. */
  createSubresource<S = DynamicObject>(
    kind: ResourceRef<any>,
    key: ObjectKey,
    name: string,
    body: object,
    options?: WriteOptions,
  ): Promise<S>;
  close(): Promise<void>;
}

/** Metadata alone: what garbage collection needs of kinds that it does not know. */
export interface PartialObjectMetadata extends KubeObject {
  metadata: ObjectMeta;
}
