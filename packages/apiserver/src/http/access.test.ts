import { StatusError, type UserInfo } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { Attributes, Authorizer } from '../authorization/index.js';
import { accessCheck } from './access.js';
import type { ApiRequest } from './exchange.js';
import { splitTarget } from './query.js';
import { requestInfoOf } from './request-info.js';

const joe: UserInfo = { username: 'joe', groups: ['system:authenticated'] };

/** Asks as joe (or as nobody) and notes what the authorizer is asked; only what `allow` says is allowed. */
async function ask(
  path: string,
  headers: Record<string, string> = {},
  allow: (attributes: Attributes) => boolean = () => true,
  user: UserInfo | 'nobody' = joe,
) {
  const asked: Attributes[] = [];
  const authorizer: Authorizer = {
    async authorize(attributes) {
      asked.push(attributes);
      return { decision: allow(attributes) ? 'allow' : 'noOpinion', reason: '' };
    },
  };
  const request = {
    ...splitTarget(path),
    method: 'GET',
    headers,
    identify: async () => {
      if (user === 'nobody') throw new StatusError('Unauthorized', 'Unauthorized');
      return user;
    },
  } as unknown as ApiRequest;
  const acting = accessCheck(authorizer)(request, requestInfoOf('GET', request.path, request.query));
  return { acting: await acting.catch(error => error), asked };
}

describe('access', () => {
  it('is what the authorizer says of the user and the request', async () => {
    const { acting, asked } = await ask('/api/v1/namespaces/n/pods/p/log');
    expect(acting).toBe(joe);
    expect(asked).toMatchObject([
      { user: joe, verb: 'get', resource: 'pods', subresource: 'log', name: 'p', namespace: 'n', isResource: true },
    ]);
    const refused = await ask('/api/v1/nodes', {}, () => false);
    expect(refused.acting).toMatchObject({
      code: 403,
      message: 'nodes is forbidden: User "joe" cannot list resource "nodes" in API group "" at the cluster scope',
    });
  });

  it("to health and version is everyone's who sends no wrong credentials", async () => {
    const none = () => false;
    for (const path of ['/healthz', '/livez/ping', '/readyz?verbose', '/version']) {
      expect((await ask(path, {}, none, 'nobody')).acting).toMatchObject({ username: 'system:anonymous' });
      expect((await ask(path, {}, none)).acting).toBe(joe);
      expect((await ask(path, { authorization: 'Bearer x' }, none, 'nobody')).acting).toMatchObject({ code: 401 });
    }
    for (const path of ['/metrics', '/versions', '/api', '/healthzz', '/'])
      expect((await ask(path, {}, none)).acting).toMatchObject({ code: 403 });
    expect((await ask('/metrics', {}, none, 'nobody')).acting).toMatchObject({ code: 401 });
  });
});

describe('impersonation', () => {
  const as = {
    'impersonate-user': 'ann',
    'impersonate-group': 'dev, ops',
    'impersonate-uid': 'u1',
    'impersonate-extra-scopes%2fx': 'view',
  };

  it('needs the right to each part, and acts as that user then', async () => {
    const { acting, asked } = await ask('/api/v1/pods', as);
    expect(acting).toEqual({
      username: 'ann',
      groups: ['dev', 'ops', 'system:authenticated'],
      uid: 'u1',
      extra: { 'scopes/x': ['view'] },
    });
    expect(
      asked.map(({ user, verb, group, resource, subresource, name }) => [
        user.username,
        verb,
        group,
        resource,
        subresource,
        name,
      ]),
    ).toEqual([
      ['joe', 'impersonate', '', 'users', undefined, 'ann'],
      ['joe', 'impersonate', '', 'groups', undefined, 'dev'],
      ['joe', 'impersonate', '', 'groups', undefined, 'ops'],
      ['joe', 'impersonate', 'authentication.k8s.io', 'uids', undefined, 'u1'],
      ['joe', 'impersonate', 'authentication.k8s.io', 'userextras', 'scopes/x', 'view'],
      ['ann', 'list', '', 'pods', undefined, undefined],
    ]);
    for (const part of ['users', 'groups', 'uids', 'userextras'])
      expect((await ask('/api/v1/pods', as, ({ resource }) => resource !== part)).acting).toMatchObject({ code: 403 });
    expect((await ask('/api/v1/pods', as, ({ verb }) => verb === 'impersonate')).acting.message).toContain(
      'User "ann" cannot list',
    );
  });

  it('knows service accounts and the anonymous user', async () => {
    const { acting, asked } = await ask('/api/v1/pods', { 'impersonate-user': 'system:serviceaccount:n:robot' });
    expect(acting.groups).toEqual(['system:serviceaccounts', 'system:serviceaccounts:n', 'system:authenticated']);
    expect(asked[0]).toMatchObject({ resource: 'serviceaccounts', namespace: 'n', name: 'robot' });
    expect((await ask('/api/v1/pods', { 'impersonate-user': 'system:anonymous' })).acting.groups).toEqual([
      'system:unauthenticated',
    ]);
  });

  it('of a group without a user is refused', async () => {
    expect((await ask('/api/v1/pods', { 'impersonate-group': 'system:masters' })).acting).toMatchObject({ code: 400 });
  });
});
