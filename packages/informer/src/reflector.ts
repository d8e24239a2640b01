/**
 * Keeps a copy of a collection up to date: lists it at a version, watches from there, and never gives up before its
 * signal aborts.
 *
 * - After a broken or ended watch it resumes from the last version it saw (bookmarks advance it on a quiet collection).
 * - When that version has expired, or the server's versions went backwards (a restored store), it lists again. What the
 *   new list does not name no longer exists.
 * - Every failure is waited out: 800 ms to 30 s, doubling, with jitter, or what the server's Retry-After asks for.
 *   A watch that ends at once and empty counts as a failure, so that no server can make it spin.
 * - A watch asks for a random 5 to 10 minutes; a stream still open after that is taken for dead and replaced.
 *
 * Constants: client-go `tools/cache/reflector.go`, `tools/pager`.
 */
import {
  type Backoff,
  backoff,
  type Client,
  type Clock,
  isExpired,
  isStatusError,
  type KubeObject,
  type Logger,
  type Metrics,
  type ResourceRef,
  reflectorBackoff,
  systemClock,
  type WatchEvent,
} from '@orbitkit/core';

/** What is listed and watched. */
export interface ReflectorScope {
  /** Default: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export interface ReflectorOptions<T extends KubeObject> extends ReflectorScope {
  client: Client;
  kind: ResourceRef<T>;
  clock?: Clock;
  log?: Logger;
  metrics?: Metrics;
  /** Objects per page of a list. */
  pageSize?: number;
  backoff?: Backoff;
  /** In [0, 1). */
  random?: () => number;
}

export type ReflectorState =
  | { phase: 'idle' | 'listing' | 'watching' | 'stopped' }
  /** Something failed; the next attempt comes by itself. */
  | { phase: 'waiting'; error: Error; ms: number };

/** As {@link import('./event.js').InformerEvent}, of objects that nobody else has seen yet. */
export type ReflectorEvent<T> = { type: 'init' | 'initDone' } | { type: 'initApply' | 'apply' | 'delete'; object: T };

const listPageSize = 500;
const shortestWatchSeconds = 300;
const longestWatchSeconds = 600;
/** How long after its end was due a watch may still be open. */
const watchGraceMs = 10_000;
/** A watch that ended sooner than this without an event did not work. */
const shortWatchMs = 1_000;

class VersionsWentBackwards extends Error {
  constructor(resource: string, seen: string, got: string) {
    super(`${resource}: the server sent version ${got} after ${seen}; its store was restored, listing again`);
  }
}

