/**
 * Admission: what may change or refuse a write after it was authorised and decoded, before it is validated and stored.
 *
 * Plugins are plain values that a composer puts in order. All `admit` functions run first, in order, and may change the object;
 * then all `validate` functions, which may only refuse. A plugin refuses by throwing a StatusError. A write that is tried again
 * after a conflict passes admission again, so a plugin must be able to see the same request twice, and it must not persist
 * anything on its own when `dryRun` is set.
 */
import type { DynamicObject, Kind, UserInfo } from '@orbitkit/core';
import type { ObjectBytes, ResourceKey } from '../registry/contract.js';

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
}

/** What plugins may read. */
export interface AdmissionReader {
  /** The newest object that the watch cache has, without waiting; `undefined` when there is none. */
  peek(kind: { group: string; plural: string }, key: ResourceKey): ObjectBytes | undefined;
  /** The same, certain: from the store. */
  read(
    kind: { group: string; plural: string },
    key: ResourceKey,
    signal: AbortSignal,
  ): Promise<ObjectBytes | undefined>;
}

export interface AdmissionPlugin {
  /** In messages and metrics. */
  readonly name: string;
  admit?(request: AdmissionRequest, reader: AdmissionReader): void | Promise<void>;
  validate?(request: AdmissionRequest, reader: AdmissionReader): void | Promise<void>;
}
