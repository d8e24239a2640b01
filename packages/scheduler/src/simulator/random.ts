/**
 * Numbers by chance that come again: the same seed and the same name give the same numbers, whatever else is drawn elsewhere. So the arrivals
 * of one group do not change when another group is added, and every policy meets the same failures.
 *
 * Generator: Doty-Humphrey's sfc32, seeded by a hash of the text, its first twelve numbers thrown away.
 */
import { hash32 } from '../plugins/pick.js';

export interface Random {
  /** 0 ≤ x < 1. */
  next(): number;
  /** Standard normal (Box and Muller). */
  normal(): number;
  /** Exponential with this mean. */
  exponential(mean: number): number;
  /** An index, by the weights. */
  pick(weights: readonly number[]): number;
}

export function seededRandom(seed: number, name: string): Random {
  let a = hash32(`${seed}/${name}/a`);
  let b = hash32(`${seed}/${name}/b`);
  let c = hash32(`${seed}/${name}/c`);
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  for (let i = 0; i < 12; i++) next();
  return {
    next,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    exponential: mean => -mean * Math.log(1 - next()),
    pick(weights) {
      let left = next() * weights.reduce((sum, each) => sum + each, 0);
      for (let i = 0; i < weights.length; i++) {
        left -= weights[i]!;
        if (left < 0) return i;
      }
      return weights.length - 1;
    },
  };
}
