/**
 * An API server for the agent's tests, as small as the agent needs: objects in memory behind the `Client` interface, with resource
 * versions, compare-and-swap, watches from a version, graceful deletion of pods. Failures are injected. Not a server: no defaults, no
 * validation, no subresources but status.
 */
import {
  alreadyExists,
  apiVersionOf,
  type Client,
  type DeleteOptions,
  type KubeObject,
  notFound,
  type ObjectKey,
  type ResourceRef,
  StatusError,
  staleVersion,
  type WatchEvent,
} from '@orbitkit/core';

interface Change {
  version: number;
  plural: string;
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  object: any;
}

export interface FakeApi {
  readonly client: Client;
  objects<T extends KubeObject>(kind: ResourceRef<T>): T[];
  find<T extends KubeObject>(kind: ResourceRef<T>, key: ObjectKey): T | undefined;
  /** Removes the object whatever its grace and finalizers. */
  forget(kind: ResourceRef, key: ObjectKey): void;
  /** The next `times` calls of the verb on the kind fail so. */
  fail(
    verb: 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete' | 'watch',
    plural: string,
    error: Error,
    times?: number,
  ): void;
  /** Calls so far: `update pods`, `get configmaps`, … */
  readonly calls: Map<string, number>;
  /** Ends every open watch, as a server that is restarted. */
  breakWatches(): void;
}

const copy = <T>(value: T): T => structuredClone(value);

