/**
 * What an expression may cost at worst, told from its text and from bounds of what its variables hold, before it ever runs. Bounds are upper:
 * an estimate is never below what the meter of budget.ts would count for values within them, but may be far above it.
 *
 * Units and model: cel-go `checker/cost.go` (names 1, lists 10, maps 30, a tenth for each character that is looked at, a body times the
 * size of its range) and apiserver `cel/library/cost.go` (v0.33). Numbers differ from upstream's in the last places, not in their order.
 */

/** What a value may be at most. */
export interface Bound {
  /** Characters, elements, entries; 1 for what has no size. */
  readonly size: number;
  /** Of a list's elements, of a map's values. */
  readonly element?: Bound | undefined;
  /** Of an object's members. */
  readonly field?: ((name: string) => Bound | undefined) | undefined;
  readonly isMap?: boolean;
}

/** A request is not longer than this (apiserver `apis/cel` MaxRequestSizeBytes), and so is nothing in it. */
export const maxRequestBytes = 3 << 20;

const scalar: Bound = { size: 1 };
const unknown: Bound = { size: maxRequestBytes };
const text = (size: number): Bound => ({ size });

interface Node {
  readonly op: string;
  readonly args: any;
}

interface Estimate {
  readonly cost: number;
  readonly bound: Bound;
}

type Scope = ReadonlyMap<string, Bound>;

/** Steps at most. */
export function estimatedCost(ast: unknown, variables: Scope): number {
  return estimate(ast as Node, variables).cost;
}

const tenth = (size: number): number => Math.ceil(size * 0.1);

function estimate(node: Node, scope: Scope): Estimate {
  const { op, args } = node;
  switch (op) {
    case 'value':
      return { cost: 0, bound: typeof args === 'string' ? text([...args].length) : scalar };
    case 'id':
      return { cost: 1, bound: scope.get(args as string) ?? unknown };
    case '.':
    case '.?': {
      const of = estimate(args[0], scope);
      return { cost: of.cost + 1, bound: member(of.bound, args[1] as string) };
    }
    case '[]':
    case '[?]': {
      const [of, at] = [estimate(args[0], scope), estimate(args[1], scope)];
      const name: unknown = args[1].op === 'value' ? args[1].args : undefined;
      const bound = typeof name === 'string' ? member(of.bound, name) : (of.bound.element ?? unknown);
      return { cost: of.cost + at.cost + 1, bound };
    }
    case 'list': {
      const all = (args as Node[]).map(each => estimate(each, scope));
      return { cost: 10 + sum(all), bound: { size: all.length, element: widest(all.map(each => each.bound)) } };
    }
    case 'map': {
      const all = (args as [Node, Node][]).map(
        ([key, value]) => [estimate(key, scope), estimate(value, scope)] as const,
      );
      return {
        cost: 30 + sum(all.flat()),
        bound: { size: all.length, isMap: true, element: widest(all.map(([, value]) => value.bound)) },
      };
    }
    case '?:': {
      const [condition, yes, no] = (args as Node[]).map(each => estimate(each, scope)) as [
        Estimate,
        Estimate,
        Estimate,
      ];
      return { cost: condition.cost + Math.max(yes.cost, no.cost), bound: widest([yes.bound, no.bound])! };
    }
    case '||':
    case '&&':
      return { cost: sum((args as Node[]).map(each => estimate(each, scope))), bound: scalar };
    case '!_':
    case '-_':
      return { cost: 1 + estimate(args as Node, scope).cost, bound: scalar };
    case 'call':
    case 'rcall':
      return callEstimate(node, scope);
    default:
      return Array.isArray(args) ? operatorEstimate(op, args as Node[], scope) : { cost: 1, bound: unknown };
  }
}

function member({ field, element, isMap }: Bound, name: string): Bound {
  return field?.(name) ?? (isMap ? element : undefined) ?? unknown;
}

const sum = (all: readonly Estimate[]): number => all.reduce((total, each) => total + each.cost, 0);

