/** One object of each kind that columns.test.ts has none of, and what its row says. Rules: data/printer-columns.json. */
import { describe, expect, test } from 'vitest';
import * as kinds from '../generated/kinds.js';
import type { Kind } from '../kind.js';
import { columnsOf } from '../table.js';

const now = Date.parse('2026-01-02T00:00:00Z');
const created = '2026-01-01T23:59:00Z';

/** Cells by column, without name and age where those are the common ones. */
function cells(kind: Kind<any>, value: any): Record<string, unknown> {
  const { object } = kind.decode(
    structuredClone({ ...value, metadata: { name: 'x', creationTimestamp: created, ...value.metadata } }),
  );
  const row = Object.fromEntries(columnsOf(kind).map(column => [column.name, column.cell(object, now)]));
  if (row['Name'] === 'x') delete row['Name'];
  if (row['Age'] === '60s') delete row['Age'];
  return row;
}

const template = {
  metadata: { labels: { app: 'a', tier: 't' } },
  spec: {
    containers: [
      { name: 'c', image: 'i:1' },
      { name: 'd', image: 'j' },
    ],
    nodeSelector: { disk: 'ssd', arch: 'x' },
  },
};
const selector = { matchLabels: { app: 'a' } };
const containers = { Containers: 'c,d', Images: 'i:1,j' };

describe('workloads', () => {
  test.each<[string, Kind<any>, object, object]>([
    [
      'a replication controller',
      kinds.ReplicationController,
      { spec: { replicas: 3, selector: { tier: 't', app: 'a' }, template }, status: { replicas: 2, readyReplicas: 1 } },
      { Desired: 3, Current: 2, Ready: 1, ...containers, Selector: 'app=a,tier=t' },
    ],
    [
      'a daemon set',
      kinds.DaemonSet,
      {
        spec: { selector, template },
        status: {
          desiredNumberScheduled: 5,
          currentNumberScheduled: 4,
          numberReady: 3,
          updatedNumberScheduled: 2,
          numberAvailable: 1,
        },
      },
      {
        Desired: 5,
        Current: 4,
        Ready: 3,
        'Up-to-date': 2,
        Available: 1,
        'Node Selector': 'arch=x,disk=ssd',
        ...containers,
        Selector: 'app=a',
      },
    ],
    [
      'a daemon set of which nothing is known',
      kinds.DaemonSet,
      { spec: { selector, template: { spec: { containers: [] } } } },
      {
        Desired: 0,
        Current: 0,
        Ready: 0,
        'Up-to-date': 0,
        Available: 0,
        'Node Selector': '<none>',
        Containers: '',
        Images: '',
        Selector: 'app=a',
      },
    ],
    [
      'a stateful set',
      kinds.StatefulSet,
      { spec: { replicas: 3, selector, template, serviceName: 's' }, status: { readyReplicas: 2 } },
      { Ready: '2/3', ...containers },
    ],
    [
      'a controller revision',
      kinds.ControllerRevision,
      {
        metadata: {
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'd', uid: 'u', controller: true }],
        },
        revision: 4,
        data: {},
      },
      { Controller: 'daemonset.apps/d', Revision: 4 },
    ],
    ['one without owner', kinds.ControllerRevision, { revision: 1 }, { Controller: '<none>', Revision: 1 }],
    ['a pod template', kinds.PodTemplate, { template }, { ...containers, 'Pod Labels': 'app=a,tier=t' }],
  ])('%s', (_, kind, value, expected) => {
    const { Age: _age, ...rest } = cells(kind, value);
    expect(rest).toEqual(expected);
  });
});

