/** Makes a built-in kind out of its row in the table of facts; its schema is read on first use. */
import type { KubeObject } from '../meta/object.js';
import type { Kind } from './kind.js';

type Static = Pick<
  Kind,
  'group' | 'version' | 'kind' | 'plural' | 'singular' | 'listKind' | 'namespaced' | 'shortNames' | 'categories' | 'subresources'
> & { verbs: readonly string[] };

export function builtin<T extends KubeObject>(_type: string, _facts: Static): Kind<T> {
  throw new Error('builtin kinds are being written');
}
