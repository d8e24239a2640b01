import fc from 'fast-check';
import { expect, it } from 'vitest';
import { deal, flowHash } from './shuffle-sharding.js';

it('deals distinct queues of the deck, always the same for one flow', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 128 }), fc.integer({ min: 1, max: 8 }), (flow, deck, size) => {
      const hand = deal(flowHash(flow), deck, size);
      expect(hand).toHaveLength(Math.min(deck, size));
      expect(new Set(hand).size).toBe(hand.length);
      for (const card of hand) expect(card >= 0 && card < deck).toBe(true);
      expect(deal(flowHash(flow), deck, size)).toEqual(hand);
    }),
  );
});

it('spreads flows evenly, and few pairs share more than half a hand', () => {
  const deck = 64;
  const flows = Array.from({ length: 2_000 }, (_, i) => new Set(deal(flowHash(`global-default\nuser-${i}`), deck, 6)));
  const counts = new Array<number>(deck).fill(0);
  for (const hand of flows) for (const card of hand) counts[card]! += 1;
  const expected = (flows.length * 6) / deck;
  for (const count of counts) expect(Math.abs(count - expected) / expected).toBeLessThan(0.4);
  let crowded = 0;
  for (let i = 0; i + 1 < flows.length; i += 2)
    if ([...flows[i]!].filter(card => flows[i + 1]!.has(card)).length > 3) crowded++;
  expect(crowded).toBeLessThan(10);
});
