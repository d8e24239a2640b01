/**
 * What the HTTP layer (and the in-process transport, through it) asks of the resources of a cluster.
 *
 * - Objects travel as bytes: complete JSON with `resourceVersion`, made once per version and shared by every reader and watcher.
 *   Nobody may change them. `object()` parses on demand and is read-only.
 * - Bodies arrive as parsed JSON values; they are consumed (the result may share their parts).
 * - Every failure is a `StatusError`, ready for the wire. A write that fails wrote nothing.
 * - A read without resourceVersion sees every write that was acknowledged before it began, by whichever server.
 * - Everything that waits is bounded and ends with `context.signal`.
 *
 * Authentication, authorization, negotiation, Table forms and framing of lists are the caller's (`table.ts`, `list-bytes.ts`).
 */
import type { DynamicObject, FieldValidation, Kind, metav1, UserInfo } from '@orbitkit/core';

/** One request. */
export interface RequestContext {
  readonly user: UserInfo;
  /** Aborted when the client has gone. A write that is already under way is still finished. */
  readonly signal: AbortSignal;
  /** Text for a `Warning: 299 - "…"` header. */
  warn(text: string): void;
  /** A note for the audit trail. */
  annotate?(key: string, value: string): void;
  /** Asked before a patch creates what is not there. Absent: whoever may patch may create. @throws StatusError Forbidden */
  mayCreate?(): Promise<void>;
}

/** One version of one object. */
export interface ObjectBytes {
  /** Complete JSON, with kind, apiVersion and metadata first. Shared: read only. */
  readonly bytes: Buffer;
  /** `metadata.resourceVersion`; 0 for what a dry run of a create answers, which has none. */
  readonly revision: bigint;
  /** Parsed on demand, perhaps shared with others: read only. */
  object(): Readonly<DynamicObject>;
}

export interface ResourceKey {
  readonly name: string;
  /** Absent for cluster-scoped kinds. */
  readonly namespace?: string | undefined;
}

/** A request body after JSON, YAML or protobuf was read. */
export interface Body {
  readonly value: unknown;
  /** Paths of fields that came twice (`data.a`), as the reader of the text saw them; the last one won. */
  readonly duplicateFields?: readonly string[];
}

export interface GetOptions {
  /** As in the query: absent = newest, `0` = any, N = not older than N. */
  resourceVersion?: string | undefined;
}

/** Values of the query, percent-decoded, not otherwise interpreted. */
export interface Selectors {
  /** Absent: all namespaces. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

export interface ListOptions extends Selectors {
  limit?: number | undefined;
  continue?: string | undefined;
  resourceVersion?: string | undefined;
  resourceVersionMatch?: string | undefined;
  /** Only to be refused: it belongs to watches. */
  sendInitialEvents?: boolean | undefined;
}

export interface ListResult {
  readonly items: readonly ObjectBytes[];
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

export interface WatchOptions extends Selectors {
  resourceVersion?: string | undefined;
  resourceVersionMatch?: string | undefined;
  allowWatchBookmarks?: boolean | undefined;
  sendInitialEvents?: boolean | undefined;
  timeoutSeconds?: number | undefined;
}

/** One line of a watch stream. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  /** For ERROR the `Status`; for BOOKMARK an object with nothing but its resourceVersion (and the annotation that ends the initial events). */
  readonly object: ObjectBytes;
  /** `{"type":…,"object":…}` and a newline; one buffer for all watchers. */
  readonly frame: Buffer;
}

/** What arrived together, in order: usually one commit of the store. Watchers that see the same events get the same batch. */
export interface WatchBatch {
  readonly events: readonly WatchEvent[];
  /** All frames in one buffer, made once. */
  readonly bytes: Buffer;
}

export interface WriteOptions {
  dryRun?: boolean | undefined;
  /** Name of the writer; the caller fills in the User-Agent's prefix when the query has none. */
  fieldManager?: string | undefined;
  /** Default `Warn`. */
  fieldValidation?: FieldValidation | undefined;
  /** `force` of a server-side apply. */
  force?: boolean | undefined;
}

export interface Written {
  readonly object: ObjectBytes;
  /** Answer 201 instead of 200. */
  readonly created: boolean;
}

