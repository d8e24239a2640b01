/**
 * Of which families a service has addresses: `ipFamilyPolicy` and `ipFamilies` as written, filled in, or refused. Rules and texts: core registry
 * `service/storage/alloc.go` (initIPFamilyFields, trimFieldsForDualStackDowngrade; v0.33).
 */
import type { corev1 } from '@orbitkit/core';
import { familyOf, type IPFamily } from '../address-range.js';
import { sameJson } from '../json-value.js';

type Spec = corev1.ServiceSpec;

const other = (family: IPFamily): IPFamily => (family === 'IPv4' ? 'IPv6' : 'IPv4');

export const isHeadless = ({ clusterIP, clusterIPs }: Spec): boolean =>
  clusterIP === 'None' || clusterIPs?.[0] === 'None';

/** From two families back to one: what was given before is cut to the first, unless the writer says something else. */
export function trimToSingle(spec: Spec, before: Spec): void {
  if (spec.ipFamilyPolicy !== 'SingleStack' || before.ipFamilyPolicy === 'SingleStack') return;
  if (sameJson(spec.clusterIPs, before.clusterIPs) && (spec.clusterIPs?.length ?? 0) > 1)
    spec.clusterIPs = spec.clusterIPs!.slice(0, 1);
  if (sameJson(spec.ipFamilies, before.ipFamilies) && (spec.ipFamilies?.length ?? 0) > 1)
    spec.ipFamilies = spec.ipFamilies!.slice(0, 1);
}

/**
 * Fills in both fields. @returns the families, in order.
 * @param refuse Throws: the field, its value, and why.
 */
export function settleFamilies(
  spec: Spec,
  configured: readonly IPFamily[],
  refuse: (field: string, value: unknown, why: string) => never,
): readonly IPFamily[] {
  const addresses = (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter(each => each !== 'None');
  if (isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0) {
    // Whoever writes its endpoints knows their families, whatever the cluster has.
    const families = (spec.ipFamilies?.length ? spec.ipFamilies : [configured[0]!]) as IPFamily[];
    const both =
      families.length < 2 && spec.ipFamilyPolicy !== 'SingleStack' ? [families[0]!, other(families[0]!)] : families;
    spec.ipFamilyPolicy ??= 'RequireDualStack';
    spec.ipFamilies = both;
    return both;
  }
  const given = spec.ipFamilies ?? [];
  const policy = spec.ipFamilyPolicy;
  for (const [name, list] of [
    ['ipFamilies', given],
    ['clusterIPs', addresses],
  ] as const) {
    if (list.length > 1 && policy !== 'RequireDualStack' && policy !== 'PreferDualStack') {
      const why = `must be 'RequireDualStack' or 'PreferDualStack' when multiple '${name}' are specified`;
      refuse('spec.ipFamilyPolicy', policy ?? null, why);
    }
  }
  if (policy === 'RequireDualStack' && configured.length < 2)
    refuse('spec.ipFamilyPolicy', policy, 'this cluster is not configured for dual-stack services');
  const families: IPFamily[] = given.slice(0, 2) as IPFamily[];
  for (const [index, address] of addresses.entries()) {
    const family = familyOf(address);
    // What is no address is for validation to judge.
    if (family !== undefined && families[index] === undefined) families[index] = family;
  }
  for (const [index, family] of families.entries()) {
    if (family && !configured.includes(family))
      refuse(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster');
  }
  if (families.length === 0) families.push(configured[0]!);
  spec.ipFamilyPolicy ??= 'SingleStack';
  if (spec.ipFamilyPolicy !== 'SingleStack' && families.length < 2 && configured.length > 1)
    families.push(other(families[0]!));
  spec.ipFamilies = families;
  return families;
}
