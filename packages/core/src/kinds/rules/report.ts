/**
 * Collects what is wrong with an object, field by field, in the words of Kubernetes (apimachinery `util/validation/field`):
 * `Required value`, `Invalid value: "x": must be …`, `Duplicate value: "x"`, `Forbidden: …`.
 */
import type { CauseType, FieldError } from '../../errors/status-error.js';

export class Report {
  readonly errors: FieldError[] = [];

  #add(field: string, type: CauseType, message: string, detail = ''): void {
    this.errors.push({ field, type, message: detail ? `${message}: ${detail}` : message });
  }

  required(field: string, detail = ''): void {
    this.#add(field, 'FieldValueRequired', 'Required value', detail);
  }

  invalid(field: string, value: unknown, detail: string): void {
    this.#add(field, 'FieldValueInvalid', `Invalid value: ${shown(value)}`, detail);
  }

  duplicate(field: string, value: unknown): void {
    this.#add(field, 'FieldValueDuplicate', `Duplicate value: ${shown(value)}`);
  }

  forbidden(field: string, detail: string): void {
    this.#add(field, 'FieldValueForbidden', `Forbidden: ${detail}`);
  }

  notFound(field: string, value: unknown): void {
    this.#add(field, 'FieldValueNotFound', `Not found: ${shown(value)}`);
  }

  /** Said once of a field: closed sets are judged by the schema too. */
  unsupported(field: string, value: unknown, supported: readonly string[]): void {
    if (this.errors.some(error => error.field === field && error.type === 'FieldValueNotSupported')) return;
    const list = [...supported].sort().map(each => JSON.stringify(each));
    this.#add(
      field,
      'FieldValueNotSupported',
      `Unsupported value: ${shown(value)}`,
      `supported values: ${list.join(', ')}`,
    );
  }

  tooLong(field: string, maxBytes: number): void {
    this.#add(field, 'FieldValueTooLong', `Too long: may not be more than ${maxBytes} bytes`);
  }

  tooMany(field: string, count: number, max: number): void {
    this.#add(field, 'FieldValueTooMany', `Too many: ${count}: must have at most ${max} items`);
  }

  /** `problem` is what a check of a form answered; undefined is in order. */
  form(field: string, value: string, problem: string | undefined): void {
    if (problem !== undefined) this.invalid(field, value, problem);
  }

  /** Required when empty, else of the form. */
  text(field: string, value: string | undefined, problem: (value: string) => string | undefined): void {
    if (value === undefined || value === '') this.required(field);
    else this.form(field, value, problem(value));
  }

  notNegative(field: string, value: number | undefined): void {
    if (value !== undefined && value < 0) this.invalid(field, value, 'must be greater than or equal to 0');
  }

  positive(field: string, value: number | undefined): void {
    if (value !== undefined && value <= 0) this.invalid(field, value, 'must be greater than 0');
  }

  within(field: string, value: number | undefined, low: number, high: number): void {
    if (value !== undefined && (value < low || value > high)) {
      this.invalid(field, value, `must be between ${low} and ${high}, inclusive`);
    }
  }

  oneOf(field: string, value: string | undefined, supported: readonly string[]): void {
    if (value === undefined || value === '') this.required(field);
    else if (!supported.includes(value)) this.unsupported(field, value, supported);
  }

  immutable(field: string, value: unknown, previous: unknown): void {
    if (!sameValue(value, previous)) this.invalid(field, value, 'field is immutable');
  }
}

const shown = (value: unknown): string => (value === undefined ? 'null' : JSON.stringify(value));

/** Deep equality of JSON values. Absent, null, and what is empty (`''`, `[]`, `{}`) are the same, as to Go's semantic equality. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isEmpty(a) || isEmpty(b)) return isEmpty(a) && isEmpty(b);
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((each, index) => sameValue(each, b[index]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) if (!sameValue(left[key], right[key])) return false;
  for (const key in right) if (!(key in left) && !isEmpty(right[key])) return false;
  return true;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (typeof value !== 'object') return false;
  for (const _ in value) return false;
  return true;
}
