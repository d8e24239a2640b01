/**
 * `authorizer`: what may the user of this request do?
 * `authorizer.group('apps').resource('deployments').namespace('web').check('create').allowed()`.
 * Source: apiserver `cel/library/authz` (v0.33): a check costs 350,000 steps, so that an expression has room for two.
 *
 * Expressions do not wait: of an authorizer that answers with a promise the decision is an error (`errored()`).
 */
import type { UserInfo } from '@orbitkit/core';
import type { Attributes, Authorizer } from '../../authorization/authorizer.js';
import { spend } from '../budget.js';
import type { CelEnvironment } from '../expression.js';

/** What one check costs. */
const checkCost = 350_000;

/** The user of a request, before the authorizer of the server. */
export class RequestAuthorizer {
  constructor(
    readonly authorizer: Authorizer,
    readonly user: UserInfo,
  ) {}
}

class PathCheck {
  constructor(
    readonly of: RequestAuthorizer,
    readonly path: string,
  ) {}
}

class GroupCheck {
  constructor(
    readonly of: RequestAuthorizer,
    readonly group: string,
  ) {}
}

type Target = Pick<Attributes, 'group' | 'resource' | 'subresource' | 'namespace' | 'name'>;

class ResourceCheck {
  constructor(
    readonly of: RequestAuthorizer,
    readonly target: Target,
  ) {}
  with(part: Partial<Target>): ResourceCheck {
    return new ResourceCheck(this.of, { ...this.target, ...part });
  }
}

/** The check of the very object that a request is about. */
export function requestResourceOf(of: RequestAuthorizer, target: Target): unknown {
  return new ResourceCheck(of, target);
}

class AuthorizerDecision {
  constructor(
    readonly allowed: boolean,
    readonly reason: string,
    readonly error: string | undefined,
  ) {}
}

function decide({ authorizer, user }: RequestAuthorizer, asked: Omit<Attributes, 'user'>): AuthorizerDecision {
  spend(checkCost);
  try {
    const verdict = authorizer.authorize({ user, ...asked });
    if (!(verdict instanceof Promise))
      return new AuthorizerDecision(verdict.decision === 'allow', verdict.reason, undefined);
    verdict.catch(() => undefined);
    return new AuthorizerDecision(false, '', 'the authorizer has to wait for its answer, which an expression cannot');
  } catch (error) {
    return new AuthorizerDecision(false, '', error instanceof Error ? error.message : String(error));
  }
}

const nothing: Target = { group: '', resource: '', subresource: undefined, namespace: undefined, name: undefined };

/** `system:serviceaccount:NAMESPACE:NAME`, as its tokens say. */
function asServiceAccount({ authorizer }: RequestAuthorizer, namespace: string, name: string): RequestAuthorizer {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return new RequestAuthorizer(authorizer, { username: `system:serviceaccount:${namespace}:${name}`, groups });
}

const prefix = 'kubernetes.authorization';

export const authorizerType = `${prefix}.Authorizer`;
export const resourceCheckType = `${prefix}.ResourceCheck`;

export function authorizerFunctions(environment: CelEnvironment): void {
  const [path, group, decision] = [`${prefix}.PathCheck`, `${prefix}.GroupCheck`, `${prefix}.Decision`];
  environment
    .registerType(authorizerType, { ctor: RequestAuthorizer, fields: {} })
    .registerType(path, { ctor: PathCheck, fields: {} })
    .registerType(group, { ctor: GroupCheck, fields: {} })
    .registerType(resourceCheckType, { ctor: ResourceCheck, fields: {} })
    .registerType(decision, { ctor: AuthorizerDecision, fields: {} })
    .registerFunction(`${authorizerType}.path(string): ${path}`, (of: RequestAuthorizer, text: string) => {
      if (text === '') throw new Error('path must not be empty');
      return new PathCheck(of, text);
    })
    .registerFunction(
      `${authorizerType}.group(string): ${group}`,
      (of: RequestAuthorizer, name: string) => new GroupCheck(of, name),
    )
    .registerFunction(`${authorizerType}.serviceAccount(string, string): ${authorizerType}`, asServiceAccount)
    .registerFunction(
      `${group}.resource(string): ${resourceCheckType}`,
      ({ of, group: name }: GroupCheck, resource: string) =>
        new ResourceCheck(of, { ...nothing, group: name, resource }),
    )
    .registerFunction(`${path}.check(string): ${decision}`, ({ of, path: text }: PathCheck, verb: string) =>
      decide(of, { ...nothing, verb, isResource: false, path: text, version: '' }),
    )
    .registerFunction(
      `${resourceCheckType}.check(string): ${decision}`,
      ({ of, target }: ResourceCheck, verb: string) =>
        decide(of, { ...target, verb, isResource: true, path: '', version: '*' }),
    )
    .registerFunction(`${decision}.allowed(): bool`, (made: AuthorizerDecision) => made.allowed)
    .registerFunction(`${decision}.reason(): string`, (made: AuthorizerDecision) => made.reason)
    .registerFunction(`${decision}.errored(): bool`, (made: AuthorizerDecision) => made.error !== undefined)
    .registerFunction(`${decision}.error(): string`, (made: AuthorizerDecision) => made.error ?? '');
  for (const part of ['subresource', 'namespace', 'name'] as const) {
    environment.registerFunction(
      `${resourceCheckType}.${part}(string): ${resourceCheckType}`,
      (check: ResourceCheck, text: string) => check.with({ [part]: text === '' ? undefined : text }),
    );
  }
}