export interface PatchBody extends Body {
  /** The media type without parameters: `application/strategic-merge-patch+json`. */
  readonly contentType: string;
  /**
   * Patches a document of the caller's own, in the place of what `contentType` means: for a patch that is written in another version
   * than the stored one.
   */
  apply?(document: DynamicObject): DynamicObject | Promise<DynamicObject>;
}

export interface DeleteOptions {
  gracePeriodSeconds?: number | undefined;
  propagationPolicy?: string | undefined;
  /** The deprecated form of propagationPolicy. */
  orphanDependents?: boolean | undefined;
  preconditions?: { uid?: string | undefined; resourceVersion?: string | undefined } | undefined;
  dryRun?: boolean | undefined;
}

/** `status`: it is gone, answer the Status. `object`: it stays for now (grace, finalizers), answer the object. Both are 200. */
export type Deleted =
  | { readonly type: 'status'; readonly status: metav1.Status }
  | { readonly type: 'object'; readonly object: ObjectBytes };

/** The answer of a POST to a subresource: an object (or Status) and its HTTP code. */
export interface SubresourceAnswer {
  readonly bytes: Buffer;
  readonly code: number;
}

export interface Resources {
  get(context: RequestContext, kind: Kind, key: ResourceKey, options?: GetOptions): Promise<ObjectBytes>;
  list(context: RequestContext, kind: Kind, options?: ListOptions): Promise<ListResult>;
  /**
   * Rejects with what must be answered instead of a stream (400, 422, 500). After that the events: a version that is too old, or a
   * stream that cannot go on, is a last ERROR event; a clean end is the timeout, the client's going, or a reader that fell too far behind.
   */
  watch(context: RequestContext, kind: Kind, options?: WatchOptions): Promise<AsyncIterable<WatchBatch>>;

  /** `key.name` is absent in the URL of a create. */
  create(
    context: RequestContext,
    kind: Kind,
    key: { namespace?: string | undefined },
    body: Body,
    options?: WriteOptions,
  ): Promise<Written>;
  update(context: RequestContext, kind: Kind, key: ResourceKey, body: Body, options?: WriteOptions): Promise<Written>;
  patch(
    context: RequestContext,
    kind: Kind,
    key: ResourceKey,
    patch: PatchBody,
    options?: WriteOptions,
  ): Promise<Written>;
  delete(context: RequestContext, kind: Kind, key: ResourceKey, options?: DeleteOptions): Promise<Deleted>;
  /** The objects that matched, as they were or as they now are on their way out. */
  deleteCollection(
    context: RequestContext,
    kind: Kind,
    options: DeleteOptions,
    selection: ListOptions,
  ): Promise<ListResult>;

  /** Subresources that are stored with the object or computed from it: `status`, `scale`, `ephemeralcontainers`. */
  getSubresource(
    context: RequestContext,
    kind: Kind,
    key: ResourceKey,
    subresource: string,
    options?: GetOptions,
  ): Promise<ObjectBytes>;
  /** `status`, `scale`, `finalize`, … */
  updateSubresource(
    context: RequestContext,
    kind: Kind,
    key: ResourceKey,
    subresource: string,
    body: Body,
    options?: WriteOptions,
  ): Promise<Written>;
  patchSubresource(
    context: RequestContext,
    kind: Kind,
    key: ResourceKey,
    subresource: string,
    patch: PatchBody,
    options?: WriteOptions,
  ): Promise<Written>;
  /** `binding`, `eviction`. */
  createSubresource(
    context: RequestContext,
    kind: Kind,
    key: ResourceKey,
    subresource: string,
    body: Body,
    options?: WriteOptions,
  ): Promise<SubresourceAnswer>;
}

/** The resources of one cluster over one store, and what keeps their watch cache fed. */
export interface RunningResources extends Resources {
  /**
   * Feeds the watch cache from the store until the signal aborts. Reads and watches wait for it, for a bounded time. A failing
   * store is retried with back-off; running watches end with an ERROR event then, so that their clients list again.
   */
  run(options: { signal: AbortSignal }): Promise<void>;
  /** The cache is complete and system namespaces exist. */
  ready(): boolean;
  /** The newest revision that reads from the cache can see. */
  readonly revision: bigint;
}
