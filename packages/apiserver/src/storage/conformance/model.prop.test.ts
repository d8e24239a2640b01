import { manualClock } from '@orbitkit/core';
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { embeddedStore } from '../embedded.js';
import { etcdStore } from '../etcd/index.js';
import { hasEtcd, startEtcd } from '../etcd/testing/etcd-process.js';
import { VolatileFileSystem } from '../log/testing/volatile-file-system.js';
import { memoryStore } from '../memory.js';
import { compareWithModel, type ModelOperation, modelKeys, modelPrefixes } from './index.js';

const key = fc.constantFrom(...modelKeys);
const prefix = fc.constantFrom(...modelPrefixes);
const value = fc.string({ maxLength: 8 }).map(text => text.replaceAll(/\p{Surrogate}/gu, ''));
const pick = fc.nat(1_000_000);
const operation: fc.Arbitrary<ModelOperation> = fc.oneof(
  fc.record({ type: fc.constant('put' as const), key, value }),
  fc.record({ type: fc.constant('delete' as const), key }),
  fc.record({ type: fc.constant('compare' as const), key, pick, value: fc.option(value, { nil: undefined }) }),
  fc.record({
    type: fc.constant('list' as const),
    prefix,
    pick,
    limit: fc.integer({ min: 1, max: 6 }),
    after: fc.option(key, { nil: undefined }),
  }),
  fc.record({ type: fc.constant('get' as const), key, pick }),
  fc.record({ type: fc.constant('watch' as const), prefix, pick }),
  fc.record({ type: fc.constant('compact' as const), pick }),
  fc.record({ type: fc.constant('burst' as const), keys: fc.array(key, { minLength: 1, maxLength: 6 }) }),
  fc.record({ type: fc.constant('reopen' as const) }),
);
const operations = fc.array(operation, { maxLength: 60, size: 'max' });

describe('any sequence of operations gives what a naive model gives', () => {
  it('in memory', async () => {
    await fc.assert(
      fc.asyncProperty(operations, async steps => {
        const store = await memoryStore({ clock: manualClock() })();
        await compareWithModel(store, steps);
        await store.close();
      }),
      { numRuns: 100 },
    );
  });

  it.skipIf(!hasEtcd)(
    'over a real etcd (apt-get install etcd-server etcd-client)',
    async () => {
      await fc.assert(
        fc.asyncProperty(operations, async steps => {
          const etcd = await startEtcd();
          try {
            const store = await etcdStore({ hosts: etcd.urls, markAfterMs: 60_000, compactionMs: 0 })();
            await compareWithModel(store, steps).finally(() => store.close());
          } finally {
            await etcd.dispose();
          }
        }),
        { numRuns: 8, endOnFailure: true },
      );
    },
    60_000,
  );

  it('embedded, opened again at any point, cleanly or after a crash, with small segments and snapshots', async () => {
    await fc.assert(
      fc.asyncProperty(operations, fc.infiniteStream(fc.boolean()), async (steps, clean) => {
        let fileSystem = new VolatileFileSystem();
        const open = () =>
          embeddedStore({ dir: '/data', fileSystem, clock: manualClock(), segmentBytes: 400, snapshotBytes: 600 })();
        let store = await open();
        await compareWithModel(store, steps, async () => {
          if (clean.next().value) await store.close();
          else fileSystem = fileSystem.crash();
          store = await open();
          return store;
        });
        await store.close();
      }),
      { numRuns: 100 },
    );
  });
});
