/**
 * Which flow a request belongs to: the first flow schema in order of precedence (then of name) whose rules match it, and within it the
 * flow of its user or of its namespace (kubernetes.io `flow-control`).
 *
 * Which schemas can concern a user at all is found once for each user: users keep their identity from request to request.
 */
import type { flowcontrolv1, UserInfo } from '@orbitkit/core';
import type { RequestInfo } from '../http/request-info.js';

export interface Schema {
  readonly name: string;
  readonly uid: string;
  readonly level: string;
  readonly by: 'ByUser' | 'ByNamespace' | undefined;
}

interface CompiledRules {
  readonly concerns: (user: UserInfo) => boolean;
  readonly matches: (info: RequestInfo) => boolean;
}
interface CompiledSchema extends Schema {
  readonly precedence: number;
  readonly rules: readonly CompiledRules[];
}
interface Candidate {
  readonly schema: Schema;
  readonly matches: (info: RequestInfo) => boolean;
}

export class FlowSchemas {
  readonly #schemas: readonly CompiledSchema[];
  readonly #byUser = new WeakMap<UserInfo, readonly Candidate[]>();

  constructor(schemas: Iterable<{ name: string; uid: string; spec: flowcontrolv1.FlowSchemaSpec }>) {
    this.#schemas = [...schemas]
      .map(compiled)
      .sort((a, b) => a.precedence - b.precedence || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /** Undefined: none matches, not even a catch-all. */
  match(user: UserInfo, info: RequestInfo): Schema | undefined {
    let candidates = this.#byUser.get(user);
    if (candidates === undefined) {
      candidates = this.#schemas.flatMap(schema =>
        schema.rules.filter(rules => rules.concerns(user)).map(({ matches }) => ({ schema, matches })),
      );
      this.#byUser.set(user, candidates);
    }
    for (const { schema, matches } of candidates) if (matches(info)) return schema;
    return undefined;
  }
}

/** What tells the flows of one schema apart. */
export function distinguisherOf(schema: Schema, user: UserInfo, info: RequestInfo): string {
  if (schema.by === 'ByUser') return user.username;
  return schema.by === 'ByNamespace' ? (info.namespace ?? '') : '';
}

function compiled({
  name,
  uid,
  spec,
}: {
  name: string;
  uid: string;
  spec: flowcontrolv1.FlowSchemaSpec;
}): CompiledSchema {
  const by = spec.distinguisherMethod?.type;
  return {
    name,
    uid,
    level: spec.priorityLevelConfiguration.name,
    by: by === 'ByUser' ? 'ByUser' : by === 'ByNamespace' ? 'ByNamespace' : undefined,
    // Upstream's default.
    precedence: spec.matchingPrecedence ?? 1_000,
    rules: (spec.rules ?? []).map(({ subjects, resourceRules, nonResourceRules }) => ({
      concerns: user => (subjects ?? []).some(subject => isSubject(subject, user)),
      matches: requestMatch(resourceRules ?? [], nonResourceRules ?? []),
    })),
  };
}

const accountPrefix = 'system:serviceaccount:';

function isSubject(subject: flowcontrolv1.Subject, user: UserInfo): boolean {
  if (subject.user) return subject.user.name === '*' || subject.user.name === user.username;
  if (subject.group) return subject.group.name === '*' || user.groups.includes(subject.group.name);
  if (!subject.serviceAccount || !user.username.startsWith(accountPrefix)) return false;
  const { namespace, name } = subject.serviceAccount;
  const [own, account] = user.username.slice(accountPrefix.length).split(':');
  return own === namespace && (name === '*' || name === account);
}

function anyOf(values: readonly string[] | undefined): (value: string) => boolean {
  if (values?.includes('*')) return () => true;
  const set = new Set(values);
  return value => set.has(value);
}

function requestMatch(
  resources: readonly flowcontrolv1.ResourcePolicyRule[],
  paths: readonly flowcontrolv1.NonResourcePolicyRule[],
): (info: RequestInfo) => boolean {
  const ofResources = resources.map(rule => {
    const verb = anyOf(rule.verbs);
    const group = anyOf(rule.apiGroups);
    const resource = anyOf(rule.resources);
    const namespace = anyOf(rule.namespaces);
    return (info: RequestInfo) =>
      verb(info.verb) &&
      group(info.group) &&
      resource(info.subresource === undefined ? info.resource : `${info.resource}/${info.subresource}`) &&
      (info.namespace === undefined ? rule.clusterScope === true : namespace(info.namespace));
  });
  const ofPaths = paths.map(rule => {
    const verb = anyOf(rule.verbs);
    const urls = rule.nonResourceURLs ?? [];
    return (info: RequestInfo) => verb(info.verb) && urls.some(url => matchesUrl(url, info.path));
  });
  return info => (info.isResource ? ofResources : ofPaths).some(rule => rule(info));
}

const matchesUrl = (url: string, path: string): boolean =>
  url === '*' || url === path || (url.endsWith('/*') && path.startsWith(url.slice(0, -1)));
