import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  type Client,
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  compose,
  isForbidden,
  type Kind,
  Namespace,
  Node,
  Pod,
  Role,
  RoleBinding,
  Secret,
  ServiceAccount,
  silentLogger,
  type UserInfo,
} from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readToken } from '../authentication/json-web-token.js';
import { memoryStore } from '../storage/memory.js';
import { type ApiServer, apiServer } from './api-server.js';

const root: UserInfo = { username: 'root', groups: ['system:masters'] };
const joe: UserInfo = { username: 'joe', groups: ['dev'] };
const rbac = 'rbac.authorization.k8s.io';

let dir: string;
let api: ApiServer;
let admin: Client;
let stop: () => Promise<void>;

beforeAll(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-access-'));
  api = apiServer({ store: memoryStore(), listen: { port: 0 }, dataDir: dir });
  const cluster = compose({ log: silentLogger }, api);
  const stopping = new AbortController();
  const running = cluster.run({ signal: stopping.signal });
  await cluster.ready;
  admin = api.clientFor(root);
  stop = async () => {
    stopping.abort();
    await running;
  };
  for (const name of ['one', 'two']) {
    await admin.create(Namespace, { metadata: { name } });
    await admin.create(ServiceAccount, { metadata: { name: 'robot', namespace: name } });
    await admin.create(Secret, { metadata: { name: 'key', namespace: name }, stringData: { a: 'b' } } as never);
  }
});
afterAll(async () => {
  await stop();
  await fs.rm(dir, { recursive: true, force: true });
});

const refusal = (promise: Promise<unknown>): Promise<any> =>
  promise.then(
    () => 'it was allowed',
    error => error,
  );

/** POST through a client's transport. */
async function post(client: Client, to: string, body: object) {
  const answer = await client.transport.request({
    method: 'POST',
    path: to,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: JSON.parse(Buffer.from(await answer.bytes()).toString()) as any };
}

const pod = (name: string, namespace: string, more: object = {}): any => ({
  metadata: { name, namespace },
  spec: {
    containers: [{ name: 'c', image: 'x' }],
    serviceAccountName: 'robot',
    automountServiceAccountToken: false,
    ...more,
  },
});

describe('RBAC', () => {
  it('lets nobody in whom nothing was granted, but to discovery and questions about themselves', async () => {
    const client = api.clientFor(joe);
    const error = await refusal(client.list(Pod, { namespace: 'one' }));
    expect(error.message).toBe(
      'pods is forbidden: User "joe" cannot list resource "pods" in API group "" in the namespace "one"',
    );
    const discovery = await client.transport.request({ method: 'GET', path: '/apis' });
    expect(discovery.status).toBe(200);
    expect((await client.transport.request({ method: 'GET', path: '/metrics' })).status).toBe(403);
  });

  it('follows bindings at once, in their namespace alone, and ends with them', async () => {
    const client = api.clientFor({ username: 'ann', groups: [] });
    await admin.create(RoleBinding, {
      metadata: { name: 'ann-views', namespace: 'one' },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'User', apiGroup: rbac, name: 'ann' }],
    } as never);
    expect((await client.list(ConfigMap, { namespace: 'one' })).items).toEqual([]);
    expect(isForbidden(await refusal(client.list(Secret, { namespace: 'one' })))).toBe(true);
    expect(isForbidden(await refusal(client.list(ConfigMap, { namespace: 'two' })))).toBe(true);
    expect(isForbidden(await refusal(client.create(ConfigMap, { metadata: { name: 'x', namespace: 'one' } })))).toBe(
      true,
    );
    await admin.delete(RoleBinding, { name: 'ann-views', namespace: 'one' });
    expect(isForbidden(await refusal(client.list(ConfigMap, { namespace: 'one' })))).toBe(true);
  });

  it('has upstream roles from the start, with the rules of aggregated ones', async () => {
    const roles = new Map((await admin.list(ClusterRole)).items.map(role => [role.metadata.name, role]));
    for (const name of [
      'cluster-admin',
      'admin',
      'edit',
      'view',
      'system:node',
      'system:kube-scheduler',
      'system:controller:job-controller',
    ])
      expect(roles.get(name)?.metadata.labels?.['kubernetes.io/bootstrapping'], name).toBe('rbac-defaults');
    const rules = roles.get('admin')!.rules!;
    expect(rules.some(rule => rule.resources?.includes('rolebindings'))).toBe(true);
    expect(rules.some(rule => rule.resources?.includes('pods/log'))).toBe(true);
    const bindings = new Map((await admin.list(ClusterRoleBinding)).items.map(each => [each.metadata.name, each]));
    expect(bindings.get('cluster-admin')!.subjects).toEqual([
      { kind: 'Group', apiGroup: rbac, name: 'system:masters' },
    ]);
    expect(bindings.get('system:node')!.subjects ?? []).toEqual([]);
  });

  it('gives nobody what the giver does not have', async () => {
    await admin.create(RoleBinding, {
      metadata: { name: 'joe-admin', namespace: 'one' },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'admin' },
      subjects: [{ kind: 'Group', apiGroup: rbac, name: 'dev' }],
    } as never);
    const client = api.clientFor(joe);
    const role = (name: string, rules: object[]): any => ({ metadata: { name, namespace: 'one' }, rules });
    await client.create(Role, role('reader', [{ verbs: ['get'], apiGroups: [''], resources: ['secrets'] }]));
    const error = await refusal(
      client.create(
        Role,
        role('greedy', [{ verbs: ['get', 'create'], apiGroups: ['', 'apps'], resources: ['nodes', 'secrets'] }]),
      ),
    );
    expect(error.code).toBe(403);
    expect(error.message).toBe(
      'roles.rbac.authorization.k8s.io "greedy" is forbidden: user "joe" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n' +
        '{APIGroups:[""], Resources:["nodes"], Verbs:["get" "create"]}\n' +
        '{APIGroups:["apps"], Resources:["nodes"], Verbs:["get" "create"]}\n' +
        '{APIGroups:["apps"], Resources:["secrets"], Verbs:["get" "create"]}',
    );
    const bind = (name: string): any => ({
      metadata: { name, namespace: 'one' },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name },
      subjects: [{ kind: 'User', apiGroup: rbac, name: 'eve' }],
    });
    await client.create(RoleBinding, bind('view'));
    expect((await refusal(client.create(RoleBinding, bind('cluster-admin')))).message).toContain('not currently held');
    expect((await refusal(client.create(RoleBinding, bind('nothing')))).code).toBe(404);
    // The right to bind a role is enough.
    await admin.create(ClusterRole, {
      metadata: { name: 'binder' },
      rules: [{ verbs: ['bind'], apiGroups: [rbac], resources: ['clusterroles'], resourceNames: ['cluster-admin'] }],
    } as never);
    await admin.create(ClusterRoleBinding, {
      metadata: { name: 'dev-bind' },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'binder' },
      subjects: [{ kind: 'Group', apiGroup: rbac, name: 'dev' }],
    } as never);
    await client.create(RoleBinding, bind('cluster-admin'));
  });
});

