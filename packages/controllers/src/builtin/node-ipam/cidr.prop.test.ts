import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Cidr, CidrPool, formatCidr, overlaps, parseCidr } from './cidr.js';

describe('CIDR notation', () => {
  it.each([
    ['10.244.0.0/16', '10.244.0.0/16'],
    ['10.244.3.7/24', '10.244.3.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['fd00:10:244::/56', 'fd00:10:244::/56'],
    ['FD00::1/64', 'fd00::/64'],
    ['::/0', '::/0'],
    ['2001:db8:0:1:0:0:0:1/128', '2001:db8:0:1::1/128'],
  ])('%s', (text, normal) => {
    expect(formatCidr(parseCidr(text))).toBe(normal);
  });

  it.each(['10.0.0.0', '10.0.0/8', '10.0.0.256/8', '10.0.0.0/33', 'x/8', '10.0.0.0/8/8', 'fd00:::/8', '1:2:3/64', ''])(
    'refuses %j',
    text => {
      expect(() => parseCidr(text)).toThrow(/is not a CIDR/);
    },
  );

  it('what is written can be read, for both families', () => {
    const cidr = fc.oneof(
      fc
        .tuple(fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }), fc.integer({ min: 0, max: 32 }))
        .map(([base, prefix]) => ({ family: 4 as const, base, prefix })),
      fc
        .tuple(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.integer({ min: 0, max: 128 }))
        .map(([base, prefix]) => ({ family: 6 as const, base, prefix })),
    );
    fc.assert(
      fc.property(cidr, value => {
        const text = formatCidr(parseCidr(formatCidr(value)));
        expect(formatCidr(parseCidr(text))).toBe(text);
        expect(overlaps(parseCidr(formatCidr(value)), parseCidr(text))).toBe(true);
      }),
    );
  });
});

describe('CidrPool', () => {
  it('never gives out what overlaps something that is taken, whatever comes and goes', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('take' as const) }),
      fc.record({ do: fc.constant('give' as const), index: fc.nat() }),
      fc.record({ do: fc.constant('occupy' as const), third: fc.nat(255), prefix: fc.integer({ min: 14, max: 28 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const pool = new CidrPool(parseCidr('10.1.0.0/20'), 24);
        const given: Cidr[] = [];
        const occupied: Cidr[] = [];
        for (const each of steps) {
          if (each.do === 'take') {
            const block = pool.allocate();
            if (!block) {
              expect(given.length + occupied.length).toBeGreaterThan(0);
              continue;
            }
            expect(overlaps(block, parseCidr('10.1.0.0/20'))).toBe(true);
            for (const other of [...given, ...occupied]) expect(overlaps(block, other)).toBe(false);
            given.push(block);
          } else if (each.do === 'give' && given.length > 0) {
            const [block] = given.splice(each.index % given.length, 1);
            // What somebody else occupies stays taken.
            if (!occupied.some(other => overlaps(other, block!))) pool.release(block!);
          } else if (each.do === 'occupy') {
            const other = parseCidr(`10.1.${each.third}.0/${each.prefix}`);
            occupied.push(other);
            pool.occupy(other);
          }
        }
      }),
    );
  });

  it('gives out every block once, then nothing, and rests a block that came back', () => {
    const pool = new CidrPool(parseCidr('10.0.0.0/30'), 32);
    const first = [0, 1, 2].map(() => formatCidr(pool.allocate()!));
    expect(first).toEqual(['10.0.0.0/32', '10.0.0.1/32', '10.0.0.2/32']);
    pool.release(parseCidr('10.0.0.0/32'));
    expect(formatCidr(pool.allocate()!)).toBe('10.0.0.3/32');
    expect(formatCidr(pool.allocate()!)).toBe('10.0.0.0/32');
    expect(pool.allocate()).toBeUndefined();
    expect(() => new CidrPool(parseCidr('10.0.0.0/24'), 16)).toThrow(/do not fit/);
  });
});
