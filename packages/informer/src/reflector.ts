/**
 * Keeps a copy of a collection up to date: gets it at a version, watches from there, and never gives up before its
 * signal aborts.
 *
 * - It gets the collection as a stream (WatchList: a watch with `sendInitialEvents` that goes on as the watch), where client and server can; else in
 *   pages of 500. A server that refuses or ignores the streaming is remembered.
 * - After a broken or ended watch it resumes from the last version it saw (bookmarks advance it on a quiet collection).
 * - When that version has expired, or the server's versions went backwards (a restored store), it lists again. What the
 *   new list does not name no longer exists.
 * - Every failure is waited out: 800 ms to 30 s, doubling, with jitter, or what the server's Retry-After asks for.
 *   A watch that ends at once and empty counts as a failure, so that no server can make it spin.
 * - A dead stream is replaced: one that is silent for two and a half times as long as servers leave between bookmarks (once this server has been seen to
 *   send them), and one still open after the random 5 to 10 minutes that were asked for.
 *
 * Constants: client-go `tools/cache/reflector.go`, `tools/pager`; a bookmark a minute: k8s.io/apiserver `storage/cacher`.
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
  type ObjectDecoder,
  type ResourceRef,
  reflectorBackoff,
  systemClock,
  type WatchEvent,
} from '@orbitkit/core';
import { identified, recordOf } from './lazy/lazy-object.js';
import { quietGuard } from './quiet-guard.js';

/** What is listed and watched. */
export interface ReflectorScope {
  /** Default: all namespaces. */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

/** What is kept up to date, and how it is asked for. */
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
  /** Whether to ask for the collection as a stream, when the client can. Default true; false: always pages. */
  streamingList?: boolean;
  /** Objects come with nothing but apiVersion, kind and metadata. Default false. */
  metadataOnly?: boolean;
  /** How long a watch of a server that sends bookmarks may be silent before it is replaced. Default 150 s. */
  quietMs?: number;
  /**
   * For those who do not want every object parsed: asked before a list (`initial`) and before a watch. What it makes must have at least its
   * identity: name, namespace, uid, resourceVersion.
   */
  decoder?: (initial: boolean) => ObjectDecoder<T> | undefined;
}

/** What a reflector does at the moment; `waiting` names the error and the milliseconds until the next attempt. */
export type ReflectorState =
  | { phase: 'idle' | 'listing' | 'watching' | 'stopped' }
  /** Something failed; the next attempt comes by itself. */
  | { phase: 'waiting'; error: Error; ms: number };

/**
 * As {@link import('./event.js').InformerEvent}, of objects that nobody else has seen yet. Between `init` and `initDone` there may be a `delete` of what
 * was named before and went while the list was on its way.
 */
export type ReflectorEvent<T> = { type: 'init' | 'initDone' } | { type: 'initApply' | 'apply' | 'delete'; object: T };

const listPageSize = 500;
const shortestWatchSeconds = 300;
const longestWatchSeconds = 600;
/** How long after its end was due a watch may still be open. */
const watchGraceMs = 10_000;
/** Two and a half times what an API server leaves between bookmarks. */
const quietWatchMs = 150_000;
/** A list that streams may be silent for so long; the server has 60 s to begin it. */
const quietListMs = 70_000;
/** Streamed lists that did not come to their end, until it is left alone. */
const mostBrokenStreams = 2;
/** Answers of servers that know no streamed lists: the gate is off (422), older forms of refusal. */
const refusals = new Set([400, 405, 406, 415, 422]);
/** A watch that ended sooner than this without an event did not work. */
const shortWatchMs = 1_000;

class VersionsWentBackwards extends Error {
  constructor(resource: string, seen: string, got: string) {
    super(`${resource}: the server sent version ${got} after ${seen}; its store was restored, listing again`);
  }
}

/** The server does not stream lists, or not to their end: pages instead. */
class StreamNotComplete extends Error {}

