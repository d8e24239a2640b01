/** Runs a point of a plugin: what it throws says whose it is. */
import { isStatusError } from '@orbitkit/core';
import type { Plugin } from '../framework/plugin.js';

export function asked<T>(plugin: Plugin, point: keyof Plugin, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    throw failureOf(plugin, point, error);
  }
}

/** The same for a point that takes its time. Answers of the API stay what they are: a conflict is told from a failure by them. */
export async function awaited<T>(plugin: Plugin, point: keyof Plugin, ask: () => T | Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw isStatusError(error) ? error : failureOf(plugin, point, error);
  }
}

function failureOf({ name }: Plugin, point: keyof Plugin, cause: unknown): Error {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new Error(`plugin "${name}" failed in ${point}: ${text}`, { cause });
}
