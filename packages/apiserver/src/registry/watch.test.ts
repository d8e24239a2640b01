import { ConfigMap, manualClock, Namespace, Pod } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryStore } from '../storage/memory.js';
import type { WatchBatch, WatchOptions } from './contract.js';
import { configMap, type Fixture, fixture, pod } from './resources-fixture.js';

let cluster: Fixture;
beforeEach(async () => {
  cluster = await fixture();
});
afterEach(() => cluster[Symbol.asyncDispose]());

const create = (name: string, labels?: Record<string, string>) =>
  cluster.create(ConfigMap, configMap(name, {}, labels === undefined ? {} : { labels }));
const key = (name: string) => ({ name, namespace: 'default' });
const revision = async () => String((await cluster.store.get('x')).revision);
const refused = (options: WatchOptions, kind: any = ConfigMap) =>
  cluster.resources.watch(cluster.context, kind, options).then(
    () => undefined,
    error => error,
  );

describe('where a watch starts', () => {
  it.each([undefined, '', '0'])('with resourceVersion %j: what is there, then what happens', async resourceVersion => {
    await create('a');
    await create('b');
    const watch = await cluster.watch(ConfigMap, { resourceVersion });
    expect(await watch.lines(2)).toEqual(['ADDED a', 'ADDED b']);
    await create('c');
    expect(await watch.lines(1)).toEqual(['ADDED c']);
    await watch.close();
  });

  it('with N: what happened after N', async () => {
    await create('a');
    const from = await revision();
    await create('b');
    await cluster.patch(ConfigMap, key('a'), { data: { x: '1' } });
    await cluster.delete(ConfigMap, key('b'));
    const watch = await cluster.watch(ConfigMap, { resourceVersion: from });
    expect(await watch.lines(3)).toEqual(['ADDED b', 'MODIFIED a', 'DELETED b']);
    await watch.close();
  });

  it('with a version from the future: silent until then', async () => {
    const from = String(BigInt(await revision()) + 2n);
    const watch = await cluster.watch(ConfigMap, { resourceVersion: from });
    for (const name of ['a', 'b', 'c', 'd']) await create(name);
    expect(await watch.lines(2)).toEqual(['ADDED c', 'ADDED d']);
    await watch.close();
  });

  it('with no number: an error instead of a stream', async () => {
    expect(await refused({ resourceVersion: 'abc' })).toMatchObject({ code: 500, reason: '' });
    expect(await refused({ labelSelector: '((' })).toMatchObject({ code: 400 });
    expect(await refused({ fieldSelector: 'spec.foo=1' }, Pod)).toMatchObject({ code: 400 });
  });

  it('too old: one ERROR event with a Status, then the end', async () => {
    await using small = await fixture({ watchWindow: { events: 2 } });
    for (const name of ['a', 'b', 'c', 'd']) await small.create(ConfigMap, configMap(name));
    const watch = await small.watch(ConfigMap, { resourceVersion: '1' });
    const event = await watch.next();
    expect(event?.type).toBe('ERROR');
    const status: any = event?.object.object();
    expect(status).toMatchObject({ kind: 'Status', reason: 'Expired', code: 410 });
    expect(status.message).toMatch(/^too old resource version: 1 \(\d+\)$/);
    expect(JSON.parse(event!.frame.toString())).toEqual({ type: 'ERROR', object: status });
    expect(await watch.next()).toBeUndefined();
  });

  it('can be as old as the window of its own resource, however much is written elsewhere', async () => {
    await using small = await fixture({ watchWindow: { events: 2 } });
    await small.create(Pod, pod('p'));
    const from = String((await small.store.get('x')).revision);
    for (let i = 0; i < 50; i++) await small.create(ConfigMap, configMap(`c${i}`));
    await small.create(Pod, pod('q'));
    const watch = await small.watch(Pod, { resourceVersion: from });
    expect(await watch.lines(1)).toEqual(['ADDED q']);
    await watch.close();
  });
});

