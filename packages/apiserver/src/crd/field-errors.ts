/** What is wrong with a value, in the words of kube-openapi's validation: `spec.size in body should be greater than or equal to 1`. */
import type { CauseType, FieldError } from '@orbitkit/core';

/** An object can be wrong in very many places; nobody reads more than these. */
export const maxFieldErrors = 100;

export const shown = (value: unknown): string => (value === undefined ? 'null' : JSON.stringify(value));

export function fieldError(field: string, type: CauseType, message: string): FieldError {
  return { field: field === '' ? '<nil>' : field, type, message };
}

export const invalidValue = (field: string, value: unknown, detail: string): FieldError =>
  fieldError(field, 'FieldValueInvalid', `Invalid value: ${shown(value)}: ${detail}`);

export const required = (field: string, detail = ''): FieldError =>
  fieldError(field, 'FieldValueRequired', detail === '' ? 'Required value' : `Required value: ${detail}`);

export const forbiddenField = (field: string, detail: string): FieldError =>
  fieldError(field, 'FieldValueForbidden', `Forbidden: ${detail}`);

export const duplicate = (field: string, value: unknown): FieldError =>
  fieldError(field, 'FieldValueDuplicate', `Duplicate value: ${shown(value)}`);

export const unsupported = (field: string, value: unknown, supported: readonly unknown[]): FieldError =>
  fieldError(
    field,
    'FieldValueNotSupported',
    `Unsupported value: ${shown(value)}: supported values: ${supported.map(shown).join(', ')}`,
  );

export const tooMany = (field: string, count: number, most: number): FieldError =>
  fieldError(field, 'FieldValueTooMany', `Too many: ${count}: must have at most ${most} items`);

export const tooLong = (field: string, most: number): FieldError =>
  fieldError(field, 'FieldValueTooLong', `Too long: may not be more than ${most} bytes`);

/** The type that a JSON value has, as OpenAPI calls it. */
export function jsonTypeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

/** kube-openapi names the type in the place of the value. */
export function wrongType(field: string, value: unknown, wanted: string): FieldError {
  const type = jsonTypeOf(value);
  return fieldError(
    field,
    'FieldValueTypeInvalid',
    `Invalid value: ${shown(type)}: ${field} in body must be of type ${wanted}: ${shown(type)}`,
  );
}
