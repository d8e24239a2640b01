/** What follows the watch cache gets a local writer's parsed form, and does not parse the bytes once more. */
import { ConfigMap } from '@orbitkit/core';
import { expect, it } from 'vitest';
import type { StoredObject } from './object-bytes.js';
import { fixture } from './resources-fixture.js';

it('is known in its parsed form when the cache hears of it', async () => {
  await using made = await fixture();
  const known: boolean[] = [];
  const stop = made.resources.cache.observe('core/configmaps', {
    changed: (_path: string, object: StoredObject | undefined) => {
      if (object !== undefined) known.push(made.resources.cache.forms.getParsed(object) !== undefined);
    },
    reset: () => undefined,
  });
  const written = await made.create(ConfigMap, { metadata: { name: 'a', namespace: 'default' }, data: { a: '1' } });
  await made.patch(ConfigMap, { name: 'a', namespace: 'default' }, { data: { a: '2' } });
  for (let i = 0; i < 100 && known.length < 2; i++) await new Promise(resolve => setImmediate(resolve));
  expect(known).toEqual([true, true]);
  const read = await made.get(ConfigMap, { name: 'a', namespace: 'default' });
  expect(Number(read.metadata.resourceVersion)).toBeGreaterThan(Number(written.metadata.resourceVersion));
  stop();
});
