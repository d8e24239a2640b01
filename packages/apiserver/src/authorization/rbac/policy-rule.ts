/**
 * What one rule of a role allows, and whether rules cover others. Pure.
 *
 * Matching is upstream's (`pkg/apis/rbac/v1` evaluation helpers): `*` matches every verb, group, resource and URL; `*` with a
 * subresource that subresource of everything; a URL that ends in `*` every path that begins so; no resourceNames means every name.
 * A rule speaks of resources or of URLs, never of both.
 */
import type { rbacv1 } from '@orbitkit/core';
import type { Attributes } from '../authorizer.js';

export type PolicyRule = Readonly<rbacv1.PolicyRule>;

/** The attributes of a request that rules look at. */
export type RuleRequest = Pick<
  Attributes,
  'verb' | 'isResource' | 'path' | 'group' | 'resource' | 'subresource' | 'name'
>;

const has = (list: readonly string[] | undefined, value: string): boolean => list?.includes(value) ?? false;
const hasOrAll = (list: readonly string[] | undefined, value: string): boolean => has(list, '*') || has(list, value);

function ruleAllows(rule: PolicyRule, request: RuleRequest): boolean {
  if (!hasOrAll(rule.verbs, request.verb)) return false;
  if (!request.isResource) return rule.nonResourceURLs?.some(url => urlMatches(url, request.path)) ?? false;
  return (
    hasOrAll(rule.apiGroups, request.group) &&
    resourceMatches(rule.resources, request.resource, request.subresource) &&
    (!rule.resourceNames?.length || (request.name !== undefined && rule.resourceNames.includes(request.name)))
  );
}

export const rulesAllow = (rules: readonly PolicyRule[], request: RuleRequest): boolean =>
  rules.some(rule => ruleAllows(rule, request));

function resourceMatches(
  resources: readonly string[] | undefined,
  resource: string,
  subresource: string | undefined,
): boolean {
  if (subresource === undefined) return hasOrAll(resources, resource);
  return hasOrAll(resources, `${resource}/${subresource}`) || has(resources, `*/${subresource}`);
}

function urlMatches(pattern: string, path: string): boolean {
  if (pattern === '*' || pattern === path) return true;
  return pattern.endsWith('*') && path.startsWith(pattern.replace(/\*+$/, ''));
}

/**
 * The parts of `wanted` that nobody who has `held` may give to others: broken down to one verb, group, resource and name each.
 * Empty: everything is covered.
 */
export function uncovered(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(broken).filter(part => !held.some(rule => covers(rule, part)));
}

function broken(rule: PolicyRule): PolicyRule[] {
  const parts: PolicyRule[] = [];
  for (const verb of rule.verbs ?? []) {
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const part = { apiGroups: [group], resources: [resource], verbs: [verb] };
        if (!rule.resourceNames?.length) parts.push(part);
        for (const name of rule.resourceNames ?? []) parts.push({ ...part, resourceNames: [name] });
      }
    }
    for (const url of rule.nonResourceURLs ?? []) parts.push({ nonResourceURLs: [url], verbs: [verb] });
  }
  return parts;
}

/** Whether a rule holds a broken-down part. */
function covers(rule: PolicyRule, part: PolicyRule): boolean {
  if (!hasOrAll(rule.verbs, part.verbs[0]!)) return false;
  const url = part.nonResourceURLs?.[0];
  if (url !== undefined) return rule.nonResourceURLs?.some(each => urlMatches(each, url)) ?? false;
  const [resource = ''] = part.resources ?? [];
  const slash = resource.indexOf('/');
  const names = rule.resourceNames ?? [];
  return (
    hasOrAll(rule.apiGroups, part.apiGroups![0]!) &&
    (hasOrAll(rule.resources, resource) || (slash >= 0 && has(rule.resources, `*${resource.slice(slash)}`))) &&
    (names.length === 0 || (part.resourceNames?.length === 1 && names.includes(part.resourceNames[0]!)))
  );
}

/** Rules that differ in their verbs alone become one; sorted as upstream sorts them for people. */
export function compact(rules: readonly PolicyRule[]): PolicyRule[] {
  const merged = new Map<string, PolicyRule & { verbs: string[] }>();
  for (const { verbs, ...rest } of rules) {
    const key = JSON.stringify([rest.apiGroups, rest.resources, rest.resourceNames, rest.nonResourceURLs]);
    const known = merged.get(key);
    if (known === undefined) merged.set(key, { ...rest, verbs: [...verbs] });
    else known.verbs.push(...verbs.filter(verb => !known.verbs.includes(verb)));
  }
  const shown = new Map([...merged.values()].map(rule => [ruleText(rule), rule]));
  return [...shown.keys()].sort().map(text => shown.get(text)!);
}

/** `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`, as Go prints it. */
export function ruleText(rule: PolicyRule): string {
  const parts: string[] = [];
  const add = (name: string, list: readonly string[] | undefined) => {
    if (list?.length) parts.push(`${name}:${listText(list)}`);
  };
  add('APIGroups', rule.apiGroups);
  add('Resources', rule.resources);
  add('NonResourceURLs', rule.nonResourceURLs);
  add('ResourceNames', rule.resourceNames);
  add('Verbs', rule.verbs);
  return `{${parts.join(', ')}}`;
}

/** `["a" "b"]`: Go's %q of a list. */
export const listText = (list: readonly string[]): string => `[${list.map(each => JSON.stringify(each)).join(' ')}]`;