describe('what a watch tells', () => {
  it("has the new resourceVersion on every event, the deletion's on DELETED", async () => {
    const watch = await cluster.watch(ConfigMap);
    const made = await create('a');
    const changed = await cluster.patch(ConfigMap, key('a'), { data: { x: '1' } });
    await cluster.delete(ConfigMap, key('a'));
    const gone = await revision();
    const events = [await watch.next(), await watch.next(), await watch.next()];
    expect(events.map(event => [event?.type, event?.object.object().metadata.resourceVersion])).toEqual([
      ['ADDED', made.metadata.resourceVersion],
      ['MODIFIED', changed.metadata.resourceVersion],
      ['DELETED', gone],
    ]);
    expect(JSON.parse(events[2]!.frame.toString()).object).toEqual({
      ...changed,
      metadata: { ...changed.metadata, resourceVersion: gone },
    });
    await watch.close();
  });

  it('of labels: beginning to match is ADDED, ceasing is DELETED with the old state under the new version', async () => {
    const watch = await cluster.watch(ConfigMap, { labelSelector: 't=1' });
    await create('a');
    await create('other', { t: '2' });
    await cluster.patch(ConfigMap, key('a'), { metadata: { labels: { t: '1' } } });
    const matching = await cluster.patch(ConfigMap, key('a'), { data: { x: '1' } });
    const left = await cluster.patch(ConfigMap, key('a'), { metadata: { labels: { t: null } } });
    await cluster.patch(ConfigMap, key('a'), { data: { x: '2' } });
    await cluster.patch(ConfigMap, key('a'), { metadata: { labels: { t: '1' } } });
    await cluster.delete(ConfigMap, key('a'));
    expect((await watch.next())?.type).toBe('ADDED');
    expect((await watch.next())?.type).toBe('MODIFIED');
    const ceased = await watch.next();
    expect(ceased?.type).toBe('DELETED');
    expect(ceased?.object.object()).toEqual({
      ...matching,
      metadata: { ...matching.metadata, resourceVersion: left.metadata.resourceVersion },
    });
    expect(await watch.lines(2)).toEqual(['ADDED a', 'DELETED a']);
    await watch.close();
  });

  it('of a past with labels: the same transitions', async () => {
    const from = await revision();
    await create('a', { t: '1' });
    await cluster.patch(ConfigMap, key('a'), { metadata: { labels: { t: '2' } } });
    const watch = await cluster.watch(ConfigMap, { resourceVersion: from, labelSelector: 't=1' });
    expect(await watch.lines(2)).toEqual(['ADDED a', 'DELETED a']);
    await watch.close();
  });

  it("of one node's pods: a pod arrives when it is bound", async () => {
    const mine = await cluster.watch(Pod, { fieldSelector: 'spec.nodeName=n1' });
    const others = await cluster.watch(Pod, { fieldSelector: 'spec.nodeName=n2' });
    const unbound = await cluster.watch(Pod, { fieldSelector: 'spec.nodeName=' });
    await cluster.create(Pod, pod('p'));
    await bind('p', 'n1');
    await cluster.patch(Pod, key('p'), { metadata: { labels: { a: 'b' } } });
    await cluster.create(Pod, pod('q'));
    await bind('q', 'n2');
    expect(await mine.lines(2)).toEqual(['ADDED p', 'MODIFIED p']);
    expect(await others.lines(1)).toEqual(['ADDED q']);
    expect(await unbound.lines(4)).toEqual(['ADDED p', 'DELETED p', 'ADDED q', 'DELETED q']);
    for (const watch of [mine, others, unbound]) await watch.close();
  });
  const bind = (name: string, node: string) =>
    cluster.resources.createSubresource(cluster.context, Pod as any, key(name), 'binding', {
      value: { target: { kind: 'Node', name: node } },
    });

  it('of one namespace or one name: nothing else', async () => {
    await cluster.create(Namespace, { metadata: { name: 'other' } });
    const inOther = await cluster.watch(ConfigMap, { namespace: 'other' });
    const byName = await cluster.watch(ConfigMap, { namespace: 'default', fieldSelector: 'metadata.name=b' });
    const anywhere = await cluster.watch(ConfigMap, { fieldSelector: 'metadata.name=b' });
    const byBoth = await cluster.watch(ConfigMap, { fieldSelector: 'metadata.namespace=other,metadata.name=b' });
    const labelled = await cluster.watch(ConfigMap, { namespace: 'other', labelSelector: 'x=1' });
    for (const namespace of ['default', 'other']) {
      for (const name of ['a', 'b'])
        await cluster.create(ConfigMap, configMap(name, {}, { labels: { x: '1' } }), { namespace });
    }
    await cluster.create(ConfigMap, configMap('end', {}, { labels: { x: '1' } }), { namespace: 'other' });
    expect(await inOther.lines(3)).toEqual(['ADDED a', 'ADDED b', 'ADDED end']);
    expect(await labelled.lines(3)).toEqual(['ADDED a', 'ADDED b', 'ADDED end']);
    expect((await byName.next())?.object.object().metadata.namespace).toBe('default');
    expect(await anywhere.lines(2)).toEqual(['ADDED b', 'ADDED b']);
    expect((await byBoth.next())?.object.object().metadata.namespace).toBe('other');
    for (const watch of [inOther, byName, anywhere, byBoth, labelled]) await watch.close();
  });

  it('does not tell of a write that changed nothing, nor of a refused one', async () => {
    const watch = await cluster.watch(ConfigMap);
    const made = await create('a');
    await cluster.update(ConfigMap, made);
    await cluster.patch(ConfigMap, key('a'), { data: {} });
    await cluster
      .update(ConfigMap, { ...made, metadata: { ...made.metadata, resourceVersion: '1' }, data: { x: '1' } })
      .catch(() => undefined);
    await create('b');
    expect(await watch.lines(2)).toEqual(['ADDED a', 'ADDED b']);
    await watch.close();
  });
});

