/** Watches the pods of a namespace and notes when something about them became known: a time is that of the event's arrival, not of a poll. */
import { type Client, Pod, type WatchEvent } from '@orbitkit/core';

export type PodEvent = Exclude<WatchEvent<Pod>, { type: 'BOOKMARK' }>;

export interface PodObserver {
  /** The pods as they are now, by name. */
  readonly pods: ReadonlyMap<string, Pod>;
  /** When (`performance.now()`) the first event from now on arrived for which this holds. @throws Error after the bound. */
  next(what: string, holds: (event: PodEvent) => boolean, boundMs?: number): Promise<number>;
  close(): Promise<void>;
}

export async function observePods(client: Client, namespace: string): Promise<PodObserver> {
  const pods = new Map<string, Pod>();
  const waiting = new Set<(event: PodEvent) => void>();
  const stop = new AbortController();
  const { items, metadata } = await client.list(Pod, { namespace });
  for (const pod of items) pods.set(pod.metadata.name, pod);
  let failure: unknown;
  const watching = (async () => {
    const { resourceVersion = '' } = metadata;
    for await (const event of client.watch(Pod, { namespace, resourceVersion, signal: stop.signal })) {
      if (event.type === 'BOOKMARK') continue;
      if (event.type === 'DELETED') pods.delete(event.object.metadata.name);
      else pods.set(event.object.metadata.name, event.object);
      for (const look of waiting) look(event);
    }
    if (!stop.signal.aborted) throw new Error('the watch of the pods ended');
  })().catch(error => {
    if (!stop.signal.aborted) failure = error;
  });

  return {
    pods,
    next(what, holds, boundMs = 30_000) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look);
          reject(new Error(`${what}: not within ${boundMs / 1000} s`, { cause: failure }));
        }, boundMs);
        const look = (event: PodEvent) => {
          if (!holds(event)) return;
          const at = performance.now();
          clearTimeout(timer);
          waiting.delete(look);
          resolve(at);
        };
        waiting.add(look);
      });
    },
    async close() {
      stop.abort(new Error('observed enough'));
      await watching;
    },
  };
}
