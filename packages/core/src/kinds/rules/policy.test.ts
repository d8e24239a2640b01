import { describe, expect, test } from 'vitest';
import * as kinds from '../generated/kinds.js';
import type { Kind } from '../kind.js';
import { faults } from './rules-testing.js';

const metadata = { name: 'x', namespace: 'default' };
const unplaced = { name: 'x' };

describe('disruption budgets', () => {
  const of = (spec: object): string[] => faults(kinds.PodDisruptionBudget, { metadata, spec });
  test.each<[object, string[]]>([
    [{ minAvailable: 1, selector: {} }, []],
    [
      { minAvailable: 1, maxUnavailable: 1 },
      [
        'spec: Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set',
      ],
    ],
    [{ minAvailable: -1 }, ['spec.minAvailable: Invalid value: -1: must be greater than or equal to 0']],
    [{ maxUnavailable: '101%' }, ['spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%']],
    [{ maxUnavailable: 'some' }, [expect.stringContaining('a valid percent string must be')]],
    [
      { unhealthyPodEvictionPolicy: 'Never' },
      [
        'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: "AlwaysAllow", "IfHealthyBudget"',
      ],
    ],
  ])('%j', (spec, expected) => expect(of(spec)).toEqual(expected));
});

describe('priority classes', () => {
  const of = (name: string, more: object, previous?: object): string[] =>
    faults(kinds.PriorityClass, { metadata: { name }, ...more }, previous && { metadata: { name }, ...previous });
  const reserved =
    "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: ";
  test.each<[string, object, string[]]>([
    ['high', { value: 1_000_000_000 }, []],
    [
      'high',
      { value: 1_000_000_001 },
      ['value: Forbidden: maximum allowed value of a user defined priority is 1000000000'],
    ],
    ['system-cluster-critical', { value: 2_000_000_000 }, []],
    ['system-mine', { value: 1 }, [`${reserved}system-mine is not a known system priority class`]],
    [
      'system-node-critical',
      { value: 1 },
      [`${reserved}value of system-node-critical PriorityClass must be 2000001000`],
    ],
    [
      'system-cluster-critical',
      { value: 2_000_000_000, globalDefault: true },
      [`${reserved}globalDefault of system-cluster-critical PriorityClass must be false`],
    ],
    [
      'a',
      { value: 1, preemptionPolicy: 'Maybe' },
      ['preemptionPolicy: Unsupported value: "Maybe": supported values: "Never", "PreemptLowerPriority"'],
    ],
  ])('%s %j', (name, more, expected) => expect(of(name, more)).toEqual(expected));
  test('value and policy stay', () => {
    expect(of('a', { value: 2, preemptionPolicy: 'Never' }, { value: 1 })).toEqual([
      'value: Forbidden: may not be changed in an update.',
      'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]);
    expect(of('a', { value: 1, description: 'd', globalDefault: true }, { value: 1 })).toEqual([]);
  });
});

test('runtime classes', () => {
  const of = (more: object, previous?: object): string[] =>
    faults(kinds.RuntimeClass, { metadata: unplaced, ...more }, previous && { metadata: unplaced, ...previous });
  expect(of({ handler: 'runc', overhead: { podFixed: { cpu: '1' } } })).toEqual([]);
  expect(of({})).toEqual(['handler: Required value']);
  expect(of({ handler: 'Big' })).toEqual([expect.stringContaining('handler: Invalid value: "Big"')]);
  expect(of({ handler: 'b' }, { handler: 'a' })).toEqual(['handler: Invalid value: "b": field is immutable']);
});

describe('limit ranges', () => {
  const of = (...limits: object[]): string[] => faults(kinds.LimitRange, { metadata, spec: { limits } });
  const at = 'spec.limits[0]';
  test.each<[object[], string[]]>([
    [
      [
        { type: 'Container', max: { cpu: '2' }, min: { cpu: '1' } },
        { type: 'Pod', max: { memory: '1Gi' } },
      ],
      [],
    ],
    [[{ type: 'Pod' }, { type: 'Pod' }], ['spec.limits[1].type: Duplicate value: "Pod"']],
    [[{}], [`${at}.type: Required value`]],
    [
      [{ type: 'Pod', default: { cpu: '1' } }],
      [`${at}.default: Forbidden: may not be specified when \`type\` is 'Pod'`],
    ],
    [
      [{ type: 'Pod', min: { cpu: '2' }, max: { cpu: '1' } }],
      [`${at}.min[cpu]: Invalid value: "2": min value 2 is greater than max value 1`],
    ],
    [
      [{ type: 'Container', defaultRequest: { cpu: '2' }, default: { cpu: '1' } }],
      [`${at}.defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than default limit value 1`],
    ],
    [
      [{ type: 'Container', max: { cpu: '1' }, default: { cpu: '2' }, defaultRequest: { cpu: '1' } }],
      [`${at}.default[cpu]: Invalid value: "2": default value 2 is greater than max value 1`],
    ],
    [
      [{ type: 'Pod', maxLimitRequestRatio: { cpu: '500m' } }],
      [`${at}.maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1`],
    ],
    [
      [{ type: 'PersistentVolumeClaim' }],
      [`${at}: Required value: either minimum or maximum storage value is required, but neither was provided`],
    ],
    [
      [{ type: 'Pod', max: { magic: '1' } }],
      [`${at}.max[magic]: Invalid value: "magic": must be a standard limit type or fully qualified`],
    ],
  ])('%j', (limits, expected) => expect(of(...limits)).toEqual(expected));
});

describe('quotas', () => {
  const of = (spec: object, previous?: object): string[] =>
    faults(kinds.ResourceQuota, { metadata, spec }, previous && { metadata, spec: previous });
  test.each<[object, string[]]>([
    [{ hard: { pods: '4', 'requests.cpu': '1', 'count/deployments.apps': '2', 'example.com/gpu': '1' } }, []],
    [{ hard: { pods: '1.5' } }, ['spec.hard[pods]: Invalid value: "1500m": must be an integer']],
    [{ hard: { pods: '-1' } }, ['spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0']],
    [{ hard: { magic: '1' } }, ['spec.hard[magic]: Invalid value: "magic": must be a standard resource for quotas']],
    [
      { scopes: ['BestEffort', 'NotBestEffort'] },
      ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
    ],
    [
      { hard: { services: '1' }, scopes: ['BestEffort'] },
      ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'],
    ],
    [{ scopes: ['Lunar'] }, [expect.stringContaining('spec.scopes[0]: Unsupported value: "Lunar"')]],
    [
      { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In' }] } },
      [
        "spec.scopeSelector.matchExpressions[0].values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
      ],
    ],
  ])('%j', (spec, expected) => expect(of(spec)).toEqual(expected));
  test('what it counts stays', () => {
    expect(
      of(
        { hard: { pods: '9' }, scopes: ['NotBestEffort', 'Terminating'] },
        { scopes: ['Terminating', 'NotBestEffort'] },
      ),
    ).toEqual([]);
    expect(of({ scopes: ['Terminating'] }, {})).toEqual([
      'spec.scopes: Invalid value: ["Terminating"]: field is immutable',
    ]);
  });
});

describe('roles', () => {
  const rule = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };
  const role = (...rules: object[]): string[] => faults(kinds.Role, { metadata, rules });
  const clusterRole = (...rules: object[]): string[] => faults(kinds.ClusterRole, { metadata: unplaced, rules });
  const urls = { verbs: ['get'], nonResourceURLs: ['/healthz'] };
  test('rules say what, and of what', () => {
    expect(role(rule)).toEqual([]);
    expect(role({})).toEqual([
      'rules[0].verbs: Required value: verbs must contain at least one value',
      'rules[0].apiGroups: Required value: resource rules must supply at least one api group',
      'rules[0].resources: Required value: resource rules must supply at least one resource',
    ]);
    expect(role(urls)).toEqual([
      'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs',
    ]);
    expect(clusterRole(urls)).toEqual([]);
    expect(clusterRole({ ...urls, ...rule })).toEqual([
      'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: rules cannot apply to both regular resources and non-resource URLs',
    ]);
  });
  test('names are free', () => {
    expect(faults(kinds.ClusterRole, { metadata: { name: 'system:controller:x' } })).toEqual([]);
    expect(faults(kinds.ClusterRole, { metadata: { name: 'a/b' } })).toEqual([
      'metadata.name: Invalid value: "a/b": may not contain \'/\'',
    ]);
    expect(faults(kinds.ClusterRole, { metadata: unplaced, aggregationRule: {} })).toEqual([
      'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
    ]);
  });
  const roleRef = { kind: 'Role', name: 'r' };
  const bound = (kind: Kind<any>, more: object, previous?: object): string[] => {
    const meta = kind.namespaced ? metadata : unplaced;
    return faults(kind, { metadata: meta, roleRef, ...more }, previous && { metadata: meta, roleRef, ...previous });
  };
  test('bindings', () => {
    const { RoleBinding, ClusterRoleBinding } = kinds;
    expect(bound(RoleBinding, { subjects: [{ kind: 'User', name: 'u' }] })).toEqual([]);
    expect(bound(RoleBinding, { roleRef: { kind: 'Pod' } })).toEqual([
      'roleRef.kind: Unsupported value: "Pod": supported values: "ClusterRole", "Role"',
      'roleRef.name: Required value',
    ]);
    expect(bound(ClusterRoleBinding, {})).toEqual([
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ]);
    expect(
      bound(RoleBinding, {
        subjects: [
          { kind: 'ServiceAccount', name: 's' },
          { kind: 'Robot', name: 'r' },
          { kind: 'User', name: '', apiGroup: 'x' },
        ],
      }),
    ).toEqual([
      'subjects[0].namespace: Required value',
      'subjects[1].kind: Unsupported value: "Robot": supported values: "Group", "ServiceAccount", "User"',
      'subjects[2].name: Required value',
      'subjects[2].apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io"',
    ]);
    expect(bound(RoleBinding, { roleRef: { kind: 'Role', name: 'other' } }, {})).toEqual([
      'roleRef: Invalid value: {"kind":"Role","name":"other","apiGroup":"rbac.authorization.k8s.io"}: cannot change roleRef',
    ]);
  });
});

describe('flow control', () => {
  const schema = (spec: object): string[] =>
    faults(kinds.FlowSchema, { metadata: unplaced, spec: { priorityLevelConfiguration: { name: 'p' }, ...spec } });
  const level = (spec: object, name = 'x'): string[] =>
    faults(kinds.PriorityLevelConfiguration, { metadata: { name }, spec });
  test('flow schemas', () => {
    expect(schema({})).toEqual([]);
    expect(schema({ matchingPrecedence: 10_001 })).toEqual([
      'spec.matchingPrecedence: Invalid value: 10001: must not be greater than 10000',
    ]);
    expect(schema({ priorityLevelConfiguration: {} })).toEqual([
      'spec.priorityLevelConfiguration.name: Required value: must reference a priority level',
    ]);
    expect(schema({ rules: [{ subjects: [{ kind: 'User' }] }] })).toEqual([
      'spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty',
      "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
    ]);
  });
  test('priority levels', () => {
    const queue = (queuing: object) => ({ type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing } } });
    expect(level(queue({}))).toEqual([]);
    expect(level({ type: 'Exempt' }, 'exempt')).toEqual([]);
    expect(level({ type: 'Exempt' })).toEqual([
      "spec.type: Invalid value: \"Exempt\": type must be 'Limited' unless the name is 'exempt'",
    ]);
    expect(level({ type: 'Limited' })).toEqual([
      'spec.limited: Required value: must not be empty when type is Limited',
    ]);
    expect(level(queue({ queues: 2, handSize: 3 }))).toEqual([
      'spec.limited.limitResponse.queuing.handSize: Invalid value: 3: should not be greater than queues (2)',
    ]);
  });
});

