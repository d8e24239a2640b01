/**
 * The components of a cluster have the rights that they need, under identities of their own: a small cluster does what clusters do, and the
 * audit log of its server shows every request with what was decided about it. Nothing that a component asked for was refused, and none of them
 * is an administrator. That the roles are no wider than upstream's is tested beside them (`authorization/bootstrap/policy.test.ts`).
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import {
  createAuthority,
  makeCertificateRequest,
  readCertificateRequest,
  signCertificateRequest,
} from '@orbitkit/apiserver/pki';
import { controllerManager, standardControllers } from '@orbitkit/controllers';
import {
  CertificateSigningRequest,
  type Client,
  ConfigMap,
  CronJob,
  compose,
  DaemonSet,
  Deployment,
  formatMicroTime,
  HorizontalPodAutoscaler,
  isNotFound,
  Job,
  Namespace,
  Pod,
  PodDisruptionBudget,
  ResourceQuota,
  Secret,
  Service,
  ServiceAccount,
  StatefulSet,
  silentLogger,
} from '@orbitkit/core';
import { node, simulatedRuntime } from '@orbitkit/node';
import { scheduler } from '@orbitkit/scheduler';
import { afterAll, beforeAll, expect, it } from 'vitest';

interface AuditEvent {
  verb: string;
  user: { username: string; groups?: string[] };
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string };
  requestURI: string;
  requestReceivedTimestamp: string;
  responseStatus?: { code?: number };
  annotations?: Record<string, string>;
}

let dir: string;
let admin: Client;
let stop: () => Promise<unknown>;
const image = 'registry.example/app:1';
const namespace = 'shop';
const controllerManagerUser = { username: 'system:kube-controller-manager', groups: ['system:authenticated'] };

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbitkit-rights-'));
  const policy = join(dir, 'policy.yaml');
  await writeFile(
    policy,
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n',
  );
  const server = apiServer({
    store: memoryStore(),
    listen: false,
    dataDir: dir,
    auditLog: { policy, file: join(dir, 'audit.log') },
  });
  const authority = () => createAuthority({ dir: join(dir, 'pki') });
  const controllers = standardControllers({
    clusterCIDR: '10.244.0.0/16',
    certificateAuthority: async () => (await authority()).certificate,
    certificates: {
      read: readCertificateRequest,
      sign: async issue => signCertificateRequest(await authority(), issue),
    },
  });
  const agent = (name: string) =>
    node({ name, dataDir: join(dir, name), runtime: simulatedRuntime({ images: [image] }), stopPodsOnShutdown: false });
  const cluster = compose(
    { log: silentLogger },
    server,
    scheduler(),
    controllerManager(controllers, { user: controllerManagerUser, serviceAccounts: true }),
    agent('n1'),
    agent('n2'),
  );
  const stopping = new AbortController();
  const running = cluster.run({ signal: stopping.signal });
  await Promise.race([cluster.ready, running]);
  admin = server.clientFor({ username: 'admin', groups: ['system:masters'] });
  stop = () => {
    stopping.abort();
    return running;
  };
}, 60_000);
afterAll(async () => {
  await stop();
  await rm(dir, { recursive: true, force: true });
});

async function audited(): Promise<AuditEvent[]> {
  const text = await readFile(join(dir, 'audit.log'), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line));
}

const labels = (app: string) => ({ app });
const template = (app: string, more: object = {}) => ({
  metadata: { labels: labels(app) },
  spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image }], ...more },
});
const eventually = (what: () => Promise<boolean>) =>
  expect.poll(() => what().catch(error => (isNotFound(error) ? false : Promise.reject(error))), {
    timeout: 30_000,
    interval: 100,
  });

it('nothing that a component needs is refused, and nobody is more than it is', { timeout: 120_000 }, async () => {
  const at = (name: string) => ({ metadata: { name, namespace } });
  const selector = (app: string) => ({ matchLabels: labels(app) });
  await admin.create(Namespace, { metadata: { name: namespace } });
  await admin.create(ResourceQuota, { ...at('all'), spec: { hard: { pods: '50' } } } as never);
  await admin.create(ConfigMap, { ...at('settings'), data: { a: 'b' } });
  await admin.create(Secret, { ...at('key'), stringData: { a: 'b' } } as never);
  await admin.create(ServiceAccount, { ...at('robot') } as never);
  await admin.create(Secret, {
    metadata: { name: 'robot', namespace, annotations: { 'kubernetes.io/service-account.name': 'robot' } },
    type: 'kubernetes.io/service-account-token',
  } as never);
  await eventually(
    async () => (await admin.get(Secret, { name: 'robot', namespace })).data?.['token'] !== undefined,
  ).toBe(true);
  await admin.create(Service, { ...at('web'), spec: { selector: labels('web'), ports: [{ port: 80 }] } } as never);
  const volumes = [
    { name: 'settings', configMap: { name: 'settings' } },
    { name: 'key', secret: { secretName: 'key' } },
  ];
  const web = await admin.create(Deployment, {
    ...at('web'),
    spec: { replicas: 2, selector: selector('web'), template: template('web', { volumes }) },
  } as never);
  await admin.create(StatefulSet, {
    ...at('db'),
    spec: { replicas: 2, serviceName: 'db', selector: selector('db'), template: template('db') },
  } as never);
  await admin.create(DaemonSet, {
    ...at('log'),
    spec: { selector: selector('log'), template: template('log') },
  } as never);
  const once = { ...template('once'), spec: { ...template('once').spec, restartPolicy: 'Never' } };
  await admin.create(Job, { ...at('once'), spec: { ttlSecondsAfterFinished: 0, template: once } } as never);
  await admin.create(CronJob, {
    ...at('often'),
    spec: { schedule: '* * * * *', jobTemplate: { spec: { template: once } } },
  } as never);
  await admin.create(PodDisruptionBudget, {
    ...at('web'),
    spec: { minAvailable: 1, selector: selector('web') },
  } as never);
  await admin.create(HorizontalPodAutoscaler, {
    ...at('web'),
    spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } },
  } as never);
  await admin.create(Pod, { ...at('alone'), spec: template('alone').spec } as never);
  const { request } = await makeCertificateRequest({ commonName: 'system:node:n1', organizations: ['system:nodes'] });
  await admin.create(CertificateSigningRequest, {
    metadata: { name: 'renewal' },
    spec: {
      request: Buffer.from(request).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: ['digital signature', 'client auth'],
    },
  } as never);

  await eventually(async () => {
    const { status } = await admin.get(Deployment, { name: 'web', namespace });
    return status?.availableReplicas === 2;
  }).toBe(true);
  await eventually(async () => {
    const { items } = await admin.list(Pod, { namespace });
    const running = items
      .filter(({ status }) => status?.phase === 'Running')
      .map(({ metadata }) => metadata.labels?.['app'] ?? 'alone');
    return ['web', 'db', 'log', 'alone'].every(app => running.includes(app));
  }).toBe(true);
  await eventually(async () => {
    const { status } = await admin.get(CertificateSigningRequest, { name: 'renewal' });
    return status?.certificate !== undefined;
  }).toBe(true);
  await eventually(async () => {
    const { status } = await admin.get(PodDisruptionBudget, { name: 'web', namespace });
    return (status?.currentHealthy ?? 0) >= 2;
  }).toBe(true);
  // A new version is rolled out, one workload is deleted in the foreground, then everything.
  const changed = await admin.get(Deployment, { name: web.metadata.name, namespace });
  await admin.patch(
    Deployment,
    { name: 'web', namespace },
    { type: 'merge', patch: { spec: { template: { metadata: { annotations: { version: '2' } } } } } },
  );
  // To its end: a node that asks for the secret of a pod that was deleted a moment ago is refused, in every cluster.
  await eventually(async () => {
    const { status } = await admin.get(Deployment, { name: 'web', namespace });
    const { observedGeneration = 0, replicas, updatedReplicas, availableReplicas } = status ?? {};
    const counts = [replicas, updatedReplicas, availableReplicas];
    return observedGeneration > changed.metadata.generation! && counts.every(count => count === 2);
  }).toBe(true);
  await admin.delete(DaemonSet, { name: 'log', namespace }, { propagationPolicy: 'Foreground' });
  const deletedAt = formatMicroTime(Date.now());
  await admin.delete(Namespace, { name: namespace });
  await eventually(async () => {
    const { items } = await admin.list(Namespace);
    return items.every(({ metadata }) => metadata.name !== namespace);
  }).toBe(true);

  const events = await audited();
  const ofComponents = events.filter(
    ({ user }) => user.username.startsWith('system:') && user.username !== 'system:apiserver',
  );
  const users = [...new Set(ofComponents.map(({ user }) => user.username))].sort();
  const account = 'system:serviceaccount:kube-system:';
  expect(users.filter(each => !each.startsWith(account))).toEqual([
    'system:kube-controller-manager',
    'system:kube-scheduler',
    'system:node:n1',
    'system:node:n2',
  ]);
  const accounts = users.filter(each => each.startsWith(account)).map(each => each.slice(account.length));
  expect(accounts).toEqual(
    expect.arrayContaining([
      'certificate-controller',
      'daemon-set-controller',
      'deployment-controller',
      'disruption-controller',
      'endpointslice-controller',
      'generic-garbage-collector',
      'horizontal-pod-autoscaler',
      'job-controller',
      'namespace-controller',
      'node-controller',
      'replicaset-controller',
      'resourcequota-controller',
      'root-ca-cert-publisher',
      'service-account-controller',
      'statefulset-controller',
    ]),
  );
  // The manager itself keeps the caches, and what has no account of its own: tokens of service accounts.
  const ofManager = ofComponents.filter(
    ({ user, verb }) => user.username === controllerManagerUser.username && !['get', 'list', 'watch'].includes(verb),
  );
  const written = ofManager.map(({ objectRef }) => [objectRef?.resource, objectRef?.subresource].join('/'));
  expect([...new Set(written)].sort()).toEqual(['secrets/', 'serviceaccounts/token']);
  expect(ofComponents.filter(({ user }) => user.groups?.includes('system:masters'))).toEqual([]);
  const line = ({ user, verb, requestURI, responseStatus }: AuditEvent) =>
    `${user.username} ${verb} ${requestURI} ${responseStatus?.code}`;
  const refused = ofComponents.filter(each => each.annotations?.['authorization.k8s.io/decision'] !== 'allow');
  expect([...new Set(refused.map(line))]).toEqual([]);
  // What plugins refuse: nothing but new objects in the namespace that is on its way out.
  const forbidden = ofComponents.filter(
    each =>
      each.responseStatus?.code === 403 &&
      !(
        each.verb === 'create' &&
        each.objectRef?.namespace === namespace &&
        each.requestReceivedTimestamp >= deletedAt
      ),
  );
  expect([...new Set(forbidden.map(line))]).toEqual([]);
  // The log has seen the work: each of them wrote.
  for (const username of users.filter(each => !each.startsWith(account)))
    expect(
      ofComponents.some(each => each.user.username === username && ['create', 'update', 'patch'].includes(each.verb)),
    ).toBe(true);
});
