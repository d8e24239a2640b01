import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  builtinKinds,
  ConfigMap,
  Deployment,
  EndpointSlice,
  Endpoints,
  Event,
  HorizontalPodAutoscaler,
  Lease,
  Namespace,
  Node,
  ReplicaSet,
  Secret,
  Service,
  ServiceAccount,
} from '../generated/kinds.js';
import type { Kind } from '../kind.js';
import { columnsOf } from '../table.js';
import { Scale } from '../virtual.js';

interface Definition {
  group: string;
  version: string;
  resource: string;
  columns: { name: string; type: string; format: string; priority: number }[];
}
const data: { resources: Definition[]; rules: { default: { columns: Definition['columns'] } } } = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../../data/printer-columns.json', import.meta.url)), 'utf8'),
);
const shape = (columns: Definition['columns']) =>
  columns.map(({ name, type, format, priority }) => ({ name, type, format, priority }));

describe('names, types, formats and priorities are those of the published definitions', () => {
  test.each(builtinKinds.map(kind => [kind.kind, kind] as const))('%s', (_, kind) => {
    const found = data.resources.find(
      each => each.group === kind.group && each.version === kind.version && each.resource === kind.plural,
    );
    expect(shape([...columnsOf(kind as Kind<any>)])).toEqual(shape(found?.columns ?? data.rules.default.columns));
  });
  test('Scale', () => {
    const found = data.resources.find(each => each.resource === 'scale')!;
    const names = (columns: Definition['columns']) =>
      columns.map(({ name, type, priority }) => ({ name, type, priority }));
    expect(names([...columnsOf(Scale)])).toEqual(names(found.columns));
  });
});

const now = Date.parse('2026-01-02T00:00:00Z');
const created = { creationTimestamp: '2026-01-01T23:59:00Z' };

/** Cells by column, without name and age where those are the common ones. */
function cells(kind: Kind<any>, value: any): Record<string, unknown> {
  const { object } = kind.decode({
    metadata: { name: 'x', ...created, ...value.metadata },
    ...value,
    ...(value.metadata ? { metadata: { name: 'x', ...created, ...value.metadata } } : {}),
  });
  const all = Object.fromEntries(columnsOf(kind).map(column => [column.name, column.cell(object, now)]));
  expect(all['Name']).toBe('x');
  const { Name: _, Age: age, ...rest } = all;
  if ('Age' in all) expect(age).toBe('60s');
  return rest;
}
const template = {
  spec: {
    containers: [
      { name: 'a', image: 'x:1' },
      { name: 'b', image: 'y:2' },
    ],
  },
};

test('a deployment', () => {
  expect(
    cells(Deployment, {
      spec: { replicas: 3, template, selector: { matchLabels: { b: '2', a: '1' } } },
      status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 },
    }),
  ).toEqual({
    Ready: '2/3',
    'Up-to-date': 3,
    Available: 1,
    Containers: 'a,b',
    Images: 'x:1,y:2',
    Selector: 'a=1,b=2',
  });
  expect(cells(Deployment, { spec: { selector: {} } })).toMatchObject({ Ready: '0/0', Selector: '' });
  expect(
    cells(Deployment, { spec: { selector: { matchExpressions: [{ key: 'a', operator: 'Near' }] } } }),
  ).toMatchObject({ Selector: '<invalid>' });
});

test('a replica set', () => {
  expect(cells(ReplicaSet, { spec: { replicas: 3, template }, status: { replicas: 2, readyReplicas: 1 } })).toEqual({
    Desired: 3,
    Current: 2,
    Ready: 1,
    Containers: 'a,b',
    Images: 'x:1,y:2',
    Selector: '<none>',
  });
});

