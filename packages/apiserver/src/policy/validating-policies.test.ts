import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  builtinKinds,
  ConfigMap,
  CustomResourceDefinition,
  compose,
  kindRegistry,
  silentLogger,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AdmissionServer, admissionServer, inDefault } from '../admission/admission-fixture.js';
import type { Authorizer } from '../authorization/authorizer.js';
import { apiServer, memoryStore } from '../index.js';
import { expressionWarnings } from './type-check.js';
import { validatingPolicies } from './validating-policies.js';

/** Whoever asks may get secrets, see /metrics, and touch the object `mine`. */
const mayReadSecrets: Authorizer = {
  authorize: ({ verb, resource, isResource, path: text, name, user }) => {
    const allowed = isResource
      ? (verb === 'get' && resource === 'secrets') || (name === 'mine' && resource === 'configmaps')
      : text === '/metrics' || user.username === 'system:serviceaccount:team:robot';
    return { decision: allowed ? 'allow' : 'noOpinion', reason: allowed ? 'asked' : '' };
  },
};

let server: AdmissionServer;
beforeEach(async () => {
  server = await admissionServer(validatingPolicies({ kinds: kindRegistry(builtinKinds), authorizer: mayReadSecrets }));
});
afterEach(() => server.stop());

const api = '/apis/admissionregistration.k8s.io/v1';
const configMaps = inDefault('configmaps');
const make = (name: string, data: object = { a: 'b' }, labels?: object) =>
  server.post(configMaps, { metadata: { name, ...(labels ? { labels } : {}) }, data });

