/**
 * Things of which there is only one (an address, a port), each held by at most one object, across all servers of a store.
 *
 * A claim is an entry of its own, made with "must not exist" before the holder is written and removed after the holder is gone. A
 * server that dies in between leaves a claim without a holder; whoever wants that thing finds, after a minute, that the holder does
 * not exist (or does not hold it) and takes it over; `releaseOrphans` finds all of them. Claims live under a resource that no kind serves, so that the watch cache knows what is
 * taken.
 */
import type { DynamicObject } from '@orbitkit/core';
import { serialize } from './object-bytes.js';
import { newestObject } from './read.js';
import { resourceIdOf, storageKey } from './storage-keys.js';
import type { WatchCache } from './watch-cache.js';

/** How long a claim may stand before its holder is written. */
const pendingMs = 60_000;

export interface Holder {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface ClaimsOptions {
  cache: WatchCache;
  /** Name of the collection: `clusterips`. */
  plural: string;
  now(): number;
  /** Whether the holder exists, and holds the thing. */
  holds(holder: Holder, thing: string): Promise<boolean>;
}

export class Claims {
  readonly #id: string;
  readonly #resource: { group: string; plural: string };

  constructor(private readonly options: ClaimsOptions) {
    this.#resource = { group: 'internal.orbitkit.dev', plural: options.plural };
    this.#id = resourceIdOf(this.#resource);
  }

  /** As the watch cache knows it: a hint. */
  isTaken(thing: string): boolean {
    return this.options.cache.peek(this.#id, thing) !== undefined;
  }

  get taken(): number {
    return this.options.cache.resource(this.#id).objects.size;
  }

  /** False when another object holds it. Claiming what one holds already is true. */
  async claim(thing: string, holder: Holder): Promise<boolean> {
    const { cache, now, holds } = this.options;
    const key = storageKey(this.#id, thing);
    const write = { type: 'put', key, value: this.#value(thing, holder) } as const;
    const first = await cache.store.txn([{ key, modRevision: 0n }], write);
    if (first.ok) return true;
    const { current } = first;
    if (current === undefined) return this.claim(thing, holder);
    const claimed = await newestObject(cache, this.#resource, thing, new AbortController().signal);
    if (claimed === undefined) return this.claim(thing, holder);
    const { holder: before, since } = claimed.object() as unknown as { holder: Holder; since: number };
    if (before.uid === holder.uid) return true;
    if (now() - since < pendingMs || (await holds(before, thing))) return false;
    return (await cache.store.txn([{ key, modRevision: claimed.revision }], write)).ok;
  }

  /** Gives back what stands longer than a write takes and has no holder: what servers that died left behind. @returns how many. */
  async releaseOrphans(): Promise<number> {
    const { cache, now, holds } = this.options;
    let count = 0;
    for (const claimed of [...cache.resource(this.#id).objects.values()]) {
      const { metadata, holder, since } = claimed.object() as unknown as DynamicObject & {
        holder: Holder;
        since: number;
      };
      if (now() - since < pendingMs || (await holds(holder, metadata.name))) continue;
      const key = storageKey(this.#id, metadata.name);
      const done = await cache.store.txn([{ key, modRevision: claimed.revision }], { type: 'delete', key });
      if (done.ok) count++;
    }
    return count;
  }

  /** Gives it back, if this holder has it. */
  async release(thing: string, holder: Holder): Promise<void> {
    const { cache } = this.options;
    const key = storageKey(this.#id, thing);
    const claimed = await newestObject(cache, this.#resource, thing, new AbortController().signal);
    if ((claimed?.object()['holder'] as Holder | undefined)?.uid !== holder.uid) return;
    await cache.store.txn([{ key, modRevision: claimed!.revision }], { type: 'delete', key });
  }

  #value(thing: string, holder: Holder): Buffer {
    return serialize({
      kind: 'Claim',
      apiVersion: 'internal.orbitkit.dev/v1',
      metadata: { name: thing },
      holder,
      since: this.options.now(),
    } as unknown as DynamicObject);
  }
}
