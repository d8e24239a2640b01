/**
 * Validation of a custom resource against its OpenAPI schema, in the words of kube-openapi: types, enums, patterns, bounds, required
 * members, formats, anyOf, oneOf, allOf, not. The rules are closures, compiled once a schema.
 *
 * On an update what did not change is not judged again (ratcheting): a schema that became stricter does not stand in the way of
 * writes to other fields. Elements of lists are matched by their keys when the list is of type map.
 * Patterns are RE2, as in Go, and take time in proportion to the text. Source: kube-openapi `validation/validate` (v0.33).
 */
import type { FieldError } from '@orbitkit/core';
import { RE2JS } from 're2js';
import { sameJson } from '../registry/json-value.js';
import {
  fieldError,
  invalidValue,
  jsonTypeOf,
  maxFieldErrors,
  required,
  tooLong,
  tooMany,
  unsupported,
  wrongType,
} from './field-errors.js';
import { hasFormat } from './formats.js';
import { isObject, itemPath, type JsonSchema, mapKeyOf, memberPath, type Structural } from './structural.js';

/** @param old What stood in the same place before; undefined when there was nothing that can be told. */
export type ValueRule = (value: unknown, old: unknown, path: string, errors: FieldError[]) => void;

/** The rules of one node and everything below it. */
export function valueRuleOf(node: Structural): ValueRule {
  const { source } = node;
  const constraints = constraintsOf(source);
  const properties = [...node.properties].map(([name, each]) => [name, valueRuleOf(each)] as const);
  const known = new Set(node.properties.keys());
  const additional = typeof node.additional === 'object' ? valueRuleOf(node.additional) : undefined;
  const items = node.items && valueRuleOf(node.items);

  return (value, old, path, errors) => {
    if (errors.length >= maxFieldErrors || value === undefined) return;
    if (old !== undefined && sameJson(value, old)) return;
    if (value === null) {
      if (!node.nullable && (node.type !== '' || node.intOrString))
        errors.push(wrongType(path, value, typeNameOf(node)));
      return;
    }
    if (!isOfType(node, value)) {
      errors.push(wrongType(path, value, typeNameOf(node)));
      return;
    }
    for (const rule of constraints) rule(value, old, path, errors);
    if (Array.isArray(value)) {
      if (items === undefined) return;
      const before = node.listType === 'map' && Array.isArray(old) ? byMapKey(node, old) : undefined;
      for (let i = 0; i < value.length; i++) {
        const key = before && mapKeyOf(node, value[i]);
        items(value[i], key === undefined ? undefined : before?.get(key), itemPath(path, i), errors);
      }
    } else if (isObject(value)) {
      const before = isObject(old) ? old : undefined;
      for (const [name, rule] of properties) {
        if (Object.hasOwn(value, name)) rule(value[name], memberOf(before, name), memberPath(path, name), errors);
      }
      if (additional === undefined) return;
      for (const name of Object.keys(value)) {
        if (!known.has(name)) additional(value[name], memberOf(before, name), memberPath(path, name), errors);
      }
    }
  };
}

const memberOf = (value: Record<string, unknown> | undefined, name: string): unknown =>
  value !== undefined && Object.hasOwn(value, name) ? value[name] : undefined;

export function byMapKey(node: Structural, list: readonly unknown[]): Map<string, unknown> {
  const items = new Map<string, unknown>();
  for (const item of list) {
    const key = mapKeyOf(node, item);
    if (key !== undefined) items.set(key, item);
  }
  return items;
}

const typeNameOf = (node: Structural): string => (node.intOrString ? 'integer,string' : node.type);

function isOfType(node: Structural, value: unknown): boolean {
  const type = jsonTypeOf(value);
  if (node.intOrString) return type === 'integer' || type === 'string';
  return node.type === '' || type === node.type || (node.type === 'number' && type === 'integer');
}