describe('reviews', () => {
  const selfReview = (client: Client, resourceAttributes: object) =>
    post(client, '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      kind: 'SelfSubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      spec: { resourceAttributes },
    });

  it('answer what a request would be answered', async () => {
    const client = api.clientFor(joe);
    const yes = await selfReview(client, { verb: 'delete', resource: 'pods', namespace: 'one' });
    expect(yes.status).toBe(201);
    expect(yes.body.status).toEqual({
      allowed: true,
      reason: 'RBAC: allowed by RoleBinding "joe-admin/one" of ClusterRole "admin" to Group "dev"',
    });
    expect((await selfReview(client, { verb: 'delete', resource: 'pods', namespace: 'two' })).body.status).toEqual({
      allowed: false,
    });
    const other = await post(admin, '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      spec: {
        user: 'joe',
        groups: ['dev'],
        resourceAttributes: { verb: 'get', resource: 'pods', subresource: 'log', namespace: 'one', name: 'p' },
      },
    });
    expect(other.body.status.allowed).toBe(true);
    const path = await post(admin, '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      spec: { user: 'x', groups: ['system:authenticated'], nonResourceAttributes: { verb: 'get', path: '/apis/apps' } },
    });
    expect(path.body.status.allowed).toBe(true);
    const local = '/apis/authorization.k8s.io/v1/namespaces/one/localsubjectaccessreviews';
    const attributes = { verb: 'get', resource: 'pods', namespace: 'two' };
    expect(
      (
        await post(admin, local, {
          metadata: { namespace: 'one' },
          spec: { user: 'joe', resourceAttributes: attributes },
        })
      ).status,
    ).toBe(422);
    expect(
      (await post(admin, '/apis/authorization.k8s.io/v1/subjectaccessreviews', { spec: { user: 'joe' } })).status,
    ).toBe(422);
    expect((await post(client, '/apis/authorization.k8s.io/v1/subjectaccessreviews', { spec: {} })).status).toBe(403);
  });

  it('list rules, and tell who one is', async () => {
    const client = api.clientFor(joe);
    const rules = await post(client, '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
      spec: { namespace: 'one' },
    });
    expect(rules.status).toBe(201);
    expect(rules.body.status.incomplete).toBe(false);
    expect(rules.body.status.resourceRules.some((rule: any) => rule.resources.includes('pods/exec'))).toBe(true);
    expect(rules.body.status.nonResourceRules[0].nonResourceURLs).toContain('/api/*');
    const self = await post(client, '/apis/authentication.k8s.io/v1/selfsubjectreviews', {});
    expect(self.body.status.userInfo).toEqual({ username: 'joe', groups: ['dev', 'system:authenticated'] });
  });

  it('are never stored', async () => {
    const list = await admin.transport.request({ method: 'GET', path: '/apis/authentication.k8s.io/v1/tokenreviews' });
    expect(list.status).toBe(405);
  });
});

