/**
 * Errors that no restart mends: a port that is taken, a data directory that another process owns, wrong options.
 * `compose()` ends with them instead of trying again.
 */
const brand: symbol = Symbol.for('orbitkit.unrecoverable');

/** Marks an error and returns it: `throw unrecoverable(new Error('…'))`. */
export function unrecoverable<E extends Error>(error: E): E {
  Object.defineProperty(error, brand, { value: true, enumerable: false, configurable: true });
  return error;
}

/** Whether a component that failed with this is not started again: errors marked as such, and an address that is taken or not this machine's. */
export function isUnrecoverable(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  if ((error as Record<symbol, unknown>)[brand] === true) return true;
  const code = (error as { code?: unknown }).code;
  return code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL';
}
