/**
 * Macros beyond the engine's own: comprehensions with two variables (index and element of a list, key and value of a map), `existsOne`, and
 * `optMap`, `optFlatMap` of optional values. Source: cel-go `ext/comprehensions` and `cel/library` (optional types).
 *
 * A macro checks its body with the variables that it declares, and evaluates it with them; the nodes below it are metered like all others.
 */
import { Optional } from '@marcbachmann/cel-js';
import type { CelEnvironment } from './expression.js';

/** What the engine's type declarations tell of themselves. */
interface Type {
  readonly kind: string;
  readonly name: string;
  readonly keyType?: Type;
  readonly valueType?: Type;
}

interface Node {
  readonly op: string;
  readonly args: unknown;
}

interface Context {
  forkWithVariable(name: string, type: Type): Context;
  reuse(parent: Context): Context;
  setIterValue(value: unknown, evaluator: Evaluator): Context;
}

interface Checker {
  readonly registry: {
    getListType(of: Type): Type;
    getMapType(key: Type, value: Type): Type;
    getOptionalType(of: Type): Type;
  };
  check(node: Node, context: Context): Type;
  getType(name: string): Type;
  createError(code: string, message: string, node: Node): Error;
}

interface Evaluator {
  run(node: Node, context: Context): unknown;
}

interface Call {
  readonly args: readonly Node[];
  readonly receiver: Node;
}

/** What a macro has once it was read; the engine hands it back to `typeCheck` and `evaluate`. */
interface Macro {
  readonly receiver: Node;
  readonly args: readonly Node[];
  readonly async: false;
  outer?: Context;
  inner?: Context;
  typeCheck(checker: Checker, macro: Macro, context: Context): Type;
  evaluate(evaluator: Evaluator, macro: Macro, context: Context): unknown;
}

function nameOf(node: Node | undefined): string {
  if (node?.op === 'id' && typeof node.args === 'string') return node.args;
  throw new Error('argument must be a simple name');
}

/** Types of index and element, or of key and value. */
function rangeTypes(checker: Checker, node: Node, context: Context): [Type, Type] {
  const range = checker.check(node, context);
  if (range.kind === 'list') return [checker.getType('int'), range.valueType!];
  if (range.kind === 'map') return [range.keyType!, range.valueType!];
  if (range.kind === 'dyn') return [range, range];
  throw checker.createError(
    'invalid_comprehension_range',
    `Expression of type '${range.name}' cannot be range of a comprehension (must be list, map, or dynamic).`,
    node,
  );
}

function entriesOf(range: unknown): Iterable<readonly [unknown, unknown]> {
  if (Array.isArray(range)) return range.map((each, i) => [BigInt(i), each] as const);
  if (range instanceof Map) return range;
  if (typeof range === 'object' && range !== null) return Object.entries(range);
  throw new Error('the range of a comprehension must be a list or a map');
}

const isBool = ({ kind, name }: Type): boolean => kind === 'dyn' || name === 'bool';

interface Shape {
  /** Of the result. */
  type(checker: Checker, body: Type, key: Type): Type;
  /** @param visit evaluates the body with one pair; throws what the body throws. */
  fold(
    entries: Iterable<readonly [unknown, unknown]>,
    visit: (key: unknown, value: unknown) => unknown,
    keep: Keep,
  ): unknown;
  readonly predicate?: boolean;
}

type Keep = (key: unknown, value: unknown) => boolean;

/** `range.NAME(k, v, body)`, and with a filter before the body when there are four arguments. */
function comprehension(name: string, shape: Shape) {
  return ({ args, receiver }: Call): Macro => {
    const [keyName, valueName] = [nameOf(args[0]), nameOf(args[1])];
    if (keyName === valueName) throw new Error(`duplicate variable name: ${keyName}`);
    const filter = args.length === 4 ? args[2] : undefined;
    const body = args.at(-1)!;
    return {
      receiver,
      args,
      async: false,
      typeCheck(checker, macro, context) {
        const [key, value] = rangeTypes(checker, receiver, context);
        macro.outer = context.forkWithVariable(keyName, key);
        macro.inner = macro.outer.forkWithVariable(valueName, value);
        for (const predicate of [filter, shape.predicate ? body : undefined]) {
          if (predicate && !isBool(checker.check(predicate, macro.inner)))
            throw checker.createError(
              'invalid_predicate',
              `${name}(var, var, predicate) predicate must return bool`,
              predicate,
            );
        }
        return shape.type(checker, checker.check(body, macro.inner), key);
      },
      evaluate(evaluator, macro, context) {
        const entries = entriesOf(evaluator.run(receiver, context));
        const outer = macro.outer!.reuse(context);
        const inner = macro.inner!.reuse(outer);
        const run = (node: Node, key: unknown, value: unknown): unknown => {
          outer.setIterValue(key, evaluator);
          return evaluator.run(node, inner.setIterValue(value, evaluator));
        };
        const keep: Keep = (key, value) => filter === undefined || run(filter, key, value) === true;
        return shape.fold(entries, (key, value) => run(body, key, value), keep);
      },
    };
  };
}

