/**
 * The part of kubectl's JSONPath that printer columns use: `.spec.size`, `.metadata.labels['a.b/c']`, `[0]`, `[-1]`, `[*]`, `[1:3]`,
 * `[?(@.type=="Ready")].status`, `..name`. Read once; looking up never throws. Source: client-go `util/jsonpath`.
 */
import { isObject } from './structural.js';

/** What stands at the path, in order; empty when there is nothing. */
export type JsonPath = (value: unknown) => unknown[];

type Step = (value: unknown) => unknown[];

const maxLength = 1_024;

/** @throws Error that says what cannot be read. */
export function parseJsonPath(text: string): JsonPath {
  if (text.length > maxLength) throw new Error(`the path is longer than ${maxLength} characters`);
  const steps: Step[] = [];
  let rest = text.startsWith('$') ? text.slice(1) : text;
  while (rest !== '') {
    const [step, length] = readStep(rest, text);
    steps.push(step);
    rest = rest.slice(length);
  }
  return value => {
    let found = [value];
    for (const step of steps) {
      found = found.flatMap(step);
      if (found.length === 0) break;
    }
    return found;
  };
}

function readStep(rest: string, whole: string): [Step, number] {
  const word = /^(\.\.?)((?:\\.|[^.[\]\\])*)/.exec(rest);
  if (word) {
    const name = word[2]!.replace(/\\(.)/g, '$1');
    const { length } = word[0];
    if (name === '')
      return word[1] === '.' && (length === rest.length || rest[length] === '[')
        ? [value => [value], length]
        : fail(whole, rest);
    if (word[1] === '..') return [value => everywhere(value, name), length];
    return [name === '*' ? all : member(name), length];
  }
  const bracket = /^\[(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|(\*)|(-?\d+)|(-?\d*):(-?\d*)|\?\((.*?)\))\]/.exec(
    rest,
  );
  if (!bracket) return fail(whole, rest);
  const [{ length }, single, double, star, index, from, to, filter] = bracket;
  const name = single ?? double;
  if (name !== undefined) return [member(name.replace(/\\(.)/g, '$1')), length];
  if (star !== undefined) return [all, length];
  if (index !== undefined)
    return [value => present(Array.isArray(value) ? value.at(Number(index)) : undefined), length];
  if (filter !== undefined) return [filterOf(filter, whole), length];
  return [
    value => (Array.isArray(value) ? value.slice(from ? Number(from) : 0, to ? Number(to) : undefined) : []),
    length,
  ];
}

function fail(whole: string, rest: string): never {
  throw new Error(`the path ${JSON.stringify(whole)} cannot be read at ${JSON.stringify(rest)}`);
}

const present = (value: unknown): unknown[] => (value === undefined ? [] : [value]);
const member =
  (name: string): Step =>
  value =>
    isObject(value) && Object.hasOwn(value, name) ? present(value[name]) : [];
const all: Step = value => (Array.isArray(value) ? value : isObject(value) ? Object.values(value) : []);

function everywhere(value: unknown, name: string): unknown[] {
  const inner = all(value).flatMap(each => everywhere(each, name));
  return [...member(name)(value), ...inner];
}

/** `@.type=="Ready"`, `@.count > 3`, `@.name`. */
function filterOf(text: string, whole: string): Step {
  const match = /^\s*@((?:(?!==|!=|<=|>=|<|>|\s).)*)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*$/.exec(text);
  if (!match) return fail(whole, text);
  const path = parseJsonPath(match[1]!);
  const operator = match[2];
  if (operator === undefined) return value => (Array.isArray(value) ? value.filter(each => path(each).length > 0) : []);
  const wanted = literal(match[3]!, whole);
  return value => (Array.isArray(value) ? value.filter(each => compare(path(each)[0], operator, wanted)) : []);
}

function literal(text: string, whole: string): unknown {
  const quoted = /^(?:'(.*)'|"(.*)")$/.exec(text);
  if (quoted) return quoted[1] ?? quoted[2];
  try {
    return JSON.parse(text);
  } catch {
    return fail(whole, text);
  }
}

function compare(value: unknown, operator: string, wanted: unknown): boolean {
  if (operator === '==') return value === wanted;
  if (operator === '!=') return value !== undefined && value !== wanted;
  if (typeof value !== typeof wanted || (typeof value !== 'number' && typeof value !== 'string')) return false;
  const [a, b] = [value, wanted as typeof value];
  return operator === '<' ? a < b : operator === '>' ? a > b : operator === '<=' ? a <= b : a >= b;
}

/** `.spec.replicas`: member names only, as scale and selectable fields have them. Undefined for another text. */
export function simplePath(text: string): readonly string[] | undefined {
  if (!/^(?:\.[^.[\]]+)+$/.test(text)) return undefined;
  return text.slice(1).split('.');
}

export function valueAt(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}

/** Sets what stands at the path; objects on the way are made. */
export function setValueAt(object: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let holder = object;
  for (const name of path.slice(0, -1)) {
    const next = Object.hasOwn(holder, name) ? holder[name] : undefined;
    if (isObject(next)) holder = next;
    else {
      const made: Record<string, unknown> = {};
      holder[name] = made;
      holder = made;
    }
  }
  holder[path.at(-1)!] = value;
}