export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #resource: string;
  #version: string | undefined;
  #state: ReflectorState = { phase: 'idle' };

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#backoff =
      options.backoff ??
      backoff({ ...reflectorBackoff, clock: this.#clock, ...(options.random ? { random: options.random } : {}) });
    const { group, plural } = options.kind;
    this.#resource = group ? `${plural}.${group}` : plural;
  }

  /** The version up to which everything was handed out. Undefined before the first list is through. */
  get resourceVersion(): string | undefined {
    return this.#version;
  }

  get state(): ReflectorState {
    return this.#state;
  }

  /** Everything that happens, in batches as it arrives, until the signal aborts. It does not throw. Use it once. */
  async *batches(signal: AbortSignal): AsyncGenerator<ReflectorEvent<T>[], void, void> {
    let relist = true;
    // Expired once is no fault: list again at once. Expired again without anything in between would spin: wait.
    let expired = false;
    try {
      while (!signal.aborted) {
        let progress = false;
        try {
          if (relist) {
            this.#state = { phase: 'listing' };
            yield* this.#list(signal);
            relist = false;
          }
          this.#state = { phase: 'watching' };
          const started = this.#clock.now();
          for await (const events of this.#watch(signal)) {
            progress = true;
            expired = false;
            if (events.length > 0) yield events;
          }
          if (signal.aborted) return;
          if (progress || this.#clock.now() - started >= shortWatchMs) {
            expired = false;
            continue;
          }
          this.#count('reflector_short_watches_total', 'Watches that ended at once without an event');
          await this.#wait(new Error(`the watch of ${this.#resource} ended at once`), signal);
        } catch (error) {
          if (signal.aborted) return;
          const backwards = error instanceof VersionsWentBackwards;
          if (isExpired(error) || backwards) relist = true;
          if (isExpired(error) && !expired) {
            expired = true;
            continue;
          }
          await this.#wait(error instanceof Error ? error : new Error(String(error)), signal);
        }
      }
    } finally {
      this.#state = { phase: 'stopped' };
    }
  }

  async *#list(signal: AbortSignal): AsyncGenerator<ReflectorEvent<T>[], void, void> {
    const { client, kind } = this.#options;
    this.#count('reflector_lists_total', 'Total number of lists done by reflectors');
    yield [{ type: 'init' }];
    let limit: number | undefined = this.#options.pageSize ?? listPageSize;
    let next: string | undefined;
    for (;;) {
      const position: { limit?: number; continue?: string } = {};
      if (limit !== undefined) position.limit = limit;
      if (next !== undefined) position.continue = next;
      try {
        const page = await client.list(kind, { ...this.#scope(), ...position, signal });
        if (page.items.length > 0) {
          yield page.items.map(object => ({ type: 'initApply', object: this.#complete(object) }));
        }
        next = page.metadata.continue || undefined;
        if (next === undefined) {
          this.#version = page.metadata.resourceVersion;
          yield [{ type: 'initDone' }];
          return;
        }
      } catch (error) {
        // The pages outlived the server's history. One list without pages, from the start, cannot.
        if (!isExpired(error) || next === undefined) throw error;
        limit = undefined;
        next = undefined;
        yield [{ type: 'init' }];
      }
    }
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<ReflectorEvent<T>[], void, void> {
    const { client, kind } = this.#options;
    this.#count('reflector_watches_total', 'Total number of watches started by reflectors');
    const random = this.#options.random ?? Math.random;
    const seconds = Math.round(shortestWatchSeconds + random() * (longestWatchSeconds - shortestWatchSeconds));
    const stop = new AbortController();
    const onAbort = () => stop.abort(signal.reason);
    // Aborted between the list and this: the event has passed.
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const overdue = this.#clock.setTimer(seconds * 1000 + watchGraceMs, () =>
      stop.abort(new Error(`the watch of ${this.#resource} was still open after its ${seconds} s; taken for dead`)),
    );
    try {
      for await (const batch of client.watchBatches(kind, {
        ...this.#scope(),
        ...(this.#version === undefined ? {} : { resourceVersion: this.#version }),
        allowWatchBookmarks: true,
        timeoutSeconds: seconds,
        signal: stop.signal,
      })) {
        yield this.#take(batch);
      }
      if (!signal.aborted) stop.signal.throwIfAborted();
    } finally {
      overdue.cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Moves the version along with the events, and drops what was seen before. */
  #take(batch: readonly WatchEvent<T>[]): ReflectorEvent<T>[] {
    const events: ReflectorEvent<T>[] = [];
    for (const event of batch) {
      const bookmark = event.type === 'BOOKMARK';
      const version = bookmark ? event.resourceVersion : event.object.metadata.resourceVersion;
      const order = compareVersions(version, this.#version);
      if (order < 0) throw new VersionsWentBackwards(this.#resource, this.#version ?? '', version);
      this.#version = version;
      if (bookmark || (order === 0 && event.type !== 'DELETED')) continue;
      events.push({ type: event.type === 'DELETED' ? 'delete' : 'apply', object: this.#complete(event.object) });
    }
    return events;
  }

  /** The items of a list may come without kind and apiVersion. */
  #complete(object: T): T {
    const { kind } = this.#options;
    object.kind ??= kind.kind;
    object.apiVersion ??= kind.group ? `${kind.group}/${kind.version}` : kind.version;
    return object;
  }

  #scope(): ReflectorScope {
    const { namespace, labelSelector, fieldSelector } = this.#options;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }

  async #wait(error: Error, signal: AbortSignal): Promise<void> {
    const asked = isStatusError(error) ? (error.details.retryAfterSeconds ?? 0) * 1000 : 0;
    const ms = Math.max(this.#backoff.next(), asked);
    this.#state = { phase: 'waiting', error, ms };
    this.#count('reflector_errors_total', 'Failures of lists and watches, all of them retried');
    this.#options.log?.warn('list or watch failed, trying again', {
      resource: this.#resource,
      error: error.message,
      afterMs: Math.round(ms),
    });
    await this.#clock.sleep(ms, signal).catch(() => {});
  }

  #count(name: string, help: string): void {
    this.#options.metrics?.counter(name, help, ['resource']).inc({ resource: this.#resource });
  }
}

const decimal = /^[0-9]+$/;

/**
 * Order of two resource versions; 0 when they cannot be compared (then nothing is concluded from them), except that
 * equal ones are equal and anything comes after no version.
 */
export function compareVersions(a: string, b: string | undefined): number {
  if (b === undefined) return 1;
  if (a === b) return 0;
  if (!decimal.test(a) || !decimal.test(b)) return 1;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : 1;
}