describe('WatchList', () => {
  const initial: WatchOptions = {
    sendInitialEvents: true,
    resourceVersionMatch: 'NotOlderThan',
    allowWatchBookmarks: true,
  };

  it('sends what is there, then a bookmark that says so, then what happens', async () => {
    await create('a');
    await create('b');
    const watch = await cluster.watch(ConfigMap, initial);
    expect(await watch.lines(2)).toEqual(['ADDED a', 'ADDED b']);
    const end = await watch.next();
    expect(end?.type).toBe('BOOKMARK');
    expect(JSON.parse(end!.frame.toString()).object).toEqual({
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: { resourceVersion: await revision(), annotations: { 'k8s.io/initial-events-end': 'true' } },
    });
    await create('c');
    expect(await watch.lines(1)).toEqual(['ADDED c']);
    await watch.close();
  });

  it('loses nothing that is written while it begins', async () => {
    for (let i = 0; i < 1_200; i++) await create(`c${String(i).padStart(4, '0')}`);
    const watch = await cluster.watch(ConfigMap, initial);
    await watch.next();
    await create('z');
    const rest = await watch.lines(1_201);
    expect(rest.slice(0, 1_199).every(line => line.startsWith('ADDED c'))).toBe(true);
    expect(rest.slice(1_199)).toEqual(['BOOKMARK', 'ADDED z']);
    await watch.close();
  });

  it('with sendInitialEvents=false starts at the newest', async () => {
    await create('a');
    const watch = await cluster.watch(ConfigMap, { ...initial, sendInitialEvents: false });
    await create('b');
    expect(await watch.lines(1)).toEqual(['ADDED b']);
    await watch.close();
  });

  it.each([
    [{ sendInitialEvents: true }],
    [{ sendInitialEvents: true, resourceVersionMatch: 'Exact', resourceVersion: '1' }],
    [{ resourceVersionMatch: 'NotOlderThan' }],
  ])('refuses %j with 422', async options => {
    expect(await refused(options)).toMatchObject({ code: 422, reason: 'Invalid' });
  });
});

