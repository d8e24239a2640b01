/** The least that each kind can be, and what it is then. Pods, services and the first workloads: defaults.test.ts. */
import { describe, expect, test } from 'vitest';
import * as kinds from '../generated/kinds.js';
import type { Kind } from '../kind.js';

function defaulted(kind: Kind<any>, value: object): any {
  const { object, unknownFields } = kind.decode(structuredClone({ metadata: { name: 'x' }, ...value }));
  expect(unknownFields).toEqual([]);
  kind.applyDefaults(object);
  const { apiVersion: _version, kind: _kind, ...rest } = object;
  return rest;
}

const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'i:1' }] } };
const fullTemplate = expect.objectContaining({
  spec: expect.objectContaining({ restartPolicy: 'Always', dnsPolicy: 'ClusterFirst' }),
});
const selector = { matchLabels: { app: 'a' } };
const metadata = { name: 'x' };

describe('workloads', () => {
  test('a replication controller takes labels and selector from its template', () => {
    expect(defaulted(kinds.ReplicationController, { spec: { template } })).toEqual({
      metadata: { name: 'x', labels: { app: 'a' } },
      spec: { replicas: 1, selector: { app: 'a' }, template: fullTemplate },
      status: { replicas: 0 },
    });
    const own = defaulted(kinds.ReplicationController, {
      metadata: { name: 'x', labels: { mine: '1' } },
      spec: { selector: { b: 'c' }, template },
    });
    expect([own.metadata.labels, own.spec.selector]).toEqual([{ mine: '1' }, { b: 'c' }]);
  });
  test('a daemon set', () => {
    expect(defaulted(kinds.DaemonSet, { spec: { selector, template } }).spec).toEqual({
      selector,
      template: fullTemplate,
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
      revisionHistoryLimit: 10,
    });
    const onDelete = defaulted(kinds.DaemonSet, { spec: { selector, template, updateStrategy: { type: 'OnDelete' } } });
    expect(onDelete.spec.updateStrategy).toEqual({ type: 'OnDelete' });
  });
  test('a stateful set and its claims', () => {
    const spec = {
      selector,
      template,
      serviceName: 's',
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'] } }],
    };
    expect(defaulted(kinds.StatefulSet, { spec }).spec).toEqual({
      replicas: 1,
      selector,
      serviceName: 's',
      template: fullTemplate,
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      revisionHistoryLimit: 10,
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      volumeClaimTemplates: [
        {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], volumeMode: 'Filesystem' },
          status: { phase: 'Pending' },
        },
      ],
    });
  });
  test('a pod template, a controller revision', () => {
    expect(defaulted(kinds.PodTemplate, { template }).template).toEqual(fullTemplate);
    expect(defaulted(kinds.ControllerRevision, { data: { a: 1 } })).toEqual({ metadata, revision: 0, data: { a: 1 } });
  });
});

describe('jobs', () => {
  const never = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } };
  test('a job runs once', () => {
    expect(defaulted(kinds.Job, { spec: { template: never } })).toEqual({
      metadata: { name: 'x', labels: { app: 'a' } },
      spec: {
        completions: 1,
        parallelism: 1,
        backoffLimit: 6,
        completionMode: 'NonIndexed',
        suspend: false,
        manualSelector: false,
        podReplacementPolicy: 'TerminatingOrFailed',
        template: expect.anything(),
      },
      status: {},
    });
  });
  test('a queue has no completions; failures are counted by index or in all', () => {
    const { spec } = defaulted(kinds.Job, { spec: { parallelism: 4, template: never } });
    expect(spec.completions).toBeUndefined();
    const indexed = { completions: 2, completionMode: 'Indexed', backoffLimitPerIndex: 1, template: never };
    expect(defaulted(kinds.Job, { spec: indexed }).spec).toMatchObject({ backoffLimit: 2147483647, parallelism: 1 });
    const policy = { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] }] };
    expect(defaulted(kinds.Job, { spec: { podFailurePolicy: policy, template: never } }).spec).toMatchObject({
      podReplacementPolicy: 'Failed',
      podFailurePolicy: { rules: [{ onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }] },
    });
  });
  test('a cron job leaves its jobs to their own defaults', () => {
    const { spec } = defaulted(kinds.CronJob, {
      spec: { schedule: '@daily', jobTemplate: { spec: { template: never } } },
    });
    expect(spec).toEqual({
      schedule: '@daily',
      concurrencyPolicy: 'Allow',
      suspend: false,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 1,
      jobTemplate: expect.objectContaining({ spec: { template: expect.anything() } }),
    });
  });
});

