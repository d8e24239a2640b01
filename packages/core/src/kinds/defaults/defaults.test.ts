import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  builtinKinds,
  Deployment,
  EndpointSlice,
  Endpoints,
  HorizontalPodAutoscaler,
  Namespace,
  Node,
  Pod,
  ReplicaSet,
  Secret,
  Service,
} from '../generated/kinds.js';
import type { Kind } from '../kind.js';
import { kindRegistry } from '../registry.js';
import { pullPolicyOf } from './pod.js';

function defaulted<T extends Kind<any>>(kind: T, value: object): any {
  const { object } = kind.decode(structuredClone(value));
  kind.applyDefaults(object);
  return object;
}
const podSpec = (spec: object): any => defaulted(Pod, { metadata: { name: 'a' }, spec }).spec;

describe('pods', () => {
  test('the smallest pod', () => {
    expect(podSpec({ containers: [{ name: 'a', image: 'nginx' }] })).toEqual({
      containers: [
        {
          name: 'a',
          image: 'nginx',
          imagePullPolicy: 'Always',
          resources: {},
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      restartPolicy: 'Always',
      dnsPolicy: 'ClusterFirst',
      schedulerName: 'default-scheduler',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
      enableServiceLinks: true,
    });
  });

  test('what is written stays, zeros behind pointers too', () => {
    const written = {
      terminationGracePeriodSeconds: 0,
      enableServiceLinks: false,
      dnsPolicy: 'Default',
      restartPolicy: 'Never',
      schedulerName: 'mine',
    };
    expect(podSpec({ ...written, containers: [] })).toMatchObject(written);
  });

  test.each([
    ['nginx', 'Always'],
    ['nginx:latest', 'Always'],
    ['nginx:1.27', 'IfNotPresent'],
    ['localhost:5000/nginx', 'Always'],
    ['localhost:5000/nginx:1', 'IfNotPresent'],
    ['nginx@sha256:abc', 'IfNotPresent'],
  ])('%s is pulled %s', (image, policy) => expect(pullPolicyOf(image)).toBe(policy));

  test('probes and hooks', () => {
    const spec = podSpec({
      containers: [
        {
          name: 'a',
          livenessProbe: { httpGet: { port: 80 } },
          readinessProbe: { grpc: { port: 1 }, periodSeconds: 3 },
          lifecycle: { preStop: { httpGet: { port: 80 } } },
        },
      ],
    });
    const timing = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };
    expect(spec.containers[0].livenessProbe).toEqual({ httpGet: { port: 80, path: '/', scheme: 'HTTP' }, ...timing });
    expect(spec.containers[0].readinessProbe).toEqual({ grpc: { port: 1, service: '' }, ...timing, periodSeconds: 3 });
    expect(spec.containers[0].lifecycle.preStop.httpGet).toEqual({ port: 80, path: '/', scheme: 'HTTP' });
  });

  test('ports, environment and init containers', () => {
    const container = {
      name: 'a',
      ports: [{ containerPort: 80 }, { containerPort: 53, protocol: 'UDP' }],
      env: [
        { name: 'N', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        { name: 'R', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      ],
    };
    const spec = podSpec({ initContainers: [container], containers: [container] });
    for (const each of [...spec.initContainers, ...spec.containers]) {
      expect(each.ports.map((port: any) => port.protocol)).toEqual(['TCP', 'UDP']);
      expect(each.env[0].valueFrom.fieldRef.apiVersion).toBe('v1');
      expect(each.env[1].valueFrom.resourceFieldRef.divisor).toBe('0');
      expect(each.terminationMessagePolicy).toBe('File');
    }
  });

  test('requests follow limits in a pod, not in a template', () => {
    const container = { name: 'a', resources: { limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '100m' } } };
    expect(podSpec({ containers: [container] }).containers[0].resources.requests).toEqual({
      cpu: '100m',
      memory: '1Gi',
    });
    const template = defaulted(ReplicaSet, { spec: { template: { spec: { containers: [container] } } } }).spec.template
      .spec;
    expect(template.containers[0].resources.requests).toEqual({ cpu: '100m' });
    expect(template).not.toHaveProperty('enableServiceLinks');
  });

  test('on the network of the host, container ports are host ports', () => {
    expect(
      podSpec({ hostNetwork: true, containers: [{ name: 'a', ports: [{ containerPort: 80 }] }] }).containers[0].ports[0]
        .hostPort,
    ).toBe(80);
  });

  test('volumes', () => {
    const { volumes } = podSpec({
      containers: [],
      volumes: [
        { name: 'a' },
        { name: 'b', configMap: { name: 'x' } },
        { name: 'c', secret: { secretName: 'x' } },
        { name: 'd', hostPath: { path: '/x' } },
        {
          name: 'e',
          projected: {
            sources: [
              { serviceAccountToken: { path: 't' } },
              { downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'metadata.name' } }] } },
            ],
          },
        },
        { name: 'f', configMap: { name: 'x', defaultMode: 0 } },
      ],
    });
    expect(volumes).toEqual([
      { name: 'a', emptyDir: {} },
      { name: 'b', configMap: { name: 'x', defaultMode: 420 } },
      { name: 'c', secret: { secretName: 'x', defaultMode: 420 } },
      { name: 'd', hostPath: { path: '/x', type: '' } },
      {
        name: 'e',
        projected: {
          defaultMode: 420,
          sources: [
            { serviceAccountToken: { path: 't', expirationSeconds: 3600 } },
            { downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'metadata.name', apiVersion: 'v1' } }] } },
          ],
        },
      },
      { name: 'f', configMap: { name: 'x', defaultMode: 0 } },
    ]);
  });

  test('the old name of the service account is an alias', () => {
    expect(podSpec({ containers: [], serviceAccount: 'x' })).toMatchObject({
      serviceAccount: 'x',
      serviceAccountName: 'x',
    });
  });
});

