import { describe, expect, it } from 'vitest';
import {
  type Attributes,
  type Authorizer,
  allowMasters,
  anyAuthorizer,
  forbidden,
  requireAllowed,
  type Verdict,
} from './index.js';

const joe = { username: 'joe', groups: ['dev'] };
const listPods: Attributes = {
  user: joe,
  verb: 'list',
  isResource: true,
  path: '/api/v1/namespaces/t33/pods',
  group: '',
  version: 'v1',
  namespace: 't33',
  resource: 'pods',
  subresource: undefined,
  name: undefined,
};
const says = (decision: Verdict['decision'], reason = ''): Authorizer => ({
  authorize: async () => ({ decision, reason }),
});

describe('allowMasters', () => {
  it('lets members of system:masters do everything and nobody else anything', async () => {
    const master = { username: 'x', groups: ['system:masters'] };
    await requireAllowed(allowMasters(), { ...listPods, user: master });
    await requireAllowed(allowMasters(), {
      ...listPods,
      user: master,
      isResource: false,
      path: '/metrics',
      verb: 'get',
    });
    await expect(requireAllowed(allowMasters(), listPods)).rejects.toMatchObject({ code: 403, reason: 'Forbidden' });
    await expect(
      requireAllowed(allowMasters(), { ...listPods, user: { username: 'system:masters', groups: [] } }),
    ).rejects.toThrow();
  });

  it('leaves others to the next authorizer', async () => {
    await requireAllowed(anyAuthorizer(allowMasters(), says('allow')), listPods);
  });
});

describe('several authorizers', () => {
  const failing: Authorizer = { authorize: () => Promise.reject(new Error('webhook is down')) };

  it('follow the first that has an opinion', async () => {
    const ask = (...authorizers: Authorizer[]) => anyAuthorizer(...authorizers).authorize(listPods);
    expect((await ask(says('deny', 'no'), says('allow'))).decision).toBe('deny');
    expect((await ask(says('noOpinion'), says('allow'), says('deny'))).decision).toBe('allow');
    expect((await ask(failing, says('allow'))).decision).toBe('allow');
    expect((await ask()).decision).toBe('noOpinion');
    expect(await ask(failing, says('noOpinion', 'no rule'))).toEqual({
      decision: 'noOpinion',
      reason: 'webhook is down, no rule',
    });
  });
});

describe('the message of a refusal is the one Kubernetes gives', () => {
  it.each<[Partial<Attributes>, string]>([
    [{}, 'pods is forbidden: User "joe" cannot list resource "pods" in API group "" in the namespace "t33"'],
    [
      { verb: 'get', name: 'web', subresource: 'log' },
      'pods "web" is forbidden: User "joe" cannot get resource "pods/log" in API group "" in the namespace "t33"',
    ],
    [
      { verb: 'delete', group: 'apps', resource: 'deployments', name: 'web' },
      'deployments.apps "web" is forbidden: User "joe" cannot delete resource "deployments" in API group "apps" in the namespace "t33"',
    ],
    [
      { namespace: undefined, resource: 'nodes' },
      'nodes is forbidden: User "joe" cannot list resource "nodes" in API group "" at the cluster scope',
    ],
    [{ isResource: false, verb: 'get', path: '/metrics' }, 'forbidden: User "joe" cannot get path "/metrics"'],
  ])('%o', (attributes, message) => {
    expect(forbidden({ ...listPods, ...attributes }).message).toBe(message);
    expect(forbidden({ ...listPods, ...attributes }, 'because').message).toBe(`${message}: because`);
  });

  it('with the resource in its details', () => {
    expect(forbidden({ ...listPods, group: 'apps', resource: 'deployments', name: 'web' }).details).toEqual({
      name: 'web',
      group: 'apps',
      kind: 'deployments',
    });
  });
});
