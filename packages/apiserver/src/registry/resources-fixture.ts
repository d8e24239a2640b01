/** For tests: the resources of a cluster over a memory store, and requests without ceremony. */
import { setMaxListeners } from 'node:events';
import { type Clock, type DynamicObject, type Kind, systemClock } from '@orbitkit/core';
import type { Store } from '../storage/contract.js';
import { memoryStore } from '../storage/memory.js';
import type {
  DeleteOptions,
  ListOptions,
  RequestContext,
  ResourceKey,
  WatchBatch,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './contract.js';
import type { RecentForms } from './object-bytes.js';
import { createResources, type ResourcesOptions } from './resources.js';

export interface Fixture extends AsyncDisposable {
  readonly resources: ReturnType<typeof createResources>;
  readonly store: Store;
  readonly warnings: string[];
  readonly context: RequestContext;
  create(kind: Kind<any>, object: object, options?: WriteOptions & { namespace?: string }): Promise<DynamicObject>;
  update(kind: Kind<any>, object: object, options?: WriteOptions): Promise<DynamicObject>;
  patch(
    kind: Kind<any>,
    key: ResourceKey,
    patch: unknown,
    type?: 'json' | 'merge' | 'strategic',
    options?: WriteOptions,
  ): Promise<DynamicObject>;
  get(kind: Kind<any>, key: ResourceKey): Promise<DynamicObject>;
  list(kind: Kind<any>, options?: ListOptions): Promise<DynamicObject[]>;
  delete(kind: Kind<any>, key: ResourceKey, options?: DeleteOptions): Promise<DynamicObject | undefined>;
  watch(kind: Kind<any>, options?: WatchOptions): Promise<Watched>;
}

/** Reads a watch event by event; what does not come within ten seconds of real time is an error. */
export interface Watched {
  next(): Promise<WatchEvent | undefined>;
  /** `ADDED p1` */
  lines(count: number): Promise<string[]>;
  close(): Promise<void>;
}

export async function fixture(options: Partial<ResourcesOptions> = {}): Promise<Fixture> {
  const clock: Clock = options.clock ?? systemClock;
  const store = options.store ?? (await memoryStore({ clock })());
  const resources = createResources({ ...options, store, clock });
  freezeShared(resources.cache.forms);
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const running = resources.run({ signal: stop.signal });
  while (!resources.ready()) await new Promise(resolve => setImmediate(resolve));
  const warnings: string[] = [];
  const context: RequestContext = {
    user: { username: 'tester', groups: [] },
    signal: stop.signal,
    warn: text => void warnings.push(text),
  };
  const copy = (value: unknown) => JSON.parse(JSON.stringify(value));
  const keyOf = (object: any): ResourceKey => ({ name: object.metadata.name, namespace: object.metadata.namespace });
  return {
    resources,
    store,
    warnings,
    context,
    async create(kind, object, { namespace, ...write } = {}) {
      const place = kind.namespaced ? (namespace ?? (object as any).metadata?.namespace ?? 'default') : undefined;
      const { object: made } = await resources.create(
        context,
        kind,
        { namespace: place },
        { value: copy(object) },
        write,
      );
      return JSON.parse(made.bytes.toString());
    },
    async update(kind, object, write = {}) {
      const { object: made } = await resources.update(context, kind, keyOf(object), { value: copy(object) }, write);
      return JSON.parse(made.bytes.toString());
    },
    async patch(kind, key, patch, type = 'merge', write = {}) {
      const contentType = {
        json: 'json-patch+json',
        merge: 'merge-patch+json',
        strategic: 'strategic-merge-patch+json',
      }[type];
      const body = { contentType: `application/${contentType}`, value: copy(patch) };
      const { object: made } = await resources.patch(context, kind, key, body, write);
      return JSON.parse(made.bytes.toString());
    },
    get: async (kind, key) => JSON.parse((await resources.get(context, kind, key)).bytes.toString()),
    list: async (kind, list = {}) =>
      (await resources.list(context, kind, list)).items.map(item => JSON.parse(item.bytes.toString())),
    async delete(kind, key, del = {}) {
      const result = await resources.delete(context, kind, key, del);
      return result.type === 'object' ? JSON.parse(result.object.bytes.toString()) : undefined;
    },
    async watch(kind, watch = {}) {
      const iterator = (await resources.watch(context, kind, watch))[Symbol.asyncIterator]();
      return watched(iterator);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      if (options.store === undefined) await store.close();
    },
  };
}

/** What is shared must not be changed by whoever reads it: here that throws. */
function freezeShared(forms: RecentForms): void {
  const set = forms.setParsed.bind(forms);
  forms.setParsed = (owner, object) => set(owner, deepFreeze(object));
}
function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}

function watched(iterator: AsyncIterator<WatchBatch>): Watched {
  const queue: WatchEvent[] = [];
  let pending: Promise<IteratorResult<WatchBatch>> | undefined;
  async function next(): Promise<WatchEvent | undefined> {
    while (queue.length === 0) {
      pending ??= iterator.next();
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error('no watch event within ten seconds')), 10_000);
      });
      const result = await Promise.race([pending, late]).finally(() => clearTimeout(timer));
      pending = undefined;
      if (result.done) return undefined;
      queue.push(...result.value.events);
    }
    return queue.shift();
  }
  return {
    next,
    async lines(count) {
      const lines: string[] = [];
      for (let i = 0; i < count; i++) {
        const event = await next();
        lines.push(event === undefined ? 'END' : `${event.type} ${event.object.object().metadata.name ?? ''}`.trim());
      }
      return lines;
    },
    close: async () => void (await iterator.return?.()),
  };
}

export const pod = (name: string, more: Record<string, any> = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...more['metadata'] },
  spec: { containers: [{ name: 'c', image: 'busybox' }], ...more['spec'] },
});

export const configMap = (name: string, data: Record<string, string> = {}, metadata: Record<string, any> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});
