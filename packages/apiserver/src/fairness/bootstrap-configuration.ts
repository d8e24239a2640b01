/**
 * The flow schemas and priority levels that a cluster has from the start: upstream's mandatory and suggested ones, by their names, shares,
 * queues and precedences. Source: apiserver `flowcontrol/bootstrap` (v1.29 and later), as facts.
 */
import type { flowcontrolv1 } from '@orbitkit/core';

export interface BootstrapObject<Spec> {
  readonly name: string;
  /** Its spec is held as it is here; a suggested one may be taken over by a person. */
  readonly mandatory: boolean;
  readonly spec: Spec;
}
type Level = BootstrapObject<flowcontrolv1.PriorityLevelConfigurationSpec>;
type Schema = BootstrapObject<flowcontrolv1.FlowSchemaSpec>;

function limited(shares: number, lendablePercent: number, queues?: number, handSize = 6): Level['spec'] {
  return {
    type: 'Limited',
    limited: {
      nominalConcurrencyShares: shares,
      lendablePercent,
      limitResponse:
        queues === undefined
          ? { type: 'Reject' }
          : { type: 'Queue', queuing: { queues, handSize, queueLengthLimit: 50 } },
    },
  };
}

export const bootstrapLevels: readonly Level[] = [
  {
    name: 'exempt',
    mandatory: true,
    spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  },
  { name: 'catch-all', mandatory: true, spec: limited(5, 0) },
  { name: 'system', mandatory: false, spec: limited(30, 33, 64) },
  { name: 'node-high', mandatory: false, spec: limited(40, 25, 64) },
  { name: 'leader-election', mandatory: false, spec: limited(10, 0, 16, 4) },
  { name: 'workload-high', mandatory: false, spec: limited(40, 50, 128) },
  { name: 'workload-low', mandatory: false, spec: limited(100, 90, 128) },
  { name: 'global-default', mandatory: false, spec: limited(20, 50, 128) },
];

type Subject = flowcontrolv1.Subject;
type Rules = Omit<flowcontrolv1.PolicyRulesWithSubjects, 'subjects'>;

const group = (name: string): Subject => ({ kind: 'Group', group: { name } });
const user = (name: string): Subject => ({ kind: 'User', user: { name } });
const account = (name: string): Subject => ({
  kind: 'ServiceAccount',
  serviceAccount: { namespace: 'kube-system', name },
});

const everyResource = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] };
const everything: Rules = {
  resourceRules: [everyResource],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};
const everyone = [group('system:unauthenticated'), group('system:authenticated')];
const namespaced = (verbs: string[], apiGroup: string, ...resources: string[]) => ({
  verbs,
  apiGroups: [apiGroup],
  resources,
  namespaces: ['*'],
});

function schema(
  name: string,
  level: string,
  matchingPrecedence: number,
  by: 'ByUser' | 'ByNamespace' | undefined,
  subjects: Subject[],
  rules: Rules = everything,
  mandatory = false,
): Schema {
  return {
    name,
    mandatory,
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence,
      ...(by === undefined ? {} : { distinguisherMethod: { type: by } }),
      rules: [{ subjects, ...rules }],
    },
  };
}

const controllerManager = user('system:kube-controller-manager');
const scheduler = user('system:kube-scheduler');

export const bootstrapSchemas: readonly Schema[] = [
  schema('exempt', 'exempt', 1, undefined, [group('system:masters')], everything, true),
  schema('catch-all', 'catch-all', 10_000, 'ByUser', everyone, everything, true),
  schema('probes', 'exempt', 2, undefined, everyone, {
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
  }),
  schema('system-leader-election', 'leader-election', 100, 'ByUser', [controllerManager, scheduler, account('*')], {
    resourceRules: [namespaced(['get', 'create', 'update'], 'coordination.k8s.io', 'leases')],
  }),
  schema(
    'endpoint-controller',
    'workload-high',
    150,
    'ByUser',
    [controllerManager, account('endpoint-controller'), account('endpointslice-controller')],
    {
      resourceRules: [
        namespaced(['get', 'create', 'update'], '', 'endpoints'),
        namespaced(['get', 'create', 'update'], 'discovery.k8s.io', 'endpointslices'),
      ],
    },
  ),
  schema('workload-leader-election', 'leader-election', 200, 'ByUser', [account('*')], {
    resourceRules: [namespaced(['get', 'create', 'update'], 'coordination.k8s.io', 'leases')],
  }),
  schema('system-node-high', 'node-high', 400, 'ByUser', [group('system:nodes')], {
    resourceRules: [
      { ...namespaced(['*'], '', 'nodes', 'nodes/status'), clusterScope: true },
      namespaced(['*'], 'coordination.k8s.io', 'leases'),
    ],
  }),
  schema('system-nodes', 'system', 500, 'ByUser', [group('system:nodes')]),
  schema('kube-controller-manager', 'workload-high', 800, 'ByNamespace', [controllerManager]),
  schema('kube-scheduler', 'workload-high', 800, 'ByNamespace', [scheduler]),
  schema('kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', [account('*')]),
  schema('service-accounts', 'workload-low', 9_000, 'ByUser', [group('system:serviceaccounts')]),
  schema('global-default', 'global-default', 9_900, 'ByUser', everyone),
];