describe('tokens of service accounts', () => {
  const tokenOf = (account: string, spec: object, client = admin, namespace = 'one') =>
    post(client, `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`, { spec });
  const review = async (token: string, audiences?: string[]) =>
    (
      await post(admin, '/apis/authentication.k8s.io/v1/tokenreviews', {
        spec: { token, ...(audiences ? { audiences } : {}) },
      })
    ).body.status;
  const whoami = async (token: string) => {
    const https = await import('node:https');
    const ca = await api.certificateAuthority();
    return new Promise<{ status: number; body: any }>((resolve, reject) => {
      const request = https.request(
        `${api.endpoint!.url}/apis/authentication.k8s.io/v1/selfsubjectreviews`,
        {
          method: 'POST',
          ca,
          agent: false,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        },
        response => {
          let text = '';
          response.on('data', part => {
            text += part;
          });
          response.on('end', () => resolve({ status: response.statusCode!, body: JSON.parse(text) }));
        },
      );
      request.on('error', reject);
      request.end('{}');
    });
  };

  it('say who, for whom and how long; and are recognised', async () => {
    const { status, body } = await tokenOf('robot', {});
    expect(status).toBe(201);
    const { claims, keyId } = readToken(body.status.token)!;
    expect(claims).toMatchObject({
      iss: 'https://kubernetes.default.svc.cluster.local',
      aud: ['https://kubernetes.default.svc.cluster.local'],
      sub: 'system:serviceaccount:one:robot',
      'kubernetes.io': { namespace: 'one', serviceaccount: { name: 'robot' } },
    });
    expect(claims['exp']).toBe((claims['iat'] as number) + 3600);
    expect(Date.parse(body.status.expirationTimestamp)).toBe((claims['exp'] as number) * 1000);
    const found = await whoami(body.status.token);
    expect(found.status).toBe(201);
    expect(found.body.status.userInfo).toMatchObject({
      username: 'system:serviceaccount:one:robot',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:one', 'system:authenticated'],
      extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${claims['jti']}`] },
    });
    const keys = await admin.transport.request({ method: 'GET', path: '/openid/v1/jwks' });
    expect(JSON.parse(Buffer.from(await keys.bytes()).toString()).keys[0]).toMatchObject({
      kid: keyId,
      kty: 'RSA',
      alg: 'RS256',
    });
    const mode = (await fs.stat(path.join(dir, 'pki', 'ca.key'))).mode & 0o777;
    expect(mode).toBe(0o600);
  });

  it('are refused for less than ten minutes, for what is not theirs, and by another audience', async () => {
    const short = await tokenOf('robot', { expirationSeconds: 10 });
    expect(short.status).toBe(422);
    expect(short.body.message).toContain(
      'spec.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes',
    );
    expect((await tokenOf('nobody', {})).status).toBe(404);
    const vault = (await tokenOf('robot', { audiences: ['vault'] })).body.status.token;
    expect((await whoami(vault)).status).toBe(401);
    expect(await review(vault)).toMatchObject({ authenticated: false });
    expect(await review(vault, ['vault', 'x'])).toMatchObject({ authenticated: true, audiences: ['vault'] });
  });

  it('end with the pod, the account, and when somebody changes a letter', async () => {
    const account = await admin.create(ServiceAccount, { metadata: { name: 'brief', namespace: 'one' } });
    const made = await admin.create(Pod, pod('bound', 'one', { serviceAccountName: 'brief' }));
    const ref = { kind: 'Pod', apiVersion: 'v1', name: 'bound', uid: made.metadata.uid };
    expect((await tokenOf('robot', { boundObjectRef: ref })).status).toBe(400);
    expect((await tokenOf('brief', { boundObjectRef: { ...ref, uid: 'x' } })).status).toBe(409);
    const bound = (await tokenOf('brief', { boundObjectRef: ref })).body.status.token;
    const free = (await tokenOf('brief', {})).body.status.token;
    expect((await whoami(bound)).body.status.userInfo.extra['authentication.kubernetes.io/pod-name']).toEqual([
      'bound',
    ]);
    const [head, body, tail] = bound.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'system:serviceaccount:one:robot' })).toString(
      'base64url',
    );
    const none = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url');
    for (const wrong of [
      `${head}.${forged}.${tail}`,
      `${none}.${body}.`,
      `${none}.${body}.${tail}`,
      `${head}.${body}.${tail.slice(0, -4)}AAAA`,
    ])
      expect((await whoami(wrong)).status).toBe(401);
    await admin.delete(Pod, { name: 'bound', namespace: 'one' }, { gracePeriodSeconds: 0 });
    expect((await whoami(bound)).status).toBe(401);
    expect((await whoami(free)).status).toBe(201);
    await admin.delete(ServiceAccount, { name: 'brief', namespace: 'one' });
    await admin.create(ServiceAccount, { metadata: { name: account.metadata.name, namespace: 'one' } });
    expect((await whoami(free)).status).toBe(401);
  });
});

describe('a node', () => {
  const agent: UserInfo = { username: 'system:node:n1', groups: ['system:nodes'] };
  let node: Client;
  beforeAll(async () => {
    node = api.clientFor(agent);
    for (const name of ['n1', 'n2']) await admin.create(Node, { metadata: { name } } as never);
    await admin.create(
      Pod,
      pod('mine', 'one', { nodeName: 'n1', volumes: [{ name: 'v', secret: { secretName: 'key' } }] }),
    );
    await admin.create(
      Pod,
      pod('theirs', 'two', { nodeName: 'n2', volumes: [{ name: 'v', secret: { secretName: 'key' } }] }),
    );
  });

  it("reads what belongs to its pods and nobody else's", async () => {
    expect((await node.get(Secret, { name: 'key', namespace: 'one' })).metadata.name).toBe('key');
    expect((await refusal(node.get(Secret, { name: 'key', namespace: 'two' }))).message).toContain(
      "no relationship found between node 'n1' and this object",
    );
    for (const kind of [Secret, ConfigMap] as Kind<any>[])
      expect((await refusal(node.list(kind, { namespace: 'one' }))).code).toBe(403);
    expect((await node.get(Pod, { name: 'mine', namespace: 'one' })).metadata.name).toBe('mine');
    expect((await refusal(node.get(Pod, { name: 'theirs', namespace: 'two' }))).code).toBe(403);
    expect((await node.list(Pod, { fieldSelector: 'spec.nodeName=n1' })).items).toHaveLength(1);
    for (const fieldSelector of ['spec.nodeName=n2', 'spec.nodeName!=n2', undefined])
      expect((await refusal(node.list(Pod, fieldSelector ? { fieldSelector } : {}))).code).toBe(403);
    expect((await node.get(Node, { name: 'n1' })).metadata.name).toBe('n1');
    expect((await refusal(node.get(Node, { name: 'n2' }))).code).toBe(403);
  });

  it('writes itself and the status of its pods, and gives itself nothing', async () => {
    const self = await node.get(Node, { name: 'n1' });
    await node.updateStatus(Node, self);
    const merge = (patch: object) => node.patch(Node, { name: 'n1' }, { type: 'merge', patch } as never);
    await merge({ metadata: { labels: { mine: 'yes' } } });
    expect((await refusal(merge({ spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } }))).message).toContain(
      'not allowed to modify taints',
    );
    expect(
      (await refusal(merge({ metadata: { labels: { 'node-restriction.kubernetes.io/x': 'y' } } }))).message,
    ).toContain('not allowed to modify labels');
    expect(
      (
        await refusal(
          node.patch(Node, { name: 'n2' }, { type: 'merge', patch: { metadata: { labels: { a: 'b' } } } } as never),
        )
      ).code,
    ).toBe(403);
    const mine = await node.get(Pod, { name: 'mine', namespace: 'one' });
    await node.updateStatus(Pod, { ...mine, status: { ...mine.status, message: 'hello' } });
    const theirs = await admin.get(Pod, { name: 'theirs', namespace: 'two' });
    expect((await refusal(node.updateStatus(Pod, theirs))).message).toContain(
      'can only update pod status for pods with spec.nodeName set to itself',
    );
    expect((await refusal(node.delete(Pod, { name: 'theirs', namespace: 'two' }))).message).toContain(
      'can only delete pods',
    );
    expect((await refusal(node.create(Pod, pod('x', 'one', { nodeName: 'n1' })))).message).toContain('mirror');
  });

  it('gets tokens for the accounts of its pods, bound to them', async () => {
    const mine = await admin.get(Pod, { name: 'mine', namespace: 'one' });
    const token = (namespace: string, uid: string, name: string) =>
      post(node, `/api/v1/namespaces/${namespace}/serviceaccounts/robot/token`, {
        spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid } },
      });
    expect((await token('one', mine.metadata.uid, 'mine')).status).toBe(201);
    const theirs = await admin.get(Pod, { name: 'theirs', namespace: 'two' });
    expect((await token('two', theirs.metadata.uid, 'theirs')).status).toBe(403);
    const unbound = await post(node, '/api/v1/namespaces/one/serviceaccounts/robot/token', { spec: {} });
    expect(unbound.status).toBe(403);
    expect(unbound.body.message).toContain('node requested token not bound to a pod');
  });
});
