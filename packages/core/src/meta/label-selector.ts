/**
 * Label selectors: the string form of queries (`app=web,tier in (a,b),!legacy`) and the object form of specs, both compiled
 * to one thing that matches labels and prints itself in Kubernetes' normal form (sorted by key, values sorted).
 *
 * - `!=` and `notin` also match objects without the label.
 * - In the object form nothing (undefined) selects nothing and an empty selector selects everything.
 *
 * Grammar and semantics: apimachinery `pkg/labels` and `metav1.LabelSelectorAsSelector`.
 */
import { badRequest } from '../errors/status-error.js';
import { labelValueProblem, qualifiedNameProblem } from './names.js';
import type { LabelSelector } from './object.js';

/** `exists` and `!` ask for the key alone; `>` and `<` compare whole numbers. */
export type LabelOperator = '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!' | '>' | '<';

/** One term. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Sorted; empty for `exists` and `!`. */
  readonly values: readonly string[];
}

/** Of an object. */
export type Labels = Readonly<Record<string, string>>;

/** A selector that was read. An object without labels has the empty ones. */
export interface ParsedLabelSelector {
  /** In order of key. */
  readonly requirements: readonly LabelRequirement[];
  /** Whether it selects every object. */
  readonly everything: boolean;
  matches(labels: Labels | undefined): boolean;
  /** Normal form; empty when everything is selected. */
  toString(): string;
}

const integer = /^[+-]?\d{1,19}$/;

function requirementMatches({ key, operator, values }: LabelRequirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case '=':
    case '==':
    case 'in':
      return value !== undefined && values.includes(value);
    case '!=':
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case '!':
      return value === undefined;
    case '>':
    case '<': {
      if (value === undefined || !integer.test(value)) return false;
      const [left, right] = [BigInt(value), BigInt(values[0]!)];
      return operator === '>' ? left > right : left < right;
    }
  }
}

function print({ key, operator, values }: LabelRequirement): string {
  switch (operator) {
    case 'exists':
      return key;
    case '!':
      return `!${key}`;
    case 'in':
    case 'notin':
      return `${key} ${operator} (${values.join(',')})`;
    default:
      return `${key}${operator}${values[0] ?? ''}`;
  }
}

function compile(requirements: LabelRequirement[]): ParsedLabelSelector {
  requirements.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return {
    requirements,
    everything: requirements.length === 0,
    matches: (labels = {}) => requirements.every(requirement => requirementMatches(requirement, labels)),
    toString: () => requirements.map(print).join(','),
  };
}

/** Selects every object. */
export const everyLabel: ParsedLabelSelector = Object.freeze(compile([]));
/** Selects no object. */
export const noLabel: ParsedLabelSelector = Object.freeze({
  requirements: [],
  everything: false,
  matches: () => false,
  toString: () => '',
});

