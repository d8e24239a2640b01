/** What quotas count, case by case, after the documentation of resource quotas. Each row has a namespace of its own. */
import {
  type Client,
  type ConfigMap,
  type Draft,
  Namespace,
  PersistentVolumeClaim,
  Pod,
  ResourceQuota,
  Secret,
  Service,
} from '@orbitkit/core';
import { afterAll, beforeAll, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { resourceQuotas } from './resource-quotas.js';

let plane: TestControlPlane;
let client: Client;
beforeAll(async () => {
  plane = await createTestControlPlane({ controllers: [resourceQuotas({ stillMs: 50 })], housekeeping: false });
  client = plane.client;
});
afterAll(() => plane[Symbol.asyncDispose]());

interface PodWish {
  requests?: Record<string, string>;
  limits?: Record<string, string>;
  /** Of an init container. */
  init?: Record<string, string>;
  phase?: string;
  spec?: object;
}
type Make = (namespace: string, name: string) => Promise<unknown>;
const pod =
  ({ requests, limits, init, phase, spec }: PodWish = {}): Make =>
  async (namespace, name) => {
    const resources = { ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) };
    const initContainers = init ? [{ name: 'init', image: 'i', resources: { requests: init } }] : [];
    const containers = [{ name: 'main', image: 'i', resources }];
    const made = await client.create(Pod, {
      metadata: { name, namespace },
      spec: { containers, initContainers, ...spec },
    } as Draft<Pod>);
    if (phase) await client.updateStatus(Pod, { ...made, status: { ...made.status, phase } as Pod['status'] });
  };
const service =
  (type: string): Make =>
  (namespace, name) =>
    client.create(Service, { metadata: { name, namespace }, spec: { type, ports: [{ port: 80 }] } } as Draft<Service>);
const claim =
  (storage: string, storageClassName?: string): Make =>
  (namespace, name) =>
    client.create(PersistentVolumeClaim, {
      metadata: { name, namespace },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } }, storageClassName },
    } as Draft<PersistentVolumeClaim>);
const plain =
  (kind: typeof ConfigMap | typeof Secret): Make =>
  (namespace, name) =>
    client.create(kind as typeof ConfigMap, { metadata: { name, namespace } });

let rows = 0;
it.each<[string, Make[], string[], object, Record<string, string>]>([
  ['pods', [pod(), pod()], ['pods'], {}, { pods: '2' }],
  ['not pods that have ended', [pod(), pod({ phase: 'Succeeded' })], ['pods'], {}, { pods: '1' }],
  ['but as objects they count', [pod(), pod({ phase: 'Failed' })], ['count/pods'], {}, { 'count/pods': '2' }],
  [
    'requests and limits',
    [pod({ requests: { cpu: '250m' }, limits: { cpu: '1', memory: '1Gi' } }), pod({ requests: { cpu: '250m' } })],
    ['cpu', 'requests.cpu', 'limits.cpu', 'limits.memory'],
    {},
    { cpu: '500m', 'requests.cpu': '500m', 'limits.cpu': '1', 'limits.memory': '1Gi' },
  ],
  [
    'the larger of init and other containers',
    [pod({ requests: { cpu: '1' }, init: { cpu: '3' } })],
    ['cpu'],
    {},
    { cpu: '3' },
  ],
  [
    'pods that run for a bounded time',
    [pod({ spec: { activeDeadlineSeconds: 60 } }), pod()],
    ['pods'],
    { scopes: ['Terminating'] },
    { pods: '1' },
  ],
  [
    'pods that run for ever',
    [pod({ spec: { activeDeadlineSeconds: 60 } }), pod(), pod()],
    ['pods'],
    { scopes: ['NotTerminating'] },
    { pods: '2' },
  ],
  [
    'pods that ask for nothing',
    [pod({ requests: { cpu: '1' } }), pod()],
    ['pods'],
    { scopes: ['BestEffort'] },
    { pods: '1' },
  ],
  [
    'pods that ask for something',
    [pod({ requests: { cpu: '1' } }), pod(), pod({ limits: { cpu: '1' } })],
    ['pods'],
    { scopes: ['NotBestEffort'] },
    { pods: '2' },
  ],
  [
    'pods of a priority class',
    [pod({ spec: { priorityClassName: 'system-node-critical' } }), pod()],
    ['pods'],
    { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'Exists' }] } },
    { pods: '1' },
  ],
  [
    'services by what they take',
    [service('ClusterIP'), service('NodePort'), service('LoadBalancer')],
    ['services', 'services.nodeports', 'services.loadbalancers'],
    {},
    { services: '3', 'services.nodeports': '2', 'services.loadbalancers': '1' },
  ],
  [
    'storage, also by class',
    [claim('1Gi', 'fast'), claim('2Gi', 'slow'), claim('512Mi', 'fast')],
    [
      ...['persistentvolumeclaims', 'requests.storage'],
      ...[
        'fast.storageclass.storage.k8s.io/requests.storage',
        'slow.storageclass.storage.k8s.io/persistentvolumeclaims',
      ],
    ],
    {},
    {
      persistentvolumeclaims: '3',
      'requests.storage': '3584Mi',
      'fast.storageclass.storage.k8s.io/requests.storage': '1536Mi',
      'slow.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
    },
  ],
  [
    'objects of any kind',
    [plain(Secret), plain(Secret)],
    ['secrets', 'count/secrets'],
    {},
    { secrets: '2', 'count/secrets': '2' },
  ],
  ['nothing of a kind that nobody serves', [], ['count/things.example.com'], {}, { 'count/things.example.com': '0' }],
])('%s', async (_what, makes, names, spec, used) => {
  const namespace = `row${rows++}`;
  await client.create(Namespace, { metadata: { name: namespace } });
  for (const [i, make] of makes.entries()) await make(namespace, `o${i}`);
  const hard = Object.fromEntries(names.map(name => [name, '100Gi']));
  const quota = { metadata: { name: 'q', namespace }, spec: { hard, ...spec } } as Draft<ResourceQuota>;
  await client.create(ResourceQuota, quota);
  await plane.eventually(async () => {
    const found = (await client.get(ResourceQuota, { name: 'q', namespace })).status?.used;
    const same = JSON.stringify(Object.entries(found ?? {}).sort()) === JSON.stringify(Object.entries(used).sort());
    if (!same) throw new Error(`it counts ${JSON.stringify(found)}`);
    return true;
  });
});
