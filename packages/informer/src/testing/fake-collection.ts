/**
 * One collection behind a `Client`, for the tests of this package: versions, pages, watches that resume, compaction, and
 * every fault that a test asks for. It is not an API server and is not exported.
 */
import {
  type Client,
  type KubeObject,
  type ListOptions,
  type ObjectDecoder,
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
  /** What it does when asked for a list as a stream. Default: its client does not ask. `ignores` as servers of old: no end is marked. */
  streams: 'yes' | 'refuses' | 'ignores' | 'stalls' | undefined;

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

  readonly client = Object.defineProperty(this.#client(), 'streamsLists', {
    get: () => this.streams !== undefined,
  }) as unknown as Client;

  #client() {
    return {
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
          items: page.map(key => coded(structuredClone(this.objects.get(key)!), options.decode)),
        };
      },
      watchBatches: (_kind: ResourceRef<Item>, options: WatchOptions = {}) => this.#watch(options),
    };
  }

  #since(from: number): WatchEvent<Item>[] {
    if (from < this.#compactedTo) throw new StatusError('Expired', `too old resource version: ${from}`);
    return this.#history.filter(entry => entry.version > from).map(entry => structuredClone(entry.event));
  }

  /** All there is, then the mark that this was all: as far as this collection does that. */
  #initial(): WatchEvent<Item>[] {
    const events = [...this.objects.values()].map((object): WatchEvent<Item> => ({ type: 'ADDED', object }));
    if (this.streams === 'stalls') return structuredClone(events);
    return structuredClone([
      ...events,
      { type: 'BOOKMARK', resourceVersion: this.version, initialEventsEnd: this.streams !== 'ignores' },
    ]);
  }

  async *#watch(options: WatchOptions): AsyncGenerator<WatchEvent<Item>[]> {
    this.watches.push(options);
    const fault = this.watchFaults.shift();
    if (fault === 'clean') return;
    if (fault) throw fault;
    if (options.sendInitialEvents && this.streams === 'refuses') {
      throw new StatusError('Invalid', 'sendInitialEvents: Forbidden: the WatchList feature gate is disabled');
    }
    const missed = options.sendInitialEvents ? this.#initial() : this.#since(Number(options.resourceVersion ?? 0));
    const stream: Stream = { queue: missed.length > 0 ? [missed] : [], end: undefined, wake: () => {} };
    const onAbort = () => stream.wake();
    options.signal?.addEventListener('abort', onAbort);
    this.#streams.add(stream);
    try {
      for (;;) {
        if (options.signal?.aborted) throw options.signal.reason;
        const batch = stream.queue.shift();
        if (batch) yield batch.map(event => decodedEvent(event, options.decode));
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

/** The object as a decoder makes it of its text, as a real client does. */
function coded(object: Item, decode: ObjectDecoder<Item> | undefined): Item {
  if (!decode) return object;
  const bytes = Buffer.from(JSON.stringify(object));
  return decode(bytes, 0, bytes.length);
}

function decodedEvent(event: WatchEvent<Item>, decode: ObjectDecoder<Item> | undefined): WatchEvent<Item> {
  return event.type === 'BOOKMARK' ? event : { ...event, object: coded(event.object, decode) };
}

/** Lets every promise continuation run. */
export const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
