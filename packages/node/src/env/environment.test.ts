import type { corev1, Pod, Service } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { environmentOf } from './environment.js';
import type { References } from './references.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');

const service = (name: string, spec: object, namespace = 'shop') =>
  ({ metadata: { name, namespace }, spec: { clusterIP: '10.0.0.9', ports: [{ port: 80 }], ...spec } }) as Service;

function input(container: Partial<corev1.Container>, options: { services?: Service[]; spec?: object } = {}) {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-1',
      namespace: 'shop',
      uid: 'u-1',
      labels: { app: 'web' },
      annotations: { 'a.b/c': 'note' },
    },
    spec: {
      containers: [{ name: 'app', ...container }],
      serviceAccountName: 'clerk',
      enableServiceLinks: false,
      ...options.spec,
    },
    status: {},
  } as unknown as Pod;
  const references: References = {
    configMap: async (_namespace, name) =>
      name === 'settings'
        ? ({ data: { COLOUR: 'blue', 'a=b': 'no', size: '3' }, binaryData: { bin: base64('raw') } } as never)
        : undefined,
    secret: async (_namespace, name) =>
      name === 'keys' ? ({ data: { token: base64('s3cret') } } as never) : undefined,
    claim: async () => undefined,
    volume: async () => undefined,
    services: async () => options.services ?? [],
  };
  return {
    pod,
    container: pod.spec.containers[0]!,
    place: { nodeName: 'n1', hostIPs: ['192.0.2.1'], podIPs: ['10.1.0.5', 'fd00::5'] },
    allocatable: { cpu: '4', memory: '8Gi' },
    references,
  };
}

async function valuesOf(container: Partial<corev1.Container>, options = {}) {
  const { variables } = await environmentOf(input(container, options));
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}

describe('environmentOf', () => {
  it('expands earlier variables, keeps unknown ones, and lets later ones win', async () => {
    expect(
      await valuesOf({
        env: [
          { name: 'A', value: '1' },
          { name: 'B', value: '$(A)-$(C)-$$(A)' },
          { name: 'C', value: 'late' },
          { name: 'A', value: '2' },
          { name: 'D', value: '$(A)' },
        ],
      }),
    ).toEqual({ A: '2', B: '1-$(C)-$(A)', C: 'late', D: '2' });
  });

  it.each([
    ['metadata.name', 'web-1'],
    ['metadata.namespace', 'shop'],
    ['metadata.uid', 'u-1'],
    ["metadata.labels['app']", 'web'],
    ["metadata.labels['none']", ''],
    ["metadata.annotations['a.b/c']", 'note'],
    ['spec.nodeName', 'n1'],
    ['spec.serviceAccountName', 'clerk'],
    ['status.hostIP', '192.0.2.1'],
    ['status.hostIPs', '192.0.2.1'],
    ['status.podIP', '10.1.0.5'],
    ['status.podIPs', '10.1.0.5,fd00::5'],
  ])('fieldRef %s is %s', async (fieldPath, expected) => {
    expect(await valuesOf({ env: [{ name: 'V', valueFrom: { fieldRef: { fieldPath } } }] })).toEqual({ V: expected });
  });

  it.each([
    [{ resource: 'limits.cpu' }, '2'],
    [{ resource: 'limits.cpu', divisor: '1m' }, '1500'],
    [{ resource: 'requests.cpu' }, '1'],
    [{ resource: 'limits.memory' }, '67108864'],
    [{ resource: 'limits.memory', divisor: '1Mi' }, '64'],
    [{ resource: 'requests.memory', divisor: '1Mi' }, '64'],
    [{ resource: 'limits.memory', divisor: '1G' }, '1'],
    [{ resource: 'limits.ephemeral-storage' }, '0'],
  ])('resourceFieldRef %j is %s', async (resourceFieldRef, expected) => {
    const resources = { limits: { cpu: '1500m', memory: '64Mi' }, requests: { cpu: '500m' } };
    expect(await valuesOf({ resources, env: [{ name: 'V', valueFrom: { resourceFieldRef } }] })).toEqual({
      V: expected,
    });
  });

  it('a limit that is not set is what the node has', async () => {
    const env = [{ name: 'V', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } }];
    expect(await valuesOf({ env })).toEqual({ V: '4' });
  });

  it('takes ConfigMaps and Secrets, whole or by key', async () => {
    const { variables, skipped } = await environmentOf(
      input({
        envFrom: [
          { configMapRef: { name: 'settings' }, prefix: 'CFG_' },
          { secretRef: { name: 'keys' } },
          { secretRef: { name: 'none', optional: true } },
        ],
        env: [
          { name: 'SIZE', valueFrom: { configMapKeyRef: { name: 'settings', key: 'size' } } },
          { name: 'BIN', valueFrom: { configMapKeyRef: { name: 'settings', key: 'bin' } } },
          { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } },
          { name: 'NONE', valueFrom: { secretKeyRef: { name: 'keys', key: 'none', optional: true } } },
          { name: 'URL', value: 'http://$(token)@$(CFG_COLOUR)' },
        ],
      }),
    );
    expect(Object.fromEntries(variables.map(({ name, value }) => [name, value]))).toEqual({
      CFG_COLOUR: 'blue',
      CFG_size: '3',
      token: 's3cret',
      SIZE: '3',
      BIN: 'raw',
      TOKEN: 's3cret',
      URL: 'http://s3cret@blue',
    });
    expect(skipped).toEqual(['ConfigMap settings: a=b']);
  });

  it.each([
    [{ configMapKeyRef: { name: 'none', key: 'a' } }, 'configmap "none" not found in namespace "shop"'],
    [{ configMapKeyRef: { name: 'settings', key: 'none' } }, "couldn't find key none in ConfigMap shop/settings"],
    [{ secretKeyRef: { name: 'keys', key: 'none' } }, "couldn't find key none in Secret shop/keys"],
    [
      { fieldRef: { fieldPath: 'status.phase' } },
      'container app, env V: fieldRef names no field of a pod: status.phase',
    ],
    [
      { resourceFieldRef: { resource: 'limits.gpu' } },
      'container app, env V: resourceFieldRef finds no limits.gpu of container app',
    ],
    [{}, 'container app, env V: valueFrom names no source'],
  ])('%j is refused: %s', async (valueFrom, message) => {
    await expect(valuesOf({ env: [{ name: 'V', valueFrom }] })).rejects.toThrow(message);
  });
});