describe('jobs', () => {
  const job = (spec: object, status: object = {}, metadata: object = {}): Record<string, unknown> =>
    cells(kinds.Job, { metadata, spec: { template, ...spec }, status });
  const condition = (type: string, status = 'True') => ({ conditions: [{ type, status }] });
  test.each<[string, object, object]>([
    ['Complete', condition('Complete'), {}],
    ['Failed', condition('Failed'), {}],
    ['Terminating', {}, { deletionTimestamp: created }],
    ['Suspended', condition('Suspended'), {}],
    ['FailureTarget', condition('FailureTarget'), {}],
    ['Running', condition('Suspended', 'False'), {}],
  ])('status %s', (text, status, metadata) => expect(job({}, status, metadata)['Status']).toBe(text));
  test.each<[object, string]>([
    [{ completions: 3, parallelism: 2 }, '1/3'],
    [{ parallelism: 3 }, '1/1 of 3'],
    [{ parallelism: 1 }, '1/1'],
    [{}, '1/1'],
  ])('completions of %j', (spec, text) => expect(job(spec, { succeeded: 1 })['Completions']).toBe(text));
  test('duration', () => {
    const startTime = '2026-01-01T23:55:00Z';
    expect(job({})['Duration']).toBe('');
    expect(job({}, { startTime })['Duration']).toBe('5m');
    expect(job({}, { startTime, completionTime: '2026-01-01T23:55:07Z' })['Duration']).toBe('7s');
  });
  test('the rest', () => {
    expect(job({ selector })).toMatchObject({ ...containers, Selector: 'app=a' });
    expect(job({})['Selector']).toBe('<none>');
  });
  test('cron jobs', () => {
    const spec = { schedule: '*/5 * * * *', jobTemplate: { spec: { template } } };
    expect(cells(kinds.CronJob, { spec })).toEqual({
      Schedule: '*/5 * * * *',
      Timezone: '<none>',
      Suspend: '<unset>',
      Active: 0,
      'Last Schedule': '<none>',
      ...containers,
      Selector: '<none>',
    });
    expect(
      cells(kinds.CronJob, {
        spec: { ...spec, suspend: false, timeZone: 'Etc/UTC' },
        status: { active: [{}, {}], lastScheduleTime: '2026-01-01T23:55:00Z' },
      }),
    ).toMatchObject({ Timezone: 'Etc/UTC', Suspend: 'False', Active: 2, 'Last Schedule': '5m' });
  });
});

describe('network', () => {
  test.each<[object[], string]>([
    [[], '*'],
    [[{}], '*'],
    [[{ host: 'a' }, {}, { host: 'b' }], 'a,b'],
    [[{ host: 'a' }, { host: 'b' }, { host: 'c' }, { host: 'd' }, { host: 'e' }], 'a,b,c + 2 more...'],
  ])('hosts of an ingress: %j', (rules, text) => expect(cells(kinds.Ingress, { spec: { rules } })['Hosts']).toBe(text));
  test.each<[string, Kind<any>, object, object]>([
    [
      'an ingress',
      kinds.Ingress,
      {
        spec: { ingressClassName: 'nginx', tls: [{ hosts: ['a'] }] },
        status: { loadBalancer: { ingress: [{ ip: '10.0.0.2' }, { ip: '10.0.0.1' }, { ip: '10.0.0.2' }] } },
      },
      { Class: 'nginx', Hosts: '*', Address: '10.0.0.1,10.0.0.2', Ports: '80, 443' },
    ],
    ['a bare ingress', kinds.Ingress, {}, { Class: '<none>', Hosts: '*', Address: '', Ports: '80' }],
    [
      'an ingress class',
      kinds.IngressClass,
      { spec: { controller: 'example.com/c', parameters: { apiGroup: 'example.com', kind: 'P', name: 'n' } } },
      { Controller: 'example.com/c', Parameters: 'P.example.com/n' },
    ],
    ['one without parameters', kinds.IngressClass, {}, { Controller: '', Parameters: '<none>' }],
    ['a network policy', kinds.NetworkPolicy, { spec: { podSelector: selector } }, { 'Pod-Selector': 'app=a' }],
    ['one for all pods', kinds.NetworkPolicy, { spec: { podSelector: {} } }, { 'Pod-Selector': '<none>' }],
    [
      'an address',
      kinds.IPAddress,
      { spec: { parentRef: { group: 'apps', resource: 'Deployments', namespace: 'ns', name: 'd' } } },
      { ParentRef: 'deployments.apps/ns/d' },
    ],
    [
      'a service range',
      kinds.ServiceCIDR,
      { spec: { cidrs: ['10.0.0.0/16', 'fd00::/64'] } },
      { CIDRs: '10.0.0.0/16,fd00::/64' },
    ],
  ])('%s', (_, kind, value, expected) => expect(cells(kind, value)).toEqual(expected));
});