describe('time', () => {
  it('brings bookmarks each minute to those who asked, and ends a stream when it is over', async () => {
    const clock = manualClock();
    const store = await memoryStore({ clock })();
    await using timed = await fixture({ clock, store, random: () => 0.5 });
    const asked = await timed.watch(ConfigMap, { allowWatchBookmarks: true, timeoutSeconds: 150 });
    const plain = await timed.watch(ConfigMap, { timeoutSeconds: 150 });
    const forever = await timed.watch(ConfigMap, {});
    await timed.create(Pod, pod('p'));
    const now = String((await store.get('x')).revision);
    const first = asked.next();
    await clock.advance(60_000);
    expect((await first)?.object.object()).toEqual({
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: { resourceVersion: now },
    });
    await clock.advance(60_000);
    expect((await asked.next())?.type).toBe('BOOKMARK');
    await clock.advance(30_000);
    // Shortly before the end, and then the end.
    expect((await asked.next())?.type).toBe('BOOKMARK');
    expect(await asked.next()).toBeUndefined();
    expect(await plain.next()).toBeUndefined();
    expect(timed.resources.cache.watchers).toBe(1);
    const end = forever.next();
    await clock.advance(2_700_000);
    expect(await end).toBeUndefined();
    expect(timed.resources.cache.watchers).toBe(0);
    await store.close();
  });

  it('sends bookmarks on demand', async () => {
    const watch = await cluster.watch(ConfigMap, { allowWatchBookmarks: true });
    cluster.resources.cache.sendBookmarks();
    const event = await watch.next();
    expect(event?.object.object().metadata.resourceVersion).toBe(await revision());
    await watch.close();
  });
});

