/** A client that tells the caches of its controller what it wrote, so that they show it at once. */
import { type Client, type KubeObject, keyOf, type ResourceRef, type WriteOptions } from '@orbitkit/core';
import { clientWith } from './client-with.js';
import type { WrittenStore } from './written-store.js';

/** The write that takes the last finalizer off an object on its way out removes it, unless its grace goes on. */
const isGone = ({ metadata, spec }: Partial<KubeObject> & { spec?: unknown }): boolean =>
  metadata?.deletionTimestamp !== undefined &&
  !metadata.finalizers?.length &&
  (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
  // Of a namespace.
  !(spec as { finalizers?: readonly string[] } | undefined)?.finalizers?.length;

/** @param storeOf The cache of a kind, if the controller has one. */
export function recordingClient(
  client: Client,
  storeOf: (kind: ResourceRef<any>) => WrittenStore<any> | undefined,
): Client {
  async function noted<T>(kind: ResourceRef<any>, options: WriteOptions | undefined, answer: Promise<T>): Promise<T> {
    const written = await answer;
    if (options?.dryRun) return written;
    const object = written as KubeObject;
    if (isGone(object)) storeOf(kind)?.deleted(keyOf(object));
    else storeOf(kind)?.wrote(object);
    return written;
  }
  return clientWith(client, {
    create: (kind, object, options) => noted(kind, options, client.create(kind, object, options)),
    update: (kind, object, options) => noted(kind, options, client.update(kind, object, options)),
    updateStatus: (kind, object, options) => noted(kind, options, client.updateStatus(kind, object, options)),
    patch: (kind, key, patch, options) => noted(kind, options, client.patch(kind, key, patch, options)),
    apply: (kind, object, options) => noted(kind, options, client.apply(kind, object, options)),
    updateSubresource: (kind, key, name, body, options) =>
      noted(kind, options, client.updateSubresource(kind, key, name, body, options)),
    async delete(kind, key, options) {
      const left = await client.delete(kind, key, options);
      const store = options?.dryRun ? undefined : storeOf(kind);
      if (left) store?.wrote(left);
      else store?.deleted(keyOf({ metadata: key }));
      return left;
    },
  });
}