describe('reviews', () => {
  const access = { resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'default' } };
  const path = { nonResourceAttributes: { path: '/', verb: 'get' } };
  test.each<[Kind<any>, object, string[]]>([
    [kinds.TokenReview, {}, ['spec.token: Required value']],
    [kinds.SelfSubjectAccessReview, access, []],
    [
      kinds.SelfSubjectAccessReview,
      {},
      [
        'spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ],
    ],
    [
      kinds.SubjectAccessReview,
      { ...access, ...path, user: 'u' },
      [expect.stringContaining('spec.nonResourceAttributes: Invalid value: ')],
    ],
    [
      kinds.SubjectAccessReview,
      access,
      ['spec.user: Invalid value: "": at least one of user or group must be specified'],
    ],
    [kinds.LocalSubjectAccessReview, { ...access, groups: ['g'] }, []],
    [
      kinds.LocalSubjectAccessReview,
      { resourceAttributes: { ...access.resourceAttributes, namespace: 'other' }, user: 'u' },
      ['spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace'],
    ],
  ])('$kind %j', (kind, spec, expected) =>
    expect(faults(kind, { metadata: kind.namespaced ? metadata : unplaced, spec })).toEqual(expected),
  );
});

describe('events of events.k8s.io', () => {
  const event = {
    metadata,
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'example.com/c',
    reportingInstance: 'i',
    action: 'a',
    reason: 'r',
    type: 'Normal',
    regarding: { kind: 'Pod', name: 'p', namespace: 'default' },
  };
  const of = (more: object): string[] => faults(kinds.EventsV1Event, { ...event, ...more });
  test.each<[object, string[]]>([
    [{}, []],
    [{ eventTime: undefined }, ['eventTime: Required value']],
    [{ reportingController: '', action: undefined }, ['reportingController: Required value', 'action: Required value']],
    [{ note: 'n'.repeat(1025) }, ['note: Invalid value: "": can have at most 1024 characters']],
    [{ type: 'Odd' }, ['type: Invalid value: "": has invalid value: Odd']],
    [
      { deprecatedCount: 1, deprecatedFirstTimestamp: '2026-01-01T00:00:00Z' },
      [
        'deprecatedFirstTimestamp: Invalid value: "": needs to be unset',
        'deprecatedCount: Invalid value: "": needs to be unset',
      ],
    ],
    [
      { series: { count: 1, lastObservedTime: '2026-01-01T00:00:00.000000Z' } },
      ['series.count: Invalid value: "": should be at least 2'],
    ],
  ])('%j', (more, expected) => expect(of(more)).toEqual(expected));
  test('what an older client wrote stays', () => {
    expect(faults(kinds.EventsV1Event, { metadata, deprecatedCount: 2 }, { metadata, deprecatedCount: 1 })).toEqual([]);
  });
});
