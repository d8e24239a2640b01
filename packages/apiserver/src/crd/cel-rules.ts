/**
 * `x-kubernetes-validations`: the rules of a schema, compiled when the definition is written, evaluated on every write.
 *
 * - A rule that speaks of `oldSelf` is a transition rule: it holds between two states, so it runs on updates only, where the old value can be
 *   told (not within lists that are not of type map); with `optionalOldSelf` it runs always and asks `oldSelf.hasValue()`.
 * - Other rules do not judge again what has not changed.
 * - The text of a failure is the rule's messageExpression, else its message, else `failed rule: …`; reason and fieldPath are the rule's.
 * - All rules of one object share a budget (cel/budget.ts); when it is spent the write is refused. What rules may cost at worst is judged when
 *   the definition is written (rule-costs.ts).
 * Source: apiextensions-apiserver `schema/cel` (v0.33).
 */
import { Optional } from '@marcbachmann/cel-js';
import type { apiextensionsv1, CauseType, FieldError } from '@orbitkit/core';
import { Budget } from '../cel/budget.js';
import { CompileError, compile, EvaluationError, type Expression } from '../cel/expression.js';
import { sameJson } from '../registry/json-value.js';
import { type CelType, CelTypes } from './cel-types.js';
import { type Cardinality, withinItems, withinValues } from './cost-bounds.js';
import { fieldError, forbiddenField, invalidValue, jsonTypeOf, maxFieldErrors, shown } from './field-errors.js';
import type { RuleCosts } from './rule-costs.js';
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

/**
 * @param path Of the schema in its definition: `spec.versions[0].schema.openAPIV3Schema`.
 * @param costs Judges what the rules may cost: for a definition that is written.
 */
export function compileRules(root: Structural, path: string, costs?: RuleCosts): CompiledRules {
  if (!hasRules(root)) return { rules: undefined, errors: [] };
  const types = new CelTypes();
  // All types first: an environment that was copied takes no more.
  types.typeOf(root, 'object', true);
  const errors: FieldError[] = [];
  const compiling: Compiling = { types, errors, costs };
  const compiled = compileNode(compiling, root, 'object', path, true, undefined, 1);
  if (costs && errors.length === 0) errors.push(...costs.total(path));
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

interface Compiling {
  readonly types: CelTypes;
  readonly errors: FieldError[];
  readonly costs: RuleCosts | undefined;
}

function compileNode(
  compiling: Compiling,
  node: Structural,
  name: string,
  path: string,
  isResource: boolean,
  /** The place from which on old and new values cannot be told apart. */
  uncorrelated: string | undefined,
  cardinality: Cardinality,
): RuledNode | undefined {
  if (!hasRules(node)) return undefined;
  const { types, errors, costs } = compiling;
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
    if (!rule) continue;
    rules.push(rule);
    const { expression, message } = rule;
    if (costs) errors.push(...costs.observe(node, isResource, cardinality, { path: at, expression, message }));
  }
  const properties = new Map<string, RuledNode>();
  const below = uncorrelated ?? (node.atomicMap ? path : undefined);
  for (const [key, each] of node.properties) {
    const at = `${path}.properties[${key}]`;
    const inner = compileNode(compiling, each, `${name}.${key}`, at, each.embedded, below, cardinality);
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
            compiling,
            additional,
            `${name}.values`,
            `${path}.additionalProperties`,
            additional.embedded,
            uncorrelated,
            withinValues(node, cardinality),
          )
        : undefined,
    items:
      items &&
      compileNode(
        compiling,
        items,
        `${name}.items`,
        `${path}.items`,
        items.embedded,
        inItems,
        withinItems(node, cardinality),
      ),
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
    if (failure !== undefined) run.errors.push(ruleError(rule, failure, ruled.node, value, path));
    if (run.budget.spent) return;
  }
}

interface Failure {
  readonly text: string;
  /** The rule was judged: its reason and field count. */
  readonly judged: boolean;
}

const failed = (text: string): Failure => ({ text, judged: false });

/** Undefined when the rule holds. */
function failureOf(
  { source, expression, message }: CompiledRule,
  variables: Record<string, unknown>,
  budget: Budget,
): Failure | undefined {
  const told = source.message?.trim() || source.rule.trim();
  let holds: unknown;
  try {
    holds = expression.evaluate(variables, budget);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    if (error.exceeded === 'budget') return failed(error.message);
    if (error.exceeded === 'call') {
      return failed(
        `'${error.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${told}`,
      );
    }
    if (error.message.startsWith('no such overload')) {
      const why = 'call arguments did not match a supported operator, function or macro signature for rule';
      return failed(`'${error.message}': ${why}: ${told}`);
    }
    return failed(`${error.message} evaluating rule: ${told}`);
  }
  if (holds === true) return undefined;
  if (typeof holds !== 'boolean') return failed(`no such overload evaluating rule: ${told}`);
  const fixed = source.message?.trim() || `failed rule: ${source.rule.trim()}`;
  const broken: Failure = { text: fixed, judged: true };
  if (!message) return broken;
  try {
    const text = message.evaluate(variables, budget);
    // A message that would be misread is no message.
    return typeof text === 'string' && text.trim() !== '' && !/[\n\r]/.test(text.trim()) && text.length <= maxMessage
      ? { text: text.trim(), judged: true }
      : broken;
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    if (error.exceeded === 'budget')
      return failed(
        'messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run',
      );
    if (error.exceeded === 'call') {
      const which = JSON.stringify(source.messageExpression);
      return failed(
        `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${which}`,
      );
    }
    return broken;
  }
}

/** apiserver `apis/cel` MaxEvaluatedMessageExpressionSizeBytes. */
const maxMessage = 5 << 10;

/** The schema's type stands in the place of the value, as in upstream. */
function ruleError(
  { source }: CompiledRule,
  { text, judged }: Failure,
  node: Structural,
  value: unknown,
  path: string,
): FieldError {
  const type = shown(node.type === '' ? jsonTypeOf(value) : node.type);
  const invalid = (field: string): FieldError =>
    fieldError(field, 'FieldValueInvalid', `Invalid value: ${type}: ${text}`);
  if (!judged) return invalid(path);
  const field = source.fieldPath
    ? `${path}${path === '' ? source.fieldPath.replace(/^\./, '') : source.fieldPath}`
    : path;
  switch (source.reason as CauseType | undefined) {
    case 'FieldValueRequired':
      return fieldError(field, 'FieldValueRequired', `Required value: ${text}`);
    case 'FieldValueForbidden':
      return fieldError(field, 'FieldValueForbidden', `Forbidden: ${text}`);
    case 'FieldValueDuplicate':
      return fieldError(field, 'FieldValueDuplicate', `Duplicate value: ${type}`);
    default:
      return invalid(field);
  }
}
