import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { balancer } from './balancer.js';

const endpointsOf = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ ip: `127.8.0.${index + 2}`, port: 80 }));

describe('balancer', () => {
  it('gives n connections to k endpoints within one of each other, wherever it begins', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.nat(200), fc.nat(40), (count, connections, before) => {
        const balance = balancer();
        balance.update({ endpoints: endpointsOf(count) });
        for (let index = 0; index < before; index += 1) balance.pick('a', 0);
        const hits = new Map<string, number>(endpointsOf(count).map(({ ip }) => [ip, 0]));
        for (let index = 0; index < connections; index += 1) {
          const [first] = balance.pick('a', 0);
          hits.set(first!.ip, hits.get(first!.ip)! + 1);
        }
        const counts = [...hits.values()];
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('never gives an endpoint that is not there, and every other as a way out', () => {
    const action = fc.oneof(fc.record({ endpoints: fc.nat(6) }), fc.record({ client: fc.nat(3), after: fc.nat(5) }));
    fc.assert(
      fc.property(fc.array(action), fc.option(fc.integer({ min: 1, max: 8 })), (actions, affinity) => {
        const balance = balancer();
        let count = 0;
        let now = 0;
        for (const step of actions) {
          if ('endpoints' in step) {
            count = step.endpoints;
            balance.update({
              endpoints: endpointsOf(count),
              ...(affinity === null ? {} : { affinitySeconds: affinity }),
            });
          } else {
            now += step.after * 1_000;
            const given = balance.pick(`client-${step.client}`, now).map(({ ip }) => ip);
            expect(given.sort()).toEqual(
              endpointsOf(count)
                .map(({ ip }) => ip)
                .sort(),
            );
          }
        }
      }),
    );
  });

  it('keeps a client on its endpoint until its time is over or the endpoint is gone', () => {
    const balance = balancer();
    balance.update({ endpoints: endpointsOf(3), affinitySeconds: 10 });
    const first = (client: string, now: number) => balance.pick(client, now)[0]!.ip;
    const mine = first('me', 0);
    expect(first('you', 0)).not.toBe(mine);
    expect(first('me', 9_000)).toBe(mine);
    expect(first('me', 18_000)).toBe(mine);
    expect(first('me', 28_000)).not.toBe(mine);
    balance.update({ endpoints: endpointsOf(3).filter(({ ip }) => ip !== mine), affinitySeconds: 10 });
    expect(first('me', 28_500)).not.toBe(mine);
  });
});
