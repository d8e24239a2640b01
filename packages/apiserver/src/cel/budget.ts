/**
 * Bounds what evaluating an expression may cost: every step of the evaluation takes from a budget, and so does what a step makes (text,
 * lists). A rule that would not end in reasonable time fails instead of holding the server.
 *
 * Units are steps, of the order of upstream's cost units: 1,000,000 for one expression, 10,000,000 for one object, 2,500,000 for match
 * conditions (apiserver `apis/cel`: PerCallLimit, RuntimeCELCostBudget, RuntimeCELCostBudgetMatchConditions). Text and lists that an
 * operator or function goes through cost a step for ten characters or elements; functions that do more say so (`spend`).
 * The engine has no hook of its own for this, so the nodes of a parsed expression are wrapped; its version is pinned, and
 * `expression.test.ts` fails when a later one is built differently.
 */

export const callBudget = 1_000_000;
const objectBudget = 10_000_000;
export const conditionsBudget = 2_500_000;

/** Steps for a character that is looked at (cel-go StringTraversalCostFactor). */
const traversal = 0.1;

/** What may still be spent. */
export class Budget {
  constructor(public left: number = objectBudget) {}

  get spent(): boolean {
    return this.left < 0;
  }
}

/** Thrown through the engine, which lets errors of its own only be absorbed by `||` and `&&`: so `spent` is looked at afterwards. */
class BudgetExceeded extends Error {}

export interface Meter {
  left: number;
}

/** Of the expression that is evaluated now; evaluation does not wait, so there is one. */
let active: Meter | undefined;

/** What a function costs beyond its step. */
export function spend(steps: number): void {
  if (active === undefined) return;
  active.left -= Math.ceil(steps);
  if (active.left < 0) throw new BudgetExceeded('the expression takes too many steps');
}

/** What `run` does is paid from this meter. */
export function paidFrom<T>(meter: Meter, run: () => T): T {
  const outer = active;
  active = meter;
  try {
    return run();
  } finally {
    active = outer;
  }
}

interface Node {
  readonly op: string;
  readonly args: unknown;
  readonly meta?: { alternate?: unknown; macro?: unknown };
  evaluate(...args: unknown[]): unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).evaluate === 'function' && 'op' in value;

/** Operators and calls that go through their operands. */
const traversing = new Set(['==', '!=', 'in', '+', 'call', 'rcall']);

function* operandsOf({ op, args }: Node): Generator<unknown> {
  if (!Array.isArray(args)) return;
  const given: unknown[] = op === 'call' || op === 'rcall' ? args.slice(1).flat() : args;
  // A size is known without looking.
  if (args[0] !== 'size') yield* given;
}

/** Wraps every node below, once. Before the first evaluation. */
export function metered(root: unknown, meter: Meter): void {
  const seen = new Set<unknown>();
  const traversed = new Set<unknown>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (isNode(value)) {
      if (traversing.has(value.op)) for (const each of operandsOf(value)) traversed.add(each);
      visit(value.args);
      visit(value.meta?.alternate);
      visit(value.meta?.macro);
      wrap(value, meter, traversed.has(value));
    } else if (Array.isArray(value)) value.forEach(visit);
    else if (Object.getPrototypeOf(value) === Object.prototype) Object.values(value).forEach(visit);
  };
  visit(root);
}

function wrap(node: Node, meter: Meter, traversed: boolean): void {
  // A node replaces its own `evaluate` on first use; the wrapper stays around whatever it becomes.
  let inner = node.evaluate;
  const makes = node.op === 'call' || node.op === 'rcall' || node.op === '+' || node.op === 'list';
  function evaluate(this: unknown, ...args: unknown[]): unknown {
    meter.left -= 1;
    if (meter.left < 0) throw new BudgetExceeded('the expression takes too many steps');
    const result = inner.apply(node, args);
    if (makes || traversed) meter.left -= Math.floor(sizeOf(result) * traversal);
    return result;
  }
  Object.defineProperty(node, 'evaluate', {
    get: () => evaluate,
    set: value => {
      inner = value;
    },
  });
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  return value instanceof Map ? value.size : 0;
}
