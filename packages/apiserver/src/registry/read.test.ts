import { ConfigMap, Event, manualClock, Namespace, Node, Pod } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryStore } from '../storage/memory.js';
import type { ListOptions } from './contract.js';
import { configMap, type Fixture, fixture, pod } from './resources-fixture.js';

let cluster: Fixture;
beforeEach(async () => {
  cluster = await fixture();
});
afterEach(() => cluster[Symbol.asyncDispose]());

const seed = async (count: number, namespace = 'default') => {
  for (let i = 1; i <= count; i++) await cluster.create(ConfigMap, configMap(`c${i}`), { namespace });
};
const list = (options: ListOptions = {}, kind: any = ConfigMap) =>
  cluster.resources.list(cluster.context, kind, options);
const names = async (options: ListOptions, kind: any = ConfigMap) =>
  (await list(options, kind)).items.map(item => item.object().metadata.name);
const refused = (options: ListOptions, kind: any = ConfigMap) =>
  list(options, kind).then(
    () => undefined,
    error => error,
  );
const currentRevision = async () => (await cluster.store.get('x')).revision;

describe('get', () => {
  it('answers the stored buffer, the same to everyone', async () => {
    await seed(1);
    const key = { name: 'c1', namespace: 'default' };
    const [a, b] = await Promise.all([1, 2].map(() => cluster.resources.get(cluster.context, ConfigMap, key)));
    expect(a!.bytes).toBe(b!.bytes);
    expect(JSON.parse(a!.bytes.toString()).metadata.resourceVersion).toBe(String(a!.revision));
  });

  it('says what is missing', async () => {
    await expect(cluster.get(ConfigMap, { name: 'no', namespace: 'default' })).rejects.toMatchObject({
      code: 404,
      message: 'configmaps "no" not found',
      details: { name: 'no', kind: 'configmaps' },
    });
  });

  it('is not older than the version that is asked for', async () => {
    await seed(1);
    const key = { name: 'c1', namespace: 'default' };
    const revision = await currentRevision();
    for (const resourceVersion of ['0', '1', String(revision)]) {
      const object = await cluster.resources.get(cluster.context, ConfigMap, key, { resourceVersion });
      expect(object.object().metadata.name).toBe('c1');
    }
    await expect(
      cluster.resources.get(cluster.context, ConfigMap, key, { resourceVersion: 'abc' }),
    ).rejects.toMatchObject({
      code: 500,
      reason: '',
    });
  });
});

