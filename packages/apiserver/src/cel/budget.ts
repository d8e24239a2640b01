/**
 * Bounds what evaluating an expression may cost: every step of the evaluation takes from a budget, and so does what a step makes (text,
 * lists). A rule that would not end in reasonable time fails instead of holding the server.
 *
 * Units are steps, of the order of upstream's cost units: 1,000,000 for one expression, 10,000,000 for one object
 * (apiserver `apis/cel`, PerCallLimit and RuntimeCELCostBudget). The engine has no hook of its own for this, so the nodes of a parsed
 * expression are wrapped; its version is pinned, and `expression.test.ts` fails when a later one is built differently.
 */

export const callBudget = 1_000_000;
const objectBudget = 10_000_000;

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

interface Node {
  readonly op: string;
  readonly args: unknown;
  readonly meta?: { alternate?: unknown; macro?: unknown };
  evaluate(...args: unknown[]): unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).evaluate === 'function' && 'op' in value;

/** Wraps every node below, once. Before the first evaluation. */
export function metered(root: unknown, meter: Meter): void {
  const seen = new Set<unknown>();
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (isNode(value)) {
      visit(value.args);
      visit(value.meta?.alternate);
      visit(value.meta?.macro);
      wrap(value, meter);
    } else if (Array.isArray(value)) value.forEach(visit);
    else if (Object.getPrototypeOf(value) === Object.prototype) Object.values(value).forEach(visit);
  };
  visit(root);
}

function wrap(node: Node, meter: Meter): void {
  // A node replaces its own `evaluate` on first use; the wrapper stays around whatever it becomes.
  let inner = node.evaluate;
  const makes = node.op === 'call' || node.op === 'rcall' || node.op === '+' || node.op === 'list';
  function evaluate(this: unknown, ...args: unknown[]): unknown {
    meter.left -= 1;
    if (meter.left < 0) throw new BudgetExceeded('the expression takes too many steps');
    const result = inner.apply(node, args);
    if (makes && (typeof result === 'string' || Array.isArray(result))) meter.left -= result.length >> 4;
    return result;
  }
  Object.defineProperty(node, 'evaluate', {
    get: () => evaluate,
    set: value => {
      inner = value;
    },
  });
}
