/**
 * Who a request acts as, and whether it may: authentication (the door's), impersonation, authorization, in this order.
 *
 * - Health and version are open to everyone who sends no wrong credentials (Kubernetes' `system:public-info-viewer`), unless the
 *   server's composer says otherwise.
 * - Impersonation headers need the right to `impersonate` each user, group, uid and extra that they name; the request then acts as
 *   that user in everything that follows. Source: apiserver `filters/impersonation`.
 */
import { badRequest, isStatusError, type UserInfo } from '@orbitkit/core';
import { anonymousUser, authenticatedGroup } from '../authentication/authenticator.js';
import { extraKey, valuesOf } from '../authentication/identity-headers.js';
import { serviceAccountGroups, serviceAccountOf } from '../authentication/service-account/service-account-user.js';
import { type Attributes, type Authorizer, forbidden, requireAllowed } from '../authorization/authorizer.js';
import type { ApiRequest } from './exchange.js';
import type { AccessCheck, SeenUsers } from './handler.js';
import type { RequestInfo } from './request-info.js';

const publicPath = /^\/(?:healthz|livez|readyz|version)(?:\/|$)/;

export interface AccessOptions {
  /** Health and version need no credentials. Default: true; what watches over a server seldom has any. */
  publicHealth?: boolean;
}

export function accessCheck(authorizer: Authorizer, { publicHealth = true }: AccessOptions = {}): AccessCheck {
  return async (request, info, seen) => {
    const open =
      publicHealth && !info.isResource && (info.verb === 'get' || info.verb === 'head') && publicPath.test(info.path);
    const user = open ? await identifyOrAnonymous(request) : await request.identify();
    if (seen !== undefined) seen.user = user;
    const acting = impersonates(request) ? await impersonated(request, user, authorizer) : user;
    if (seen !== undefined) seen.acting = acting;
    if (open) return acting;
    const attributes = attributesOf(acting, info, request);
    if (seen === undefined) await requireAllowed(authorizer, attributes);
    else await noted(authorizer, attributes, seen);
    return acting;
  };
}

/** What was decided, for the audit trail. */
async function noted(authorizer: Authorizer, attributes: Attributes, seen: SeenUsers): Promise<void> {
  const { decision, reason } = await authorizer.authorize(attributes);
  seen.decision = decision === 'allow' ? 'allow' : 'forbid';
  seen.reason = reason;
  if (decision !== 'allow') throw forbidden(attributes, reason);
}

function attributesOf(user: UserInfo, info: RequestInfo, { query }: ApiRequest): Attributes {
  const { verb, isResource, path, group, version, namespace, resource, subresource, name } = info;
  const fieldSelector = verb === 'list' || verb === 'watch' ? query.get('fieldSelector') : undefined;
  return { user, verb, isResource, path, group, version, namespace, resource, subresource, name, fieldSelector };
}

/** Wrong credentials are refused even where none are needed. */
async function identifyOrAnonymous(request: ApiRequest): Promise<UserInfo> {
  try {
    return await request.identify();
  } catch (error) {
    if (isStatusError(error) && error.code === 401 && request.headers['authorization'] === undefined)
      return anonymousUser;
    throw error;
  }
}

const impersonationPrefix = 'impersonate-';

function impersonates({ headers }: ApiRequest): boolean {
  for (const name in headers) if (name.startsWith(impersonationPrefix)) return true;
  return false;
}

const extraPrefix = 'impersonate-extra-';

async function impersonated(request: ApiRequest, user: UserInfo, authorizer: Authorizer): Promise<UserInfo> {
  const { headers } = request;
  const username = headers['impersonate-user'];
  const groups = valuesOf(headers['impersonate-group']);
  const uid = headers['impersonate-uid'];
  const extra: Record<string, string[]> = {};
  for (const name of Object.keys(headers)) {
    if (name.startsWith(extraPrefix)) extra[extraKey(name.slice(extraPrefix.length))] = valuesOf(headers[name]);
  }
  if (username === undefined || username === '') {
    if (groups.length > 0 || uid !== undefined || Object.keys(extra).length > 0)
      throw badRequest(
        'requested impersonation of a group, uid or extra without a user: the header Impersonate-User is missing',
      );
    return user;
  }

  const ask = (resource: string, name: string, more: Partial<Attributes> = {}) =>
    requireAllowed(authorizer, {
      user,
      verb: 'impersonate',
      isResource: true,
      path: request.path,
      group: '',
      version: 'v1',
      namespace: undefined,
      resource,
      subresource: undefined,
      name,
      ...more,
    });
  const account = serviceAccountOf(username);
  if (account !== undefined) await ask('serviceaccounts', account.name, { namespace: account.namespace });
  else await ask('users', username);
  for (const group of groups) await ask('groups', group);
  const authentication = { group: 'authentication.k8s.io' };
  if (uid !== undefined) await ask('uids', uid, authentication);
  for (const [key, values] of Object.entries(extra))
    for (const value of values) await ask('userextras', value, { ...authentication, subresource: key });

  const all = groups.length > 0 || account === undefined ? [...groups] : serviceAccountGroups(account.namespace);
  const unknown = username === anonymousUser.username ? anonymousUser.groups[0]! : authenticatedGroup;
  if (!all.includes(unknown)) all.push(unknown);
  return {
    username,
    groups: all,
    ...(uid === undefined ? {} : { uid }),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}
