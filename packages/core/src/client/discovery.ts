/**
 * What an API serves: the kinds that it lists itself, found by apiVersion and kind or by the names that people type
 * (`po`, `deploy`, `deployments.apps`, `deployments.v1.apps`). Works with any Kubernetes: aggregated discovery (v2, v2beta1)
 * in two requests, and where that is not spoken the older documents, one a group version.
 *
 * A name that several groups use means the first group in the server's own order, as in kubectl. A group whose documents
 * cannot be read (its server is down) is left out and named in `failedGroups`.
 */
import { StatusError } from '../errors/status-error.js';
import { apiVersionOf, type ResourceRef } from '../kinds/kind.js';
import type { DynamicObject } from '../meta/object.js';
import { requestJson } from './request-json.js';
import type { Transport } from './transport.js';

/** One kind that a server lists, as far as its discovery documents tell: enough to address objects, without their schema. */
export interface DiscoveredKind extends ResourceRef<DynamicObject> {
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly verbs: readonly string[];
  /** Names of its subresources: `status`, `scale`. */
  readonly subresources: readonly string[];
}

/** The kinds that a server listed, found by identity and by the names that people type. */
export interface KindResolver {
  /** In the server's order: groups by priority, versions by preference. */
  readonly kinds: readonly DiscoveredKind[];
  /** `apps/v1` and the like whose documents could not be read, with the error's text. */
  readonly failedGroups: ReadonlyMap<string, string>;
  /** @throws StatusError NotFound that names what the server lacks. */
  byKind(apiVersion: string, kind: string): DiscoveredKind;
  /** @throws StatusError NotFound. */
  byName(name: string): DiscoveredKind;
  /** The kinds of a category, e.g. `all`; empty when there is none of that name. */
  byCategory(category: string): DiscoveredKind[];
}