async function policy(spec: object, binding: object = {}, name = 'p'): Promise<{ status: number; body: any }> {
  const created = await server.post(`${api}/validatingadmissionpolicies`, {
    metadata: { name },
    spec: {
      matchConstraints: {
        resourceRules: [
          { operations: ['CREATE', 'UPDATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] },
        ],
      },
      ...spec,
    },
  });
  if (created.status === 201) {
    const bound = await server.post(`${api}/validatingadmissionpolicybindings`, {
      metadata: { name: `${name}-binding` },
      spec: { policyName: name, validationActions: ['Deny'], ...binding },
    });
    expect(bound.status).toBe(201);
  }
  return created;
}

describe('a policy', () => {
  it('refuses what its rules refuse, and lets the rest be', async () => {
    await policy({ validations: [{ expression: 'size(object.data) < 3', message: 'too much' }] });
    expect((await make('one')).status).toBe(201);
    expect(await make('two', { a: '', b: '', c: '' })).toMatchObject({
      status: 422,
      body: {
        reason: 'Invalid',
        message: `configmaps "two" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p-binding' denied request: too much`,
      },
    });
    expect(
      (await server.post(inDefault('secrets'), { metadata: { name: 's' }, stringData: { a: '', b: '', c: '' } }))
        .status,
    ).toBe(201);
  });

  it('has variables, messages out of expressions, reasons, and the old object', async () => {
    await policy({
      variables: [
        { name: 'keys', expression: 'size(object.data)' },
        { name: 'broken', expression: 'object.nothing.here' },
        { name: 'twice', expression: 'variables.keys * 2' },
      ],
      validations: [
        {
          expression: 'variables.twice < 6',
          messageExpression: "'twice is ' + string(variables.twice)",
          reason: 'Forbidden',
        },
        { expression: "request.operation != 'UPDATE' || oldObject.data == object.data", message: 'no changes' },
        { expression: "namespaceObject.metadata.name == 'default'" },
      ],
    });
    expect((await make('one')).status).toBe(201);
    const refused = await make('two', { a: '', b: '', c: '' });
    expect(refused.status).toBe(403);
    expect(refused.body.message).toContain('denied request: twice is 6');
    expect((await server.send('PATCH', `${configMaps}/one`, { data: { a: 'c' } })).body.message).toContain(
      'no changes',
    );
  });

  it.each([
    ['lists', '[1, 2].map(x, x * 2)', 'variables.v == [2, 4]'],
    ['maps', "{'a': 1}", "variables.v['a'] == 1 && variables.v.a == 1"],
    ['lists of anything', "[1, 'a', object.metadata.name]", "size(variables.v) == 3 && variables.v[2] == 'one'"],
    ['optional values', 'object[?"none"]', '!variables.v.hasValue()'],
    ['durations', "duration('1h')", "variables.v > duration('5m')"],
    ['quantities', "quantity('1Gi')", "variables.v.isGreaterThan(quantity('1Mi'))"],
    ['the authorizer', "authorizer.group('').resource('secrets')", "variables.v.check('get').allowed()"],
    ['null', 'object == null ? null : null', 'variables.v == null'],
    ['parts of the object', 'object.data', "variables.v.a == 'b'"],
  ])('has variables that are %s', async (_name, expression, rule) => {
    await policy({ variables: [{ name: 'v', expression }], validations: [{ expression: rule }] });
    expect(await make('one')).toMatchObject({ status: 201 });
  });

  it('takes parameters from the binding', async () => {
    await server.post(configMaps, { metadata: { name: 'limits' }, data: { max: '2' } });
    await policy(
      {
        paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
        matchConditions: [{ name: 'not-the-limits', expression: "object.metadata.name != 'limits'" }],
        validations: [{ expression: 'size(object.data) <= int(params.data.max)' }],
      },
      { paramRef: { name: 'limits', namespace: 'default', parameterNotFoundAction: 'Deny' } },
    );
    expect((await make('two', { a: '', b: '' })).status).toBe(201);
    expect((await make('three', { a: '', b: '', c: '' })).body.message).toContain(
      'failed expression: size(object.data) <= int(params.data.max)',
    );
    await server.send('DELETE', `${configMaps}/limits`);
    expect((await make('none')).body.message).toContain('no params found');
  });

  it('warns instead, or fails open, where it says so', async () => {
    await policy(
      { validations: [{ expression: 'false', message: 'mind' }] },
      { validationActions: ['Warn', 'Audit'] },
      'warn',
    );
    await policy({ failurePolicy: 'Ignore', validations: [{ expression: 'object.nothing.here == 1' }] }, {}, 'open');
    const created = await make('one');
    expect(created.status).toBe(201);
    expect(created.headers['warning']).toContain(
      `Validation failed for ValidatingAdmissionPolicy 'warn' with binding 'warn-binding': mind`,
    );
    await policy({ validations: [{ expression: 'object.nothing.here == 1' }] }, {}, 'closed');
    expect((await make('two')).body.message).toContain('resulted in error: no such key: nothing');
  });

  it('leaves notes in the audit log', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'orbit-policy-'));
    const file = path.join(dir, 'audit.log');
    const policyOfAudit = { apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules: [{ level: 'Metadata' }] };
    const api = apiServer({ store: memoryStore(), listen: false, auditLog: { file, policy: policyOfAudit as never } });
    const stopping = new AbortController();
    const cluster = compose({ log: silentLogger }, api);
    const running = cluster.run({ signal: stopping.signal });
    await cluster.ready;
    const admin = api.clientFor({ username: 'ann', groups: ['system:masters'] });
    const spec = {
      matchConstraints: {
        resourceRules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
      },
      validations: [{ expression: 'false', message: 'noted' }],
      auditAnnotations: [{ key: 'who', valueExpression: 'request.userInfo.username' }],
    };
    await admin.create(ValidatingAdmissionPolicy, { metadata: { name: 'p' }, spec } as never);
    const binding = { metadata: { name: 'b' }, spec: { policyName: 'p', validationActions: ['Audit'] } };
    await admin.create(ValidatingAdmissionPolicyBinding, binding as never);
    await admin.create(ConfigMap, { metadata: { name: 'c', namespace: 'default' } } as never);
    stopping.abort();
    await running;
    const events = (await readFile(file, 'utf8'))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    await rm(dir, { recursive: true });
    const [created] = events.filter(
      each =>
        each.objectRef?.resource === 'configmaps' &&
        each.objectRef.namespace === 'default' &&
        each.stage === 'ResponseComplete',
    );
    expect(created.annotations).toMatchObject({
      'p/who': 'ann',
      'validation.policy.admission.k8s.io/validation_failure': expect.stringContaining('noted'),
    });
  });

  it('is bound to a part of the cluster', async () => {
    await policy(
      { validations: [{ expression: 'false', message: 'never' }] },
      { matchResources: { objectSelector: { matchLabels: { strict: 'yes' } } } },
    );
    expect((await make('one')).status).toBe(201);
    expect((await make('two', {}, { strict: 'yes' })).status).toBe(422);
  });

  it.each([
    [{ validations: [{ expression: 'object.' }] }, 'spec.validations[0].expression'],
    [{ validations: [{ expression: '1 + 1' }] }, 'spec.validations[0].expression'],
    [{ validations: [{ expression: 'true', messageExpression: '1' }] }, 'spec.validations[0].messageExpression'],
    [
      { variables: [{ name: 'x', expression: 'nobody' }], validations: [{ expression: 'true' }] },
      'spec.variables[0].expression',
    ],
    [{ validations: [{ expression: 'variables.nobody == 1' }] }, 'spec.validations[0].expression'],
    [
      { variables: [{ name: 'x', expression: "'text'" }], validations: [{ expression: 'variables.x + 1 == 2' }] },
      'spec.validations[0].expression',
    ],
    [
      {
        variables: [
          { name: 'x', expression: 'variables.y' },
          { name: 'y', expression: '1' },
        ],
        validations: [{ expression: 'true' }],
      },
      'spec.variables[0].expression',
    ],
    [
      {
        variables: [{ name: 'x', expression: '1' }],
        matchConditions: [{ name: 'early', expression: 'variables.x == 1' }],
        validations: [{ expression: 'true' }],
      },
      'spec.matchConditions[0].expression',
    ],
    [
      { validations: [{ expression: 'true' }], auditAnnotations: [{ key: 'k', valueExpression: '1' }] },
      'spec.auditAnnotations[0].valueExpression',
    ],
  ])('is refused when its expressions do not compile: %j', async (spec, field) => {
    const { status, body } = await policy(spec);
    expect(status).toBe(422);
    expect(body.details.causes[0].field).toBe(field);
  });

  it.each([
    ["authorizer.group('').resource('secrets').namespace('team').name('x').check('get').allowed()", true],
    ["authorizer.group('').resource('pods').check('get').allowed()", false],
    ["authorizer.path('/metrics').check('get').allowed()", true],
    ["authorizer.path('/logs').check('get').reason() == ''", true],
    ["authorizer.serviceAccount('team', 'robot').path('/logs').check('get').allowed()", true],
    ["authorizer.requestResource.check('custom').allowed()", true],
    ["authorizer.group('apps').resource('deployments').subresource('scale').check('get').errored()", false],
  ])('asks the authorizer: %s', async (expression, holds) => {
    await policy({ validations: [{ expression }] });
    expect((await make('mine')).status).toBe(holds ? 201 : 422);
  });

  it('has room for two checks in one expression', async () => {
    const check = "authorizer.group('').resource('secrets').check('get').allowed()";
    await policy({ validations: [{ expression: `${check} && ${check}` }] });
    expect((await make('one')).status).toBe(201);
    await policy({ validations: [{ expression: `${check} && ${check} && ${check}` }] }, {}, 'three');
    expect((await make('two')).body.message).toContain('actual cost limit exceeded');
  });
});

