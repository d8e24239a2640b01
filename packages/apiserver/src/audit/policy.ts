/**
 * Which requests an audit log tells of, and how much: rules in order, the first that matches decides; nothing matches: None. Form and
 * rules are upstream's `audit.k8s.io/v1` Policy.
 */
import { readFile } from 'node:fs/promises';
import type { UserInfo } from '@orbitkit/core';
import { parse } from 'yaml';
import type { RequestInfo } from '../http/request-info.js';

const levels = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
export type Level = (typeof levels)[number];
const stages = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type Stage = (typeof stages)[number];

export interface PolicyRule {
  level: Level;
  users?: string[];
  userGroups?: string[];
  verbs?: string[];
  resources?: { group?: string; resources?: string[]; resourceNames?: string[] }[];
  namespaces?: string[];
  nonResourceURLs?: string[];
  omitStages?: Stage[];
  omitManagedFields?: boolean;
}

/** `audit.k8s.io/v1` Policy, without its envelope. */
export interface AuditPolicy {
  rules: readonly PolicyRule[];
  omitStages?: readonly Stage[];
  omitManagedFields?: boolean;
}

export interface Applied {
  readonly level: Level;
  readonly omitStages: ReadonlySet<Stage>;
  readonly omitManagedFields: boolean;
}

const nothing: Applied = { level: 'None', omitStages: new Set(), omitManagedFields: false };

/** What the policy says of a request. */
export function appliedTo(policy: AuditPolicy, user: UserInfo | undefined, info: RequestInfo): Applied {
  const rule = policy.rules.find(each => matches(each, user, info));
  if (rule === undefined || rule.level === 'None') return nothing;
  return {
    level: rule.level,
    omitStages: new Set([...(policy.omitStages ?? []), ...(rule.omitStages ?? [])]),
    omitManagedFields: rule.omitManagedFields ?? policy.omitManagedFields ?? false,
  };
}

function matches(rule: PolicyRule, user: UserInfo | undefined, info: RequestInfo): boolean {
  if (rule.users?.length && (user === undefined || !rule.users.includes(user.username))) return false;
  if (rule.userGroups?.length && !rule.userGroups.some(group => user?.groups.includes(group))) return false;
  if (rule.verbs?.length && !rule.verbs.includes(info.verb)) return false;
  if (info.isResource) {
    if (rule.nonResourceURLs?.length) return false;
    if (rule.namespaces?.length && !rule.namespaces.includes(info.namespace ?? '')) return false;
    return !rule.resources?.length || rule.resources.some(each => matchesResource(each, info));
  }
  if (rule.resources?.length || rule.namespaces?.length) return false;
  return !rule.nonResourceURLs?.length || rule.nonResourceURLs.some(url => matchesUrl(url, info.path));
}

function matchesResource(of: NonNullable<PolicyRule['resources']>[number], info: RequestInfo): boolean {
  if ((of.group ?? '') !== info.group) return false;
  if (of.resourceNames?.length && !of.resourceNames.includes(info.name ?? '')) return false;
  if (!of.resources?.length) return true;
  const { resource, subresource } = info;
  return of.resources.some(
    each =>
      each === '*' ||
      each === (subresource === undefined ? resource : `${resource}/${subresource}`) ||
      (subresource !== undefined && each === `*/${subresource}`) ||
      (each.endsWith('/*') && each.slice(0, -2) === resource),
  );
}

const matchesUrl = (pattern: string, path: string): boolean =>
  pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1)));

/** @throws Error that names the file and the field that is wrong. */
export async function readAuditPolicy(file: string): Promise<AuditPolicy> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new Error(`the audit policy ${file} cannot be read: ${cause.message}`, { cause });
  });
  return parseAuditPolicy(text, file);
}

const ruleFields = new Set([
  'level',
  'users',
  'userGroups',
  'verbs',
  'resources',
  'namespaces',
  'nonResourceURLs',
  'omitStages',
  'omitManagedFields',
]);

/** @param where for messages. */
export function parseAuditPolicy(text: string, where: string): AuditPolicy {
  const wrong = (field: string, what: string): never => {
    throw new Error(`${where}: ${field}: ${what}`);
  };
  let document: any;
  try {
    document = parse(text);
  } catch (cause) {
    throw new Error(`${where} is not YAML: ${(cause as Error).message}`, { cause });
  }
  if (document?.kind !== 'Policy' || document.apiVersion !== 'audit.k8s.io/v1')
    wrong('kind', 'kind: Policy and apiVersion: audit.k8s.io/v1 are expected');
  if (!Array.isArray(document.rules) || document.rules.length === 0) wrong('rules', 'at least one rule is expected');
  const stagesOf = (value: unknown, field: string): Stage[] | undefined => {
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || !value.every(each => (stages as readonly string[]).includes(each)))
      wrong(field, `a list of ${stages.join(', ')} is expected`);
    return value as Stage[];
  };
  const rules = document.rules.map((rule: any, i: number): PolicyRule => {
    const at = `rules[${i}]`;
    if (!(levels as readonly string[]).includes(rule?.level))
      wrong(`${at}.level`, `one of ${levels.join(', ')} is expected`);
    for (const field of Object.keys(rule))
      if (!ruleFields.has(field)) wrong(`${at}.${field}`, 'a rule has no such field');
    for (const field of ['users', 'userGroups', 'verbs', 'resources', 'namespaces', 'nonResourceURLs'])
      if (rule[field] !== undefined && !Array.isArray(rule[field])) wrong(`${at}.${field}`, 'a list is expected');
    if (rule.nonResourceURLs?.length && (rule.resources?.length || rule.namespaces?.length))
      wrong(`${at}.nonResourceURLs`, 'a rule speaks of resources or of URLs, not of both');
    stagesOf(rule.omitStages, `${at}.omitStages`);
    return rule as PolicyRule;
  });
  const omitStages = stagesOf(document.omitStages, 'omitStages');
  return {
    rules,
    ...(omitStages ? { omitStages } : {}),
    ...(document.omitManagedFields === true ? { omitManagedFields: true } : {}),
  };
}
