/**
 * May they: from a user and what they want to do to an answer. Authorizers are asked in order; the first that has an opinion decides,
 * and what nobody allows is forbidden (apiserver `union` authorizer).
 */
import { StatusError, type UserInfo } from '@orbitkit/core';

/** What is asked for: a user and the attributes of the request (the server's `RequestInfo` has them by the same names). */
export interface Attributes {
  readonly user: UserInfo;
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for other paths the method in lower case. */
  readonly verb: string;
  /** False: only `verb` and `path` count. */
  readonly isResource: boolean;
  readonly path: string;
  readonly group: string;
  readonly version: string;
  /** Undefined: the cluster scope, or all namespaces. */
  readonly namespace: string | undefined;
  /** Plural name. */
  readonly resource: string;
  readonly subresource: string | undefined;
  readonly name: string | undefined;
  /** Of a list or watch, as it stands in the query. */
  readonly fieldSelector?: string | undefined;
}

/** `deny` ends the question; after `noOpinion` the next authorizer is asked. */
export type Decision = 'allow' | 'deny' | 'noOpinion';

/** A decision, and why. */
export interface Verdict {
  readonly decision: Decision;
  /** For people; may be empty. */
  readonly reason: string;
}

/** One opinion on what users may do: RBAC, the node authorizer, your own. */
export interface Authorizer {
  /** A promise only when it has to wait: most decisions come from memory. */
  authorize(attributes: Attributes): Verdict | Promise<Verdict>;
}

/** The first that allows or denies. An authorizer that throws has no opinion; its message joins the reasons. */
export function anyAuthorizer(...authorizers: readonly Authorizer[]): Authorizer {
  async function goOn(
    attributes: Attributes,
    at: number,
    asked: Promise<Verdict>,
    reasons: string[],
  ): Promise<Verdict> {
    try {
      const verdict = await asked;
      if (verdict.decision !== 'noOpinion') return verdict;
      if (verdict.reason !== '') reasons.push(verdict.reason);
    } catch (error) {
      reasons.push(textOf(error));
    }
    return ask(attributes, at + 1, reasons);
  }

  /** Waits only for those that wait. */
  function ask(attributes: Attributes, from: number, reasons: string[]): Verdict | Promise<Verdict> {
    for (let at = from; at < authorizers.length; at++) {
      try {
        const verdict = authorizers[at]!.authorize(attributes);
        if (verdict instanceof Promise) return goOn(attributes, at, verdict, reasons);
        if (verdict.decision !== 'noOpinion') return verdict;
        if (verdict.reason !== '') reasons.push(verdict.reason);
      } catch (error) {
        reasons.push(textOf(error));
      }
    }
    return { decision: 'noOpinion', reason: reasons.join(', ') };
  }

  return { authorize: attributes => ask(attributes, 0, []) };
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const mastersGroup = 'system:masters';

/** Members of `system:masters` may do everything; of others it has no opinion, so alone it keeps them out. */
export function allowMasters(): Authorizer {
  const allowed: Verdict = { decision: 'allow', reason: '' };
  const unknown: Verdict = { decision: 'noOpinion', reason: '' };
  return { authorize: ({ user }) => (user.groups.includes(mastersGroup) ? allowed : unknown) };
}

/** @throws StatusError Forbidden unless the authorizer allows it. */
export async function requireAllowed(authorizer: Authorizer, attributes: Attributes): Promise<void> {
  const asked = authorizer.authorize(attributes);
  const { decision, reason } = asked instanceof Promise ? await asked : asked;
  if (decision !== 'allow') throw forbidden(attributes, reason);
}

/** 403 in the words of apiserver `responsewriters` and `errors.NewForbidden`, which clients show as they are. */
export function forbidden(attributes: Attributes, reason = ''): StatusError {
  const { user, verb, isResource, path, group, namespace, subresource, name } = attributes;
  const who = `User ${JSON.stringify(user.username)} cannot ${verb}`;
  const why = reason === '' ? '' : `: ${reason}`;
  if (!isResource) return new StatusError('Forbidden', `forbidden: ${who} path ${JSON.stringify(path)}${why}`);
  const resource = subresource === undefined ? attributes.resource : `${attributes.resource}/${subresource}`;
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  const what = `${who} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(group)} ${where}`;
  const qualified = group === '' ? attributes.resource : `${attributes.resource}.${group}`;
  const object = name === undefined ? qualified : `${qualified} ${JSON.stringify(name)}`;
  return new StatusError('Forbidden', `${object} is forbidden: ${what}${why}`, {
    details: { ...(name === undefined ? {} : { name }), ...(group === '' ? {} : { group }), kind: attributes.resource },
  });
}
