import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addressAllocator, formatAddress, parseAddress, parseRange, rangeContains } from './address-range.js';

describe('address ranges', () => {
  it('cuts off host bits and knows what lies inside', () => {
    const range = parseRange('10.6.3.77/16');
    expect(range).toMatchObject({ cidr: '10.6.0.0/16', prefixLength: 16, size: 65_536 });
    expect(rangeContains(range, '10.6.255.255')).toBe(true);
    expect(rangeContains(range, '10.7.0.0')).toBe(false);
  });

  it.each(['10.0.0.0', '10.0.0/8', '10.0.0.256/8', '10.0.0.0/33', 'fd00::/8', ''])('refuses %j', text => {
    expect(() => parseRange(text)).toThrow(RangeError);
  });

  it('formats what it parses', () => {
    fc.assert(fc.property(fc.ipV4(), text => formatAddress(parseAddress(text)) === text));
  });
});

describe('an allocator', () => {
  it('gives every address but network, gateway and broadcast once, then says that none is left', () => {
    const allocator = addressAllocator(parseRange('127.5.0.0/29'));
    const given = Array.from({ length: 5 }, () => allocator.take());
    expect(given).toEqual(['127.5.0.2', '127.5.0.3', '127.5.0.4', '127.5.0.5', '127.5.0.6']);
    expect(() => allocator.take()).toThrow(/larger podCIDR/);
    allocator.release('127.5.0.4');
    expect(allocator.take()).toBe('127.5.0.4');
  });

  it('never gives one address to two, and gives a returned one last', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(9)), steps => {
        const allocator = addressAllocator(parseRange('127.5.0.0/28'));
        const taken: string[] = [];
        for (const step of steps) {
          if (step < 6 && taken.length < 13) {
            const address = allocator.take();
            expect(taken).not.toContain(address);
            taken.push(address);
          } else if (taken.length > 0) allocator.release(taken.splice(step % taken.length, 1)[0]!);
        }
      }),
    );
    const allocator = addressAllocator(parseRange('127.5.0.0/28'));
    const first = allocator.take();
    allocator.release(first);
    expect(Array.from({ length: 12 }, () => allocator.take())).not.toContain(first);
  });

  it('respects what was reserved', () => {
    const allocator = addressAllocator(parseRange('127.5.0.0/28'));
    expect(allocator.reserve('127.5.0.2')).toBe(true);
    expect(allocator.reserve('127.5.0.2')).toBe(false);
    expect(allocator.reserve('127.6.0.2')).toBe(false);
    expect(allocator.take()).toBe('127.5.0.3');
  });
});
