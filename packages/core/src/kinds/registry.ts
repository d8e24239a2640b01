/**
 * The kinds that a cluster knows: a value, one per cluster, never global. Lookup by identity, by REST path and by the names
 * people type; kinds may join and leave while it is in use.
 *
 * Order is that of discovery: Kubernetes' own groups as its API server lists them, then others by name; within a group the preferred
 * version first (v2, v1, v1beta1, v1alpha1). Where a short name or plural is taken twice, the first in this order wins.
 */
import { groupOrder } from './generated/kinds.js';
import { gvkOf, type Kind } from './kind.js';

/** The kinds of one cluster, alive: who follows it is told of changes. */
export interface KindRegistry {
  /** In discovery order. */
  readonly kinds: readonly Kind<any>[];
  /** Groups in discovery order, each with its versions, the preferred one first. */
  readonly groups: readonly GroupVersions[];
  get(ref: { group: string; version: string; kind: string }): Kind<any> | undefined;
  byResource(group: string, version: string, plural: string): Kind<any> | undefined;
  /**
   * By what a person types: plural, singular, kind or short name, in any case, bare (`po`), with its group
   * (`deployments.apps`), or with version and group (`deployments.v1.apps`, `pods.v1.`).
   */
  resolve(name: string): Kind<any> | undefined;
  /** The kinds of one group version, in order. */
  within(group: string, version: string): readonly Kind<any>[];
  /** Kinds of a category: `all`. */
  inCategory(category: string): readonly Kind<any>[];
  /** A registry of its own with further kinds. */
  with(...kinds: readonly Kind<any>[]): KindRegistry;
  /** @throws Error when its identity or its path is taken. */
  add(kind: Kind<any>): void;
  /** True when it was there. */
  remove(ref: { group: string; version: string; kind: string }): boolean;
  /** Called after every change; answers how to stop. A listener must not throw. */
  onChange(listener: () => void): () => void;
}

/** A group, `''` for the core one, and its versions. */
export interface GroupVersions {
  readonly group: string;
  readonly versions: readonly string[];
}

/** A registry that begins with these kinds. @throws Error when one stands twice, by identity or by path. */
export function kindRegistry(initial: readonly Kind<any>[]): KindRegistry {
  const byGvk = new Map<string, Kind<any>>();
  const byPath = new Map<string, Kind<any>>();
  const listeners = new Set<() => void>();
  let view: View = emptyView;

  function put(kind: Kind<any>): void {
    const gvk = gvkOf(kind);
    const path = pathKey(kind.group, kind.version, kind.plural);
    if (byGvk.has(gvk)) throw new Error(`the kind ${gvk} is in the registry already`);
    const other = byPath.get(path);
    if (other)
      throw new Error(`${gvk} and ${gvkOf(other)} have the same plural "${kind.plural}": give one another plural`);
    byGvk.set(gvk, kind);
    byPath.set(path, kind);
  }
  function changed(): void {
    view = viewOf([...byGvk.values()]);
    for (const listener of [...listeners]) listener();
  }

  for (const kind of initial) put(kind);
  changed();

  return {
    get kinds() {
      return view.kinds;
    },
    get groups() {
      return view.groups;
    },
    get: ref => byGvk.get(gvkOf(ref)),
    byResource: (group, version, plural) => byPath.get(pathKey(group, version, plural)),
    resolve: name => resolve(view, name),
    within: (group, version) => view.kinds.filter(kind => kind.group === group && kind.version === version),
    inCategory: category => view.kinds.filter(kind => kind.categories.includes(category)),
    with: (...kinds) => kindRegistry([...view.kinds, ...kinds]),
    add(kind) {
      put(kind);
      changed();
    },
    remove(ref) {
      const kind = byGvk.get(gvkOf(ref));
      if (!kind) return false;
      byGvk.delete(gvkOf(kind));
      byPath.delete(pathKey(kind.group, kind.version, kind.plural));
      changed();
      return true;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const pathKey = (group: string, version: string, plural: string): string => `${group}/${version}/${plural}`;

/** What is computed from the kinds once a change. */
interface View {
  readonly kinds: readonly Kind<any>[];
  readonly groups: readonly GroupVersions[];
  /** By every name in lower case, in discovery order. */
  readonly byName: ReadonlyMap<string, readonly Kind<any>[]>;
}
const emptyView: View = { kinds: [], groups: [], byName: new Map() };

function viewOf(unordered: readonly Kind<any>[]): View {
  // The sort is stable: kinds of one group version stay in the order in which they came.
  const kinds = [...unordered].sort((a, b) => compareGroups(a.group, b.group) || compareVersions(a.version, b.version));
  const groups = new Map<string, Set<string>>();
  // Resources come before kinds and short names: a short name never hides a plural.
  const names: [name: string, kind: Kind<any>][] = [];
  for (const kind of kinds) {
    if (!groups.has(kind.group)) groups.set(kind.group, new Set());
    groups.get(kind.group)!.add(kind.version);
    names.push([kind.plural, kind]);
    if (kind.singular) names.push([kind.singular, kind]);
  }
  for (const kind of kinds) for (const short of kind.shortNames) names.push([short, kind]);
  for (const kind of kinds) names.push([kind.kind, kind]);
  const byName = new Map<string, Kind<any>[]>();
  for (const [name, kind] of names) {
    const key = name.toLowerCase();
    const known = byName.get(key);
    if (!known) byName.set(key, [kind]);
    else if (!known.includes(kind)) known.push(kind);
  }
  return { kinds, groups: [...groups].map(([group, versions]) => ({ group, versions: [...versions] })), byName };
}

function resolve(view: View, name: string): Kind<any> | undefined {
  const parts = name.toLowerCase().split('.');
  const candidates = view.byName.get(parts[0]!) ?? [];
  if (parts.length === 1) return candidates[0];
  // `deployments.v1.apps` and `pods.v1.` first, then `deployments.apps`: groups may have dots too.
  const [version, ...rest] = parts.slice(1);
  return (
    (parts.length > 2
      ? candidates.find(kind => kind.version === version && kind.group === rest.join('.'))
      : undefined) ?? candidates.find(kind => kind.group === parts.slice(1).join('.'))
  );
}

function compareGroups(a: string, b: string): number {
  const [first, second] = [groupOrder.indexOf(a), groupOrder.indexOf(b)];
  if (first >= 0 || second >= 0)
    return (first < 0 ? groupOrder.length : first) - (second < 0 ? groupOrder.length : second);
  return a < b ? -1 : a > b ? 1 : 0;
}

const kubeVersion = /^v(\d+)(?:(alpha|beta)(\d+))?$/;
const stages: Readonly<Record<string, number>> = { alpha: 0, beta: 1 };

/** Stable before beta before alpha, the higher number first; names of other forms last, by text (apimachinery `version`). */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [kubeVersion.exec(a), kubeVersion.exec(b)];
  if (!left || !right) return left ? -1 : right ? 1 : a < b ? -1 : a > b ? 1 : 0;
  const stage = (match: RegExpExecArray): number => (match[2] === undefined ? 2 : stages[match[2]]!);
  return (
    stage(right) - stage(left) || Number(right[1]) - Number(left[1]) || Number(right[3] ?? 0) - Number(left[3] ?? 0)
  );
}
