/**
 * What a built-in kind does beyond its shape: defaults, rules, columns. One row a type, looked up when first needed.
 */
import type { FieldError } from '../errors/status-error.js';
import type { KubeObject } from '../meta/object.js';
import type { Column } from './kind.js';

export interface Behaviour<T extends KubeObject = any> {
  readonly columns: readonly Column<T>[];
  applyDefaults?(object: T): void;
  validate(object: T, previous?: T): FieldError[];
}

const rows: Readonly<Record<string, () => Behaviour>> = {};

/** @throws Error on use, when the type has no row. */
export function behaviourOf<T extends KubeObject>(type: string): () => Behaviour<T> {
  return () => {
    const row = rows[type];
    if (!row) throw new Error(`${type} has no behaviour yet: its defaults, rules and columns are being written`);
    return row();
  };
}