describe('type checking', () => {
  const kinds = kindRegistry(builtinKinds);
  const about = (resources: string[], apiGroups = ['apps'], apiVersions = ['v1']) => ({
    resourceRules: [{ operations: ['CREATE'], apiGroups, apiVersions, resources }],
  });
  const check = (spec: object) => expressionWarnings({ metadata: { name: 'p' }, spec } as never, kinds);

  it.each([
    ['what is right', { validations: [{ expression: 'object.spec.replicas <= 5' }] }],
    ['other members', { validations: [{ expression: "object.metadata.labels['a'] == 'b' && oldObject == null" }] }],
    ['optional fields', { validations: [{ expression: 'has(object.spec.template.spec.hostNetwork)' }] }],
    [
      'variables',
      {
        variables: [
          { name: 'x', expression: 'object.spec.replicas' },
          { name: 'labels', expression: 'object.metadata.labels' },
          { name: 'twice', expression: 'variables.x * 2' },
        ],
        validations: [{ expression: "variables.twice > 1 && variables.labels['a'] == 'b'" }],
      },
    ],
    ['annotations', { auditAnnotations: [{ key: 'k', valueExpression: 'object.metadata.name' }] }],
  ])('is content with %s', (_name, spec) => {
    expect(check({ matchConstraints: about(['deployments']), ...spec })).toEqual([]);
  });

  it('names kind, place and mistake', () => {
    expect(
      check({
        matchConstraints: about(['deployments', 'replicasets']),
        validations: [
          { expression: 'true' },
          { expression: 'object.spec.replicsa <= 5', messageExpression: 'object.spec.replicas' },
        ],
      }),
    ).toEqual([
      {
        fieldRef: 'spec.validations[1].expression',
        warning: ['Deployment', 'ReplicaSet']
          .map(
            kind =>
              `apps/v1, Kind=${kind}: ERROR: <input>:1:13: undefined field 'replicsa'\n | object.spec.replicsa <= 5\n | ............^`,
          )
          .join('\n'),
      },
      expect.objectContaining({ fieldRef: 'spec.validations[1].messageExpression' }),
    ]);
  });

  it('knows the types of variables, and tells of their own mistakes', () => {
    const warnings = check({
      matchConstraints: about(['deployments']),
      variables: [
        { name: 'name', expression: 'object.metadata.name' },
        { name: 'wrong', expression: 'object.spec.replicsa' },
      ],
      validations: [{ expression: 'variables.name > 5' }, { expression: 'variables.wrong > 5' }],
      auditAnnotations: [{ key: 'k', valueExpression: 'object.spec.replicas' }],
    });
    expect(warnings.map(({ fieldRef }) => fieldRef)).toEqual([
      'spec.variables[1].expression',
      'spec.validations[0].expression',
      'spec.auditAnnotations[0].valueExpression',
    ]);
    expect(warnings[1]!.warning).toContain('string > int');
  });

  it('knows the kind of parameters', () => {
    const spec = {
      matchConstraints: about(['deployments']),
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      validations: [{ expression: 'params.datum.max == object.metadata.name' }],
    };
    expect(check(spec)[0]!.warning).toContain("undefined field 'datum'");
    expect(check({ ...spec, validations: [{ expression: "params.data['a'] == object.metadata.name" }] })).toEqual([]);
  });

  it('does not look behind wildcards', () => {
    const validations = [{ expression: 'object.nothing == 1' }];
    expect(check({ matchConstraints: about(['*']), validations })).toEqual([]);
    expect(check({ matchConstraints: about(['deployments'], ['*']), validations })).toEqual([]);
  });

  it('every built-in kind has types', () => {
    for (const kind of builtinKinds) {
      const matchConstraints = about([kind.plural], [kind.group], [kind.version]);
      expect(check({ matchConstraints, validations: [{ expression: "object.kind != ''" }] })).toEqual([]);
    }
  });

  it('stands in the status, for the spec that it is about', async () => {
    const api = apiServer({ store: memoryStore(), listen: false });
    const stopping = new AbortController();
    const cluster = compose({ log: silentLogger }, api);
    const running = cluster.run({ signal: stopping.signal });
    await cluster.ready;
    const admin = api.clientFor({ username: 'ann', groups: ['system:masters'] });
    const spec = {
      matchConstraints: about(['deployments']),
      validations: [{ expression: 'object.spec.replicsa <= 5' }],
    };
    const made: any = await admin.create(ValidatingAdmissionPolicy, { metadata: { name: 'p' }, spec } as never);
    expect(made.status.observedGeneration).toBe(1);
    expect(made.status.typeChecking.expressionWarnings).toHaveLength(1);
    made.spec.validations[0].expression = 'object.spec.replicas <= 5';
    const mended: any = await admin.update(ValidatingAdmissionPolicy, made);
    expect(mended.metadata.generation).toBe(2);
    expect(mended.status).toEqual({ observedGeneration: 2, typeChecking: {} });
    stopping.abort();
    await running;
  });

  it('is done again when a kind comes, changes and goes', async () => {
    const api = apiServer({ store: memoryStore(), listen: false });
    await using cluster = compose({ log: silentLogger }, api);
    void cluster.run();
    await cluster.ready;
    const admin = api.clientFor({ username: 'ann', groups: ['system:masters'] });
    const spec = {
      matchConstraints: about(['ships'], ['port.example']),
      validations: [{ expression: 'object.spec.crew <= 5' }],
    };
    await admin.create(ValidatingAdmissionPolicy, { metadata: { name: 'p' }, spec } as never);
    const warnings = async () =>
      (await admin.get(ValidatingAdmissionPolicy, { name: 'p' })).status.typeChecking?.expressionWarnings ?? [];
    expect(await warnings()).toEqual([]);
    const version = (crew: string) => ({
      name: 'v1',
      served: true,
      storage: true,
      schema: {
        openAPIV3Schema: {
          type: 'object',
          properties: { spec: { type: 'object', properties: { crew: { type: crew } } } },
        },
      },
    });
    const names = { plural: 'ships', singular: 'ship', kind: 'Ship', listKind: 'ShipList' };
    const metadata = { name: 'ships.port.example' };
    await admin.create(CustomResourceDefinition, {
      metadata,
      spec: { group: 'port.example', scope: 'Namespaced', names, versions: [version('string')] },
    } as never);
    await expect.poll(warnings, { timeout: 10_000 }).toHaveLength(1);
    await admin.patch(CustomResourceDefinition, metadata, {
      type: 'merge',
      patch: { spec: { versions: [version('integer')] } },
    } as never);
    await expect.poll(warnings, { timeout: 10_000 }).toEqual([]);
  });
});
