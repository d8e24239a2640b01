/**
 * Chance as a value: everything that draws a number takes a `Random`, so that a test can repeat the draw.
 */

/** A number in [0, 1). `Math.random` is one. */
export type Random = () => number;

/** `Math.random`: not for secrets. */
export const systemRandom: Random = () => Math.random();

/**
 * The same numbers for the same seed: mulberry32 (public domain, T. Ettinger). Good enough to spread timers and break
 * ties; not for secrets.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