function widest(bounds: readonly Bound[]): Bound | undefined {
  return bounds.reduce<Bound | undefined>((most, each) => (most && most.size >= each.size ? most : each), undefined);
}

function operatorEstimate(op: string, args: readonly Node[], scope: Scope): Estimate {
  const all = args.map(each => estimate(each, scope));
  const [left, right] = all as [Estimate, Estimate];
  const cost = sum(all);
  if (op === 'in') return { cost: cost + (right.bound.isMap ? 1 : Math.max(1, right.bound.size)), bound: scalar };
  if (op === '+') {
    const size = left.bound.size + right.bound.size;
    return { cost: cost + Math.max(1, tenth(size)), bound: { ...left.bound, size } };
  }
  // What compares stops where the shorter one ends.
  return { cost: cost + Math.max(1, tenth(Math.min(left.bound.size, right.bound.size))), bound: scalar };
}

/** How much an iteration costs beside its body, and what the whole makes of range and body. */
const iterations: Readonly<Record<string, { each: number; bound(range: Bound, body: Bound): Bound }>> = {
  all: { each: 3, bound: () => scalar },
  exists: { each: 4, bound: () => scalar },
  exists_one: { each: 3, bound: () => scalar },
  existsOne: { each: 3, bound: () => scalar },
  filter: { each: 13, bound: range => ({ size: range.size, element: range.isMap ? unknown : range.element }) },
  map: { each: 12, bound: (range, body) => ({ size: range.size, element: body }) },
  transformList: { each: 12, bound: (range, body) => ({ size: range.size, element: body }) },
  transformMap: { each: 32, bound: (range, body) => ({ size: range.size, element: body, isMap: true }) },
  transformMapEntry: { each: 32, bound: (range, body) => ({ size: range.size, element: body.element, isMap: true }) },
};

function callEstimate({ op, args }: Node, scope: Scope): Estimate {
  const name = args[0] as string;
  const receiver: Node | undefined = op === 'rcall' ? args[1] : undefined;
  const given: Node[] = (op === 'rcall' ? args[2] : args[1]) ?? [];
  const iteration = receiver && Object.hasOwn(iterations, name) && given.length > 1 ? iterations[name]! : undefined;
  if (receiver && iteration) return iterationEstimate(iteration, name, receiver, given, scope);
  if (receiver && (name === 'optMap' || name === 'optFlatMap') && given[0]?.op === 'id') {
    const of = estimate(receiver, scope);
    const body = estimate(given[1]!, new Map([...scope, [given[0].args as string, of.bound]]));
    return { cost: 1 + of.cost + body.cost, bound: body.bound };
  }
  if (receiver && name === 'bind' && given[0]?.op === 'id' && given.length === 3) {
    const bound = estimate(given[1]!, scope);
    const body = estimate(given[2]!, new Map([...scope, [given[0].args as string, bound.bound]]));
    return { cost: 1 + bound.cost + body.cost, bound: body.bound };
  }
  const all = [...(receiver ? [receiver] : []), ...given].map(each => estimate(each, scope));
  const made = functionEstimate(
    name,
    all[0]?.bound ?? scalar,
    all.slice(1).map(each => each.bound),
    receiver !== undefined,
  );
  return { cost: sum(all) + made.cost, bound: made.bound };
}

function iterationEstimate(
  { each, bound }: (typeof iterations)[string],
  name: string,
  receiver: Node,
  given: readonly Node[],
  scope: Scope,
): Estimate {
  const range = estimate(receiver, scope);
  const element = range.bound.element ?? unknown;
  // `map` has a filter before its body, not a second variable.
  const two = given.length > 2 && name !== 'map' && given[1]?.op === 'id';
  const inner = new Map(scope);
  if (two) {
    inner.set(String(given[0]!.args), range.bound.isMap ? unknown : scalar);
    inner.set(String(given[1]!.args), element);
  } else inner.set(String(given[0]!.args), range.bound.isMap ? unknown : element);
  const bodies = given.slice(two ? 2 : 1).map(body => estimate(body, inner));
  return {
    cost: range.cost + 2 + range.bound.size * (each + sum(bodies)),
    bound: bound(range.bound, bodies.at(-1)!.bound),
  };
}

