/**
 * Who a request acts as, and whether it may: authentication (the door's), impersonation, authorization, in this order.
 *
 * - Health and version are open to everyone who sends no wrong credentials (Kubernetes' `system:public-info-viewer`).
 * - Impersonation headers need the right to `impersonate` each user, group, uid and extra that they name; the request then acts as
 *   that user in everything that follows. Source: apiserver `filters/impersonation`.
 */
import { badRequest, isStatusError, type UserInfo } from '@orbitkit/core';
import { anonymousUser, authenticatedGroup } from '../authentication/authenticator.js';
import { type Attributes, type Authorizer, requireAllowed } from '../authorization/authorizer.js';
import type { ApiRequest } from './exchange.js';
import type { AccessCheck } from './handler.js';
import type { RequestInfo } from './request-info.js';

const publicPath = /^\/(?:healthz|livez|readyz|version)(?:\/|$)/;

export function accessCheck(authorizer: Authorizer): AccessCheck {
  return async (request, info) => {
    const open = !info.isResource && publicPath.test(info.path) && (info.verb === 'get' || info.verb === 'head');
    const user = open ? await identifyOrAnonymous(request) : await request.identify();
    const acting = await impersonated(request, user, authorizer);
    if (!open) await requireAllowed(authorizer, attributesOf(acting, info));
    return acting;
  };
}

const attributesOf = (user: UserInfo, info: RequestInfo): Attributes => ({ ...info, user });

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

const extraPrefix = 'impersonate-extra-';
const serviceAccountPrefix = 'system:serviceaccount:';

async function impersonated(request: ApiRequest, user: UserInfo, authorizer: Authorizer): Promise<UserInfo> {
  const { headers } = request;
  const username = headers['impersonate-user'];
  const groups = listOf(headers['impersonate-group']);
  const uid = headers['impersonate-uid'];
  const extra: Record<string, string[]> = {};
  for (const name of Object.keys(headers)) {
    if (name.startsWith(extraPrefix)) extra[decodeName(name.slice(extraPrefix.length))] = listOf(headers[name]);
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
  const [namespace, account] = username.startsWith(serviceAccountPrefix)
    ? username.slice(serviceAccountPrefix.length).split(':')
    : [];
  if (namespace !== undefined && account !== undefined) await ask('serviceaccounts', account, { namespace });
  else await ask('users', username);
  for (const group of groups) await ask('groups', group);
  const authentication = { group: 'authentication.k8s.io' };
  if (uid !== undefined) await ask('uids', uid, authentication);
  for (const [key, values] of Object.entries(extra))
    for (const value of values) await ask('userextras', value, { ...authentication, subresource: key });

  const all =
    groups.length > 0 || namespace === undefined
      ? [...groups]
      : ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
  const unknown = username === anonymousUser.username ? anonymousUser.groups[0]! : authenticatedGroup;
  if (!all.includes(unknown)) all.push(unknown);
  return {
    username,
    groups: all,
    ...(uid === undefined ? {} : { uid }),
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

/** Headers that came several times are joined with ", ". */
const listOf = (header: string | undefined): string[] =>
  header === undefined
    ? []
    : header
        .split(', ')
        .map(value => value.trim())
        .filter(value => value !== '');

/** Names of extras are percent-encoded, since header names cannot hold everything. */
function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
