/** For the tests of rules: objects in order to begin with, and what a change makes wrong. */
import type { Kind } from '../kind.js';

/** Decodes and defaults as a server does, so that a rule meets what it will meet. */
function made(kind: Kind<any>, value: object): any {
  const { object } = kind.decode(structuredClone(value));
  kind.applyDefaults(object);
  return object;
}

/** `field: message` of everything wrong. */
export function faults(kind: Kind<any>, value: object, previous?: object): string[] {
  const before = previous === undefined ? undefined : made(kind, previous);
  return kind.validate(made(kind, value), before).map(({ field, message }) => `${field}: ${message}`);
}