test.each<[string, Kind<any>, object, object]>([
  [
    'a volume',
    kinds.PersistentVolume,
    { spec: { hostPath: { path: '/x' } } },
    {
      spec: { hostPath: { path: '/x', type: '' }, persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem' },
      status: { phase: 'Pending' },
    },
  ],
  [
    'a claim',
    kinds.PersistentVolumeClaim,
    { spec: { dataSource: { kind: 'PersistentVolumeClaim', name: 'old' } } },
    {
      spec: {
        dataSource: { kind: 'PersistentVolumeClaim', name: 'old' },
        dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'old' },
        volumeMode: 'Filesystem',
      },
      status: { phase: 'Pending' },
    },
  ],
  [
    'a limit range',
    kinds.LimitRange,
    {
      spec: {
        limits: [
          { type: 'Container', max: { cpu: '2', memory: '2Gi' }, min: { cpu: '1m' }, default: { cpu: '1' } },
          { type: 'Pod', max: { cpu: '4' } },
        ],
      },
    },
    {
      spec: {
        limits: [
          {
            type: 'Container',
            max: { cpu: '2', memory: '2Gi' },
            min: { cpu: '1m' },
            default: { cpu: '1', memory: '2Gi' },
            defaultRequest: { cpu: '1', memory: '2Gi' },
          },
          { type: 'Pod', max: { cpu: '4' } },
        ],
      },
    },
  ],
  ['a quota', kinds.ResourceQuota, { spec: { hard: { pods: '1' } } }, { spec: { hard: { pods: '1' } }, status: {} }],
  [
    'an autoscaler of v1',
    kinds.AutoscalingV1HorizontalPodAutoscaler,
    { spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 3 } },
    {
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 3, minReplicas: 1 },
      status: { currentReplicas: 0, desiredReplicas: 0 },
    },
  ],
  [
    'an ingress class',
    kinds.IngressClass,
    { spec: { controller: 'a.io/b', parameters: { kind: 'P', name: 'n' } } },
    { spec: { controller: 'a.io/b', parameters: { kind: 'P', name: 'n', scope: 'Cluster' } } },
  ],
  ['an ingress', kinds.Ingress, { spec: {} }, { spec: {}, status: {} }],
  [
    'a network policy',
    kinds.NetworkPolicy,
    { spec: { podSelector: {}, ingress: [{ ports: [{ port: 80 }] }] } },
    { spec: { podSelector: {}, ingress: [{ ports: [{ port: 80, protocol: 'TCP' }] }], policyTypes: ['Ingress'] } },
  ],
  [
    'a network policy that speaks of egress',
    kinds.NetworkPolicy,
    { spec: { podSelector: {}, egress: [{}] } },
    { spec: { podSelector: {}, egress: [{}], policyTypes: ['Ingress', 'Egress'] } },
  ],
  [
    'an address',
    kinds.IPAddress,
    { spec: { parentRef: { resource: 's', name: 'n' } } },
    { spec: { parentRef: { resource: 's', name: 'n' } } },
  ],
  [
    'a service range',
    kinds.ServiceCIDR,
    { spec: { cidrs: ['10.0.0.0/8'] } },
    { spec: { cidrs: ['10.0.0.0/8'] }, status: {} },
  ],
  [
    'a storage class',
    kinds.StorageClass,
    { provisioner: 'p' },
    { provisioner: 'p', reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' },
  ],
  [
    'a driver',
    kinds.CSIDriver,
    {},
    {
      spec: {
        attachRequired: true,
        podInfoOnMount: false,
        storageCapacity: false,
        fsGroupPolicy: 'ReadWriteOnceWithFSType',
        volumeLifecycleModes: ['Persistent'],
        requiresRepublish: false,
        seLinuxMount: false,
      },
    },
  ],
  ['a priority class', kinds.PriorityClass, { value: 1 }, { value: 1, preemptionPolicy: 'PreemptLowerPriority' }],
  [
    'a role binding',
    kinds.RoleBinding,
    {
      roleRef: { kind: 'Role', name: 'r' },
      subjects: [
        { kind: 'User', name: 'u' },
        { kind: 'ServiceAccount', name: 's' },
      ],
    },
    {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' },
      subjects: [
        { kind: 'User', name: 'u', apiGroup: 'rbac.authorization.k8s.io' },
        { kind: 'ServiceAccount', name: 's' },
      ],
    },
  ],
  [
    'a disruption budget',
    kinds.PodDisruptionBudget,
    { spec: { minAvailable: 1 } },
    { spec: { minAvailable: 1 }, status: expect.anything() },
  ],
  ['a runtime class', kinds.RuntimeClass, { handler: 'h' }, { handler: 'h' }],
  [
    'a flow schema',
    kinds.FlowSchema,
    { spec: { priorityLevelConfiguration: { name: 'p' } } },
    { spec: { priorityLevelConfiguration: { name: 'p' }, matchingPrecedence: 1000 }, status: {} },
  ],
  [
    'a priority level',
    kinds.PriorityLevelConfiguration,
    { spec: { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: {} } } } },
    {
      spec: {
        type: 'Limited',
        limited: {
          nominalConcurrencyShares: 30,
          lendablePercent: 0,
          limitResponse: { type: 'Queue', queuing: { queues: 64, handSize: 8, queueLengthLimit: 50 } },
        },
      },
      status: {},
    },
  ],
  [
    'a mutating webhook',
    kinds.MutatingWebhookConfiguration,
    {
      webhooks: [
        { name: 'w', rules: [{ operations: ['CREATE'] }], clientConfig: { service: { name: 's', namespace: 'n' } } },
      ],
    },
    {
      webhooks: [
        expect.objectContaining({
          failurePolicy: 'Fail',
          matchPolicy: 'Equivalent',
          namespaceSelector: {},
          objectSelector: {},
          timeoutSeconds: 10,
          reinvocationPolicy: 'Never',
          rules: [{ operations: ['CREATE'], scope: '*' }],
          clientConfig: { service: { name: 's', namespace: 'n', port: 443 } },
        }),
      ],
    },
  ],
  [
    'an admission policy',
    kinds.ValidatingAdmissionPolicy,
    { spec: { matchConstraints: { resourceRules: [{ operations: ['*'] }] } } },
    {
      spec: {
        failurePolicy: 'Fail',
        matchConstraints: {
          matchPolicy: 'Equivalent',
          namespaceSelector: {},
          objectSelector: {},
          resourceRules: [{ operations: ['*'], scope: '*' }],
        },
      },
      status: {},
    },
  ],
])('%s', (_, kind, value, expected) => expect(defaulted(kind, value)).toEqual({ metadata, ...expected }));

test('a validating webhook is called once', () => {
  const { webhooks } = defaulted(kinds.ValidatingWebhookConfiguration, { webhooks: [{ name: 'w' }] });
  expect(webhooks[0]).not.toHaveProperty('reinvocationPolicy');
  expect(webhooks[0].timeoutSeconds).toBe(10);
});
