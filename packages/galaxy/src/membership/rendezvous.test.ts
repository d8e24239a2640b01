import { describe, expect, it } from 'vitest';
import { ownerOf, rank } from './rendezvous.js';

const nodes = Array.from({ length: 2_000 }, (_, index) => `node-${index}`);
const owners = (count: number) => Array.from({ length: count }, (_, index) => `scheduler-${index}`);

describe('rendezvous hashing', () => {
  it('moves about 1/(k+1) of the nodes to a newcomer, and only to it', () => {
    for (const k of [2, 4, 9]) {
      const moved = nodes.filter(node => ownerOf(node, owners(k)) !== ownerOf(node, owners(k + 1)));
      expect(moved.every(node => ownerOf(node, owners(k + 1)) === `scheduler-${k}`)).toBe(true);
      expect(moved.length / nodes.length).toBeGreaterThan(0.8 / (k + 1));
      expect(moved.length / nodes.length).toBeLessThan(1.2 / (k + 1));
    }
  });

  it('gives away only what a leaver had, to the next in rank', () => {
    const left = owners(5).filter(name => name !== 'scheduler-2');
    for (const node of nodes.slice(0, 300)) {
      const before = ownerOf(node, owners(5))!;
      expect(ownerOf(node, left)).toBe(before === 'scheduler-2' ? rank(node, owners(5))[1] : before);
    }
  });

  it('is balanced, does not depend on order, and has no owner without owners', () => {
    const counts = new Map<string, number>();
    for (const node of nodes) {
      const owner = ownerOf(node, owners(4))!;
      counts.set(owner, (counts.get(owner) ?? 0) + 1);
      expect(ownerOf(node, owners(4).reverse())).toBe(owner);
    }
    expect(Math.max(...counts.values()) / (nodes.length / 4)).toBeLessThan(1.15);
    expect(ownerOf('node', [])).toBeUndefined();
  });
});