describe('storage', () => {
  test.each<[string, Kind<any>, object, object]>([
    [
      'a volume',
      kinds.PersistentVolume,
      {
        metadata: { annotations: { 'volume.beta.kubernetes.io/storage-class': 'beta' } },
        spec: {
          capacity: { storage: '1Gi' },
          accessModes: ['ReadWriteOncePod', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOnce'],
          persistentVolumeReclaimPolicy: 'Retain',
          claimRef: { namespace: 'ns', name: 'c' },
          storageClassName: 's',
          volumeMode: 'Block',
        },
        status: { phase: 'Failed', reason: 'because' },
      },
      {
        Capacity: '1Gi',
        'Access Modes': 'RWO,RWX,RWOP',
        'Reclaim Policy': 'Retain',
        Status: 'Failed',
        Claim: 'ns/c',
        StorageClass: 'beta',
        VolumeAttributesClass: '<unset>',
        Reason: 'because',
        VolumeMode: 'Block',
      },
    ],
    [
      'a volume on its way out',
      kinds.PersistentVolume,
      { metadata: { deletionTimestamp: created }, spec: {}, status: { phase: 'Bound' } },
      {
        Capacity: '0',
        'Access Modes': '',
        'Reclaim Policy': '',
        Status: 'Terminating',
        Claim: '',
        StorageClass: '',
        VolumeAttributesClass: '<unset>',
        Reason: '',
        VolumeMode: '<unset>',
      },
    ],
    [
      'a bound claim',
      kinds.PersistentVolumeClaim,
      {
        spec: { volumeName: 'v', storageClassName: 's', volumeAttributesClassName: 'gold', volumeMode: 'Filesystem' },
        status: { phase: 'Bound', capacity: { storage: '2Gi' }, accessModes: ['ReadOnlyMany'] },
      },
      {
        Status: 'Bound',
        Volume: 'v',
        Capacity: '2Gi',
        'Access Modes': 'ROX',
        StorageClass: 's',
        VolumeAttributesClass: 'gold',
        VolumeMode: 'Filesystem',
      },
    ],
    [
      'a pending claim',
      kinds.PersistentVolumeClaim,
      { spec: { accessModes: ['ReadOnlyMany'] }, status: { phase: 'Pending' } },
      {
        Status: 'Pending',
        Volume: '',
        Capacity: '',
        'Access Modes': '',
        StorageClass: '',
        VolumeAttributesClass: '<unset>',
        VolumeMode: '<unset>',
      },
    ],
    [
      'the default storage class',
      kinds.StorageClass,
      { metadata: { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } }, provisioner: 'p' },
      {
        Name: 'x (default)',
        Provisioner: 'p',
        ReclaimPolicy: 'Delete',
        VolumeBindingMode: 'Immediate',
        AllowVolumeExpansion: false,
      },
    ],
    [
      'an attachment',
      kinds.VolumeAttachment,
      { spec: { attacher: 'a', nodeName: 'n', source: { persistentVolumeName: 'v' } }, status: { attached: true } },
      { Attacher: 'a', PV: 'v', Node: 'n', Attached: true },
    ],
    [
      'a driver',
      kinds.CSIDriver,
      {
        spec: {
          tokenRequests: [{ audience: 'a' }, { audience: 'b' }],
          volumeLifecycleModes: ['Persistent', 'Ephemeral'],
        },
      },
      {
        AttachRequired: true,
        PodInfoOnMount: false,
        StorageCapacity: false,
        TokenRequests: 'a,b',
        RequiresRepublish: false,
        Modes: 'Persistent,Ephemeral',
      },
    ],
    [
      'drivers of a node',
      kinds.CSINode,
      { spec: { drivers: [{ name: 'd', nodeID: 'i', topologyKeys: [] }] } },
      { Drivers: 1 },
    ],
  ])('%s', (_, kind, value, expected) => expect(cells(kind, value)).toEqual(expected));
});

describe('access', () => {
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'r' };
  const subjects = [
    { kind: 'User', name: 'u' },
    { kind: 'User', name: 'v' },
    { kind: 'Group', name: 'g' },
    { kind: 'ServiceAccount', namespace: 'ns', name: 's' },
  ];
  test.each([kinds.RoleBinding, kinds.ClusterRoleBinding])('$kind', kind => {
    expect(cells(kind, { roleRef, subjects })).toEqual({
      Role: 'ClusterRole/r',
      Users: 'u, v',
      Groups: 'g',
      ServiceAccounts: 'ns/s',
    });
  });
  test.each<[object, string]>([
    [{}, 'Pending'],
    [{ conditions: [{ type: 'Approved' }] }, 'Approved'],
    [{ conditions: [{ type: 'Approved' }], certificate: 'YQ==' }, 'Approved,Issued'],
    [{ conditions: [{ type: 'Denied' }, { type: 'Approved' }] }, 'Denied'],
    [{ conditions: [{ type: 'Approved' }, { type: 'Failed' }] }, 'Approved,Failed'],
  ])('a signing request: %j', (status, text) => {
    const spec = { signerName: 'example.com/s', username: 'joe', expirationSeconds: 3600, request: 'YQ==' };
    expect(cells(kinds.CertificateSigningRequest, { spec, status })).toEqual({
      SignerName: 'example.com/s',
      Requestor: 'joe',
      RequestedDuration: '60m',
      Condition: text,
    });
  });
});

