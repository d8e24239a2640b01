/**
 * The law of a watch: what a client listed, changed by the events that came after, is what the server has. Checked for random
 * writes, from random moments, for every kind of selection, through the cache and through small windows.
 */
import { ConfigMap, type DynamicObject } from '@orbitkit/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { WatchBatch, WatchOptions } from './contract.js';
import { configMap, type Fixture, fixture } from './resources-fixture.js';

const namespaces = ['default', 'kube-system'];
const names = ['a', 'b', 'c'];
const tiers = ['1', '2', null];

type Step =
  | { do: 'create'; namespace: string; name: string; tier: string | null }
  | { do: 'label'; namespace: string; name: string; tier: string | null }
  | { do: 'data'; namespace: string; name: string; value: string }
  | { do: 'delete'; namespace: string; name: string }
  | { do: 'watch'; selection: number; fresh: boolean };

const place = { namespace: fc.constantFrom(...namespaces), name: fc.constantFrom(...names) };
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('create' as const), ...place, tier: fc.constantFrom(...tiers) }),
  fc.record({ do: fc.constant('label' as const), ...place, tier: fc.constantFrom(...tiers) }),
  fc.record({ do: fc.constant('data' as const), ...place, value: fc.constantFrom('x', 'y') }),
  fc.record({ do: fc.constant('delete' as const), ...place }),
  fc.record({ do: fc.constant('watch' as const), selection: fc.nat(7), fresh: fc.boolean() }),
);

const selections: WatchOptions[] = [
  {},
  { namespace: 'default' },
  { fieldSelector: 'metadata.name=b' },
  { namespace: 'kube-system', fieldSelector: 'metadata.name=a' },
  { labelSelector: 'tier=1' },
  { namespace: 'default', labelSelector: 'tier!=1' },
  { labelSelector: 'tier', fieldSelector: 'metadata.name!=c' },
  { fieldSelector: 'metadata.namespace=kube-system', labelSelector: '!tier' },
];

const keyOf = (object: DynamicObject) => `${object.metadata.namespace}/${object.metadata.name}`;

/** A client: a list, then every event, as an informer does it. */
async function client(cluster: Fixture, selection: WatchOptions, fresh: boolean) {
  const state = new Map<string, DynamicObject>();
  const faults: string[] = [];
  let from: string | undefined;
  if (!fresh) {
    const list = await cluster.resources.list(cluster.context, ConfigMap as any, selection);
    for (const item of list.items) state.set(keyOf(item.object() as DynamicObject), JSON.parse(item.bytes.toString()));
    from = list.resourceVersion;
  }
  const stop = new AbortController();
  const context = { ...cluster.context, signal: stop.signal };
  const stream = await cluster.resources.watch(context, ConfigMap as any, { ...selection, resourceVersion: from });
  let seen = BigInt(from ?? 0);
  const reading = (async () => {
    for await (const batch of stream as AsyncIterable<WatchBatch>) {
      for (const line of batch.bytes.toString().trimEnd().split('\n')) {
        const { type, object } = JSON.parse(line);
        const key = keyOf(object);
        const revision = BigInt(object.metadata.resourceVersion);
        if (from !== undefined && revision <= seen) faults.push(`${type} ${key} at ${revision} after ${seen}`);
        seen = revision > seen ? revision : seen;
        if (type === 'ADDED' && state.has(key)) faults.push(`ADDED ${key}, which is there`);
        if (type !== 'ADDED' && !state.has(key)) faults.push(`${type} ${key}, which is not there`);
        if (type === 'DELETED') state.delete(key);
        else state.set(key, object);
      }
    }
  })();
  return {
    state,
    faults,
    close: async () => {
      stop.abort();
      await reading;
    },
  };
}

it('a list and the events after it are the state of the server', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), fc.boolean(), async (steps, concurrent) => {
      await using cluster = await fixture();
      const clients: { selection: WatchOptions; view: Awaited<ReturnType<typeof client>> }[] = [];
      const run = async (each: Step): Promise<void> => {
        if (each.do === 'watch') {
          const selection = selections[each.selection]!;
          clients.push({ selection, view: await client(cluster, selection, each.fresh) });
          return;
        }
        const { namespace, name } = each;
        const write =
          each.do === 'create'
            ? cluster.create(
                ConfigMap,
                configMap(name, {}, each.tier === null ? {} : { labels: { tier: each.tier } }),
                { namespace },
              )
            : each.do === 'label'
              ? cluster.patch(ConfigMap, { name, namespace }, { metadata: { labels: { tier: each.tier } } })
              : each.do === 'data'
                ? cluster.patch(ConfigMap, { name, namespace }, { data: { value: each.value } })
                : cluster.delete(ConfigMap, { name, namespace });
        await write.catch((error: { code: number }) => {
          if (error.code !== 404 && error.code !== 409) throw error;
        });
      };
      if (concurrent) await Promise.all(steps.map(run));
      else for (const each of steps) await run(each);
      // Everything acknowledged has reached the cache when a list has; one more turn of the loop hands it to the readers.
      await cluster.list(ConfigMap);
      await new Promise(resolve => setImmediate(resolve));
      for (const { selection, view } of clients) {
        const truth = await cluster.list(ConfigMap, selection as any);
        expect(view.faults).toEqual([]);
        expect([...view.state.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))).toEqual(
          truth.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
        );
        await view.close();
      }
      expect(cluster.resources.cache.watchers).toBe(0);
    }),
    { numRuns: 250 },
  );
});

it('pages of any size are the list at the version of the first', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...names.flatMap(a => names.map(b => a + b))), { minLength: 1, maxLength: 16 }),
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom(undefined, 'tier=1'),
      async (created, limit, labelSelector) => {
        await using cluster = await fixture();
        for (const [i, name] of created.entries()) {
          await cluster
            .create(ConfigMap, configMap(name, {}, { labels: { tier: String(i % 2) } }))
            .catch(() => undefined);
        }
        const expected = (await cluster.list(ConfigMap, { labelSelector })).map(keyOf);
        const paged: string[] = [];
        let token: string | undefined;
        do {
          const page = await cluster.resources.list(cluster.context, ConfigMap as any, {
            limit,
            labelSelector,
            continue: token,
          });
          paged.push(...page.items.map(item => keyOf(item.object() as DynamicObject)));
          token = page.continue;
          if (token !== undefined)
            await cluster.create(ConfigMap, configMap(`z${paged.length}${limit}x`)).catch(() => undefined);
        } while (token !== undefined);
        expect(paged).toEqual(expected);
      },
    ),
    { numRuns: 60 },
  );
});
