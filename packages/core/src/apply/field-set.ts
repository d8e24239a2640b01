/**
 * Sets of field paths, in the very form in which `fieldsV1` carries them: a tree of plain objects.
 *
 * `{}` below a step says that the step's path is in the set; `{".": {}, …}` that it is and that longer ones are as well; without
 * the dot only the longer ones are. So nothing has to be parsed or written: a set that was read from an object is a set.
 * Sets are immutable, share their parts freely, and operations return an operand itself where it is the result. Canonical: no
 * node that is neither a member nor has children, steps as path-element.ts writes them and in its order.
 *
 * The object as a whole is in no set: a dot at the root is nothing.
 */
import { isObject } from '../patch/json.js';
import { canonicalElement, compareElements, elementText, type PathElement } from './path-element.js';

/** A set of paths: a tree of steps. Never changed once it is made. */
export interface FieldSet {
  readonly [element: PathElement]: FieldSet;
}
type Draft = Record<PathElement, FieldSet>;

/** Also what a member without children looks like. */
export const emptySet: FieldSet = Object.freeze({});
const self = '.';

/** Whether the path that leads here is in the set. */
export function isMember(node: FieldSet): boolean {
  if (node[self] !== undefined) return true;
  for (const _ in node) return false;
  return true;
}
export function hasChildren(node: FieldSet): boolean {
  for (const element in node) if (element !== self) return true;
  return false;
}
/** Of a whole set. */
export const isEmptySet = (set: FieldSet): boolean => !hasChildren(set);

/** The node of a step, made a member. */
export const asMember = (node: FieldSet): FieldSet => (isMember(node) ? node : { [self]: emptySet, ...node });

/** Puts the steps of a tree under construction in order. The dot comes first. */
export function inOrder(draft: Draft): FieldSet {
  let previous: string | undefined;
  for (const element in draft) {
    if (previous !== undefined && previous !== self && compareElements(previous, element) > 0) return sorted(draft);
    if (previous !== undefined && element === self) return sorted(draft);
    previous = element;
  }
  return draft;
}
function sorted(draft: Draft): FieldSet {
  const result: Draft = {};
  if (draft[self] !== undefined) result[self] = emptySet;
  const elements = Object.keys(draft).filter(element => element !== self);
  for (const element of elements.sort(compareElements)) result[element] = draft[element]!;
  return result;
}

/** A node, or undefined when it is neither a member nor has children. */
function nodeOf(member: boolean, children: Draft | undefined): FieldSet | undefined {
  if (children === undefined || !hasChildren(children)) return member ? emptySet : undefined;
  return member ? { [self]: emptySet, ...children } : children;
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  if (a === b || isEmptySet(b)) return a;
  if (isEmptySet(a)) return b;
  return unionOfNodes(a, b, true);
}

function unionOfNodes(a: FieldSet, b: FieldSet, root = false): FieldSet {
  if (a === b) return a;
  const member = !root && (isMember(a) || isMember(b));
  let result: Draft | undefined;
  let added = false;
  for (const element in b) {
    if (element === self) continue;
    const [left, right] = [a[element], b[element]!];
    const both = left === undefined ? right : unionOfNodes(left, right);
    if (both === left) continue;
    result ??= { ...a };
    added ||= left === undefined;
    result[element] = both;
  }
  if (result === undefined) return root || member === isMember(a) ? a : asMember(a);
  if (member) result[self] = emptySet;
  else delete result[self];
  return added || (member && a[self] === undefined) ? inOrder(result) : result;
}

export const intersection = (a: FieldSet, b: FieldSet): FieldSet => intersectionOfNodes(a, b, true) ?? emptySet;

function intersectionOfNodes(a: FieldSet, b: FieldSet, root = false): FieldSet | undefined {
  if (a === b) return a;
  let children: Draft | undefined;
  for (const element in a) {
    const right = b[element];
    if (element === self || right === undefined) continue;
    const both = intersectionOfNodes(a[element]!, right);
    if (both === undefined) continue;
    children ??= {};
    children[element] = both;
  }
  return nodeOf(!root && isMember(a) && isMember(b), children);
}

/** What is in `a` and not in `b`: each path counts for itself, whatever is above or below it. */
export const difference = (a: FieldSet, b: FieldSet): FieldSet => differenceOfNodes(a, b, false, true) ?? emptySet;
/** As `difference`; what lies below a member of `b` goes too. */
export const recursiveDifference = (a: FieldSet, b: FieldSet): FieldSet =>
  differenceOfNodes(a, b, true, true) ?? emptySet;

function differenceOfNodes(a: FieldSet, b: FieldSet, recursive: boolean, root = false): FieldSet | undefined {
  if (recursive && !root && isMember(b)) return undefined;
  let result: Draft | undefined;
  for (const element in b) {
    const left = a[element];
    if (element === self || left === undefined) continue;
    const rest = differenceOfNodes(left, b[element]!, recursive);
    if (rest === left) continue;
    result ??= { ...a };
    if (rest === undefined) delete result[element];
    else result[element] = rest;
  }
  const wasMember = !root && isMember(a);
  const member = wasMember && !isMember(b);
  if (result === undefined && member === wasMember) return a;
  const { [self]: _, ...children } = result ?? a;
  return nodeOf(member, children);
}

/** Calls for every path in the set: at each level its members first, then what lies below (the order of conflict messages). */
function eachPath(set: FieldSet, visit: (path: readonly PathElement[]) => void): void {
  const path: PathElement[] = [];
  const walk = (node: FieldSet): void => {
    for (const element in node) if (element !== self && isMember(node[element]!)) visit([...path, element]);
    for (const element in node) {
      if (element === self || !hasChildren(node[element]!)) continue;
      path.push(element);
      walk(node[element]!);
      path.pop();
    }
  };
  walk(set);
}

/** `.spec.containers[name="c1"].image` for each path. */
export function pathTexts(set: FieldSet): string[] {
  const texts: string[] = [];
  eachPath(set, path => texts.push(path.map(elementText).join('')));
  return texts;
}

/** A set of these paths. */
export function fieldSet(...paths: readonly (readonly PathElement[])[]): FieldSet {
  let set: FieldSet = emptySet;
  for (const path of paths) {
    let node: FieldSet = emptySet;
    for (const element of [...path].reverse()) node = { [element]: node };
    set = union(set, node);
  }
  return set;
}

/** Deeper trees are refused: every walk here is recursive. */
const deepest = 512;

/**
 * The set in a `fieldsV1` that somebody else wrote. Steps of kinds that are not known are dropped.
 * @throws SyntaxError when it is none.
 */
export function readFieldSet(value: unknown): FieldSet {
  const node = readNode(value, deepest);
  const { [self]: _, ...children } = node;
  return children;
}

function readNode(value: unknown, left: number): FieldSet {
  if (!isObject(value)) throw new SyntaxError('fieldsV1 must be a mapping of mappings');
  if (left === 0) throw new SyntaxError(`fieldsV1 is nested deeper than ${deepest} levels`);
  const draft: Draft = {};
  for (const [key, below] of Object.entries(value)) {
    if (key === self) {
      draft[self] = emptySet;
      continue;
    }
    const element = canonicalElement(key);
    if (element === undefined) continue;
    const node = readNode(below, left - 1);
    draft[element] = draft[element] === undefined ? node : unionOfNodes(draft[element], node);
  }
  return hasChildren(draft) ? inOrder(draft) : emptySet;
}