/** What a schema demands beside types, also as a part of anyOf and its like, where types and structure are not spoken of. */
function constraintsOf(schema: JsonSchema): ValueRule[] {
  return [
    ...textRules(schema),
    ...numberRules(schema),
    ...collectionRules(schema),
    ...(Array.isArray(schema.enum) ? [enumRule(schema.enum)] : []),
    ...junctionRules(schema),
  ];
}

/** A schema within anyOf and its like: constraints of the value and of what is in it. */
function nestedRuleOf(schema: JsonSchema): ValueRule {
  const constraints = constraintsOf(schema);
  const properties = isObject(schema.properties)
    ? Object.keys(schema.properties).map(name => [name, nestedRuleOf(schema.properties![name]!)] as const)
    : [];
  const items = isObject(schema.items) ? nestedRuleOf(schema.items as JsonSchema) : undefined;
  const { type } = schema;
  return (value, old, path, errors) => {
    if (value === undefined || value === null) return;
    if (type && type !== jsonTypeOf(value) && !(type === 'number' && jsonTypeOf(value) === 'integer')) {
      errors.push(wrongType(path, value, type));
      return;
    }
    for (const rule of constraints) rule(value, old, path, errors);
    if (Array.isArray(value) && items) {
      for (let i = 0; i < value.length; i++) items(value[i], undefined, itemPath(path, i), errors);
    }
    if (!isObject(value)) return;
    for (const [name, rule] of properties) {
      if (Object.hasOwn(value, name))
        rule(value[name], memberOf(isObject(old) ? old : undefined, name), memberPath(path, name), errors);
    }
  };
}

const runes = (text: string): number => {
  let count = 0;
  for (const _ of text) count++;
  return count;
};

function textRules({ maxLength, minLength, pattern, format }: JsonSchema): ValueRule[] {
  const rules: ValueRule[] = [];
  const add = (check: (text: string, path: string) => FieldError | undefined) =>
    rules.push((value, _old, path, errors) => {
      const error = typeof value === 'string' ? check(value, path) : undefined;
      if (error) errors.push(error);
    });
  if (maxLength !== undefined) add((text, path) => (runes(text) > maxLength ? tooLong(path, maxLength) : undefined));
  if (minLength !== undefined && minLength > 0) {
    add((text, path) =>
      runes(text) < minLength
        ? invalidValue(path, text, `${path} in body should be at least ${minLength} chars long`)
        : undefined,
    );
  }
  const regular = pattern ? compiledPattern(pattern) : undefined;
  if (regular) {
    add((text, path) =>
      regular.test(text) ? undefined : invalidValue(path, text, `${path} in body should match '${pattern}'`),
    );
  }
  if (format) {
    add((text, path) =>
      hasFormat(format, text)
        ? undefined
        : invalidValue(path, text, `${path} in body must be of type ${format}: ${JSON.stringify(text)}`),
    );
  }
  return rules;
}

function compiledPattern(pattern: string): RE2JS | undefined {
  try {
    return RE2JS.compile(pattern);
  } catch {
    // Definitions with such a pattern are refused; this one is older than that rule.
    return undefined;
  }
}

function numberRules(schema: JsonSchema): ValueRule[] {
  const { maximum, minimum, multipleOf } = schema;
  const rules: ValueRule[] = [];
  const add = (holds: (value: number) => boolean, demand: string) =>
    rules.push((value, _old, path, errors) => {
      if (typeof value === 'number' && !holds(value))
        errors.push(invalidValue(path, value, `${path} in body ${demand}`));
    });
  if (maximum !== undefined) {
    if (schema.exclusiveMaximum) add(value => value < maximum, `should be less than ${maximum}`);
    else add(value => value <= maximum, `should be less than or equal to ${maximum}`);
  }
  if (minimum !== undefined) {
    if (schema.exclusiveMinimum) add(value => value > minimum, `should be greater than ${minimum}`);
    else add(value => value >= minimum, `should be greater than or equal to ${minimum}`);
  }
  if (multipleOf !== undefined && multipleOf > 0) {
    add(value => {
      const times = value / multipleOf;
      return Math.abs(times - Math.round(times)) < 1e-9 * Math.max(1, Math.abs(times));
    }, `should be a multiple of ${multipleOf}`);
  }
  return rules;
}

