/**
 * JSON patch (RFC 6902) as a Kubernetes API server applies it: all operations or none, and the input is not changed.
 *
 * - Errors: what is not a list of operations is BadRequest (400); an operation that does not apply, a failed test included,
 *   is Invalid (422).
 * - Bounds (k8s.io/apiserver): 10,000 operations; copies of 3 MiB in all, since copies of copies grow without bound.
 * - As there, a negative index counts from the end, `test` for null passes where nothing is, and `replace` of a member that a
 *   mapping does not have adds it. `move` into itself is refused, as the RFC says.
 */
import { badRequest, StatusError } from '../errors/status-error.js';
import { isObject, type Json, jsonCopy, jsonEqual, memberOf, refuseTooDeep, setMember } from './json.js';

const mostOperations = 10_000;
const mostCopiedBytes = 3 * 1024 * 1024;

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: Json;
}

/** @throws StatusError BadRequest, Invalid or RequestEntityTooLarge, naming the operation. */
export function applyJsonPatch<T extends Json>(target: T, patch: unknown): Json {
  const operations = operationsOf(patch);
  const document = { root: jsonCopy<Json>(target), copiedBytes: 0 };
  for (const [index, operation] of operations.entries()) {
    try {
      applyOperation(document, operation);
    } catch (error) {
      if (!(error instanceof DoesNotApply)) throw error;
      const where = `operation ${index} (${operation.op} ${operation.path || 'the whole document'})`;
      throw new StatusError(
        'Invalid',
        `the server rejected our request due to an error in our request: ${where}: ${error.message}`,
      );
    }
  }
  return document.root;
}

class DoesNotApply extends Error {}

function operationsOf(patch: unknown): Operation[] {
  if (!Array.isArray(patch)) {
    const type = isObject(patch)
      ? 'object'
      : patch === null
        ? 'null'
        : typeof patch === 'boolean'
          ? 'bool'
          : typeof patch;
    throw badRequest(
      `error decoding patch: json: cannot unmarshal ${type} into Go value of type []handlers.jsonPatchOp (a JSON patch is a list of operations)`,
    );
  }
  if (patch.length > mostOperations) {
    throw new StatusError(
      'RequestEntityTooLarge',
      `the allowed maximum operations in a JSON patch is ${mostOperations}, got ${patch.length}`,
    );
  }
  return patch.map((operation, index) => {
    const refuse = (why: string) => badRequest(`error decoding patch: operation ${index} ${why}`);
    if (!isObject(operation)) throw refuse('is not a mapping');
    const { op, path, from, value } = operation as Record<string, unknown>;
    if (typeof op !== 'string' || !['add', 'remove', 'replace', 'move', 'copy', 'test'].includes(op)) {
      throw refuse(`has the unknown op ${JSON.stringify(op)}`);
    }
    if (typeof path !== 'string') throw refuse('has no path');
    if ((op === 'move' || op === 'copy') && typeof from !== 'string') throw refuse('has no from');
    if ((op === 'add' || op === 'replace') && value === undefined) throw refuse('has no value');
    if (value !== undefined) refuseTooDeep(value as Json);
    return operation as unknown as Operation;
  });
}

function applyOperation(document: { root: Json; copiedBytes: number }, { op, path, from, value }: Operation): void {
  switch (op) {
    case 'add':
      document.root = put(document.root, pointer(path), jsonCopy(value!), 'add');
      return;
    case 'replace':
      document.root = put(document.root, pointer(path), jsonCopy(value!), 'replace');
      return;
    case 'remove':
      document.root = remove(document.root, pointer(path));
      return;
    case 'test': {
      const found = read(document.root, pointer(path));
      if (found === undefined && (value === undefined || value === null)) return;
      if (!jsonEqual(found ?? null, value ?? null))
        throw new DoesNotApply('the test failed: the value there is another one');
      return;
    }
    case 'move': {
      const [source, destination] = [pointer(from!), pointer(path)];
      const inside = source.length < destination.length && source.every((part, index) => part === destination[index]);
      if (inside) throw new DoesNotApply('a value cannot be moved into itself');
      const moved = readExisting(document.root, source, from!);
      document.root = put(remove(document.root, source), destination, moved, 'add');
      return;
    }
    case 'copy': {
      const copied = jsonCopy(readExisting(document.root, pointer(from!), from!));
      document.copiedBytes += JSON.stringify(copied).length;
      if (document.copiedBytes > mostCopiedBytes) {
        throw new StatusError('RequestEntityTooLarge', `the copies of a JSON patch exceed ${mostCopiedBytes} bytes`);
      }
      document.root = put(document.root, pointer(path), copied, 'add');
      return;
    }
  }
}

/** The parts of a JSON pointer (RFC 6901). */
function pointer(path: string): string[] {
  if (path === '') return [];
  if (!path.startsWith('/')) throw new DoesNotApply('a path begins with "/"');
  return path
    .slice(1)
    .split('/')
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The position of an element; `length` itself is one past the end. Negative counts from there. */
function position(part: string, length: number): number {
  if (!/^-?(0|[1-9]\d*)$/.test(part)) throw new DoesNotApply(`"${part}" is not an index of a list`);
  const index = Number(part);
  return index < 0 ? length + index : index;
}

function read(root: Json, parts: readonly string[]): Json | undefined {
  let value: Json | undefined = root;
  for (const part of parts) {
    if (Array.isArray(value)) {
      const index = position(part, value.length);
      value = index < 0 ? undefined : value[index];
    } else if (isObject(value)) value = memberOf(value, part);
    else return undefined;
    if (value === undefined) return undefined;
  }
  return value;
}

function readExisting(root: Json, parts: readonly string[], path: string): Json {
  const value = read(root, parts);
  if (value === undefined) throw new DoesNotApply(`nothing is at ${path}`);
  return value;
}

/** The container of a path's last part. */
function holder(root: Json, parts: readonly string[]): Json[] | { [key: string]: Json } {
  const value = read(root, parts.slice(0, -1));
  if (value === undefined || typeof value !== 'object' || value === null) {
    throw new DoesNotApply(`there is no mapping or list at /${parts.slice(0, -1).join('/')}`);
  }
  return value;
}

function put(root: Json, parts: readonly string[], value: Json, how: 'add' | 'replace'): Json {
  if (parts.length === 0) return value;
  const last = parts.at(-1)!;
  const container = holder(root, parts);
  if (!Array.isArray(container)) {
    setMember(container, last, value);
  } else if (how === 'replace') {
    const index = position(last, container.length);
    if (index < 0 || index >= container.length)
      throw new DoesNotApply(`the list has only ${container.length} elements`);
    container[index] = value;
  } else {
    const index = last === '-' ? container.length : position(last, container.length + 1);
    if (index < 0 || index > container.length) throw new DoesNotApply(`the list has only ${container.length} elements`);
    container.splice(index, 0, value);
  }
  return root;
}

function remove(root: Json, parts: readonly string[]): Json {
  const last = parts.at(-1);
  if (last === undefined) throw new DoesNotApply('the whole document cannot be removed');
  const container = holder(root, parts);
  if (!Array.isArray(container)) {
    if (!Object.hasOwn(container, last)) throw new DoesNotApply('nothing is there to remove');
    delete container[last];
    return root;
  }
  const index = position(last, container.length);
  if (index < 0 || index >= container.length) throw new DoesNotApply(`the list has only ${container.length} elements`);
  container.splice(index, 1);
  return root;
}