function requirement(key: string, operator: LabelOperator, values: readonly string[]): LabelRequirement {
  const keyProblem = qualifiedNameProblem(key);
  if (keyProblem) throw badRequest(`unable to parse requirement: key: Invalid value: "${key}": ${keyProblem}`);
  if (operator === '>' || operator === '<') {
    const bound = values[0] ?? '';
    if (values.length !== 1 || !integer.test(bound)) {
      throw badRequest(
        `unable to parse requirement: values[0]: Invalid value: "${bound}": for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    }
  } else {
    for (const [index, value] of values.entries()) {
      const problem = labelValueProblem(value);
      if (problem)
        throw badRequest(
          `unable to parse requirement: values[${index}][${key}]: Invalid value: "${value}": ${problem}`,
        );
    }
  }
  return { key, operator, values: [...values].sort() };
}

// A word is anything up to a sign or white space; the parser decides whether `in` is an operator or a name.
const token = /\s*(?:(==|!=|=|!|<|>|\(|\)|,)|([^\s=!<>(),]+))/y;

/**
 * The string form, as in `kubectl get -l`. An empty text selects everything.
 * @throws StatusError BadRequest that says what was not understood.
 */
export function parseLabelSelector(text: string): ParsedLabelSelector {
  const tokens: string[] = [];
  token.lastIndex = 0;
  const end = text.trimEnd().length;
  while (token.lastIndex < end) {
    const match = token.exec(text);
    if (!match) throw badRequest(`unable to parse requirement: unexpected text in "${text}"`);
    tokens.push(match[1] ?? match[2]!);
  }

  const requirements: LabelRequirement[] = [];
  let at = 0;
  const fail = (expected: string): never => {
    const found = tokens[at] === undefined ? 'the end' : `'${tokens[at]}'`;
    throw badRequest(`unable to parse requirement: found ${found}, expected: ${expected}`);
  };
  const isSign = (word: string | undefined) => word === undefined || /^(==|!=|[=!<>(),])$/.test(word);
  const word = (expected: string): string => (isSign(tokens[at]) ? fail(expected) : tokens[at++]!);

  function list(): string[] {
    if (tokens[at] !== '(') fail("'('");
    at += 1;
    const values: string[] = [];
    for (;;) {
      // An element may be empty: `in ()` and `in (a,)` contain the empty value.
      values.push(tokens[at] === ',' || tokens[at] === ')' ? '' : word('identifier'));
      if (tokens[at] === ')') break;
      if (tokens[at] !== ',') fail("',' or ')'");
      at += 1;
    }
    at += 1;
    return [...new Set(values)];
  }

  while (at < tokens.length) {
    if (tokens[at] === '!') {
      at += 1;
      requirements.push(requirement(word('identifier'), '!', []));
    } else {
      const key = word('!, identifier');
      const operator = tokens[at];
      if (operator === undefined || operator === ',') requirements.push(requirement(key, 'exists', []));
      else if (operator === 'in' || operator === 'notin') {
        at += 1;
        requirements.push(requirement(key, operator, list()));
      } else if (operator === '=' || operator === '==' || operator === '!=' || operator === '<' || operator === '>') {
        at += 1;
        const value = tokens[at] === undefined || tokens[at] === ',' ? '' : word('identifier');
        requirements.push(requirement(key, operator, [value]));
      } else fail('in, notin, =, ==, !=, <, >');
    }
    if (at < tokens.length) {
      if (tokens[at] !== ',') fail("',' or the end");
      at += 1;
      if (at === tokens.length) fail('identifier after ","');
    }
  }
  return compile(requirements);
}

const operators: Readonly<Record<string, LabelOperator>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
};

/**
 * The object form of specs: `{ matchLabels, matchExpressions }`. Undefined selects nothing, `{}` everything.
 * @throws StatusError BadRequest for an unknown operator or wrong values.
 */
export function labelSelectorOf(selector: LabelSelector | undefined): ParsedLabelSelector {
  if (selector === undefined) return noLabel;
  const requirements = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => requirement(key, '=', [value]));
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const known = operators[operator];
    if (!known) throw badRequest(`"${operator}" is not a valid label selector operator`);
    const takesValues = known === 'in' || known === 'notin';
    if (takesValues !== values.length > 0) {
      throw badRequest(
        takesValues
          ? `values: Invalid value: for 'in', 'notin' operators, values set can't be empty (key "${key}")`
          : `values: Invalid value: values set must be empty for exists and does not exist (key "${key}")`,
      );
    }
    requirements.push(requirement(key, known, values));
  }
  return compile(requirements);
}

/** The selector of exactly these labels, as Services and ReplicationControllers write it. */
export function labelSet(labels: Labels): ParsedLabelSelector {
  return labelSelectorOf({ matchLabels: { ...labels } });
}

/** The object form as a query: `app=web,tier in (a,b)`. */
export function formatLabelSelector(selector: LabelSelector): string {
  return labelSelectorOf(selector).toString();
}
