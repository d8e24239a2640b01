/**
 * Admission: what may change or refuse a write after it was authorised and decoded, before it is validated and stored.
 *
 * Plugins are plain values that a composer puts in order. All `admit` functions run first, in order, and may change the object;
 * then all `validate` functions, which may only refuse. A plugin refuses by throwing a StatusError. A write that is tried again
 * after a conflict passes admission again, so a plugin must be able to see the same request twice, and it must not persist
 * anything on its own when `dryRun` is set. What it takes for a write (quota) it gives back in `onUndone`.
 */
import type { DynamicObject, Kind, UserInfo } from '@orbitkit/core';
import type { ObjectBytes, ResourceKey } from '../registry/contract.js';

/** One write on its way: what is asked, by whom, and what was there before. */
export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE';
  readonly kind: Kind;
  readonly subresource: string | undefined;
  readonly namespace: string | undefined;
  /** Empty on a create with generateName. */
  readonly name: string;
  /** What is to be written. Absent for DELETE. `admit` may change it in place. */
  readonly object: DynamicObject | undefined;
  /** What is stored now. Absent for CREATE. */
  readonly oldObject: Readonly<DynamicObject> | undefined;
  readonly dryRun: boolean;
  readonly user: UserInfo;
  readonly signal: AbortSignal;
  warn(text: string): void;
  /** For the audit trail: `policy.example.com/reason`. */
  annotate(key: string, value: string): void;
  /** Called when this write is refused after all, or has to be decided anew. */
  onUndone(giveBack: () => Promise<void>): void;
  /** Called when this write is stored. */
  onDone(then: () => Promise<void>): void;
}

interface Resource {
  readonly group: string;
  readonly plural: string;
}

/** What plugins may read. */
export interface AdmissionReader {
  /** The newest object that the watch cache has, without waiting; `undefined` when there is none. */
  peek(kind: Resource, key: ResourceKey): ObjectBytes | undefined;
  /** The same, certain: from the store. */
  read(kind: Resource, key: ResourceKey, signal: AbortSignal): Promise<ObjectBytes | undefined>;
}

export interface ResourceObserver {
  /** One object's new version; undefined: it is gone. `path` is `namespace/name`. Called at once, in order. Must not throw. */
  changed(path: string, object: ObjectBytes | undefined): void;
  /** Everything known so far is void: `changed` follows for every object that there is. */
  reset(): void;
}

/** What plugins may see and do beyond the object that is written. */
export interface AdmissionCluster extends AdmissionReader {
  /** What the watch cache has, of one namespace or of all. While the cache is being built this waits for it, for a bounded time. */
  list(
    kind: Resource,
    namespace: string | undefined,
    signal: AbortSignal,
  ): readonly ObjectBytes[] | Promise<readonly ObjectBytes[]>;
  /**
   * Tells of every object of the resource there is, and of each change from now on, for something that is derived from them. Answers the end
   * of it.
   */
  observe(kind: Resource, observer: ResourceObserver): () => void;
  /**
   * Changes another object by compare-and-swap; the change may be asked for several times. It passes neither admission nor rules.
   * @param change false: nothing is to be changed.
   * @returns undefined when there is no such object.
   */
  change(
    kind: Kind<any>,
    key: ResourceKey,
    signal: AbortSignal,
    change: (object: DynamicObject) => boolean | Promise<boolean>,
  ): Promise<ObjectBytes | undefined>;
}

/** What may change or refuse writes. Everything but the name is optional; a plugin is asked about every write and picks those that it is about. */
export interface AdmissionPlugin {
  /** In messages and metrics. */
  readonly name: string;
  admit?(request: AdmissionRequest, cluster: AdmissionCluster): void | Promise<void>;
  validate?(request: AdmissionRequest, cluster: AdmissionCluster): void | Promise<void>;
  /** After an object has vanished: deleted at once, or with its last finalizer. Failures are not told to anyone. */
  removed?(kind: Kind, object: Readonly<DynamicObject>, cluster: AdmissionCluster): void | Promise<void>;
}
