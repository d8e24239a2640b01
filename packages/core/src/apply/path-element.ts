/**
 * One step of a field path as FieldsV1 spells it, in its canonical text, so that two steps are equal when their texts are:
 *
 * | text | step |
 * |---|---|
 * | `f:name` | a member of a mapping |
 * | `k:{"containerPort":80,"protocol":"TCP"}` | an element of a keyed list, keys in order |
 * | `v:"a"` | an element of a set |
 * | `i:0` | an element by position |
 *
 * Source of the format and of the order: structured-merge-diff `fieldpath` (FieldsV1).
 */
import { isObject, type Json, type JsonObject } from '../patch/json.js';

export type PathElement = string;

/** Go's encoder escapes these in strings too; canonical texts must agree with what other servers stored. */
const escaped = /[<>&\u2028\u2029]/;
function jsonText(value: Json): string {
  const text = JSON.stringify(value);
  if (typeof value !== 'string' || !escaped.test(text)) return text;
  return text.replace(/[<>&\u2028\u2029]/g, each => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** What was made lately: a text that is used again as a key should be the very same string. Bounded. */
class Recent<T> {
  readonly #known = new Map<string, T>();
  constructor(readonly limit = 4096) {}

  get(key: string, make: (key: string) => T): T {
    let value = this.#known.get(key);
    if (value === undefined) {
      if (this.#known.size >= this.limit) this.#known.clear();
      value = make(key);
      this.#known.set(key, value);
    }
    return value;
  }
}

const fieldElements = new Recent<PathElement>();
const toFieldElement = (name: string): PathElement => `f:${name}`;
/** The step to the member of this name: `f:name`. */
export const fieldElement = (name: string): PathElement => fieldElements.get(name, toFieldElement);
export const valueElement = (value: Json): PathElement => `v:${jsonText(value)}`;
/** @param names In order. */
export function keyElement(names: readonly string[], values: readonly Json[]): PathElement {
  let text = 'k:{';
  for (let i = 0; i < names.length; i++) text += `${i === 0 ? '' : ','}${jsonText(names[i]!)}:${jsonText(values[i]!)}`;
  return `${text}}`;
}

/** The member that a step leads to, when it is one. */
export const fieldNameOf = (element: PathElement): string | undefined =>
  element.startsWith('f:') ? element.slice(2) : undefined;
export const isKeyElement = (element: PathElement): boolean => element.startsWith('k:');

/**
 * The canonical text of a step that somebody else wrote. Undefined for a kind of step that is not known, which is dropped.
 * @throws SyntaxError when it cannot be read.
 */
export function canonicalElement(text: string): PathElement | undefined {
  if (text[1] !== ':') throw new SyntaxError(`missing colon: ${text}`);
  switch (text[0]) {
    case 'f':
      return text;
    case 'v':
      return valueElement(JSON.parse(text.slice(2)) as Json);
    case 'k': {
      const key = JSON.parse(text.slice(2)) as Json;
      if (!isObject(key)) throw new SyntaxError(`not a key: ${text}`);
      const names = Object.keys(key).sort();
      return keyElement(
        names,
        names.map(name => key[name]!),
      );
    }
    case 'i':
      if (!/^i:-?\d+$/.test(text)) throw new SyntaxError(`not an index: ${text}`);
      return `i:${Number(text.slice(2))}`;
    default:
      return undefined;
  }
}

const kindRank: Readonly<Record<string, number>> = { f: 0, k: 1, v: 2, i: 3 };
/** Numbers before strings before booleans before null (structured-merge-diff `value.Compare`). */
const rankOf = (value: Json): number => (typeof value === 'number' ? 0 : typeof value === 'string' ? 1 : 2);

function compareScalars(a: Json, b: Json): number {
  const byType = rankOf(a) - rankOf(b);
  if (byType !== 0) return byType;
  return a === b ? 0 : a! < b! ? -1 : 1;
}

const keys = new Recent<[string, Json][]>();
const toKeys = (element: PathElement): [string, Json][] => Object.entries(JSON.parse(element.slice(2)) as JsonObject);

/** The order in which the steps of a set are written. */
export function compareElements(a: PathElement, b: PathElement): number {
  if (a === b) return 0;
  if (a[0] !== b[0]) return kindRank[a[0]!]! - kindRank[b[0]!]!;
  if (a[0] === 'f') return a < b ? -1 : 1;
  if (a[0] === 'i') return Number(a.slice(2)) - Number(b.slice(2));
  if (a[0] === 'v') return compareScalars(JSON.parse(a.slice(2)) as Json, JSON.parse(b.slice(2)) as Json);
  const [leftKeys, rightKeys] = [keys.get(a, toKeys), keys.get(b, toKeys)];
  for (let i = 0; i < leftKeys.length && i < rightKeys.length; i++) {
    const [leftName, leftValue] = leftKeys[i]!;
    const [rightName, rightValue] = rightKeys[i]!;
    if (leftName !== rightName) return leftName < rightName ? -1 : 1;
    const order = compareScalars(leftValue, rightValue);
    if (order !== 0) return order;
  }
  return leftKeys.length - rightKeys.length;
}

/** As error texts write it: `.name`, `[name="c1"]`, `[="a"]`, `[0]`. */
export function elementText(element: PathElement): string {
  const rest = element.slice(2);
  switch (element[0]) {
    case 'f':
      return `.${rest}`;
    case 'k':
      return `[${Object.entries(JSON.parse(rest) as JsonObject)
        .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
        .join(',')}]`;
    case 'v':
      return `[=${JSON.stringify(JSON.parse(rest))}]`;
    default:
      return `[${rest}]`;
  }
}