test('services', () => {
  const ports = [
    { port: 80, protocol: 'TCP' },
    { port: 53, protocol: 'UDP', nodePort: 30053 },
  ];
  expect(
    cells(Service, { spec: { type: 'ClusterIP', clusterIPs: ['10.0.0.1'], ports, selector: { b: '2', a: '1' } } }),
  ).toEqual({
    Type: 'ClusterIP',
    'Cluster-IP': '10.0.0.1',
    'External-IP': '<none>',
    'Port(s)': '80/TCP,53:30053/UDP',
    Selector: 'a=1,b=2',
  });
  const external = (spec: object, status: object = {}) => cells(Service, { spec, status })['External-IP'];
  expect(external({ type: 'NodePort', externalIPs: ['1.1.1.1', '2.2.2.2'] })).toBe('1.1.1.1,2.2.2.2');
  expect(external({ type: 'LoadBalancer' })).toBe('<pending>');
  expect(
    external(
      { type: 'LoadBalancer', externalIPs: ['9.9.9.9'] },
      { loadBalancer: { ingress: [{ ip: '3.3.3.3' }, { hostname: 'b' }, { ip: '3.3.3.3' }] } },
    ),
  ).toBe('3.3.3.3,b,9.9.9.9');
  expect(external({ type: 'ExternalName', externalName: 'example.com' })).toBe('example.com');
  expect(external({ type: 'Other' })).toBe('<unknown>');
  expect(cells(Service, { spec: { clusterIP: 'None' } })).toMatchObject({
    'Cluster-IP': 'None',
    'Port(s)': '<none>',
    Selector: '<none>',
  });
});

test('endpoints', () => {
  const addresses = [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }];
  const of = (subsets: object[]) => cells(Endpoints, { subsets })['Endpoints'];
  expect(of([])).toBe('<none>');
  expect(of([{ addresses, ports: [{ port: 80 }, { port: 81 }] }])).toBe(
    '10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more...',
  );
  expect(of([{ addresses }])).toBe('10.0.0.1,10.0.0.2');
  const slice = (value: object) => cells(EndpointSlice, { addressType: 'IPv4', ...value });
  expect(slice({})).toEqual({ AddressType: 'IPv4', Ports: '<unset>', Endpoints: '<unset>' });
  expect(
    slice({
      ports: [{ port: 80 }, { name: 'web' }, {}],
      endpoints: [{ addresses: ['a', 'b'] }, { addresses: ['c', 'd'] }],
    }),
  ).toEqual({
    AddressType: 'IPv4',
    Ports: '80,web,*',
    Endpoints: 'a,b,c + 1 more...',
  });
});

test('nodes', () => {
  const nodeInfo = {
    kubeletVersion: 'v1',
    osImage: 'Debian',
    kernelVersion: '6',
    containerRuntimeVersion: 'process://1',
  };
  const ready = (status: string) => ({ conditions: [{ type: 'Ready', status }] });
  expect(
    cells(Node, {
      metadata: {
        labels: { 'node-role.kubernetes.io/worker': '', 'kubernetes.io/role': 'edge', 'node-role.kubernetes.io/': '' },
      },
      status: {
        ...ready('True'),
        nodeInfo,
        addresses: [
          { type: 'ExternalIP', address: '2' },
          { type: 'InternalIP', address: '1' },
        ],
      },
    }),
  ).toEqual({
    Status: 'Ready',
    Roles: 'edge,worker',
    Version: 'v1',
    'Internal-IP': '1',
    'External-IP': '2',
    'OS-Image': 'Debian',
    'Kernel-Version': '6',
    'Container-Runtime': 'process://1',
  });
  expect(cells(Node, { spec: { unschedulable: true }, status: ready('Unknown') })).toMatchObject({
    Status: 'NotReady,SchedulingDisabled',
    Roles: '<none>',
    'OS-Image': '<unknown>',
  });
  expect(cells(Node, {})).toMatchObject({ Status: 'Unknown', 'Internal-IP': '<none>' });
});

