/**
 * An error that trying again will not mend: wrong input, a mistake in the object. The object is reconciled again when
 * something about it changes, not before. Branded, so that two copies of this package agree.
 */
const brand: symbol = Symbol.for('orbitkit.TerminalError');

/** Throw it from a reconciler: it is logged, counted, and the key is not tried again by itself. */
export class TerminalError extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'TerminalError';
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether it is a TerminalError, of any copy of this package. */
export function isTerminalError(error: unknown): error is TerminalError {
  return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true;
}
