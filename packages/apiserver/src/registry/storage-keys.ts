/**
 * Where objects stand in the store: `/registry/<group or core>/<plural>/<namespace>/<name>`, without a namespace for
 * cluster-scoped kinds. Within a resource, `<namespace>/<name>` (or `<name>`) is the object's path: the unit of indexes and
 * of continue tokens. Names and namespaces hold no `/`.
 */
import type { ResourceKey } from './contract.js';

export const registryPrefix = '/registry/';

/** `core/pods`, `apps/deployments`: a resource of one group, whatever its version. */
export type ResourceId = string;

export interface GroupPlural {
  readonly group: string;
  readonly plural: string;
}

const ids = new Map<string, Map<string, ResourceId>>();

export function resourceIdOf({ group, plural }: GroupPlural): ResourceId {
  let plurals = ids.get(group);
  if (plurals === undefined) {
    plurals = new Map();
    ids.set(group, plurals);
  }
  let id = plurals.get(plural);
  if (id === undefined) {
    id = `${group === '' ? 'core' : group}/${plural}`;
    plurals.set(plural, id);
  }
  return id;
}

export const objectPath = ({ namespace, name }: ResourceKey): string => (namespace ? `${namespace}/${name}` : name);

export const resourcePrefix = (id: ResourceId): string => `${registryPrefix}${id}/`;

export const storageKey = (id: ResourceId, path: string): string => `${registryPrefix}${id}/${path}`;

/** The parts of a key, or undefined for a key that is not an object's. */
export function parseStorageKey(key: string): { id: ResourceId; path: string } | undefined {
  if (!key.startsWith(registryPrefix)) return undefined;
  const group = key.indexOf('/', registryPrefix.length);
  if (group < 0) return undefined;
  const plural = key.indexOf('/', group + 1);
  if (plural < 0 || plural === key.length - 1) return undefined;
  return { id: key.slice(registryPrefix.length, plural), path: key.slice(plural + 1) };
}

export function namespaceOfPath(path: string): string {
  const slash = path.indexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

export const nameOfPath = (path: string): string => path.slice(path.indexOf('/') + 1);