export function fakeApi(options: { now(): number }): FakeApi {
  const stored = new Map<string, any>();
  const history: Change[] = [];
  const wakers = new Set<() => void>();
  const failures: { verb: string; plural: string; error: Error; times: number }[] = [];
  const calls = new Map<string, number>();
  let version = 0;
  let uids = 0;
  let epoch = 0;

  const path = (kind: ResourceRef<any>, key: ObjectKey) => `${kind.plural}/${key.namespace ?? ''}/${key.name}`;

  function enter(verb: string, kind: ResourceRef<any>, signal?: AbortSignal): void {
    signal?.throwIfAborted();
    calls.set(`${verb} ${kind.plural}`, (calls.get(`${verb} ${kind.plural}`) ?? 0) + 1);
    const index = failures.findIndex(failure => failure.verb === verb && failure.plural === kind.plural);
    const failure = failures[index];
    if (!failure) return;
    failure.times -= 1;
    if (failure.times <= 0) failures.splice(index, 1);
    throw failure.error;
  }

  function commit(kind: ResourceRef<any>, type: Change['type'], object: any): any {
    version += 1;
    object.metadata.resourceVersion = String(version);
    const at = path(kind, object.metadata);
    if (type === 'DELETED') stored.delete(at);
    else stored.set(at, object);
    history.push({ version, plural: kind.plural, type, object: copy(object) });
    for (const wake of wakers) wake();
    return copy(object);
  }

  function existing(kind: ResourceRef<any>, key: ObjectKey): any {
    const found = stored.get(path(kind, key));
    if (!found) throw notFound(kind, key.name);
    return found;
  }

  function matches(object: any, { namespace, fieldSelector }: { namespace?: string; fieldSelector?: string }): boolean {
    if (namespace && object.metadata.namespace !== namespace) return false;
    return (fieldSelector ?? '')
      .split(',')
      .filter(Boolean)
      .every(part => {
        const [field, value] = part.split('=') as [string, string];
        return String(field.split('.').reduce((at: any, name) => at?.[name], object) ?? '') === value;
      });
  }

  function replace(kind: ResourceRef<any>, next: any, status: boolean): any {
    const before = existing(kind, next.metadata);
    if (next.metadata.resourceVersion && next.metadata.resourceVersion !== before.metadata.resourceVersion) {
      throw staleVersion(kind, next.metadata.name);
    }
    const after = status
      ? { ...copy(before), status: copy(next.status) }
      : { ...copy(next), status: copy(before.status) };
    after.metadata.uid = before.metadata.uid;
    const last =
      after.metadata.deletionTimestamp && !after.metadata.finalizers?.length && !status && kind.kind !== 'Pod';
    return commit(kind, last ? 'DELETED' : 'MODIFIED', after);
  }

  function merge(into: any, patch: any): any {
    if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return copy(patch);
    const result = typeof into === 'object' && into !== null && !Array.isArray(into) ? { ...into } : {};
    for (const [key, value] of Object.entries(patch)) {
      if (value === null) delete result[key];
      else result[key] = merge(result[key], value);
    }
    return result;
  }

  function remove(kind: ResourceRef<any>, key: ObjectKey, options: DeleteOptions): any {
    const found = existing(kind, key);
    const uid = options.preconditions?.uid;
    if (uid && uid !== found.metadata.uid) {
      throw new StatusError('Conflict', `the UID in the precondition (${uid}) does not match (${found.metadata.uid})`);
    }
    const grace =
      kind.kind === 'Pod' ? (options.gracePeriodSeconds ?? found.spec.terminationGracePeriodSeconds ?? 30) : 0;
    if (grace === 0 && !found.metadata.finalizers?.length) {
      const gone = copy(found);
      if (kind.kind === 'Pod') gone.metadata.deletionGracePeriodSeconds ??= 0;
      commit(kind, 'DELETED', gone);
      return undefined;
    }
    const next = copy(found);
    const shorter = Math.min(grace, next.metadata.deletionGracePeriodSeconds ?? Number.POSITIVE_INFINITY);
    if (next.metadata.deletionTimestamp && shorter === next.metadata.deletionGracePeriodSeconds) return copy(found);
    next.metadata.deletionGracePeriodSeconds = shorter;
    next.metadata.deletionTimestamp = new Date(now() + shorter * 1000).toISOString();
    return commit(kind, 'MODIFIED', next);
  }

  const now = () => options.now();

  async function* watch(kind: ResourceRef<any>, options: any = {}): AsyncGenerator<WatchEvent<any>[]> {
    enter('watch', kind, options.signal);
    const mine = epoch;
    let seen = Number(options.resourceVersion ?? 0);
    let wake: () => void = () => {};
    const waker = () => wake();
    wakers.add(waker);
    options.signal?.addEventListener('abort', waker);
    try {
      while (!options.signal?.aborted && epoch === mine) {
        const batch: WatchEvent<any>[] = [];
        for (const change of history) {
          if (change.version <= seen || change.plural !== kind.plural || !matches(change.object, options)) continue;
          batch.push({ type: change.type, object: copy(change.object) });
        }
        seen = version;
        if (batch.length > 0) yield batch;
        else
          await new Promise<void>(resolve => {
            wake = resolve;
          });
      }
    } finally {
      wakers.delete(waker);
      options.signal?.removeEventListener('abort', waker);
    }
  }

  const client: Client = {
    transport: undefined as never,
    async get(kind: any, key, options) {
      enter('get', kind, options?.signal);
      return copy(existing(kind, key));
    },
    async list(kind: any, options = {}) {
      enter('list', kind, options.signal);
      const items = [...stored]
        .filter(([at, object]) => at.startsWith(`${kind.plural}/`) && matches(object, options))
        .map(([, object]) => copy(object));
      return {
        apiVersion: apiVersionOf(kind),
        kind: `${kind.kind}List`,
        metadata: { resourceVersion: String(version) },
        items,
      };
    },
    async *watch(kind: any, options) {
      for await (const batch of watch(kind, options)) yield* batch;
    },
    watchBatches: (kind: any, options) => watch(kind, options),
    async create(kind: any, draft: any, options) {
      enter('create', kind, options?.signal);
      if (stored.has(path(kind, draft.metadata))) throw alreadyExists(kind, draft.metadata.name);
      uids += 1;
      const object = copy({ apiVersion: apiVersionOf(kind), kind: kind.kind, ...draft });
      object.metadata = { uid: `uid-${uids}`, creationTimestamp: new Date(now()).toISOString(), ...object.metadata };
      if (kind.kind === 'Pod' || kind.kind === 'Node') object.status ??= {};
      return commit(kind, 'ADDED', object);
    },
    async update(kind: any, object: any, options) {
      enter('update', kind, options?.signal);
      return replace(kind, object, false);
    },
    async updateStatus(kind: any, object: any, options) {
      enter('update', kind, options?.signal);
      return replace(kind, object, true);
    },
    async patch(kind: any, key, { type, patch }, options) {
      enter('patch', kind, options?.signal);
      if (type !== 'merge') throw new Error(`the fake API server knows merge patches, not ${type}`);
      const before = existing(kind, key);
      return replace(
        kind,
        { ...merge(before, patch), metadata: { ...merge(before.metadata, (patch as any).metadata ?? {}) } },
        options?.subresource === 'status',
      );
    },
    async apply() {
      throw new Error('the fake API server knows no server-side apply');
    },
    async delete(kind: any, key, options = {}) {
      enter('delete', kind, options.signal);
      return remove(kind, key, options);
    },
    async deleteCollection() {
      throw new Error('the fake API server deletes no collections');
    },
    async getSubresource() {
      throw new Error('the fake API server has no subresources');
    },
    async updateSubresource() {
      throw new Error('the fake API server has no subresources');
    },
    async createSubresource() {
      throw new Error('the fake API server has no subresources');
    },
    async close() {},
  };

  return {
    client,
    calls,
    objects: kind => [...stored].filter(([at]) => at.startsWith(`${kind.plural}/`)).map(([, object]) => copy(object)),
    find: (kind, key) => copy(stored.get(path(kind, key))),
    forget(kind, key) {
      commit(kind, 'DELETED', copy(existing(kind, key)));
    },
    fail: (verb, plural, error, times = 1) => void failures.push({ verb, plural, error, times }),
    breakWatches() {
      epoch += 1;
      for (const wake of wakers) wake();
    },
  };
}
