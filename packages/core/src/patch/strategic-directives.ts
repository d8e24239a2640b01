/**
 * The directives of strategic merge patches, and what remains of a patch where there is nothing to merge it into.
 *
 * | directive | in | meaning |
 * |---|---|---|
 * | `$patch: replace` | a mapping | the mapping replaces what is there |
 * | `$patch: delete` | a mapping, a list element | empties the mapping; removes the element with that merge key |
 * | `{$patch: replace}` | a list | the list replaces what is there |
 * | `$retainKeys: [a]` | a mapping | members that are not listed go |
 * | `$setElementOrder/list: [...]` | beside a list | relative order of the elements |
 * | `$deleteFromPrimitiveList/list: [...]` | beside a list | removes these values |
 */
import { isObject, type Json, type JsonObject, setMember } from './json.js';

export const patchDirective = '$patch';
export const retainKeysDirective = '$retainKeys';
export const elementOrderPrefix = '$setElementOrder/';
export const deleteFromListPrefix = '$deleteFromPrimitiveList/';

/** Whether a member of a patch is an instruction rather than a field. */
export function isDirective(key: string): boolean {
  return (
    key === patchDirective ||
    key === retainKeysDirective ||
    key.startsWith(elementOrderPrefix) ||
    key.startsWith(deleteFromListPrefix)
  );
}

/**
 * The value that a patch stands for where nothing is yet: without directives and without nulls. Undefined when it only
 * deletes.
 */
export function withoutDirectives(patch: Json): Json | undefined {
  if (Array.isArray(patch)) return patch.map(withoutDirectives).filter(item => item !== undefined);
  if (!isObject(patch)) return patch;
  const directive = patch[patchDirective];
  if (directive === 'delete') return undefined;
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || isDirective(key)) continue;
    const member = withoutDirectives(value);
    if (member !== undefined) setMember(result, key, member);
  }
  // `{$patch: replace}` in a list says something about the list and is no element of it.
  return directive !== undefined && Object.keys(patch).length === 1 ? undefined : result;
}