describe('list', () => {
  it("without resourceVersion is at the store's revision and sees every write that was acknowledged", async () => {
    for (let i = 0; i < 50; i++) {
      await cluster.create(ConfigMap, configMap(`w${i}`));
      const result = await list();
      expect(result.items).toHaveLength(i + 1);
      expect(result.resourceVersion).toBe(String(await currentRevision()));
    }
  });

  it('is in order of keys, in one namespace or in all', async () => {
    await cluster.create(Namespace, { metadata: { name: 'a-b' } });
    await cluster.create(Namespace, { metadata: { name: 'a' } });
    for (const namespace of ['default', 'a', 'a-b']) {
      await cluster.create(ConfigMap, configMap('x'), { namespace });
      await cluster.create(ConfigMap, configMap('x.y'), { namespace });
    }
    const all = (await cluster.list(ConfigMap)).map(each => `${each.metadata.namespace}/${each.metadata.name}`);
    expect(all).toEqual(['a-b/x', 'a-b/x.y', 'a/x', 'a/x.y', 'default/x', 'default/x.y']);
    expect(await names({ namespace: 'a' })).toEqual(['x', 'x.y']);
    expect(await names({ namespace: 'nothing' })).toEqual([]);
  });

  it('with resourceVersion 0 ignores the limit', async () => {
    await seed(7);
    const result = await list({ resourceVersion: '0', limit: 2 });
    expect(result.items).toHaveLength(7);
    expect(result.continue).toBeUndefined();
  });

  it('with N is not older than N, with N and a limit exactly N', async () => {
    await seed(2);
    const then = String(await currentRevision());
    await cluster.create(ConfigMap, configMap('c3'));
    expect(await names({ resourceVersion: then })).toEqual(['c1', 'c2', 'c3']);
    expect(await names({ resourceVersion: '1', resourceVersionMatch: 'NotOlderThan' })).toEqual(['c1', 'c2', 'c3']);
    const exact = await list({ resourceVersion: then, limit: 10 });
    expect(exact.items).toHaveLength(2);
    expect(exact.resourceVersion).toBe(then);
    expect(await names({ resourceVersion: then, resourceVersionMatch: 'Exact' })).toEqual(['c1', 'c2']);
  });

  it('of an exact version that the cache still is comes from the cache', async () => {
    await seed(2);
    const then = String(await currentRevision());
    await cluster.create(Pod, pod('other'));
    const exact = await list({ resourceVersion: then, resourceVersionMatch: 'Exact' });
    expect(exact.resourceVersion).toBe(then);
    expect(exact.items[0]).toBe((await list()).items[0]);
  });

  it('of a compacted version is 410 Expired', async () => {
    await seed(2);
    const then = await currentRevision();
    await seedMore();
    await cluster.store.compact(then + 1n);
    expect(await refused({ resourceVersion: String(then), resourceVersionMatch: 'Exact' })).toMatchObject({
      code: 410,
      reason: 'Expired',
      message: 'The resourceVersion for the provided list is too old.',
    });
  });
  const seedMore = async () => {
    for (let i = 3; i <= 5; i++) await cluster.create(ConfigMap, configMap(`c${i}`));
  };

  it.each([
    [
      { resourceVersion: '0', resourceVersionMatch: 'Exact' },
      422,
      'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ],
    [{ resourceVersionMatch: 'Exact' }, 422, 'resourceVersionMatch is forbidden unless resourceVersion is provided'],
    [
      { resourceVersion: '5', resourceVersionMatch: 'Foo' },
      422,
      'Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""',
    ],
    [{ resourceVersion: 'abc' }, 500, 'resourceVersion: Invalid value: "abc": strconv.ParseUint'],
    [{ sendInitialEvents: true }, 422, 'sendInitialEvents'],
    [{ continue: 'garbage!' }, 400, 'continue key is not valid'],
    [{ labelSelector: 'a in' }, 400, 'unable to parse requirement'],
    [
      { fieldSelector: 'data.a=1' },
      400,
      '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ],
  ])('refuses %j with %i', async (options, code, message) => {
    const error = await refused(options);
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(message);
  });

  it('refuses resourceVersion beside continue', async () => {
    await seed(3);
    const { continue: token } = await list({ limit: 1 });
    expect(await refused({ continue: token, resourceVersion: '5' })).toMatchObject({
      code: 400,
      message: 'specifying resource version is not allowed when using continue',
    });
  });

  it('is the full list for a limit below one', async () => {
    await seed(3);
    expect((await list({ limit: -1 })).items).toHaveLength(3);
    expect((await list({ limit: 0 })).items).toHaveLength(3);
  });
});

describe('the future', () => {
  it('is waited for, three seconds, then 504 with its cause', async () => {
    const clock = manualClock();
    const store = await memoryStore({ clock })();
    await using late = await fixture({ clock, store });
    const asked = late.resources.list(late.context, ConfigMap, { resourceVersion: '99999999' }).catch(error => error);
    await clock.advance(2_900);
    expect(await Promise.race([asked, 'waiting'])).toBe('waiting');
    await clock.advance(200);
    const error = await asked;
    expect(error).toMatchObject({ code: 504, reason: 'Timeout', details: { retryAfterSeconds: 1 } });
    expect(error.message).toMatch(/^Too large resource version: 99999999, current: \d+$/);
    expect(error.details.causes).toEqual([
      { reason: 'ResourceVersionTooLarge', message: 'Too large resource version' },
    ]);

    const soon = String((await store.get('x')).revision + 1n);
    const waiting = late.resources.list(late.context, ConfigMap, { resourceVersion: soon });
    await late.create(ConfigMap, configMap('now'));
    expect((await waiting).items).toHaveLength(1);
    await store.close();
  });
});

describe('paging', () => {
  async function pages(options: ListOptions, between?: (page: number) => Promise<void>) {
    const seen: string[][] = [];
    const versions = new Set<string>();
    const remaining: (number | undefined)[] = [];
    let token: string | undefined;
    do {
      const page = await list({ ...options, continue: token });
      seen.push(page.items.map(item => item.object().metadata.name));
      versions.add(page.resourceVersion);
      remaining.push(page.remainingItemCount);
      token = page.continue;
      await between?.(seen.length);
    } while (token !== undefined);
    return { seen, versions, remaining };
  }

  it("goes on where it was, says how many remain, and every page has the first one's version", async () => {
    await seed(7);
    const { seen, versions, remaining } = await pages({ limit: 3 });
    expect(seen).toEqual([['c1', 'c2', 'c3'], ['c4', 'c5', 'c6'], ['c7']]);
    expect(versions.size).toBe(1);
    expect(remaining).toEqual([4, 1, undefined]);
  });

  it('is consistent while others write', async () => {
    await seed(7);
    const { seen, versions, remaining } = await pages({ limit: 2, namespace: 'default' }, async page => {
      await cluster.create(ConfigMap, configMap(`c1${page}`));
      await cluster.delete(ConfigMap, { name: `c${page + 4}`, namespace: 'default' }).catch(() => undefined);
    });
    expect(seen.flat()).toEqual(['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7']);
    expect(versions.size).toBe(1);
    expect(remaining).toEqual([5, 3, 1, undefined]);
  });

  it('with a selector fills its pages, and does not say how many remain', async () => {
    for (let i = 0; i < 9; i++) {
      await cluster.create(ConfigMap, configMap(`c${i}`, {}, { labels: { odd: String(i % 2) } }));
    }
    const { seen, remaining } = await pages({ limit: 2, labelSelector: 'odd=1' });
    expect(seen.flat()).toEqual(['c1', 'c3', 'c5', 'c7']);
    expect(seen[0]).toHaveLength(2);
    expect(remaining.every(each => each === undefined)).toBe(true);
    let token: string | undefined;
    const found: string[] = [];
    let page = 0;
    do {
      const chunk = await list({ limit: 1, labelSelector: 'odd=1', continue: token });
      found.push(...chunk.items.map(item => item.object().metadata.name));
      token = chunk.continue;
      await cluster.create(ConfigMap, configMap(`x${page++}`, {}, { labels: { odd: '1' } }));
    } while (token !== undefined);
    expect(found).toEqual(['c1', 'c3', 'c5', 'c7']);
  });

  it('whose version is compacted is 410 with a token to go on with what there is now', async () => {
    await seed(5);
    const first = await list({ limit: 2 });
    await cluster.create(ConfigMap, configMap('c45'));
    await cluster.store.compact(await currentRevision());
    const error = await refused({ limit: 2, continue: first.continue });
    expect(error).toMatchObject({ code: 410, reason: 'Expired' });
    expect(error.continue).toBeDefined();
    const rest = await list({ limit: 10, continue: error.continue });
    expect(rest.items.map(item => item.object().metadata.name)).toEqual(['c3', 'c4', 'c45', 'c5']);
    expect(rest.resourceVersion).toBe(String(await currentRevision()));
  });
});

describe('selectors', () => {
  it('select pods by the fields that pods have', async () => {
    await cluster.create(Pod, pod('a', { spec: { nodeName: 'n1' } }));
    await cluster.create(Pod, pod('b', { spec: { nodeName: 'n2', restartPolicy: 'Never' } }));
    await cluster.create(Pod, pod('c', { metadata: { labels: { app: 'web' } } }));
    expect(await names({ fieldSelector: 'spec.nodeName=n1' }, Pod)).toEqual(['a']);
    expect(await names({ fieldSelector: 'spec.nodeName!=n1' }, Pod)).toEqual(['b', 'c']);
    expect(await names({ fieldSelector: 'spec.nodeName=' }, Pod)).toEqual(['c']);
    expect(await names({ fieldSelector: 'spec.restartPolicy=Never,status.phase=Pending' }, Pod)).toEqual(['b']);
    expect(await names({ fieldSelector: 'spec.hostNetwork=false' }, Pod)).toEqual(['a', 'b', 'c']);
    expect(await names({ fieldSelector: 'metadata.name=b' }, Pod)).toEqual(['b']);
    expect(await names({ fieldSelector: 'metadata.name=b,metadata.namespace=default' }, Pod)).toEqual(['b']);
    expect(await names({ fieldSelector: 'metadata.name=b,metadata.name=c' }, Pod)).toEqual([]);
    expect(await names({ namespace: 'default', fieldSelector: 'metadata.namespace=kube-system' }, Pod)).toEqual([]);
    expect(await names({ labelSelector: 'app in (web),!x' }, Pod)).toEqual(['c']);
    expect(await names({ labelSelector: 'app!=web', fieldSelector: 'metadata.name!=a' }, Pod)).toEqual(['b']);
    const error = await refused({ fieldSelector: 'spec.foo=1' }, Pod);
    expect(error.message).toContain('field label not supported: spec.foo');
  });

  it('select nodes, namespaces and events by theirs', async () => {
    await cluster.create(Node, { metadata: { name: 'n1' }, spec: { unschedulable: true } });
    await cluster.create(Node, { metadata: { name: 'n2' } });
    expect(await names({ fieldSelector: 'spec.unschedulable=false' }, Node)).toEqual(['n2']);
    expect(await names({ fieldSelector: 'metadata.name=n1' }, Node)).toEqual(['n1']);
    expect(await names({ fieldSelector: 'status.phase=Active' }, Namespace)).toHaveLength(4);
    const involvedObject = { kind: 'Pod', name: 'p', namespace: 'default', uid: 'u' };
    await cluster.create(Event, {
      metadata: { name: 'e1' },
      involvedObject,
      reason: 'Started',
      type: 'Normal',
      source: { component: 'kubelet' },
    });
    await cluster.create(Event, {
      metadata: { name: 'e2' },
      involvedObject: { ...involvedObject, uid: 'v' },
      reason: 'Failed',
      type: 'Warning',
    });
    expect(await names({ fieldSelector: 'involvedObject.uid=u,involvedObject.kind=Pod' }, Event)).toEqual(['e1']);
    expect(await names({ fieldSelector: 'type!=Normal' }, Event)).toEqual(['e2']);
    expect(await names({ fieldSelector: 'source=kubelet' }, Event)).toEqual(['e1']);
  });
});

describe('a cache that falls behind the store', () => {
  it('is passed by: reads come from the store', async () => {
    const store = await memoryStore()();
    const deaf = {
      ...bound(store),
      watch: (_: string, __: bigint, { signal }: { signal: AbortSignal }) => silent(signal),
    };
    await using late = await fixture({ store: deaf });
    await late.create(ConfigMap, configMap('unseen'));
    expect(await late.list(ConfigMap)).toHaveLength(1);
    expect((await late.get(ConfigMap, { name: 'unseen', namespace: 'default' })).metadata.name).toBe('unseen');
    expect(await late.list(ConfigMap, { labelSelector: '!x', limit: 5 })).toHaveLength(1);
    const updated = await late.update(ConfigMap, configMap('unseen', { a: '1' }, { namespace: 'default' }));
    expect(updated['data']).toEqual({ a: '1' });
    await store.close();
  });
});

function bound(store: any): any {
  return Object.fromEntries(
    ['get', 'list', 'txn', 'watch', 'compact', 'status', 'grantLease', 'keepAlive', 'revokeLease', 'close'].map(
      name => [name, store[name].bind(store)],
    ),
  );
}
async function* silent(signal: AbortSignal): AsyncGenerator<never> {
  await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }));
}
