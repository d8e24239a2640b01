/**
 * A CEL expression, compiled once: parsed, checked against the declared types, metered. What the engine is, and what it lacks, stays
 * behind this file.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { type Budget, callBudget, type Meter, metered, paidFrom } from './budget.js';
import { isKeyed, sameValue, united } from './values.js';

export type CelEnvironment = Environment;

/** The expression cannot be used; the message says why and where. */
export class CompileError extends Error {}

/** It could not be evaluated: an absent key, a division by zero, the budget. */
export class EvaluationError extends Error {
  /**
   * @param exceeded `budget`: what all expressions of the write have together is spent; `call`: this one alone takes more than one may.
   *   Nothing more is evaluated after either.
   */
  constructor(
    message: string,
    readonly exceeded?: 'budget' | 'call',
  ) {
    super(message);
  }
}

export interface Expression {
  readonly text: string;
  /** `bool`, `string`, `int`, `list<string>`, or `dyn` when only the value tells. */
  readonly type: string;
  /** Variables that it speaks of. */
  readonly variables: ReadonlySet<string>;
  /** For whoever estimates what it may cost; see cost-estimate.ts. */
  readonly ast: unknown;
  /** @throws EvaluationError */
  evaluate(variables: Readonly<Record<string, unknown>>, budget: Budget): unknown;
}

/** apiserver's and cel-go's own words. */
const budgetText = 'validation failed due to running out of cost budget, no further validation rules will be run';
const callText = 'operation cancelled: actual cost limit exceeded';

/** Length of an expression. */
const maxText = 16_384;

/** @param wanted Types that the result may have. Default: any. @throws CompileError */
export function compile(environment: CelEnvironment, text: string, wanted?: readonly string[]): Expression {
  if (text.length > maxText) throw new CompileError(`the expression is longer than ${maxText} characters`);
  let parsed: ReturnType<CelEnvironment['parse']>;
  try {
    parsed = environment.parse(text);
  } catch (error) {
    throw new CompileError(`compilation failed: ${located(error, text)}`);
  }
  const useLinearMatches = parsed.ast;
  renameMatches(useLinearMatches);
  const checked = parsed.check();
  if (!checked.valid) throw new CompileError(`compilation failed: ${located(checked.error, text)}`);
  const type = checked.type ?? 'dyn';
  if (type !== 'dyn' && wanted && !wanted.includes(type)) {
    throw new CompileError(`must evaluate to ${wanted.join(' or ')}, but evaluates to ${type}`);
  }
  compareKeyedLists(parsed.ast);
  const meter: Meter = { left: 0 };
  metered(parsed.ast, meter);
  return {
    text,
    type,
    variables: variablesOf(parsed.ast),
    ast: parsed.ast,
    evaluate(variables, budget) {
      const start = Math.min(callBudget, budget.left);
      meter.left = start;
      let value: unknown;
      let failure: unknown;
      try {
        value = paidFrom(meter, () => parsed(variables as Record<string, unknown>));
      } catch (error) {
        failure = error;
      }
      const exceeded = meter.left < 0;
      const shared = start < callBudget;
      budget.left -= start - meter.left;
      if (exceeded) {
        budget.left = -1;
        throw shared ? new EvaluationError(budgetText, 'budget') : new EvaluationError(callText, 'call');
      }
      if (failure !== undefined) throw new EvaluationError(summaryOf(failure));
      return value;
    },
  };
}

function summaryOf(error: unknown): string {
  const summary = (error as { summary?: unknown }).summary;
  const message = error instanceof Error ? error.message : String(error);
  const text = typeof summary === 'string' ? summary : message.split('\n')[0]!;
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** `ERROR: <input>:1:6: no such key: foo`, the expression, and a caret below the place, as cel-go writes it. */
function located(error: unknown, text: string): string {
  const range = (error as { range?: { start: number } }).range;
  const start = Math.min(range?.start ?? 0, text.length);
  const before = text.slice(0, start).split('\n');
  const line = text.split('\n')[before.length - 1] ?? '';
  const column = before.at(-1)!.length;
  const summary = summaryOf(error).replace(/^no such key: (.*)$/, "undefined field '$1'");
  return `ERROR: <input>:${before.length}:${column + 1}: ${summary}\n | ${line}\n | ${'.'.repeat(column)}^`;
}

interface AnyNode {
  readonly op: string;
  args: unknown;
  readonly meta?: { alternate?: unknown; macro?: unknown };
}

function* nodesOf(value: unknown, seen = new Set<unknown>()): Generator<AnyNode> {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  if (Array.isArray(value)) {
    for (const each of value) yield* nodesOf(each, seen);
  } else if ('op' in value && 'args' in value) {
    yield value as AnyNode;
    yield* nodesOf((value as AnyNode).args, seen);
    yield* nodesOf((value as AnyNode).meta?.alternate, seen);
    yield* nodesOf((value as AnyNode).meta?.macro, seen);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const each of Object.values(value)) yield* nodesOf(each, seen);
  }
}

/** The engine's own `matches` is JavaScript's, which some patterns make take forever; ours is RE2 (functions/regex.ts). */
function renameMatches(ast: unknown): void {
  for (const node of nodesOf(ast)) {
    if ((node.op === 'rcall' || node.op === 'call') && Array.isArray(node.args) && node.args[0] === 'matches') {
      node.args[0] = linearMatches;
    }
  }
}

export const linearMatches = 'matchesInLinearTime';

type Handle = (left: unknown, right: unknown, ...more: unknown[]) => unknown;

/** Equality and `+` of lists that have no order are ours (values.ts); a checked node of the engine keeps what it does in `handle`. */
function compareKeyedLists(ast: unknown): void {
  for (const node of nodesOf(ast)) {
    const ours = ofKeyedLists[node.op];
    const { handle } = node as { handle?: Handle };
    if (ours === undefined || handle === undefined) continue;
    (node as { handle?: Handle }).handle = (left, right, ...more) =>
      isKeyed(left) ? ours(left, right) : handle(left, right, ...more);
  }
}

const ofKeyedLists: Readonly<Record<string, (left: unknown, right: unknown) => unknown>> = {
  '==': sameValue,
  '!=': (left, right) => !sameValue(left, right),
  '+': (left, right) => united(left as unknown[], right as unknown[]),
};

function variablesOf(ast: unknown): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { op, args } of nodesOf(ast)) if (op === 'id' && typeof args === 'string') names.add(args);
  return names;
}
