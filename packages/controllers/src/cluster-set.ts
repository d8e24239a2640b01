/**
 * The clusters of a manager, to be added and removed while it runs:
 *
 * ```ts
 * const clusters = new ClusterSet({ east });
 * controllerManager([…], { clusters });
 * clusters.add('west', west); // watched from now on, by every controller
 * clusters.remove('east'); // its calls are aborted, its objects are forgotten; nothing in the cluster changes
 * ```
 *
 * A set may serve several managers, and may be empty. It closes no client: who made one closes it.
 */
import type { Client } from '@orbitkit/core';

type Listener<V> = (name: string, value: V | undefined) => void;

/** A map that tells of its changes: of an undefined value when a name is gone. Made empty: entries given to Map's constructor come too early. */
export class LiveMap<V> extends Map<string, V> {
  readonly #listeners = new Set<Listener<V>>();

  override set(name: string, value: V): this {
    super.set(name, value);
    for (const listener of [...this.#listeners]) listener(name, value);
    return this;
  }

  override delete(name: string): boolean {
    const known = super.delete(name);
    if (known) for (const listener of [...this.#listeners]) listener(name, undefined);
    return known;
  }

  /** @returns what ends it. */
  onChange(listener: Listener<V>): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** Clients by name. The caller closes them. */
export class ClusterSet implements Iterable<[string, Client]> {
  readonly #clients = new LiveMap<Client>();

  constructor(clusters: Readonly<Record<string, Client>> = {}) {
    for (const [name, client] of Object.entries(clusters)) this.add(name, client);
  }

  /** @throws Error for a name that is taken or is none. */
  add(name: string, client: Client): void {
    if (!/^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$/.test(name))
      throw new Error(`cluster "${name}": a name of letters, digits, "-", "." and "_" is required`);
    if (this.#clients.has(name)) throw new Error(`there is a cluster "${name}" already; remove it first`);
    this.#clients.set(name, client);
  }

  /** @returns whether there was one. */
  remove(name: string): boolean {
    return this.#clients.delete(name);
  }

  get names(): string[] {
    return [...this.#clients.keys()];
  }

  [Symbol.iterator](): IterableIterator<[string, Client]> {
    return this.#clients.entries();
  }

  /** Told of each cluster that comes, and with undefined of each that goes. @returns what ends it. */
  onChange(listener: Listener<Client>): () => void {
    return this.#clients.onChange(listener);
  }
}
