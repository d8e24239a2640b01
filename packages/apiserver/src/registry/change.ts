/** What the server itself does to objects on behalf of its plugins: look through what the cache has, and change by compare-and-swap. */
import type { DynamicObject, Kind } from '@orbitkit/core';
import type { ObjectBytes, RequestContext, ResourceKey } from './contract.js';
import type { StoredObject } from './object-bytes.js';
import type { ResourceCache } from './resource-cache.js';
import { objectPath, resourceIdOf } from './storage-keys.js';
import type { WatchCache } from './watch-cache.js';
import { type Decision, serialized, writeObject } from './write.js';

const nothing: readonly StoredObject[] = [];

export function cachedObjects(resource: ResourceCache, namespace: string | undefined): readonly StoredObject[] {
  if (resource.objects.size === 0) return nothing;
  if (namespace === undefined) return [...resource.objects.values()];
  const found: StoredObject[] = [];
  for (const path of resource.paths(namespace)) found.push(resource.objects.get(path)!);
  return found;
}

/** Neither admission nor rules are asked. Undefined: there is no such object. */
export async function changeObject(
  cache: WatchCache,
  kind: Kind<any>,
  key: ResourceKey,
  signal: AbortSignal,
  change: (object: DynamicObject) => boolean | Promise<boolean>,
): Promise<ObjectBytes | undefined> {
  const context: RequestContext = {
    user: { username: 'system:apiserver', groups: ['system:masters'] },
    signal,
    warn: () => undefined,
  };
  const target = { kind: kind as Kind, id: resourceIdOf(kind), path: objectPath(key), name: key.name };
  const result = await writeObject(cache, context, target, async (current): Promise<Decision> => {
    if (current === undefined) return { type: 'answer', object: undefined as never };
    const object = current.copy();
    if (!(await change(object))) return { type: 'answer', object: current };
    return { type: 'put', object, value: serialized(kind as Kind, object) };
  });
  return result.object as StoredObject | undefined;
}
