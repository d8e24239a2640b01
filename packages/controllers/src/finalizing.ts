/**
 * Finalizers of a controller: put on an object before it is reconciled for the first time, and taken away once its clean-up is done.
 *
 * - The clean-up is called again until it returns without error and without `requeueAfter`; it must bear to be called twice.
 * - They are cleaned up in the order in which they were declared. An object on its way out is not reconciled.
 * - Every change of the list carries the version that was read, so that nobody else's finalizer is lost.
 */
import { isDeleting, isNotFound, type KubeObject, type ResourceRef } from '@orbitkit/core';
import type { ReconcileResult } from './reconcile-loop.js';
import type { ReconcileRequest } from './reconcile-request.js';

/** What has to happen before an object may go. */
export interface Finalizer<T extends KubeObject> {
  /** `example.com/what-it-waits-for`. */
  name: string;
  cleanup(request: ReconcileRequest<T>): Promise<ReconcileResult> | ReconcileResult;
}

/** @returns whether the object is to be reconciled now, and what to do otherwise. */
export async function settleFinalizers<T extends KubeObject>(
  kind: ResourceRef<T>,
  finalizers: readonly Finalizer<T>[],
  request: ReconcileRequest<T>,
): Promise<{ goOn: true } | { goOn: false; result: ReconcileResult }> {
  const { object } = request;
  if (!isDeleting(object)) {
    const present = object.metadata.finalizers ?? [];
    const missing = finalizers.map(({ name }) => name).filter(name => !present.includes(name));
    if (missing.length > 0) await write(kind, request, [...present, ...missing]);
    return { goOn: true };
  }
  for (const { name, cleanup } of finalizers) {
    if (!object.metadata.finalizers?.includes(name)) continue;
    const result = await cleanup(request);
    if (result) return { goOn: false, result };
    try {
      await write(
        kind,
        request,
        object.metadata.finalizers.filter(each => each !== name),
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return { goOn: false, result: undefined };
    }
  }
  return { goOn: false, result: undefined };
}

async function write<T extends KubeObject>(
  kind: ResourceRef<T>,
  { client, object }: ReconcileRequest<T>,
  finalizers: readonly string[],
): Promise<void> {
  const { uid, resourceVersion } = object.metadata;
  const metadata = { uid, resourceVersion, finalizers: finalizers.length > 0 ? finalizers : null };
  Object.assign(object, await client.patch(kind, object.metadata, { type: 'merge', patch: { metadata } }));
}
