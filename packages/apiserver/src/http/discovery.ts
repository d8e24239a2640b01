/**
 * Discovery documents: what a server offers, in the aggregated form (one request for everything; kubectl 1.27 and later) and
 * in the legacy form (one per group version; `kubectl auth can-i`, Helm 3, the Python and JavaScript clients).
 *
 * The documents are values made from the served kinds; negotiation and caching headers are `discovery-routes.ts`'. v2 and v2beta1 are
 * the same but for their apiVersion. Source: apidiscovery.k8s.io/v2, meta/v1.APIResourceList; bodies observed on the wire.
 */
import { createHash } from 'node:crypto';
import type { Kind, Subresource } from '@orbitkit/core';
import type { GroupVersion, ServedGroup, ServedKinds } from './served-kinds.js';

const responseKind = (of: { group: string; version: string; kind: string }) => ({
  group: of.group,
  version: of.version,
  kind: of.kind,
});
const nonEmpty = <T>(name: string, values: readonly T[]) => (values.length > 0 ? { [name]: values } : {});

/** Kinds that are only written to, as Binding, have no object behind them, yet are listed. */
function aggregatedResource(kind: Kind) {
  return {
    resource: kind.plural,
    responseKind: responseKind(kind),
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...nonEmpty('shortNames', kind.shortNames),
    ...nonEmpty('categories', kind.categories),
    ...nonEmpty(
      'subresources',
      kind.subresources.map(subresource => ({
        subresource: subresource.name,
        responseKind: responseKind(subresource),
        verbs: subresource.verbs,
      })),
    ),
  };
}

function aggregatedGroup({ group, versions }: ServedGroup) {
  return {
    metadata: group === '' ? {} : { name: group },
    versions: versions.map(({ version, resources }) => ({
      version,
      resources: [...resources.values()].map(aggregatedResource),
      freshness: 'Current',
    })),
  };
}

/** Aggregated discovery of `/api` (the core group) or `/apis` (all others). */
export function aggregatedDiscovery(kinds: ServedKinds, root: 'api' | 'apis', version: 'v2' | 'v2beta1') {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: kinds.groups.filter(group => (group.group === '') === (root === 'api')).map(aggregatedGroup),
  };
}

/** Identifies the stored form of a resource (apiserver `discovery.StorageVersionHash`: first 8 bytes of SHA-256, base64). */
function storageVersionHash(of: Kind): string {
  const kind = of.storage?.kind ?? of;
  const text = `${kind.group}/${kind.version}/${kind.kind}`;
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64');
}

function legacyResource(kind: Kind) {
  return {
    name: kind.plural,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: kind.verbs,
    ...nonEmpty('shortNames', kind.shortNames),
    ...nonEmpty('categories', kind.categories),
    ...(kind.verbs.includes('list') && !kind.virtual ? { storageVersionHash: storageVersionHash(kind) } : {}),
  };
}

function legacySubresource(kind: Kind, subresource: Subresource) {
  const other = subresource.group !== kind.group || subresource.version !== kind.version;
  return {
    name: `${kind.plural}/${subresource.name}`,
    singularName: '',
    namespaced: kind.namespaced,
    ...(other ? { group: subresource.group, version: subresource.version } : {}),
    kind: subresource.kind,
    verbs: subresource.verbs,
  };
}

/** `/api/v1`, `/apis/{group}/{version}`. */
export function resourceList(groupVersion: GroupVersion) {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: groupVersion.name,
    resources: [...groupVersion.resources.values()].flatMap(kind => [
      legacyResource(kind),
      ...kind.subresources.map(subresource => legacySubresource(kind, subresource)),
    ]),
  };
}

function groupBody({ group, versions }: ServedGroup) {
  const names = versions.map(({ name, version }) => ({ groupVersion: name, version }));
  return { name: group, versions: names, preferredVersion: names[0] };
}

/** `/apis/{group}`. */
export const apiGroup = (group: ServedGroup) => ({ kind: 'APIGroup', apiVersion: 'v1', ...groupBody(group) });

/** `/apis`. */
export const apiGroupList = (kinds: ServedKinds) => ({
  kind: 'APIGroupList',
  apiVersion: 'v1',
  groups: kinds.groups.filter(({ group }) => group !== '').map(groupBody),
});

/** `/api`. @param address `host:port` under which the client reached the server. */
export const apiVersions = (kinds: ServedKinds, address: string) => ({
  kind: 'APIVersions',
  versions: kinds.groups.find(({ group }) => group === '')?.versions.map(({ version }) => version) ?? [],
  serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
});
