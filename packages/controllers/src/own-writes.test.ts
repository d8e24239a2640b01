import { manualClock } from '@orbitkit/core';
import { Indexer } from '@orbitkit/informer';
import { expect, it } from 'vitest';
import { OwnWrites, rememberedMs } from './own-writes.js';

const at = (name: string, resourceVersion: string) => ({
  apiVersion: 'v1',
  kind: 'X',
  metadata: { name, namespace: 'default', uid: name, resourceVersion, creationTimestamp: '' },
});

it('is visible when the cache has reached every version that was written', async () => {
  const clock = manualClock();
  const store = new Indexer();
  const writes = new OwnWrites(store, clock);
  expect(writes.visible('owner')).toBe(true);
  store.set(at('a', '9'));
  writes.note('owner', at('a', '10'));
  writes.note('owner', at('b', '11'));
  expect(writes.visible('owner')).toBe(false);
  expect(writes.visible('another')).toBe(true);
  store.set(at('a', '12'));
  expect(writes.visible('owner')).toBe(false);
  store.set(at('b', '11'));
  expect(writes.visible('owner')).toBe(true);
  writes.note('owner', at('deleted meanwhile', '20'));
  expect(writes.visible('owner')).toBe(false);
  await clock.advance(rememberedMs + 1);
  expect(writes.visible('owner')).toBe(true);
});