/** List and watch without a cache: for those who keep the objects in a form of their own. */
export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #resource: string;
  #version: string | undefined;
  #state: ReflectorState = { phase: 'idle' };
  #mustList = true;
  #streaming: boolean;
  #brokenStreams = 0;
  /** Whether this server has sent a bookmark: then its silence means something. */
  #bookmarks = false;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#streaming = options.streamingList ?? true;
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
    // Expired once is no fault: list again at once. Expired again without anything in between would spin: wait.
    let expired = false;
    try {
      while (!signal.aborted) {
        let progress = false;
        try {
          const streamed = this.#mustList && this.#streaming && this.#options.client.streamsLists === true;
          if (this.#mustList) this.#state = { phase: 'listing' };
          if (this.#mustList && !streamed) yield* this.#list(signal);
          if (!streamed) this.#state = { phase: 'watching' };
          const started = this.#clock.now();
          for await (const events of this.#watch(signal, streamed)) {
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
          if (error instanceof StreamNotComplete) continue;
          if (isExpired(error) || error instanceof VersionsWentBackwards) this.#mustList = true;
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

  /** In pages. */
  async *#list(signal: AbortSignal): AsyncGenerator<ReflectorEvent<T>[], void, void> {
    const { client, kind } = this.#options;
    this.#count('reflector_lists_total', 'Total number of lists done by reflectors');
    yield [{ type: 'init' }];
    const decode = this.#options.decoder?.(true);
    let form: { limit?: number; decode?: ObjectDecoder<T> } = {
      limit: this.#options.pageSize ?? listPageSize,
      ...(decode ? { decode } : {}),
    };
    let next: string | undefined;
    for (;;) {
      try {
        const position = next === undefined ? {} : { continue: next };
        const page = await client.list(kind, { ...this.#scope(), ...form, ...position, signal });
        if (page.items.length > 0) {
          yield page.items.map(object => ({ type: 'initApply', object: this.#complete(object) }));
        }
        next = page.metadata.continue || undefined;
        if (next === undefined) {
          this.#listed(page.metadata.resourceVersion);
          yield [{ type: 'initDone' }];
          return;
        }
      } catch (error) {
        // The pages outlived the server's history. One list without pages, from the start, cannot. It may be long: object by object.
        if (!isExpired(error) || next === undefined) throw error;
        form = { decode: decode ?? parse };
        next = undefined;
        yield [{ type: 'init' }];
      }
    }
  }

  /** From the last version on; or, `streamed`, from what there is, which comes first between `init` and `initDone`. */
  async *#watch(signal: AbortSignal, streamed: boolean): AsyncGenerator<ReflectorEvent<T>[], void, void> {
    const { client, kind, quietMs = quietWatchMs } = this.#options;
    if (streamed) this.#count('reflector_lists_total', 'Total number of lists done by reflectors');
    this.#count('reflector_watches_total', 'Total number of watches started by reflectors');
    const random = this.#options.random ?? Math.random;
    const seconds = Math.round(shortestWatchSeconds + random() * (longestWatchSeconds - shortestWatchSeconds));
    const decode = this.#options.decoder?.(streamed);
    const guard = quietGuard({
      clock: this.#clock,
      signal,
      endsWithinMs: seconds * 1000 + watchGraceMs,
      quietMs: streamed ? quietListMs : this.#bookmarks ? quietMs : undefined,
      explain: (why, ms) =>
        new Error(
          why === 'overdue'
            ? `the watch of ${this.#resource} was still open after its ${seconds} s; taken for dead`
            : `the watch of ${this.#resource} was silent for ${ms / 1000} s; taken for dead`,
        ),
    });
    let initial = streamed;
    let heard = false;
    if (streamed) yield [{ type: 'init' }];
    try {
      const from = streamed
        ? { sendInitialEvents: true }
        : this.#version === undefined
          ? {}
          : { resourceVersion: this.#version };
      for await (const batch of client.watchBatches(kind, {
        ...this.#scope(),
        ...from,
        ...(decode ? { decode } : {}),
        allowWatchBookmarks: true,
        timeoutSeconds: seconds,
        signal: guard.signal,
      })) {
        heard = true;
        guard.heard();
        let changes: readonly WatchEvent<T>[] = batch;
        let events: ReflectorEvent<T>[] = [];
        if (initial) {
          const end = batch.findIndex(event => event.type === 'BOOKMARK');
          events = this.#takeInitial(end < 0 ? batch : batch.slice(0, end));
          changes = end < 0 ? [] : batch.slice(end + 1);
          const mark = batch[end];
          if (mark?.type === 'BOOKMARK') {
            if (!mark.initialEventsEnd) throw this.#streamsNoLists('it sent a bookmark that does not end the list');
            initial = false;
            this.#listed(mark.resourceVersion);
            this.#state = { phase: 'watching' };
            events.push({ type: 'initDone' });
          }
        }
        const known = this.#bookmarks;
        events = events.length === 0 ? this.#take(changes) : events.concat(this.#take(changes));
        if (streamed !== initial || known !== this.#bookmarks) {
          guard.heard({ quietMs: initial ? quietListMs : this.#bookmarks ? quietMs : undefined });
          streamed = initial;
        }
        yield events;
      }
      if (!signal.aborted) guard.signal.throwIfAborted();
      if (initial && !signal.aborted) throw this.#brokenStream('it ended before the list did');
    } catch (error) {
      if (!initial || signal.aborted || error instanceof StreamNotComplete) throw error;
      if (isStatusError(error) && refusals.has(error.code)) throw this.#streamsNoLists(error.message);
      if (heard || guard.signal.aborted) this.#brokenStream(String(error));
      throw error;
    } finally {
      guard.close();
    }
  }

  #listed(version: string): void {
    this.#version = version;
    this.#mustList = false;
    this.#brokenStreams = 0;
  }

  #streamsNoLists(why: string): StreamNotComplete {
    this.#streaming = false;
    this.#options.log?.info('the server does not stream lists, they come in pages', { resource: this.#resource, why });
    return new StreamNotComplete(why);
  }

  /** The server may stream lists, but something on the way does not let them through. */
  #brokenStream(why: string): StreamNotComplete {
    return ++this.#brokenStreams >= mostBrokenStreams ? this.#streamsNoLists(why) : new StreamNotComplete(why);
  }

  /** Before the list is through, versions come in no order. */
  #takeInitial(batch: readonly WatchEvent<T>[]): ReflectorEvent<T>[] {
    const events: ReflectorEvent<T>[] = [];
    for (const event of batch) {
      if (event.type === 'BOOKMARK') continue;
      events.push({ type: event.type === 'DELETED' ? 'delete' : 'initApply', object: this.#complete(event.object) });
    }
    return events;
  }

  /** Moves the version along with the events, and drops what was seen before. */
  #take(batch: readonly WatchEvent<T>[]): ReflectorEvent<T>[] {
    const events: ReflectorEvent<T>[] = [];
    for (const event of batch) {
      const bookmark = event.type === 'BOOKMARK';
      if (bookmark) this.#bookmarks = true;
      const version = bookmark ? event.resourceVersion : identified(event.object).resourceVersion;
      const order = compareVersions(version, this.#version);
      if (order < 0) throw new VersionsWentBackwards(this.#resource, this.#version ?? '', version);
      this.#version = version;
      if (bookmark || (order === 0 && event.type !== 'DELETED')) continue;
      events.push({ type: event.type === 'DELETED' ? 'delete' : 'apply', object: this.#complete(event.object) });
    }
    return events;
  }

  /** The items of a list may come without kind and apiVersion, metadata with those of its own form or with more than was asked for. */
  #complete(object: T): T {
    const { kind, metadataOnly } = this.#options;
    if (recordOf(object)) return object;
    const apiVersion = kind.group ? `${kind.group}/${kind.version}` : kind.version;
    if (metadataOnly) return { apiVersion, kind: kind.kind, metadata: object.metadata } as T;
    object.kind ??= kind.kind;
    object.apiVersion ??= apiVersion;
    return object;
  }

  #scope(): ReflectorScope & { metadataOnly?: boolean } {
    const { namespace, labelSelector, fieldSelector, metadataOnly } = this.#options;
    return {
      ...(metadataOnly ? { metadataOnly } : {}),
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

const parse = (json: Buffer, start: number, end: number) => JSON.parse(json.toString('utf8', start, end));

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