function collectionRules(schema: JsonSchema): ValueRule[] {
  const { maxItems, minItems, maxProperties, minProperties } = schema;
  const rules: ValueRule[] = [];
  if (maxItems !== undefined || minItems !== undefined) {
    rules.push((value, _old, path, errors) => {
      if (!Array.isArray(value)) return;
      if (maxItems !== undefined && value.length > maxItems) errors.push(tooMany(path, value.length, maxItems));
      if (minItems !== undefined && value.length < minItems)
        errors.push(invalidValue(path, value.length, `${path} in body should have at least ${minItems} items`));
    });
  }
  const needed = Array.isArray(schema.required) ? schema.required : [];
  if (maxProperties !== undefined || minProperties !== undefined || needed.length > 0) {
    rules.push((value, _old, path, errors) => {
      if (!isObject(value)) return;
      for (const name of needed) {
        if (!Object.hasOwn(value, name) || value[name] === undefined) errors.push(required(memberPath(path, name)));
      }
      if (maxProperties === undefined && minProperties === undefined) return;
      const count = Object.keys(value).length;
      if (maxProperties !== undefined && count > maxProperties) errors.push(tooMany(path, count, maxProperties));
      if (minProperties !== undefined && count < minProperties)
        errors.push(invalidValue(path, count, `${path} in body should have at least ${minProperties} properties`));
    });
  }
  return rules;
}

function enumRule(values: readonly unknown[]): ValueRule {
  return (value, _old, path, errors) => {
    if (!values.some(each => sameJson(each, value))) errors.push(unsupported(path, value, values));
  };
}

function junctionRules({ allOf, anyOf, oneOf, not }: JsonSchema): ValueRule[] {
  const rules: ValueRule[] = [];
  const composite = (path: string, text: string): FieldError =>
    fieldError('', 'FieldValueInvalid', `Invalid value: "": ${JSON.stringify(path)} must ${text}`);
  const trial = (rule: ValueRule, value: unknown, path: string): FieldError[] => {
    const errors: FieldError[] = [];
    rule(value, undefined, path, errors);
    return errors;
  };
  if (allOf?.length) rules.push(...allOf.map(nestedRuleOf));
  if (anyOf?.length) {
    const alternatives = anyOf.map(nestedRuleOf);
    rules.push((value, _old, path, errors) => {
      const failures: FieldError[][] = [];
      for (const rule of alternatives) {
        const found = trial(rule, value, path);
        if (found.length === 0) return;
        failures.push(found);
      }
      errors.push(composite(path, 'validate at least one schema (anyOf)'), ...fewest(failures));
    });
  }
  if (oneOf?.length) {
    const alternatives = oneOf.map(nestedRuleOf);
    rules.push((value, _old, path, errors) => {
      const trials = alternatives.map(rule => trial(rule, value, path));
      const valid = trials.filter(each => each.length === 0).length;
      if (valid === 1) return;
      const found = valid === 0 ? 'Found none valid' : `Found ${valid} valid alternatives`;
      errors.push(composite(path, `validate one and only one schema (oneOf). ${found}`));
      if (valid === 0) errors.push(...fewest(trials));
    });
  }
  if (not) {
    const rule = nestedRuleOf(not);
    rules.push((value, _old, path, errors) => {
      if (trial(rule, value, path).length === 0) errors.push(composite(path, 'not validate the schema (not)'));
    });
  }
  return rules;
}

/** The alternative that was nearest to being met. */
function fewest(failures: readonly FieldError[][]): FieldError[] {
  return failures.reduce((best, each) => (each.length < best.length ? each : best), failures[0] ?? []);
}