test('an event', () => {
  const event = (value: object) => {
    const { object } = Event.decode({ metadata: { name: 'e' }, ...value });
    return Object.fromEntries(columnsOf(Event).map(column => [column.name, column.cell(object, now)]));
  };
  const involvedObject = { kind: 'Pod', name: 'p', fieldPath: 'spec.containers{c}' };
  expect(
    event({
      involvedObject,
      type: 'Normal',
      reason: 'Pulled',
      message: ' done\n',
      count: 3,
      source: { component: 'kubelet', host: 'n1' },
      firstTimestamp: '2026-01-01T23:00:00Z',
      lastTimestamp: '2026-01-01T23:59:50Z',
    }),
  ).toEqual({
    'Last Seen': '10s',
    Type: 'Normal',
    Reason: 'Pulled',
    Object: 'pod/p',
    Subobject: 'spec.containers{c}',
    Source: 'kubelet, n1',
    Message: 'done',
    'First Seen': '60m',
    Count: 3,
    Name: 'e',
  });
  expect(
    event({
      involvedObject: { kind: 'Node' },
      reportingComponent: 'c',
      eventTime: '2026-01-01T23:59:00.000000Z',
      series: { count: 7, lastObservedTime: '2026-01-01T23:59:58.000000Z' },
    }),
  ).toMatchObject({ 'Last Seen': '2s', Object: 'node', Source: 'c', 'First Seen': '60s', Count: 7 });
  expect(event({ eventTime: '2026-01-01T23:59:00.000000Z' })).toMatchObject({ 'Last Seen': '60s', Count: 1 });
});

test('small ones', () => {
  expect(cells(Namespace, { status: { phase: 'Active' } })).toEqual({ Status: 'Active' });
  expect(cells(ConfigMap, { data: { a: '1' }, binaryData: { b: 'AA==' } })).toEqual({ Data: 2 });
  expect(cells(Secret, { type: 'Opaque', data: { a: 'AA==' } })).toEqual({ Type: 'Opaque', Data: 1 });
  expect(cells(ServiceAccount, { secrets: [{ name: 'x' }] })).toEqual({ Secrets: 1 });
  expect(cells(Lease, { spec: { holderIdentity: 'me' } })).toEqual({ Holder: 'me' });
  expect(cells(Scale, { spec: { replicas: 3 }, status: { replicas: 2 } })).toEqual({ Desired: 3, Available: 2 });
});

test('an autoscaler', () => {
  const resource = (name: string, averageUtilization?: number) => ({
    type: 'Resource',
    resource: { name, target: { type: 'Utilization', averageUtilization } },
  });
  const of = (metrics: object[], currentMetrics: object[] = []) =>
    cells(HorizontalPodAutoscaler, {
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 5, metrics },
      status: { currentReplicas: 2, currentMetrics },
    });
  expect(of([])).toEqual({ Reference: 'Deployment/d', Targets: '<none>', MinPods: '<unset>', MaxPods: 5, Replicas: 2 });
  const targets = (metrics: object[], current: object[] = []) => of(metrics, current)['Targets'];
  expect(targets([resource('cpu', 80)])).toBe('cpu: <unknown>/80%');
  expect(
    targets(
      [resource('cpu', 80), resource('memory'), resource('x')],
      [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 3 } } }],
    ),
  ).toBe('cpu: 3%/80%, memory: <unknown>/<auto> + 1 more...');
  expect(
    targets([{ type: 'Resource', resource: { name: 'cpu', target: { type: 'AverageValue', averageValue: '100m' } } }]),
  ).toBe('cpu: <unknown>/100m');
  expect(
    targets(
      [{ type: 'External', external: { metric: { name: 'q' }, target: { type: 'AverageValue', averageValue: '3' } } }],
      [{ type: 'External', external: { current: { averageValue: '2' } } }],
    ),
  ).toBe('2/3 (avg)');
  expect(targets([{ type: 'Object', object: { target: { type: 'Value', value: '3' } } }])).toBe('<unknown>/3');
  expect(targets([{ type: 'Pods', pods: { target: { type: 'AverageValue', averageValue: '3' } } }])).toBe(
    '<unknown>/3',
  );
  expect(targets([{ type: 'Moon' }])).toBe('<unknown type>');
});
