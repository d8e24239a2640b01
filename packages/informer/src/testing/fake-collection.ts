/**
 * One collection behind a `Client`, for the tests of this package: versions, pages, watches that resume, compaction, and
 * every fault that a test asks for. It is not an API server and is not exported.
 */
import {
  type Client,
  type KubeObject,
  type ListOptions,
  type ResourceRef,
  StatusError,
  type WatchEvent,
  type WatchOptions,
} from '@orbitkit/core';

export interface Item extends KubeObject {
  spec?: { value?: number; tags?: string[] };
}

export const Items: ResourceRef<Item> = {
  group: 'example.com',
  version: 'v1',
  kind: 'Item',
  plural: 'items',
  namespaced: true,
};

interface Stream {
  queue: WatchEvent<Item>[][];
  end: Error | 'clean' | undefined;
  wake: () => void;
}

export class FakeCollection {
  readonly objects = new Map<string, Item>();
  readonly lists: ListOptions[] = [];
  readonly watches: WatchOptions[] = [];
  readonly #history: { version: number; event: WatchEvent<Item> }[] = [];
  readonly #streams = new Set<Stream>();
  #version = 100;
  #uid = 0;
  #compactedTo = 0;
  /** Each list or watch takes the first of these and fails with it. */
  listFaults: (Error | undefined)[] = [];
  watchFaults: (Error | 'clean' | undefined)[] = [];
  /** Called before a page is answered. */
  beforePage: (options: ListOptions) => void = () => {};
  /** Whether new events reach open watches. */
  frozen = false;

  get openStreams(): number {
    return this.#streams.size;
  }

  get version(): string {
    return String(this.#version);
  }

  put(name: string, value = 0, namespace = 'default'): Item {
    const key = `${namespace}/${name}`;
    const before = this.objects.get(key);
    const item: Item = {
      apiVersion: 'example.com/v1',
      kind: 'Item',
      metadata: {
        name,
        namespace,
        uid: before?.metadata.uid ?? `uid-${++this.#uid}`,
        resourceVersion: String(++this.#version),
        creationTimestamp: '2026-01-01T00:00:00Z',
        managedFields: [{ manager: 'test' }] as never,
      },
      spec: { value },
    };
    this.objects.set(key, item);
    this.#publish({ type: before ? 'MODIFIED' : 'ADDED', object: item });
    return item;
  }

  remove(name: string, namespace = 'default'): void {
    const key = `${namespace}/${name}`;
    const before = this.objects.get(key);
    if (!before) return;
    this.objects.delete(key);
    const object = structuredClone(before);
    object.metadata.resourceVersion = String(++this.#version);
    this.#publish({ type: 'DELETED', object });
  }

  bookmark(): void {
    this.#send([{ type: 'BOOKMARK', resourceVersion: this.version, initialEventsEnd: false }]);
  }

  /** Forgets the history, so that older versions are expired. */
  compact(): void {
    this.#compactedTo = this.#version;
    this.#history.length = 0;
  }

  /** The store is put back: versions start over. */
  restore(version: number): void {
    this.#version = version;
    this.#history.length = 0;
    this.#compactedTo = 0;
    this.objects.clear();
  }

  /** Ends every open watch. */
  endStreams(how: Error | 'clean' = 'clean'): void {
    for (const stream of this.#streams) {
      stream.end = how;
      stream.wake();
    }
  }

  #publish(event: WatchEvent<Item>): void {
    this.#history.push({ version: this.#version, event });
    if (!this.frozen) this.#send([structuredClone(event)]);
  }

  #send(events: WatchEvent<Item>[]): void {
    for (const stream of this.#streams) {
      if (stream.end) continue;
      stream.queue.push(structuredClone(events));
      stream.wake();
    }
  }

  readonly client = {
    list: async (_kind: ResourceRef<Item>, options: ListOptions = {}) => {
      this.lists.push(options);
      options.signal?.throwIfAborted();
      this.beforePage(options);
      const fault = this.listFaults.shift();
      if (fault) throw fault;
      const [version, after] = options.continue ? JSON.parse(options.continue) : [this.#version, ''];
      if (version < this.#compactedTo) throw new StatusError('Expired', 'the continue token has expired');
      const rest = [...this.objects.keys()].sort().filter(key => key > after);
      const page = rest.slice(0, options.limit ?? rest.length);
      const more = page.length < rest.length;
      return {
        apiVersion: 'example.com/v1',
        kind: 'ItemList',
        metadata: {
          resourceVersion: String(version),
          ...(more ? { continue: JSON.stringify([version, page.at(-1)]) } : {}),
        },
        items: page.map(key => structuredClone(this.objects.get(key)!)),
      };
    },
    watchBatches: (_kind: ResourceRef<Item>, options: WatchOptions = {}) => this.#watch(options),
  } as unknown as Client;

  async *#watch(options: WatchOptions): AsyncGenerator<WatchEvent<Item>[]> {
    this.watches.push(options);
    const fault = this.watchFaults.shift();
    if (fault === 'clean') return;
    if (fault) throw fault;
    const from = Number(options.resourceVersion ?? 0);
    if (from < this.#compactedTo) throw new StatusError('Expired', `too old resource version: ${from}`);
    const missed = this.#history.filter(entry => entry.version > from).map(entry => structuredClone(entry.event));
    const stream: Stream = { queue: missed.length > 0 ? [missed] : [], end: undefined, wake: () => {} };
    const onAbort = () => stream.wake();
    options.signal?.addEventListener('abort', onAbort);
    this.#streams.add(stream);
    try {
      for (;;) {
        if (options.signal?.aborted) throw options.signal.reason;
        const batch = stream.queue.shift();
        if (batch) yield batch;
        else if (stream.end === 'clean') return;
        else if (stream.end) throw stream.end;
        else {
          await new Promise<void>(resolve => {
            stream.wake = resolve;
          });
        }
      }
    } finally {
      this.#streams.delete(stream);
      options.signal?.removeEventListener('abort', onAbort);
    }
  }
}

/** Lets every promise continuation run. */
export const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
