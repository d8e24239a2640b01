/**
 * A pod asks for something that is not there yet, or that cannot be given. The container waits with the error's reason and
 * message, an event says the same, and the agent looks again: creating what is missing is enough.
 */
const brand = Symbol.for('orbitkit.ConfigError');

export class ConfigError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConfigError';
    Object.defineProperty(this, brand, { value: true });
  }
}

export function isConfigError(error: unknown): error is ConfigError {
  return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true;
}
