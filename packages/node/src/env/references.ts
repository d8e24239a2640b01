/**
 * What a pod refers to by name: its ConfigMaps and Secrets, its claims and their volumes, and the services around it.
 *
 * Objects are read when they are needed and kept for a short time (default 2 s), so that the containers of a pod, and pods that
 * start together, share one read. A missing object is remembered as missing just as long. No watch is held: a node
 * does not cost the API server one watch for each object its pods use.
 */
import {
  type Client,
  type Clock,
  ConfigMap,
  isNotFound,
  type KubeObject,
  type ObjectKey,
  PersistentVolume,
  PersistentVolumeClaim,
  type ResourceRef,
  Secret,
  Service,
} from '@orbitkit/core';
import { untilAborted } from '../agent/until-aborted.js';

export interface References {
  /** Undefined when it does not exist. @throws StatusError when it cannot be read. */
  configMap(namespace: string, name: string, signal?: AbortSignal): Promise<ConfigMap | undefined>;
  secret(namespace: string, name: string, signal?: AbortSignal): Promise<Secret | undefined>;
  /** As it is now: a claim is waited for until it is bound. */
  claim(namespace: string, name: string, signal?: AbortSignal): Promise<PersistentVolumeClaim | undefined>;
  volume(name: string, signal?: AbortSignal): Promise<PersistentVolume | undefined>;
  /** The services of the namespace, and `kubernetes` of the default one. */
  services(namespace: string, signal?: AbortSignal): Promise<readonly Service[]>;
}

interface Entry {
  at: number;
  value: Promise<unknown>;
}

/** Entries beyond this are forgotten, oldest first: they are a convenience, not a store. */
const remembered = 500;

export function references(options: { client: Client; clock: Clock; freshMs?: number }): References {
  const { client, clock, freshMs = 2_000 } = options;
  const entries = new Map<string, Entry>();

  function fresh<T>(key: string, read: () => Promise<T>): Promise<T> {
    const now = clock.now();
    const known = entries.get(key);
    if (known && now - known.at < freshMs) return known.value as Promise<T>;
    const value = read();
    // A failed read is not kept: the next one asks again.
    value.catch(() => entries.get(key)?.value === value && entries.delete(key));
    entries.delete(key);
    entries.set(key, { at: now, value });
    if (entries.size > remembered) entries.delete(entries.keys().next().value as string);
    return value;
  }

  const getNow = async <T extends KubeObject>(kind: ResourceRef<T>, key: ObjectKey, signal?: AbortSignal) => {
    try {
      return await client.get(kind, key, { timeoutMs: 10_000, ...(signal ? { signal } : {}) });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };

  const get = <T extends KubeObject>(kind: ResourceRef<T>, namespace: string, name: string, signal?: AbortSignal) =>
    untilAborted(
      fresh(`${kind.kind}/${namespace}/${name}`, () => getNow(kind, { namespace, name })),
      signal,
    );

  return {
    configMap: (namespace, name, signal) => get(ConfigMap, namespace, name, signal),
    secret: (namespace, name, signal) => get(Secret, namespace, name, signal),
    claim: (namespace, name, signal) => getNow(PersistentVolumeClaim, { namespace, name }, signal),
    volume: (name, signal) => getNow(PersistentVolume, { name }, signal),
    async services(namespace, signal) {
      const own = untilAborted(
        fresh(
          `Services/${namespace}`,
          async () => (await client.list(Service, { namespace, timeoutMs: 10_000 })).items,
        ),
        signal,
      );
      if (namespace === 'default') return own;
      const kubernetes = await get(Service, 'default', 'kubernetes', signal);
      return kubernetes ? [kubernetes, ...(await own)] : own;
    },
  };
}