describe('policy', () => {
  test.each<[string, Kind<any>, object, object]>([
    [
      'a disruption budget',
      kinds.PodDisruptionBudget,
      { spec: { minAvailable: '50%' }, status: { disruptionsAllowed: 2 } },
      { 'Min Available': '50%', 'Max Unavailable': 'N/A', 'Allowed Disruptions': 2 },
    ],
    [
      'a quota',
      kinds.ResourceQuota,
      { status: { hard: { pods: '5', cpu: '2', 'limits.cpu': '4' }, used: { pods: '1' } } },
      { Request: 'cpu: 0/2, pods: 1/5', Limit: 'limits.cpu: 0/4' },
    ],
    [
      'a priority class',
      kinds.PriorityClass,
      { value: 7, globalDefault: true, preemptionPolicy: 'Never' },
      { Value: 7, 'Global-Default': true, PreemptionPolicy: 'Never' },
    ],
    ['a runtime class', kinds.RuntimeClass, { handler: 'runc' }, { Handler: 'runc' }],
    [
      'a component',
      kinds.CoreV1ComponentStatus,
      { conditions: [{ type: 'Healthy', status: 'False', message: 'm', error: 'e' }] },
      { Status: 'Unhealthy', Message: 'm', Error: 'e' },
    ],
    [
      'a flow schema',
      kinds.FlowSchema,
      {
        spec: { priorityLevelConfiguration: { name: 'p' }, matchingPrecedence: 5 },
        status: { conditions: [{ type: 'Dangling', status: 'False' }] },
      },
      { PriorityLevel: 'p', MatchingPrecedence: 5, DistinguisherMethod: '<none>', MissingPL: 'False' },
    ],
    [
      'a priority level',
      kinds.PriorityLevelConfiguration,
      {
        spec: {
          type: 'Limited',
          limited: {
            nominalConcurrencyShares: 9,
            limitResponse: { type: 'Queue', queuing: { queues: 3, handSize: 2, queueLengthLimit: 1 } },
          },
        },
      },
      { Type: 'Limited', NominalConcurrencyShares: 9, Queues: 3, HandSize: 2, QueueLengthLimit: 1 },
    ],
    [
      'one that limits nothing',
      kinds.PriorityLevelConfiguration,
      { spec: { type: 'Exempt' } },
      {
        Type: 'Exempt',
        NominalConcurrencyShares: '<none>',
        Queues: '<none>',
        HandSize: '<none>',
        QueueLengthLimit: '<none>',
      },
    ],
    ['webhooks', kinds.MutatingWebhookConfiguration, { webhooks: [{ name: 'a' }] }, { Webhooks: 1 }],
    ['no webhooks', kinds.ValidatingWebhookConfiguration, {}, { Webhooks: 0 }],
    [
      'an admission policy',
      kinds.ValidatingAdmissionPolicy,
      { spec: { validations: [{ expression: 'true' }], paramKind: { apiVersion: 'v1', kind: 'ConfigMap' } } },
      { Validations: 1, ParamKind: 'v1/ConfigMap' },
    ],
    [
      'its binding',
      kinds.ValidatingAdmissionPolicyBinding,
      { spec: { policyName: 'p', paramRef: { name: 'n' } } },
      { PolicyName: 'p', ParamRef: '*/n' },
    ],
    [
      'a binding by selector',
      kinds.ValidatingAdmissionPolicyBinding,
      { spec: { policyName: 'p', paramRef: { selector } } },
      { PolicyName: 'p', ParamRef: 'app=a' },
    ],
  ])('%s', (_, kind, value, expected) => {
    const { Age: _age, ...rest } = cells(kind, value);
    expect(rest).toEqual(expected);
  });
});

test.each([kinds.Role, kinds.ClusterRole, kinds.LimitRange, kinds.CSIStorageCapacity, kinds.CustomResourceDefinition])(
  '$kind has the default columns',
  kind => {
    expect(columnsOf(kind as Kind<any>).map(({ name }) => name)).toEqual(['Name', 'Created At']);
  },
);
