/**
 * Which endpoints belong into which slices, decided purely. Slices are changed as little as possible: an endpoint stays in
 * the slice in which it is; new ones fill up slices that change anyway, then those with room, then new slices.
 *
 * All endpoints of a slice have the same ports and address family, at most 100 in one. Of each family that is named one slice is
 * kept, be it empty, so that "nobody is ready" can be told from "nobody has looked".
 */
import type { EndpointSlice } from '@orbitkit/core';
import { type DeepReadonly, mutableCopy } from '@orbitkit/informer';
import type { AddressFamily } from './service-pods.js';

type Endpoint = EndpointSlice['endpoints'][number];
type EndpointPort = NonNullable<EndpointSlice['ports']>[number];
export type SliceView = DeepReadonly<EndpointSlice>;

/** `--max-endpoints-per-slice` */
export const endpointsPerSlice = 100;

export interface DesiredEndpoint {
  family: AddressFamily;
  ports: readonly EndpointPort[];
  endpoint: Endpoint;
}

export interface SlicePlan {
  create: { addressType: AddressFamily; ports: EndpointPort[]; endpoints: Endpoint[] }[];
  update: { slice: SliceView; endpoints: Endpoint[] }[];
  remove: SliceView[];
}

const groupOf = (family: string, ports: readonly DeepReadonly<EndpointPort>[] | undefined): string =>
  JSON.stringify([
    family,
    (ports ?? [])
      .map(({ name = '', protocol = 'TCP', port, appProtocol = '' }) => [name, protocol, port, appProtocol].join('|'))
      .sort(),
  ]);

/** Who an endpoint is: its pod, or its address when it has none. */
const identityOf = (endpoint: DeepReadonly<Endpoint>): string =>
  endpoint.targetRef?.uid ?? endpoint.addresses.join(',');

export function planSlices(
  desired: readonly DesiredEndpoint[],
  existing: readonly SliceView[],
  families: readonly AddressFamily[],
  limit = endpointsPerSlice,
): SlicePlan {
  const plan: SlicePlan = { create: [], update: [], remove: [] };
  const groups = new Map<string, { wanted: DesiredEndpoint[]; slices: SliceView[] }>();
  const group = (key: string) => {
    const known = groups.get(key) ?? { wanted: [], slices: [] };
    groups.set(key, known);
    return known;
  };
  for (const each of desired) group(groupOf(each.family, each.ports)).wanted.push(each);
  for (const slice of existing) group(groupOf(slice.addressType, slice.ports)).slices.push(slice);

  for (const { wanted, slices } of groups.values()) planGroup(plan, wanted, slices, limit);

  for (const family of families) {
    const gone = new Set(plan.remove);
    const left = existing.some(slice => slice.addressType === family && !gone.has(slice));
    if (left || plan.create.some(slice => slice.addressType === family)) continue;
    const spared = plan.remove.find(slice => slice.addressType === family && (slice.ports ?? []).length === 0);
    if (spared) {
      plan.remove.splice(plan.remove.indexOf(spared), 1);
      if (spared.endpoints.length > 0) plan.update.push({ slice: spared, endpoints: [] });
    } else {
      plan.create.push({ addressType: family, ports: [], endpoints: [] });
    }
  }
  return plan;
}

interface Draft {
  slice: SliceView;
  endpoints: Endpoint[];
  changed: boolean;
}

function planGroup(
  plan: SlicePlan,
  wanted: readonly DesiredEndpoint[],
  slices: readonly SliceView[],
  limit: number,
): void {
  const missing = new Map(wanted.map(each => [identityOf(each.endpoint), each.endpoint]));
  const drafts = slices.map((slice): Draft => {
    const endpoints: Endpoint[] = [];
    let changed = false;
    for (const present of slice.endpoints ?? []) {
      const next = missing.get(identityOf(present));
      if (!next) {
        changed = true;
        continue;
      }
      missing.delete(identityOf(present));
      const same = sameEndpoint(present, next);
      changed ||= !same;
      endpoints.push(same ? mutableCopy<Endpoint>(present) : next);
    }
    return { slice, endpoints, changed };
  });

  // Those that change anyway take newcomers first, fullest first; then one of the others that has room for all the rest.
  const newcomers = [...missing.values()];
  const byRoom = [...drafts].sort(
    (a, b) => Number(b.changed) - Number(a.changed) || b.endpoints.length - a.endpoints.length,
  );
  for (const draft of byRoom) {
    if (newcomers.length === 0) break;
    const room = limit - draft.endpoints.length;
    if (room <= 0 || (!draft.changed && room < Math.min(newcomers.length, limit))) continue;
    draft.endpoints.push(...newcomers.splice(0, room));
    draft.changed = true;
  }
  for (const { slice, endpoints, changed } of drafts) {
    if (endpoints.length === 0) plan.remove.push(slice);
    else if (changed) plan.update.push({ slice, endpoints });
  }
  const first = wanted[0];
  while (newcomers.length > 0 && first) {
    const ports = first.ports.map(port => ({ ...port }));
    plan.create.push({ addressType: first.family, ports, endpoints: newcomers.splice(0, limit) });
  }
}

function sameEndpoint(a: DeepReadonly<Endpoint>, b: Endpoint): boolean {
  const of = (each: DeepReadonly<Endpoint>) =>
    JSON.stringify([
      each.addresses,
      each.conditions?.ready ?? true,
      each.conditions?.serving ?? true,
      each.conditions?.terminating ?? false,
      each.hostname ?? '',
      each.nodeName ?? '',
      each.zone ?? '',
      each.hints?.forZones?.map(({ name }) => name) ?? [],
      each.targetRef?.name ?? '',
      each.targetRef?.uid ?? '',
    ]);
  return of(a) === of(b);
}
