/**
 * Rendezvous hashing: every node belongs to the scheduler with the highest score for it. Who joins takes 1/(k+1) of the nodes, who leaves gives
 * only its own away, and everybody computes the same from the same list: no table is passed around.
 *
 * The score is the first 8 bytes of SHA-256 over both names; a plain FNV-1a over their concatenation, as the original has it, is uneven
 * for names that differ in the last letters only.
 */
import { createHash } from 'node:crypto';

const scores = new Map<string, bigint>();
const remembered = 100_000;

function score(owner: string, item: string): bigint {
  const key = `${owner.length}:${owner}${item}`;
  let value = scores.get(key);
  if (value === undefined) {
    value = createHash('sha256').update(key).digest().readBigUInt64BE(0);
    if (scores.size >= remembered) scores.clear();
    scores.set(key, value);
  }
  return value;
}

/** The owner of an item; undefined when there are none. Ties go to the first by name. */
export function ownerOf(item: string, owners: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestScore = -1n;
  for (const owner of owners) {
    const value = score(owner, item);
    if (value > bestScore || (value === bestScore && best !== undefined && owner < best)) {
      best = owner;
      bestScore = value;
    }
  }
  return best;
}

/** All owners, best first. */
export function rank(item: string, owners: Iterable<string>): string[] {
  return [...owners].sort((a, b) => {
    const left = score(a, item);
    const right = score(b, item);
    return left > right ? -1 : left < right ? 1 : a < b ? -1 : 1;
  });
}
