/** What every kind of write works with. */
import { type Clock, type ConvertVersion, type DynamicObject, isStatusError, type Kind } from '@orbitkit/core';
import type { AdmissionChain } from '../admission/chain.js';
import type { AdmissionRequest } from '../admission/contract.js';
import type { RequestContext, ResourceKey, WriteOptions } from './contract.js';
import type { ReadonlyObject } from './object-bytes.js';
import { objectPath, resourceIdOf } from './storage-keys.js';
import {
  countsGenerations,
  type Reservation,
  type Strategies,
  type Strategy,
  type StrategyEnvironment,
} from './strategy.js';
import type { TtlLeases } from './ttl-leases.js';
import type { WatchCache } from './watch-cache.js';
import type { WriteTarget } from './write.js';

export interface Writing {
  readonly cache: WatchCache;
  readonly clock: Clock;
  readonly strategies: Strategies;
  readonly admission: AdmissionChain;
  readonly environment: StrategyEnvironment;
  readonly leases: TtlLeases;
  /** Whether `metadata.managedFields` is kept. Without it there is no server-side apply. */
  readonly managedFields: boolean;
  /** How entries of other API versions than the stored one are understood. */
  readonly convertVersion: ConvertVersion;
}

export function targetOf(kind: Kind, key: ResourceKey): WriteTarget {
  return { kind, id: resourceIdOf(kind), path: objectPath(key), name: key.name };
}

export function admissionRequest(
  context: RequestContext,
  operation: AdmissionRequest['operation'],
  kind: Kind,
  key: { name: string; namespace?: string | undefined },
  parts: {
    object?: DynamicObject | undefined;
    oldObject?: ReadonlyObject | undefined;
    subresource?: string | undefined;
    dryRun?: boolean | undefined;
  },
): AdmissionRequest {
  const request: AdmissionRequest = {
    operation,
    kind,
    subresource: parts.subresource,
    namespace: key.namespace,
    name: key.name,
    object: parts.object,
    oldObject: parts.oldObject,
    dryRun: parts.dryRun === true,
    user: context.user,
    signal: context.signal,
    warn: text => context.warn(text),
    annotate: (key, value) => context.annotate?.(key, value),
    onUndone: giveBack => void hooksOf(request).undone.push(giveBack),
    onDone: then => void hooksOf(request).done.push(then),
  };
  return request;
}

interface Hooks {
  readonly undone: (() => Promise<void>)[];
  readonly done: (() => Promise<void>)[];
}
/** Few plugins have any. */
const hooks = new WeakMap<AdmissionRequest, Hooks>();

function hooksOf(request: AdmissionRequest): Hooks {
  let known = hooks.get(request);
  if (known === undefined) {
    known = { undone: [], done: [] };
    hooks.set(request, known);
  }
  return known;
}

/** Tells the plugins what became of a write; once. Never rejects. */
export async function settled(request: AdmissionRequest, outcome: 'done' | 'undone'): Promise<void> {
  const known = hooks.get(request);
  if (known === undefined) return;
  hooks.delete(request);
  for (const hook of known[outcome]) await hook().catch(() => undefined);
}

/** Runs a write; when it is refused, plugins give back what they took. After a failure of the store nobody knows: it stays taken. */
export async function undoneWhenRefused<T>(request: AdmissionRequest, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (isStatusError(error)) await settled(request, 'undone');
    throw error;
  }
}

/**
 * Takes what the object needs; `after` runs with it taken, which is given back when the write was refused. After a failure of the
 * store nobody knows whether it was written: the reservation then stays, and is found later to have no holder.
 */
export async function withReservation<T>(
  strategy: Strategy,
  object: DynamicObject,
  old: ReadonlyObject | undefined,
  context: RequestContext,
  options: WriteOptions,
  after: (reservation: Reservation | undefined) => T | Promise<T>,
): Promise<T> {
  const reservation = await strategy.reserve?.(object, old, {
    dryRun: options.dryRun === true,
    signal: context.signal,
    warn: text => context.warn(text),
  });
  try {
    return await after(reservation);
  } catch (error) {
    if (isStatusError(error)) await reservation?.release();
    throw error;
  }
}

/** The part of an object whose changes count as generations: everything but metadata and status. */
export function desiredState(object: ReadonlyObject): Record<string, unknown> {
  const { metadata: _metadata, status: _status, kind: _kind, apiVersion: _apiVersion, ...rest } = object;
  return rest;
}

export { countsGenerations };
