/**
 * Field selectors: `metadata.name=x,status.phase!=Running`. Terms are joined by "and"; `\,`, `\=` and `\\` in values are escapes.
 *
 * Which fields a kind offers is its own matter: matching reads them through a getter, and a field that is absent is the
 * empty string. Grammar: apimachinery `pkg/fields`.
 */
import { badRequest } from '../errors/status-error.js';

/** One term. */
export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** A selector that was read; its text form is the one that a server takes. */
export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  /** Whether it selects every object. */
  readonly everything: boolean;
  matches(read: (field: string) => string | undefined): boolean;
  /** The value that the field must equal, when the selector says so: a list by name need not scan. */
  exactly(field: string): string | undefined;
  toString(): string;
}

/** @throws StatusError BadRequest that quotes what was not understood. */
export function parseFieldSelector(text: string): FieldSelector {
  const requirements = splitTerms(text).flatMap(term => (term === '' ? [] : [parseTerm(term, text)]));
  return {
    requirements,
    everything: requirements.length === 0,
    matches: read =>
      requirements.every(({ field, operator, value }) => ((read(field) ?? '') === value) === (operator === '=')),
    exactly: field => requirements.find(each => each.field === field && each.operator === '=')?.value,
    toString: () => requirements.map(({ field, operator, value }) => `${field}${operator}${quote(value)}`).join(','),
  };
}

/** Quotes a value for use in a selector. */
export function escapeFieldValue(value: string): string {
  return quote(value);
}

const quote = (value: string): string => value.replace(/[\\,=]/g, '\\$&');

/** At the commas that are not escaped. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === ',') {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms;
}

function parseTerm(term: string, text: string): FieldRequirement {
  const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
  if (!match) throw badRequest(`invalid field selector "${text}": "${term}" is not field=value or field!=value`);
  const [, field = '', operator, raw = ''] = match;
  if (field.trim() === '') throw badRequest(`invalid field selector "${text}": "${term}" names no field`);
  let value = '';
  for (let i = 0; i < raw.length; i++) {
    const character = raw[i]!;
    if (character === '\\') {
      const escaped = raw[++i];
      if (escaped !== '\\' && escaped !== ',' && escaped !== '=') {
        throw badRequest(`invalid field selector "${text}": invalid escape sequence "\\${escaped ?? ''}"`);
      }
      value += escaped;
    } else if (character === '=') {
      throw badRequest(`invalid field selector "${text}": unescaped "=" in the value of "${term}"`);
    } else value += character;
  }
  return { field: field.trim(), operator: operator === '!=' ? '!=' : '=', value };
}
