/**
 * `x-kubernetes-validations`: the rules of a schema, compiled when the definition is written, evaluated on every write.
 *
 * - A rule that speaks of `oldSelf` is a transition rule: it holds between two states, so it runs on updates only, where the old value can be
 *   told (not within lists that are not of type map); with `optionalOldSelf` it runs always and asks `oldSelf.hasValue()`.
 * - Other rules do not judge again what has not changed.
 * - The text of a failure is the rule's messageExpression, else its message, else `failed rule: …`; reason and fieldPath are the rule's.
 * - All rules of one object share a budget (cel/budget.ts); when it is spent the write is refused.
 * Source: apiextensions-apiserver `schema/cel` (v0.33).
 */
import { Optional } from '@marcbachmann/cel-js';
import type { apiextensionsv1, CauseType, FieldError } from '@orbitkit/core';
import { Budget } from '../cel/budget.js';
import { CompileError, compile, EvaluationError, type Expression } from '../cel/expression.js';
import { sameJson } from '../registry/json-value.js';
import { type CelType, CelTypes } from './cel-types.js';
import { fieldError, forbiddenField, invalidValue, jsonTypeOf, maxFieldErrors, shown } from './field-errors.js';
import { isObject, itemPath, mapKeyOf, memberPath, type Structural } from './structural.js';
import { byMapKey } from './value-rules.js';

type ValidationRule = apiextensionsv1.ValidationRule;

interface CompiledRule {
  readonly source: ValidationRule;
  readonly expression: Expression;
  readonly message: Expression | undefined;
  readonly transition: boolean;
}

interface RuledNode {
  readonly node: Structural;
  readonly type: CelType;
  readonly rules: readonly CompiledRule[];
  readonly properties: ReadonlyMap<string, RuledNode>;
  readonly additional: RuledNode | undefined;
  readonly items: RuledNode | undefined;
}

export interface RuleSet {
  check(object: unknown, old: unknown, errors: FieldError[]): void;
}

export interface CompiledRules {
  /** Undefined when the schema has no rules. */
  readonly rules: RuleSet | undefined;
  /** Rules that cannot be used, by their place in the schema. */
  readonly errors: readonly FieldError[];
}

/** @param path Of the schema in its definition: `spec.versions[0].schema.openAPIV3Schema`. */
export function compileRules(root: Structural, path: string): CompiledRules {
  if (!hasRules(root)) return { rules: undefined, errors: [] };
  const types = new CelTypes();
  // All types first: an environment that was copied takes no more.
  types.typeOf(root, 'object', true);
  const errors: FieldError[] = [];
  const compiled = compileNode(types, root, 'object', path, true, undefined, errors);
  return { rules: compiled && ruleSet(compiled), errors };
}

function hasRules(node: Structural): boolean {
  return (
    (node.source['x-kubernetes-validations']?.length ?? 0) > 0 ||
    (node.items !== undefined && hasRules(node.items)) ||
    (typeof node.additional === 'object' && hasRules(node.additional)) ||
    [...node.properties.values()].some(hasRules)
  );
}

function compileNode(
  types: CelTypes,
  node: Structural,
  name: string,
  path: string,
  isResource: boolean,
  /** The place from which on old and new values cannot be told apart. */
  uncorrelated: string | undefined,
  errors: FieldError[],
): RuledNode | undefined {
  if (!hasRules(node)) return undefined;
  const type = types.typeOf(node, name, isResource);
  const sources = node.source['x-kubernetes-validations'] ?? [];
  const rules: CompiledRule[] = [];
  for (const [index, source] of sources.entries()) {
    const at = `${path}.x-kubernetes-validations[${index}]`;
    if (type === undefined) {
      errors.push(forbiddenField(`${at}.rule`, 'there is nothing here that a rule could see: give the schema a type'));
      continue;
    }
    const rule = compileRule(types, type, source, at, uncorrelated, errors);
    if (rule) rules.push(rule);
  }
  const properties = new Map<string, RuledNode>();
  const below = uncorrelated ?? (node.atomicMap ? path : undefined);
  for (const [key, each] of node.properties) {
    const inner = compileNode(
      types,
      each,
      `${name}.${key}`,
      `${path}.properties[${key}]`,
      each.embedded,
      below,
      errors,
    );
    if (inner) properties.set(key, inner);
  }
  const { additional, items } = node;
  const inItems = uncorrelated ?? (node.listType === 'map' ? undefined : path);
  return {
    node,
    type: type ?? { name: 'dyn', toCel: value => value },
    rules,
    properties,
    additional:
      typeof additional === 'object'
        ? compileNode(
            types,
            additional,
            `${name}.values`,
            `${path}.additionalProperties`,
            additional.embedded,
            uncorrelated,
            errors,
          )
        : undefined,
    items: items && compileNode(types, items, `${name}.items`, `${path}.items`, items.embedded, inItems, errors),
  };
}

