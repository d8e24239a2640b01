/**
 * The kinds that a server offers, arranged as discovery, OpenAPI and routing need them: groups and versions in order of
 * preference (the order in which the kinds were given: the first group that has a short name wins in clients), resources by
 * plural. A value; a server whose kinds change makes a new one.
 */
import type { Kind } from '@orbitkit/core';

export interface GroupVersion {
  readonly group: string;
  readonly version: string;
  /** `apps/v1`, or `v1`. */
  readonly name: string;
  /** By plural name, in discovery order. */
  readonly resources: ReadonlyMap<string, Kind>;
}

export interface ServedGroup {
  readonly group: string;
  /** The preferred version first. */
  readonly versions: readonly GroupVersion[];
}

export interface ServedKinds {
  readonly groups: readonly ServedGroup[];
  groupVersion(group: string, version: string): GroupVersion | undefined;
  find(group: string, version: string, plural: string): Kind | undefined;
}

export function servedKinds(kinds: Iterable<Kind>): ServedKinds {
  const groups = new Map<string, Map<string, GroupVersion & { resources: Map<string, Kind> }>>();
  for (const kind of kinds) {
    let versions = groups.get(kind.group);
    if (!versions) {
      versions = new Map();
      groups.set(kind.group, versions);
    }
    let groupVersion = versions.get(kind.version);
    if (!groupVersion) {
      const name = kind.group ? `${kind.group}/${kind.version}` : kind.version;
      groupVersion = { group: kind.group, version: kind.version, name, resources: new Map() };
      versions.set(kind.version, groupVersion);
    }
    const other = groupVersion.resources.get(kind.plural);
    if (other)
      throw new Error(`two kinds are served as ${groupVersion.name}/${kind.plural}: ${other.kind} and ${kind.kind}`);
    groupVersion.resources.set(kind.plural, kind);
  }
  const groupVersion = (group: string, version: string) => groups.get(group)?.get(version);
  return {
    groups: [...groups].map(([group, versions]) => ({ group, versions: [...versions.values()] })),
    groupVersion,
    find: (group, version, plural) => groupVersion(group, version)?.resources.get(plural),
  };
}