const aggregatedAccept = ['v2', 'v2beta1']
  .map(version => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  .concat('application/json')
  .join(',');

interface AggregatedResource {
  resource: string;
  responseKind?: { group?: string; version?: string; kind: string };
  scope: string;
  singularResource?: string;
  verbs?: string[];
  shortNames?: string[];
  categories?: string[];
  subresources?: { subresource: string }[];
}
interface AggregatedList {
  kind: string;
  items?: {
    metadata?: { name?: string };
    versions?: { version: string; freshness?: string; resources?: AggregatedResource[] }[];
  }[];
}
interface LegacyResource {
  name: string;
  singularName?: string;
  namespaced: boolean;
  kind: string;
  group?: string;
  version?: string;
  verbs?: string[];
  shortNames?: string[];
  categories?: string[];
}

/**
 * Reads what the API serves, once: later changes need another call.
 * @throws StatusError when the groups themselves cannot be read; a group that fails alone is left out.
 */
export async function discoverKinds(
  from: Transport | { readonly transport: Transport },
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<KindResolver> {
  const transport = 'transport' in from ? from.transport : from;
  const read = <T>(path: string) =>
    requestJson<T>(transport, {
      method: 'GET',
      path,
      headers: { accept: aggregatedAccept },
      timeoutMs: 32_000,
      ...options,
    });
  const failedGroups = new Map<string, string>();
  const [core, groups] = await Promise.all([read<any>('/api'), read<any>('/apis')]);

  const kinds = (
    await Promise.all([
      core.kind === 'APIGroupDiscoveryList'
        ? fromAggregated(core)
        : fromLegacy(
            (core.versions ?? []).map((version: string) => ({ group: '', version })),
            read,
            failedGroups,
          ),
      groups.kind === 'APIGroupDiscoveryList'
        ? fromAggregated(groups)
        : fromLegacy(legacyVersions(groups.groups ?? []), read, failedGroups),
    ])
  ).flat();
  return kindResolver(kinds, failedGroups);
}

function fromAggregated(list: AggregatedList): DiscoveredKind[] {
  return (list.items ?? []).flatMap(item => {
    const group = item.metadata?.name ?? '';
    return (item.versions ?? []).flatMap(({ version, resources = [] }) =>
      resources
        // A resource without a kind of its own has only subresources.
        .filter(resource => resource.responseKind?.kind)
        .map(resource => ({
          group,
          version,
          kind: resource.responseKind!.kind,
          plural: resource.resource,
          namespaced: resource.scope === 'Namespaced',
          singular: resource.singularResource || resource.responseKind!.kind.toLowerCase(),
          shortNames: resource.shortNames ?? [],
          categories: resource.categories ?? [],
          verbs: resource.verbs ?? [],
          subresources: (resource.subresources ?? []).map(({ subresource }) => subresource),
        })),
    );
  });
}

interface GroupVersion {
  group: string;
  version: string;
}

/** The preferred version of each group first, then the others as listed. */
function legacyVersions(
  groups: { name: string; versions: { version: string }[]; preferredVersion?: { version: string } }[],
): GroupVersion[] {
  return groups.flatMap(({ name, versions, preferredVersion }) => {
    const all = versions.map(each => each.version);
    const preferred = preferredVersion?.version;
    const sorted = preferred === undefined ? all : [preferred, ...all.filter(version => version !== preferred)];
    return sorted.map(version => ({ group: name, version }));
  });
}

async function fromLegacy(
  versions: readonly GroupVersion[],
  read: <T>(path: string) => Promise<T>,
  failedGroups: Map<string, string>,
): Promise<DiscoveredKind[]> {
  const documents = await Promise.all(
    versions.map(async groupVersion => {
      const apiVersion = apiVersionOf(groupVersion);
      try {
        const list = await read<{ resources?: LegacyResource[] }>(
          groupVersion.group ? `/apis/${apiVersion}` : `/api/${apiVersion}`,
        );
        return ofLegacyList(groupVersion, list.resources ?? []);
      } catch (error) {
        failedGroups.set(apiVersion, (error as Error).message);
        return [];
      }
    }),
  );
  return documents.flat();
}

function ofLegacyList({ group, version }: GroupVersion, resources: readonly LegacyResource[]): DiscoveredKind[] {
  return resources
    .filter(({ name }) => !name.includes('/'))
    .map(resource => ({
      group,
      version,
      kind: resource.kind,
      plural: resource.name,
      namespaced: resource.namespaced,
      singular: resource.singularName || resource.kind.toLowerCase(),
      shortNames: resource.shortNames ?? [],
      categories: resource.categories ?? [],
      verbs: resource.verbs ?? [],
      subresources: resources
        .filter(({ name }) => name.startsWith(`${resource.name}/`))
        .map(({ name }) => name.slice(resource.name.length + 1)),
    }));
}

/** Resolves names over a list of kinds; the list's order decides between equal names. */
export function kindResolver(
  kinds: readonly DiscoveredKind[],
  failedGroups: ReadonlyMap<string, string> = new Map(),
): KindResolver {
  const byGvk = new Map(kinds.map(each => [`${apiVersionOf(each)}/${each.kind}`, each]));

  /** `deployments`, `deployments.apps`, `deployments.v1.apps`; the group may itself have dots. */
  function qualifies(kind: DiscoveredKind, rest: string): boolean {
    return (
      rest === kind.group || rest === `${kind.version}.${kind.group}` || (kind.group === '' && rest === kind.version)
    );
  }

  function find(name: string, matches: (kind: DiscoveredKind, word: string) => boolean): DiscoveredKind | undefined {
    const dot = name.indexOf('.');
    if (dot < 0) return kinds.find(kind => matches(kind, name));
    const [word, rest] = [name.slice(0, dot), name.slice(dot + 1)];
    return kinds.find(kind => matches(kind, word) && qualifies(kind, rest));
  }

  const hint = (): string =>
    failedGroups.size === 0 ? '' : `; the documents of ${[...failedGroups.keys()].join(', ')} could not be read`;

  return {
    kinds,
    failedGroups,
    byKind(apiVersion, kind) {
      const found = byGvk.get(`${apiVersion}/${kind}`);
      if (found) return found;
      const elsewhere = kinds.filter(each => each.kind === kind).map(apiVersionOf);
      const served = elsewhere.length > 0 ? `; the server has ${kind} in ${elsewhere.join(', ')}` : '';
      throw new StatusError('NotFound', `no matches for kind "${kind}" in version "${apiVersion}"${served}${hint()}`);
    },
    byName(name) {
      const lower = name.toLowerCase();
      // Full names win over short names, as in kubectl: a kind may be called like another one's abbreviation.
      const found =
        find(
          lower,
          (kind, word) => kind.plural === word || kind.singular === word || kind.kind.toLowerCase() === word,
        ) ?? find(lower, (kind, word) => kind.shortNames.includes(word));
      if (found) return found;
      throw new StatusError('NotFound', `the server doesn't have a resource type "${name}"${hint()}`);
    },
    byCategory: category => {
      const seen = new Set<string>();
      return kinds.filter(kind => {
        const key = `${kind.group}/${kind.plural}`;
        if (!kind.categories.includes(category) || seen.has(key)) return false;
        seen.add(key);
        return true;
      });
    },
  };
}