describe('workloads', () => {
  test('a deployment', () => {
    expect(defaulted(Deployment, { spec: {} }).spec).toMatchObject({
      replicas: 1,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
    });
    expect(defaulted(Deployment, { spec: { replicas: 0, strategy: { type: 'Recreate' } } }).spec).toMatchObject({
      replicas: 0,
      strategy: { type: 'Recreate' },
    });
    expect(defaulted(Deployment, { spec: { strategy: { type: 'Recreate' } } }).spec.strategy).toEqual({
      type: 'Recreate',
    });
    expect(defaulted(ReplicaSet, {}).spec.replicas).toBe(1);
  });

  test('an autoscaler', () => {
    const { spec } = defaulted(HorizontalPodAutoscaler, {
      spec: { behavior: { scaleUp: { policies: [{ type: 'Pods', value: 1, periodSeconds: 1 }] } } },
    });
    expect(spec.minReplicas).toBe(1);
    expect(spec.metrics).toEqual([
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
    ]);
    expect(spec.behavior.scaleUp).toEqual({
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Max',
      policies: [{ type: 'Pods', value: 1, periodSeconds: 1 }],
    });
    expect(spec.behavior.scaleDown).toEqual({
      selectPolicy: 'Max',
      policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    });
  });
});

describe('services and endpoints', () => {
  test('the type decides', () => {
    const ports = [{ port: 80 }, { port: 81, targetPort: 'web' }];
    expect(defaulted(Service, { spec: { ports } }).spec).toEqual({
      ports: [
        { port: 80, protocol: 'TCP', targetPort: 80 },
        { port: 81, protocol: 'TCP', targetPort: 'web' },
      ],
      sessionAffinity: 'None',
      type: 'ClusterIP',
      internalTrafficPolicy: 'Cluster',
    });
    expect(defaulted(Service, { spec: { type: 'NodePort' } }).spec).toMatchObject({ externalTrafficPolicy: 'Cluster' });
    expect(defaulted(Service, { spec: { type: 'LoadBalancer' } }).spec).toMatchObject({
      externalTrafficPolicy: 'Cluster',
      allocateLoadBalancerNodePorts: true,
    });
    expect(defaulted(Service, { spec: { type: 'ExternalName' } }).spec).toEqual({
      type: 'ExternalName',
      sessionAffinity: 'None',
    });
  });

  test('client affinity lasts three hours, and none has no settings', () => {
    expect(defaulted(Service, { spec: { sessionAffinity: 'ClientIP' } }).spec.sessionAffinityConfig).toEqual({
      clientIP: { timeoutSeconds: 10800 },
    });
    expect(
      defaulted(Service, { spec: { sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } } } }).spec,
    ).not.toHaveProperty('sessionAffinityConfig');
  });

  test('endpoints speak TCP', () => {
    expect(defaulted(Endpoints, { subsets: [{ ports: [{ port: 1 }] }] }).subsets[0].ports[0].protocol).toBe('TCP');
    expect(defaulted(EndpointSlice, { ports: [{ port: 1 }] }).ports[0]).toEqual({ name: '', port: 1, protocol: 'TCP' });
  });
});

describe('the rest', () => {
  test('a namespace is labelled with its name', () => {
    const namespace = defaulted(Namespace, { metadata: { name: 'x', labels: { a: 'b' } } });
    expect(namespace.metadata.labels).toEqual({ a: 'b', 'kubernetes.io/metadata.name': 'x' });
    expect(namespace.status.phase).toBe('Active');
  });

  test('text of a secret becomes data', () => {
    const secret = defaulted(Secret, { data: { a: 'eA==', b: 'eQ==' }, stringData: { a: 'ä' } });
    expect(secret).toMatchObject({ type: 'Opaque', data: { a: 'w6Q=', b: 'eQ==' } });
    expect(secret).not.toHaveProperty('stringData');
  });

  test('all of a node can be allocated unless it says otherwise', () => {
    expect(defaulted(Node, { status: { capacity: { cpu: '2' } } }).status.allocatable).toEqual({ cpu: '2' });
  });
});

test('defaults twice are defaults once, on samples with every field filled in', () => {
  const testdata = fileURLToPath(new URL('../../../testdata/', import.meta.url));
  const registry = kindRegistry(builtinKinds);
  let seen = 0;
  for (const file of readdirSync(testdata).filter(name => name.endsWith('.json'))) {
    const value = JSON.parse(readFileSync(testdata + file, 'utf8'));
    if (value.metadata === undefined) continue;
    const [group, version] = value.apiVersion.includes('/') ? value.apiVersion.split('/') : ['', value.apiVersion];
    const kind = registry.get({ group, version, kind: value.kind });
    if (!kind) continue;
    seen += 1;
    const { object } = kind.decode(value);
    kind.applyDefaults(object);
    const once = structuredClone(object);
    kind.applyDefaults(object);
    expect(object, file).toEqual(once);
    // What defaults leave is in order for decoding again: a stored object reads back as itself.
    expect(kind.decode(structuredClone(object)), file).toEqual({ object: once, unknownFields: [] });
  }
  // There are no published samples of metrics.
  expect(seen).toBe(builtinKinds.length - 2);
});