/** @param of The receiver, or the first argument. */
function functionEstimate(name: string, of: Bound, more: readonly Bound[], isMethod: boolean): Estimate {
  const [first] = more;
  switch (name) {
    case 'check':
      return { cost: 350_000, bound: scalar };
    case 'has':
    case 'size':
      return { cost: 1, bound: scalar };
    case 'matches':
      return { cost: 1 + tenth(of.size + 1) * Math.ceil((first?.size ?? 1) * 0.25), bound: scalar };
    case 'find':
    case 'findAll': {
      const cost = 1 + tenth(of.size + 1) * Math.ceil((first?.size ?? 1) * 0.25);
      return { cost, bound: name === 'find' ? text(of.size) : { size: of.size, element: text(of.size) } };
    }
    case 'contains':
      if (isMethod && first && of.element === undefined)
        return { cost: 1 + tenth(of.size) * Math.max(1, tenth(first.size)), bound: scalar };
      return { cost: 1 + of.size * (first?.size ?? 1), bound: scalar };
    case 'equivalent':
    case 'intersects':
      // Two lists, beside the namespace `sets`.
      return { cost: 1 + (more[0]?.size ?? 1) * (more[1]?.size ?? 1), bound: scalar };
    case 'startsWith':
    case 'endsWith':
      return { cost: 1 + tenth(first?.size ?? 1), bound: scalar };
    case 'lowerAscii':
    case 'upperAscii':
    case 'trim':
    case 'substring':
    case 'reverse':
      return { cost: 1 + tenth(of.size), bound: text(of.size) };
    case 'replace':
      return { cost: 1 + 2 * tenth(of.size), bound: text((of.size + 1) * Math.max(1, more[1]?.size ?? 1)) };
    case 'split':
      return { cost: 1 + 2 * tenth(of.size), bound: { size: of.size + 1, element: text(of.size) } };
    case 'join': {
      const size = of.size * ((of.element?.size ?? maxRequestBytes) + (first?.size ?? 0));
      return { cost: 1 + tenth(size), bound: text(size) };
    }
    case 'isSorted':
    case 'sum':
    case 'min':
    case 'max':
    case 'indexOf':
    case 'lastIndexOf': {
      if (of.element === undefined) return { cost: 1 + tenth(of.size), bound: scalar };
      return { cost: 1 + of.size * (1 + tenth(of.element.size)), bound: of.element };
    }
    case 'format':
      return { cost: 1 + tenth(of.size), bound: text(of.size + (first?.size ?? 1) * (first?.element?.size ?? 1)) };
    case 'string':
    case 'quote':
      return { cost: 1 + tenth(of.size), bound: text(Math.max(of.size, 64)) };
    case 'orValue':
    case 'or':
      return { cost: 1, bound: widest([of, ...more])! };
    case 'value':
      return { cost: 1, bound: of };
    case 'first':
    case 'last':
      return { cost: 1, bound: of.element ?? unknown };
    case 'containsIP':
    case 'containsCIDR':
      return { cost: 5 + tenth(first?.size ?? 1), bound: scalar };
    case 'bytes':
    case 'dyn':
      return { cost: 1 + tenth(of.size), bound: of };
    case 'getHost':
    case 'getHostname':
    case 'getScheme':
    case 'getPort':
    case 'getEscapedPath':
      return { cost: 1, bound: text(of.size) };
    case 'getQuery':
      return { cost: 1, bound: { size: of.size, isMap: true, element: { size: of.size, element: text(of.size) } } };
    case 'url':
      return { cost: 1 + tenth(of.size), bound: text(of.size) };
    default:
      // Parsers go through their text once; what they make has no size.
      return { cost: 1 + tenth(of.size), bound: scalar };
  }
}
