/** Runs a point of a plugin: what it throws says whose it is. */
import type { Plugin } from '../framework/plugin.js';

export function asked<T>({ name }: Plugin, point: keyof Plugin, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`plugin "${name}" failed in ${point}: ${text}`, { cause: error });
  }
}