describe('service variables', () => {
  const services = [
    service('redis-master', {
      ports: [
        { port: 6379, name: 'client', protocol: 'TCP' },
        { port: 53, protocol: 'UDP' },
      ],
    }),
    service('headless', { clusterIP: 'None' }),
    service('kubernetes', { clusterIP: '10.0.0.1', ports: [{ port: 443, name: 'https' }] }, 'default'),
  ];

  it('name the services of the namespace, as links once did', async () => {
    const values = await valuesOf({}, { services, spec: { enableServiceLinks: true } });
    expect(values).toEqual({
      REDIS_MASTER_SERVICE_HOST: '10.0.0.9',
      REDIS_MASTER_SERVICE_PORT: '6379',
      REDIS_MASTER_SERVICE_PORT_CLIENT: '6379',
      REDIS_MASTER_PORT: 'tcp://10.0.0.9:6379',
      REDIS_MASTER_PORT_6379_TCP: 'tcp://10.0.0.9:6379',
      REDIS_MASTER_PORT_6379_TCP_PROTO: 'tcp',
      REDIS_MASTER_PORT_6379_TCP_PORT: '6379',
      REDIS_MASTER_PORT_6379_TCP_ADDR: '10.0.0.9',
      REDIS_MASTER_PORT_53_UDP: 'udp://10.0.0.9:53',
      REDIS_MASTER_PORT_53_UDP_PROTO: 'udp',
      REDIS_MASTER_PORT_53_UDP_PORT: '53',
      REDIS_MASTER_PORT_53_UDP_ADDR: '10.0.0.9',
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
      KUBERNETES_SERVICE_PORT: '443',
      KUBERNETES_SERVICE_PORT_HTTPS: '443',
      KUBERNETES_PORT: 'tcp://10.0.0.1:443',
      KUBERNETES_PORT_443_TCP: 'tcp://10.0.0.1:443',
      KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
      KUBERNETES_PORT_443_TCP_PORT: '443',
      KUBERNETES_PORT_443_TCP_ADDR: '10.0.0.1',
    });
  });

  it('without links only the API server is named', async () => {
    const values = await valuesOf({}, { services, spec: { enableServiceLinks: false } });
    expect(Object.keys(values).filter(name => !name.startsWith('KUBERNETES_'))).toEqual([]);
    expect(values['KUBERNETES_SERVICE_HOST']).toBe('10.0.0.1');
  });
});
