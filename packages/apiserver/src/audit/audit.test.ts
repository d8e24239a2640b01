import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { ConfigMap, compose, type Logger, Secret, silentLogger, systemClock } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apiServer } from '../server/api-server.js';
import { memoryStore } from '../storage/memory.js';
import { openLogFile } from './log-file.js';
import { type AuditPolicy, parseAuditPolicy } from './policy.js';

let dir: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-audit-'));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

const policy: AuditPolicy = parseAuditPolicy(
  `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: [system:apiserver]
- level: None
  nonResourceURLs: [/api*, /version]
- level: Metadata
  resources: [{group: "", resources: [secrets]}]
- level: RequestResponse
  resources: [{group: "", resources: [configmaps]}]
  verbs: [create]
- level: Request
  resources: [{group: "", resources: [configmaps, pods/*]}]
- level: Metadata
`,
  'policy.yaml',
);

describe('a policy', () => {
  it('is refused with the place that is wrong', () => {
    const text = (rules: string) => `apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n${rules}`;
    expect(() => parseAuditPolicy('kind: Pod', 'p.yaml')).toThrow('p.yaml: kind: kind: Policy and apiVersion');
    expect(() => parseAuditPolicy(text('- level: Some'), 'p.yaml')).toThrow(
      'p.yaml: rules[0].level: one of None, Metadata',
    );
    expect(() => parseAuditPolicy(text('- level: None\n  user: [a]'), 'p.yaml')).toThrow(
      'rules[0].user: a rule has no such field',
    );
    expect(() => parseAuditPolicy(text('- level: None\n  omitStages: [Never]'), 'p.yaml')).toThrow(
      'rules[0].omitStages',
    );
  });
});

describe('the audit log of a server', () => {
  it('tells what the policy asks for, and no secret at Metadata', async () => {
    const file = path.join(dir, 'audit.log');
    const api = apiServer({ store: memoryStore(), listen: false, auditLog: { file, policy } });
    const stopping = new AbortController();
    const cluster = compose({ log: silentLogger }, api);
    const running = cluster.run({ signal: stopping.signal });
    await cluster.ready;
    const admin = api.clientFor({ username: 'ann', groups: ['system:masters'] });
    await admin.create(Secret, {
      metadata: { name: 's', namespace: 'default' },
      stringData: { password: 'hunter2' },
    } as never);
    await admin.create(ConfigMap, { metadata: { name: 'c', namespace: 'default' }, data: { color: 'blue' } });
    await admin.patch(
      ConfigMap,
      { name: 'c', namespace: 'default' },
      { type: 'merge', patch: { data: { color: 'red' } } },
    );
    const watch = admin.watch(ConfigMap, { namespace: 'default' });
    for await (const _ of watch) break;
    await api
      .clientFor({ username: 'joe', groups: [] })
      .list(Secret, { namespace: 'default' })
      .catch(() => undefined);
    await admin.transport.request({ method: 'GET', path: '/version' });
    await admin.transport.request({
      method: 'GET',
      path: '/api/v1/namespaces/default/secrets',
      headers: { 'impersonate-user': 'eve' },
    });
    stopping.abort();
    await running;
    const text = await fs.readFile(file, 'utf8');
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain(Buffer.from('hunter2').toString('base64'));
    const events = text
      .trim()
      .split('\n')
      .map(line => JSON.parse(line));
    const of = (verb: string, resource: string, stage = 'ResponseComplete') =>
      events.filter(each => each.verb === verb && each.objectRef?.resource === resource && each.stage === stage);
    expect(events.every(each => each.kind === 'Event' && each.apiVersion === 'audit.k8s.io/v1')).toBe(true);
    expect(events.some(each => each.stage === 'RequestReceived' || each.requestURI === '/version')).toBe(false);
    expect(of('create', 'secrets')).toMatchObject([
      {
        level: 'Metadata',
        user: { username: 'ann' },
        responseStatus: { code: 201 },
        annotations: { 'authorization.k8s.io/decision': 'allow' },
      },
    ]);
    expect(of('create', 'secrets')[0].requestObject).toBeUndefined();
    const [created] = of('create', 'configmaps');
    expect(created).toMatchObject({
      level: 'RequestResponse',
      objectRef: { namespace: 'default', apiVersion: 'v1' },
      requestObject: { data: { color: 'blue' } },
      responseObject: { kind: 'ConfigMap', data: { color: 'blue' } },
    });
    expect(created.responseObject.metadata.managedFields).toBeUndefined();
    expect(of('patch', 'configmaps')).toMatchObject([{ level: 'Request', requestObject: { data: { color: 'red' } } }]);
    expect(of('patch', 'configmaps')[0].responseObject).toBeUndefined();
    expect(of('watch', 'configmaps', 'ResponseStarted')).toHaveLength(1);
    expect(of('watch', 'configmaps')).toHaveLength(1);
    expect(of('list', 'secrets')).toMatchObject([
      {
        user: { username: 'joe' },
        responseStatus: { code: 403, reason: 'Forbidden' },
        annotations: { 'authorization.k8s.io/decision': 'forbid' },
      },
      { user: { username: 'ann' }, impersonatedUser: { username: 'eve' }, responseStatus: { code: 403 } },
    ]);
    expect((await fs.stat(file)).mode & 0o777).toBe(0o600);
  });
});

describe('a log file', () => {
  it('begins anew when it is full, and keeps so many old ones', async () => {
    const file = path.join(dir, 'a.log');
    const log = await openLogFile({ file, maxSizeBytes: 40, maxBackups: 2 }, systemClock, silentLogger);
    for (let i = 0; i < 6; i++) {
      log.append(`line ${i} ${'x'.repeat(20)}`);
      // One batch each.
      await new Promise(resolve => setTimeout(resolve, 150));
    }
    await log.close();
    const names = (await fs.readdir(dir)).sort();
    expect(names).toHaveLength(3);
    const texts = await Promise.all(names.map(name => fs.readFile(path.join(dir, name), 'utf8')));
    expect(texts.join('').match(/line \d/g)).toEqual(['line 3', 'line 4', 'line 5']);
  });

  it('loses nothing in silence when more comes than it may hold', async () => {
    const file = path.join(dir, 'b.log');
    const said: unknown[] = [];
    const log: Logger = {
      ...silentLogger,
      error: (message: string, fields: unknown) => said.push([message, fields]),
    } as never;
    const opened = await openLogFile({ file, queueBytes: 100 }, systemClock, log);
    for (let i = 0; i < 10; i++) opened.append('y'.repeat(30));
    await opened.close();
    const lines = (await fs.readFile(file, 'utf8')).trim().split('\n');
    expect(lines.slice(0, 3)).toEqual(Array(3).fill('y'.repeat(30)));
    expect(said).toMatchObject([['audit events were lost: the disk could not follow', { lost: 7 }]]);
  });
});
