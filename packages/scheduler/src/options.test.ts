/** Options that make no sense are refused when they are given, by name: not when the first pod comes, and never by waiting for good. */
import { expect, it } from 'vitest';
import { descheduler } from './descheduler/descheduler.js';
import { lowNodeUtilization } from './descheduler/utilization.js';
import { extenderServer } from './extender/server.js';
import { firstFitShard } from './plugins/first-fit-shard.js';
import { loadVariationRisk } from './plugins/load-variation-risk.js';
import { resourceFit } from './plugins/resource-fit.js';
import { targetLoadPacking } from './plugins/target-load-packing.js';
import { scheduler } from './scheduler.js';

const ratio = (...shape: { utilization: number; score: number }[]) =>
  resourceFit({ scoringStrategy: { type: 'RequestedToCapacityRatio', shape } });

it.each<[string, () => unknown]>([
  ['bindConcurrency: 0; give a number of at least 1', () => scheduler({ bindConcurrency: 0 })],
  ['bindTimeoutMs: NaN; give a number of at least 1', () => scheduler({ bindTimeoutMs: Number.NaN })],
  ['keptDecisions: -1; give a number of at least 0', () => scheduler({ keptDecisions: -1 })],
  ['profiles: give at least one', () => scheduler({ profiles: [] })],
  ['extenders[0]: it is asked nothing; give filterVerb', () => scheduler({ extenders: [{ urlPrefix: 'http://a' }] })],
  ['strategies: give at least one', () => descheduler({} as never)],
  ['strategies[0]: no strategy; give what', () => descheduler({ strategies: [lowNodeUtilization as never] })],
  [
    'maxEvictionsPerNode: -1; give a number of at least 0',
    () => descheduler({ strategies: [lowNodeUtilization()], maxEvictionsPerNode: -1 }),
  ],
  ['verbs: give at least one of filter', () => extenderServer({})],
  [
    'scoringStrategy.type: "Least"; there are LeastAl',
    () => resourceFit({ scoringStrategy: { type: 'Least' as never } }),
  ],
  ['give points whose utilization rises', () => ratio({ utilization: 50, score: 1 }, { utilization: 10, score: 2 })],
  ['scoringStrategy.shape: a score of 99; scores go from 0 to 10', () => ratio({ utilization: 0, score: 99 })],
  ['target is 400; give a percentage', () => targetLoadPacking({ target: 400 })],
  ['hotSpot is -1; give a percentage above 0', () => targetLoadPacking({ hotSpot: -1 })],
  ['sensitivity is 0; give more than 0', () => loadVariationRisk({ sensitivity: 0 })],
  ['shard "a" is not among shards: b, c', () => firstFitShard({ shard: 'a', shards: ['b', 'c'] })],
])('%s', (message, make) => {
  expect(make).toThrow(message);
});
