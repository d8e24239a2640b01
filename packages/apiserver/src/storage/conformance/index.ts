/**
 * @orbitkit/apiserver/storage/conformance: the storage contract as tests. Any back end can be held to it:
 *
 *     storeConformance({ name: 'mine', durable: true, create: async () => ({ open: myStore({ … }) }) }, { describe, it });
 *
 * It runs under any runner shaped like vitest's. Each clause opens a store of its own and closes it. Names of many clauses follow
 * Kubernetes' own storage tests (apiserver `pkg/storage/testing`), in this contract's terms.
 */
import type { Store } from '../contract.js';
import { leaseClauses } from './leases.js';
import { lifetimeClauses } from './lifetime.js';
import { compareWithModel, randomOperations } from './model.js';
import { readClauses } from './reads.js';
import type { Clause, StoreConformanceOptions, TestRunner } from './subject.js';
import { watchClauses } from './watches.js';
import { writeClauses } from './writes.js';

export { compareWithModel, type ModelOperation, modelKeys, modelPrefixes, randomOperations } from './model.js';
export type { StoreConformanceOptions, StoreSubject, TestRunner } from './subject.js';

const clauseMs = 30_000;
const modelRuns = 10;

/** Declares the suite with this runner; the tests run when the runner runs them. 30 s a clause. */
export function storeConformance(options: StoreConformanceOptions, runner: TestRunner): void {
  const { durable, watchQueueBytes, ownWrites = false } = options;
  const clause: Clause = (name, body) =>
    runner.it(
      name,
      async () => {
        const subject = await options.create();
        let store: Store = await subject.open();
        try {
          await body({
            store,
            elapse: ms => subject.elapse?.(ms) ?? new Promise(resolve => setTimeout(resolve, ms)),
            reopen: async () => {
              await store.close();
              store = await subject.open();
              return store;
            },
          });
        } finally {
          await store.close();
          await subject.dispose?.();
        }
      },
      clauseMs,
    );

  runner.describe(`storage conformance: ${options.name}`, () => {
    runner.describe('writes', () => writeClauses(clause));
    runner.describe('reads', () => readClauses(clause));
    runner.describe('watches', () => watchClauses(clause, { watchQueueBytes }));
    runner.describe('leases', () => leaseClauses(clause));
    runner.describe('lifetime', () => lifetimeClauses(clause, { durable, ownWrites }));
    runner.describe('model', () => {
      for (let seed = 1; seed <= modelRuns; seed++) {
        clause(`random operations agree with a naive model (seed ${seed})`, ({ store, reopen }) =>
          // The model counts revisions; a store opened again may have to take one before it can watch the past.
          compareWithModel(store, randomOperations(seed, 200), durable && !ownWrites ? reopen : undefined),
        );
      }
    });
  });
}