/** `all` and `exists`: an answer that decides outweighs errors beside it. */
const quantifier = (decides: boolean): Shape => ({
  predicate: true,
  type: checker => checker.getType('bool'),
  fold(entries, visit) {
    let failure: unknown;
    for (const [key, value] of entries) {
      try {
        if (visit(key, value) === decides) return decides;
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    return !decides;
  },
});

const existsOne: Shape = {
  predicate: true,
  type: checker => checker.getType('bool'),
  fold(entries, visit) {
    let count = 0;
    for (const [key, value] of entries) if (visit(key, value) === true) count++;
    return count === 1;
  },
};

const transformList: Shape = {
  type: (checker, body) => checker.registry.getListType(body),
  fold(entries, visit, keep) {
    const list: unknown[] = [];
    for (const [key, value] of entries) if (keep(key, value)) list.push(visit(key, value));
    return list;
  },
};

const transformMap: Shape = {
  type: (checker, body, key) => checker.registry.getMapType(key, body),
  fold(entries, visit, keep) {
    const map = new Map<unknown, unknown>();
    for (const [key, value] of entries) if (keep(key, value)) map.set(key, visit(key, value));
    return map;
  },
};

/** The body makes entries: `{newKey: newValue}`. */
const transformMapEntry: Shape = {
  type: (_checker, body) => body,
  fold(entries, visit, keep) {
    const map = new Map<unknown, unknown>();
    for (const [key, value] of entries) {
      if (!keep(key, value)) continue;
      for (const [name, made] of entriesOf(visit(key, value))) {
        if (map.has(name)) throw new Error(`insert failed: key ${String(name)} already exists`);
        map.set(name, made);
      }
    }
    return map;
  },
};

/** `optional.optMap(x, body)`: the body's value of what is there; `optFlatMap`: the body answers an optional itself. */
function optionalMap(flat: boolean) {
  return ({ args, receiver }: Call): Macro => {
    const variable = nameOf(args[0]);
    const body = args[1]!;
    return {
      receiver,
      args,
      async: false,
      typeCheck(checker, macro, context) {
        const type = checker.check(receiver, context);
        if (type.kind !== 'optional' && type.kind !== 'dyn')
          throw checker.createError('optional_expected', `receiver must be optional, got '${type.name}'`, receiver);
        macro.inner = context.forkWithVariable(variable, type.valueType ?? type);
        const made = checker.check(body, macro.inner);
        return flat ? made : checker.registry.getOptionalType(made);
      },
      evaluate(evaluator, macro, context) {
        const optional = evaluator.run(receiver, context);
        if (!(optional instanceof Optional)) throw new Error('receiver must be optional');
        if (!optional.hasValue()) return optional;
        const inner = macro.inner!.reuse(context).setIterValue(optional.value(), evaluator);
        const value = evaluator.run(body, inner);
        return flat ? value : Optional.of(value);
      },
    };
  };
}

/** `existsOne(x, p)`: cel-go's newer name of `exists_one`. */
const existsOneElement = ({ args, receiver }: Call): Macro => {
  const variable = nameOf(args[0]);
  const body = args[1]!;
  return {
    receiver,
    args,
    async: false,
    typeCheck(checker, macro, context) {
      const range = checker.check(receiver, context);
      const [key, value] = rangeTypes(checker, receiver, context);
      macro.inner = context.forkWithVariable(variable, range.kind === 'map' ? key : value);
      if (!isBool(checker.check(body, macro.inner)))
        throw checker.createError('invalid_predicate', 'existsOne(var, predicate) predicate must return bool', body);
      return checker.getType('bool');
    },
    evaluate(evaluator, macro, context) {
      const range = evaluator.run(receiver, context);
      const inner = macro.inner!.reuse(context);
      let count = 0;
      for (const [key, value] of entriesOf(range)) {
        const element = Array.isArray(range) ? value : key;
        if (evaluator.run(body, inner.setIterValue(element, evaluator)) === true) count++;
      }
      return count === 1;
    },
  };
};

export function macros(environment: CelEnvironment): void {
  const register = (signature: string, expand: (call: Call) => Macro): void => {
    environment.registerFunction(signature, expand as never);
  };
  register('list.all(ast, ast, ast): bool', comprehension('all', quantifier(false)));
  register('list.exists(ast, ast, ast): bool', comprehension('exists', quantifier(true)));
  register('list.existsOne(ast, ast, ast): bool', comprehension('existsOne', existsOne));
  register('list.existsOne(ast, ast): bool', existsOneElement);
  for (const more of ['', ', ast']) {
    register(`list.transformList(ast, ast, ast${more}): list<dyn>`, comprehension('transformList', transformList));
    register(`list.transformMap(ast, ast, ast${more}): map<dyn, dyn>`, comprehension('transformMap', transformMap));
    register(
      `list.transformMapEntry(ast, ast, ast${more}): map<dyn, dyn>`,
      comprehension('transformMapEntry', transformMapEntry),
    );
  }
  register('optional.optMap(ast, ast): optional<dyn>', optionalMap(false));
  register('optional.optFlatMap(ast, ast): optional<dyn>', optionalMap(true));
}