function compileRule(
  types: CelTypes,
  type: CelType,
  source: ValidationRule,
  at: string,
  uncorrelated: string | undefined,
  errors: FieldError[],
): CompiledRule | undefined {
  const environment = types.environmentOf(type, source.optionalOldSelf === true);
  let expression: Expression;
  let message: Expression | undefined;
  try {
    expression = compile(environment, source.rule.trim(), ['bool']);
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    errors.push(invalidValue(`${at}.rule`, source, error.message));
    return undefined;
  }
  if (source.messageExpression) {
    try {
      message = compile(environment, source.messageExpression.trim(), ['string']);
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      errors.push(invalidValue(`${at}.messageExpression`, source, `messageExpression ${error.message}`));
      return undefined;
    }
  }
  const transition = expression.variables.has('oldSelf');
  if (transition && uncorrelated !== undefined) {
    errors.push(
      invalidValue(
        `${at}.rule`,
        source.rule,
        `oldSelf cannot be used on the uncorrelatable portion of the schema within ${uncorrelated}`,
      ),
    );
  }
  if (!transition && source.optionalOldSelf !== undefined) {
    errors.push(
      invalidValue(`${at}.optionalOldSelf`, source.optionalOldSelf, 'may not be set if oldSelf is not used in rule'),
    );
  }
  return { source, expression, message, transition };
}

function ruleSet(root: RuledNode): RuleSet {
  return {
    check(object, old, errors) {
      const budget = new Budget();
      checkNode(root, object, old, '', { budget, errors });
    },
  };
}

interface Run {
  readonly budget: Budget;
  readonly errors: FieldError[];
}

function checkNode(ruled: RuledNode, value: unknown, old: unknown, path: string, run: Run): void {
  if (value === undefined || value === null || run.budget.spent || run.errors.length >= maxFieldErrors) return;
  if (ruled.rules.length > 0) checkRules(ruled, value, old, path, run);
  if (Array.isArray(value)) {
    if (!ruled.items) return;
    const before = ruled.node.listType === 'map' && Array.isArray(old) ? byMapKey(ruled.node, old) : undefined;
    for (let i = 0; i < value.length; i++) {
      const key = before && mapKeyOf(ruled.node, value[i]);
      checkNode(ruled.items, value[i], key === undefined ? undefined : before?.get(key), itemPath(path, i), run);
    }
    return;
  }
  if (!isObject(value)) return;
  const before = isObject(old) ? old : undefined;
  const memberBefore = (name: string) =>
    before !== undefined && Object.hasOwn(before, name) ? before[name] : undefined;
  for (const [name, inner] of ruled.properties) {
    if (Object.hasOwn(value, name)) checkNode(inner, value[name], memberBefore(name), memberPath(path, name), run);
  }
  if (!ruled.additional) return;
  for (const name of Object.keys(value)) {
    if (!ruled.node.properties.has(name))
      checkNode(ruled.additional, value[name], memberBefore(name), memberPath(path, name), run);
  }
}

function checkRules(ruled: RuledNode, value: unknown, old: unknown, path: string, run: Run): void {
  const known = old !== undefined && old !== null;
  const unchanged = known && sameJson(value, old);
  let self: unknown;
  let oldSelf: unknown;
  for (const rule of ruled.rules) {
    if (rule.transition ? !known && !rule.source.optionalOldSelf : unchanged) continue;
    self ??= ruled.type.toCel(value);
    if (known) oldSelf ??= ruled.type.toCel(old);
    const before = rule.source.optionalOldSelf ? (known ? Optional.of(oldSelf) : Optional.none()) : oldSelf;
    const variables = rule.transition ? { self, oldSelf: before } : { self };
    const failure = failureOf(rule, variables, run.budget);
    if (failure !== undefined) run.errors.push(ruleError(rule, failure, value, path));
    if (run.budget.spent) return;
  }
}

/** The message; undefined when the rule holds. */
function failureOf(
  { source, expression, message }: CompiledRule,
  variables: Record<string, unknown>,
  budget: Budget,
): string | undefined {
  let holds: unknown;
  try {
    holds = expression.evaluate(variables, budget);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    return `rule evaluation error: ${error.message}`;
  }
  if (holds === true) return undefined;
  if (typeof holds !== 'boolean') return `rule evaluation error: the rule is no true or false: ${source.rule}`;
  const fixed = source.message?.trim() || `failed rule: ${source.rule.trim()}`;
  if (!message) return fixed;
  try {
    const text = message.evaluate(variables, budget);
    // A message that would be misread is no message.
    return typeof text === 'string' && text.trim() !== '' && !/[\n\r]/.test(text) && text.length <= 5_000
      ? text.trim()
      : fixed;
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    return fixed;
  }
}

function ruleError({ source }: CompiledRule, message: string, value: unknown, path: string): FieldError {
  const field = source.fieldPath
    ? `${path}${path === '' ? source.fieldPath.replace(/^\./, '') : source.fieldPath}`
    : path;
  const type = (source.reason ?? 'FieldValueInvalid') as CauseType;
  switch (type) {
    case 'FieldValueRequired':
      return fieldError(field, type, `Required value: ${message}`);
    case 'FieldValueForbidden':
      return fieldError(field, type, `Forbidden: ${message}`);
    case 'FieldValueDuplicate':
      return fieldError(field, type, `Duplicate value: ${valueText(value)}: ${message}`);
    default:
      return fieldError(field, 'FieldValueInvalid', `Invalid value: ${valueText(value)}: ${message}`);
  }
}

/** Objects and lists are named by their type alone. */
const valueText = (value: unknown): string => (typeof value === 'object' ? shown(jsonTypeOf(value)) : shown(value));
