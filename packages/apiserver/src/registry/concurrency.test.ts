import { ConfigMap, isConflict } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { memoryStore } from '../storage/memory.js';
import { configMap, fixture } from './resources-fixture.js';

const key = { name: 'counter', namespace: 'default' };

it('loses no update in 200 rounds of 8 writers by resourceVersion; a conflict writes nothing', async () => {
  await using cluster = await fixture();
  await cluster.create(ConfigMap, configMap('counter', { n: '0' }));
  let won = 0;
  let conflicts = 0;
  for (let round = 0; round < 200; round++) {
    const before = await cluster.get(ConfigMap, key);
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, writer) =>
        cluster.update(ConfigMap, {
          ...before,
          data: { n: String(Number(before['data'].n) + 1), [`w${writer}`]: String(round) },
        }),
      ),
    );
    const wins = results.filter(each => each.status === 'fulfilled');
    expect(wins).toHaveLength(1);
    for (const each of results) {
      if (each.status === 'rejected') {
        expect(isConflict(each.reason)).toBe(true);
        conflicts++;
      }
    }
    won++;
    const after = await cluster.get(ConfigMap, key);
    expect(after['data'].n).toBe(String(won));
    expect(after).toEqual((wins[0] as PromiseFulfilledResult<unknown>).value);
  }
  expect(conflicts).toBe(200 * 7);
});

it('applies every patch without a version, of several servers over one store', async () => {
  const store = await memoryStore()();
  await using one = await fixture({ store });
  await using two = await fixture({ store });
  await one.create(ConfigMap, configMap('counter'));
  await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      (i % 2 ? one : two).patch(ConfigMap, key, { data: { [`k${i}`]: String(i) } }),
    ),
  );
  for (const server of [one, two]) {
    expect(Object.keys((await server.get(ConfigMap, key))['data'])).toHaveLength(100);
    expect((await server.list(ConfigMap))[0]?.metadata.resourceVersion).toBe(
      (await one.get(ConfigMap, key)).metadata.resourceVersion,
    );
  }
  await store.close();
});

it('sees on one server what was acknowledged by another', async () => {
  const store = await memoryStore()();
  await using one = await fixture({ store });
  await using two = await fixture({ store });
  for (let i = 0; i < 100; i++) {
    await one.create(ConfigMap, configMap(`c${i}`));
    expect(await two.list(ConfigMap)).toHaveLength(i + 1);
    const { metadata } = await two.get(ConfigMap, { name: `c${i}`, namespace: 'default' });
    await two.update(
      ConfigMap,
      configMap(`c${i}`, { a: '1' }, { namespace: 'default', resourceVersion: metadata.resourceVersion }),
    );
    expect((await one.get(ConfigMap, { name: `c${i}`, namespace: 'default' }))['data']).toEqual({ a: '1' });
  }
  await store.close();
});
