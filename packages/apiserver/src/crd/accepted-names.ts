/**
 * Which of the names that a definition asks for it gets: what another definition of the group, or a kind of the server's own, has is taken.
 * Texts: apiextensions-apiserver `controller/status` (v0.33).
 */
import type { apiextensionsv1 } from '@orbitkit/core';
import type { Definition } from './custom-kind.js';

type Names = apiextensionsv1.CustomResourceDefinitionNames;

export interface NameClaims {
  readonly accepted: Names;
  /** Undefined: all are accepted. */
  readonly conflict: { readonly reason: string; readonly message: string } | undefined;
}

/** Plurals, singulars and short names are of one space, kinds and list kinds of another. */
export interface TakenNames {
  readonly resources: ReadonlySet<string>;
  readonly kinds: ReadonlySet<string>;
}

export function takenNames(
  others: Iterable<Pick<Names, 'plural' | 'singular' | 'shortNames' | 'kind' | 'listKind'>>,
): TakenNames {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const { plural, singular, shortNames, kind, listKind } of others) {
    for (const name of [plural, singular, ...(shortNames ?? [])]) if (name) resources.add(name);
    for (const name of [kind, listKind]) if (name) kinds.add(name);
  }
  return { resources, kinds };
}

/** What is accepted already stays so when the new name is refused. */
export function acceptNames({ spec, status }: Definition, taken: TakenNames): NameClaims {
  const asked = spec.names;
  const before: Partial<Names> = status?.acceptedNames ?? {};
  const accepted: Partial<Names> = { ...before };
  let conflict: NameClaims['conflict'];
  const claim = <K extends keyof Names>(name: K, reason: string, space: ReadonlySet<string>): void => {
    const wanted = asked[name];
    const values = (Array.isArray(wanted) ? wanted : [wanted]) as (string | undefined)[];
    const had = before[name];
    const kept = new Set(Array.isArray(had) ? had : [had]);
    const used = values.find(each => each !== undefined && !kept.has(each) && space.has(each));
    if (used === undefined) {
      if (wanted === undefined) delete accepted[name];
      else accepted[name] = wanted;
    } else conflict ??= { reason, message: `${JSON.stringify(used)} is already in use` };
  };
  claim('plural', 'PluralConflict', taken.resources);
  claim('singular', 'SingularConflict', taken.resources);
  claim('shortNames', 'ShortNamesConflict', taken.resources);
  claim('kind', 'KindConflict', taken.kinds);
  claim('listKind', 'ListKindConflict', taken.kinds);
  if (asked.categories) accepted.categories = asked.categories;
  else delete accepted.categories;
  return { accepted: accepted as Names, conflict };
}