describe('watchers', () => {
  it('leave nothing behind when their client goes, or reads no further', async () => {
    const gone = new AbortController();
    const context = { ...cluster.context, signal: gone.signal };
    const aborted = (await cluster.resources.watch(context, ConfigMap as any))[Symbol.asyncIterator]();
    const waiting = aborted.next();
    for await (const batch of await cluster.resources.watch(cluster.context, Namespace as any)) {
      expect(batch.events.length).toBeGreaterThan(0);
      break;
    }
    expect(cluster.resources.cache.watchers).toBe(1);
    gone.abort();
    expect((await waiting).done).toBe(true);
    expect((await aborted.next()).done).toBe(true);
    expect(cluster.resources.cache.watchers).toBe(0);
  });

  it('that fall too far behind are closed, and slow nobody down', async () => {
    await using small = await fixture({ watcherQueueBytes: 20_000 });
    const slow = (await small.resources.watch(small.context, ConfigMap as any))[Symbol.asyncIterator]();
    const quick = await small.watch(ConfigMap);
    const text = 'x'.repeat(1_000);
    for (let i = 0; i < 40; i++) {
      await small.create(ConfigMap, configMap(`c${i}`, { text }));
      await quick.next();
    }
    const seen: number[] = [];
    for (let next = await slow.next(); !next.done; next = await slow.next())
      seen.push((next.value as WatchBatch).events.length);
    expect(seen.reduce((sum, each) => sum + each, 0)).toBeLessThan(40);
    expect(small.resources.cache.watchers).toBe(1);
    await quick.close();
  });

  it('share one buffer for one event, a thousand of them', async () => {
    const iterators = await Promise.all(
      Array.from({ length: 1_000 }, async () =>
        (
          await cluster.resources.watch(cluster.context, ConfigMap as any, {
            namespace: 'default',
            resourceVersion: await revision(),
          })
        )[Symbol.asyncIterator](),
      ),
    );
    const next = iterators.map(each => each.next());
    await create('a');
    const batches = (await Promise.all(next)).map(each => each.value as WatchBatch);
    expect(batches[0]!.events.map(event => event.type)).toEqual(['ADDED']);
    expect(new Set(batches.map(batch => batch.bytes)).size).toBe(1);
    const object = await cluster.resources.get(cluster.context, ConfigMap as any, key('a'));
    expect(object.bytes.buffer).toBe(batches[0]!.bytes.buffer);
    await Promise.all(iterators.map(each => each.return?.()));
    expect(cluster.resources.cache.watchers).toBe(0);
  });

  it('are told a little later when there are hundreds, and each of everything once, also one that comes in between', async () => {
    const many = await Promise.all(Array.from({ length: 600 }, () => cluster.watch(ConfigMap)));
    const names = Array.from({ length: 8 }, (_, n) => `n${n}`);
    const late = [];
    for (const name of names) {
      await create(name);
      late.push(await cluster.watch(ConfigMap, { resourceVersion: await revision() }));
      late.push(await cluster.watch(ConfigMap));
    }
    const added = names.map(name => `ADDED ${name}`);
    for (const watch of many) expect(await watch.lines(names.length)).toEqual(added);
    for (const [i, watch] of late.entries()) {
      const from = i % 2 === 0 ? (i >> 1) + 1 : 0;
      expect(await watch.lines(names.length - from)).toEqual(added.slice(from));
    }
    cluster.resources.cache.sendBookmarks();
    for (const watch of [...many, ...late]) await watch.close();
  });

  it('get one batch for one commit of the store', async () => {
    const iterator = (
      await cluster.resources.watch(cluster.context, ConfigMap as any, { resourceVersion: await revision() })
    )[Symbol.asyncIterator]();
    await Promise.all(Array.from({ length: 20 }, (_, i) => create(`c${i}`)));
    let events = 0;
    let text = '';
    while (events < 20) {
      const { value } = await iterator.next();
      events += value.events.length;
      text += value.bytes.toString();
    }
    expect(
      text
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line).type),
    ).toEqual(Array(20).fill('ADDED'));
    await iterator.return?.();
  });
});

describe('a store whose watch breaks', () => {
  it('ends running watches with Expired, and is listed and watched anew', async () => {
    const clock = manualClock();
    const real = await memoryStore({ clock })();
    let cut = (): void => undefined;
    const store: any = new Proxy(real, {
      get(target, name) {
        if (name !== 'watch')
          return typeof (target as any)[name] === 'function'
            ? (target as any)[name].bind(target)
            : (target as any)[name];
        return (prefix: string, from: bigint, { signal }: { signal: AbortSignal }) => {
          const stop = new AbortController();
          cut = () => stop.abort();
          return (async function* () {
            yield* target.watch(prefix, from, { signal: AbortSignal.any([signal, stop.signal]) });
            if (!signal.aborted) throw new Error('the connection is gone');
          })();
        };
      },
    });
    await using broken = await fixture({ clock, store });
    await broken.create(ConfigMap, configMap('a'));
    const watch = await broken.watch(ConfigMap, {});
    expect(await watch.lines(1)).toEqual(['ADDED a']);
    cut();
    expect((await watch.next())?.object.object()).toMatchObject({ kind: 'Status', code: 410, reason: 'Expired' });
    expect(await watch.next()).toBeUndefined();
    expect(broken.resources.ready()).toBe(false);
    // Reads of the newest come from the store meanwhile.
    expect((await broken.get(ConfigMap, key('a'))).metadata.name).toBe('a');
    const later = broken.list(ConfigMap);
    await clock.advance(1_000);
    expect(await later).toHaveLength(1);
    const again = await broken.watch(ConfigMap, {});
    expect(await again.lines(1)).toEqual(['ADDED a']);
    await broken.create(ConfigMap, configMap('b'));
    expect(await again.lines(1)).toEqual(['ADDED b']);
    await again.close();
    await real.close();
  });
});
