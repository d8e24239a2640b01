import { ConfigMap, isStatusError, manualClock, Node, Pod, Service } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { StoreUnavailableError } from '../storage/contract.js';
import { memoryStore } from '../storage/memory.js';
import { createResources } from './resources.js';
import { configMap, fixture, pod } from './resources-fixture.js';

const refusal = (write: Promise<unknown>) =>
  write.then(
    () => undefined,
    error => error,
  );

describe('keys', () => {
  it.each([
    [Pod, { name: 'default/p' }],
    [Pod, { name: 'p' }],
    [Pod, { name: '..', namespace: 'default' }],
    [Pod, { name: 'p', namespace: 'default/x' }],
    [ConfigMap, { name: 'a/b', namespace: 'default' }],
    [Node, { name: 'n', namespace: 'default' }],
    [Node, { name: '' }],
  ])('%# reach no other object than the one they name', async (kind: any, key) => {
    await using cluster = await fixture();
    await cluster.create(Pod, pod('p'));
    const { resources, context } = cluster;
    const patch = { contentType: 'application/merge-patch+json', value: {} };
    for (const attempt of [
      resources.get(context, kind, key),
      resources.update(context, kind, key, { value: {} }),
      resources.patch(context, kind, key, patch),
      resources.delete(context, kind, key),
      resources.getSubresource(context, kind, key, 'status'),
      resources.patchSubresource(context, kind, key, 'status', patch),
      resources.createSubresource(context, kind, key, 'binding', { value: {} }),
    ]) {
      expect(await refusal(attempt)).toMatchObject({ code: 400 });
    }
  });
});

describe('the start', () => {
  it('makes the objects of the system, once', async () => {
    const store = await memoryStore()();
    const kubernetes = {
      kind: Service as any,
      object: {
        metadata: { name: 'kubernetes', namespace: 'default' } as any,
        spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443, targetPort: 6443 }] },
      },
    };
    let made: unknown;
    {
      await using first = await fixture({ store, systemObjects: [kubernetes] });
      made = await first.get(Service, { name: 'kubernetes', namespace: 'default' });
      expect(made).toMatchObject({ spec: { clusterIP: '10.96.0.1' } });
    }
    const { revision } = await store.get('x');
    await using second = await fixture({ store, systemObjects: [kubernetes] });
    expect(await second.get(Service, { name: 'kubernetes', namespace: 'default' })).toEqual(made);
    expect((await store.get('x')).revision).toBe(revision);
    await store.close();
  });

  it('lets a node register with its status', async () => {
    await using cluster = await fixture();
    const node = await cluster.create(Node, { metadata: { name: 'n' }, status: { capacity: { cpu: '4' } } });
    expect(node['status'].capacity).toEqual({ cpu: '4' });
  });

  it('is waited for by reads, ten seconds, then 503', async () => {
    const clock = manualClock();
    const store = await memoryStore({ clock })();
    const resources = createResources({ store, clock });
    const context = {
      user: { username: 'x', groups: [] },
      signal: new AbortController().signal,
      warn: () => undefined,
    };
    const list = resources.list(context, ConfigMap as any, { resourceVersion: '0' }).catch(error => error);
    await clock.advance(10_000);
    expect(await list).toMatchObject({ code: 503, reason: 'ServiceUnavailable', details: { retryAfterSeconds: 1 } });
    expect(clock.pending).toBe(0);

    const soon = resources.list(context, ConfigMap as any, { resourceVersion: '0' });
    const stop = new AbortController();
    const running = resources.run({ signal: stop.signal });
    expect((await soon).items).toEqual([]);
    stop.abort();
    await running;
    expect(resources.ready()).toBe(false);
    await store.close();
  });
});

describe('the end', () => {
  it('ends watches, releases waiting reads, and leaves no timer', async () => {
    const clock = manualClock();
    const store = await memoryStore({ clock })();
    const resources = createResources({ store, clock });
    const stop = new AbortController();
    const running = resources.run({ signal: stop.signal });
    const context = {
      user: { username: 'x', groups: [] },
      signal: new AbortController().signal,
      warn: () => undefined,
    };
    const watch = (await resources.watch(context, ConfigMap as any, { allowWatchBookmarks: true }))[
      Symbol.asyncIterator
    ]();
    const next = watch.next();
    const future = resources.list(context, ConfigMap as any, { resourceVersion: '999' }).catch(error => error);
    await new Promise(resolve => setImmediate(resolve));
    stop.abort();
    await running;
    expect((await next).done).toBe(true);
    expect(await future).toMatchObject({ code: 504 });
    await store.close();
    expect(clock.pending).toBe(0);
  });
});

describe('a store that fails', () => {
  it('is 503 to whoever asks, with what it said', async () => {
    const real = await memoryStore()();
    let broken = false;
    const store: any = new Proxy(real, {
      get(target, name) {
        const member = (target as any)[name];
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          if (broken && (name === 'txn' || name === 'get')) throw new StoreUnavailableError('the disk is full');
          return member.apply(target, args);
        };
      },
    });
    await using cluster = await fixture({ store });
    await cluster.create(ConfigMap, configMap('a'));
    broken = true;
    for (const attempt of [
      cluster.create(ConfigMap, configMap('b')),
      cluster.get(ConfigMap, { name: 'a', namespace: 'default' }),
      cluster.list(ConfigMap),
      cluster.create(Service, { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } }),
    ]) {
      const error = await refusal(attempt);
      expect(error).toMatchObject({ code: 503, reason: 'ServiceUnavailable' });
      expect(error.message).toContain('the disk is full');
    }
    broken = false;
    // What failed once is tried again.
    await cluster.create(Service, { metadata: { name: 's' }, spec: { ports: [{ port: 80 }] } });
    await real.close();
  });

  it('a client that goes away ends its own waiting, not its write', async () => {
    await using cluster = await fixture();
    const gone = new AbortController();
    const context = { ...cluster.context, signal: gone.signal };
    const reason = new Error('gone');
    const waiting = cluster.resources.list(context, ConfigMap as any, { resourceVersion: '99999' });
    gone.abort(reason);
    expect(await refusal(waiting)).toBe(reason);
    const writer = new AbortController();
    const write = cluster.resources.create(
      { ...context, signal: writer.signal },
      ConfigMap as any,
      { namespace: 'default' },
      { value: configMap('w') },
    );
    await Promise.resolve();
    writer.abort(reason);
    const outcome = await write.catch(error => error);
    const names = (await cluster.list(ConfigMap)).map(each => each.metadata.name);
    // Either it was refused and is not there, or it was written and is.
    expect(names).toEqual(outcome === reason ? [] : ['w']);
    expect(isStatusError(outcome)).toBe(false);
  });
});
