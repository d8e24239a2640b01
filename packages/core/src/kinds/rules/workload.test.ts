import { describe, expect, test } from 'vitest';
import { Deployment, HorizontalPodAutoscaler, ReplicaSet } from '../generated/kinds.js';
import { Scale } from '../virtual.js';
import { faults } from './rules-testing.js';

const metadata = { name: 'a', namespace: 'default' };
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'x' }] } };
const spec = { selector: { matchLabels: { app: 'a' } }, template };
const deployment = (more: object, previous?: object): string[] =>
  faults(
    Deployment,
    { metadata, spec: { ...spec, ...more } },
    previous && { metadata, spec: { ...spec, ...previous } },
  );

describe.each([
  ['Deployment', Deployment],
  ['ReplicaSet', ReplicaSet],
] as const)('%s', (_, kind) => {
  const of = (more: object, previous?: object): string[] =>
    faults(kind, { metadata, spec: { ...spec, ...more } }, previous && { metadata, spec: { ...spec, ...previous } });

  test('in order', () => expect(of({})).toEqual([]));
  test('a selector that is there and selects something', () => {
    expect(of({ selector: null })).toEqual(['spec.selector: Required value']);
    expect(of({ selector: {} })).toEqual([
      'spec.selector: Invalid value: {}: empty selector is invalid for deployment',
    ]);
    expect(of({ selector: { matchExpressions: [{ key: 'app', operator: 'Exists' }] } })).toEqual([]);
  });
  test('that selects the template', () => {
    expect(of({ selector: { matchLabels: { app: 'b' } } })).toEqual([
      'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
    ]);
  });
  test('and stays', () => {
    const other = {
      selector: { matchLabels: { app: 'a', b: 'c' } },
      template: { ...template, metadata: { labels: { app: 'a', b: 'c' } } },
    };
    expect(of(other, {})).toEqual([
      'spec.selector: Invalid value: {"matchLabels":{"app":"a","b":"c"}}: field is immutable',
    ]);
  });
  test('replicas are not negative', () =>
    expect(of({ replicas: -1 })).toEqual(['spec.replicas: Invalid value: -1: must be greater than or equal to 0']));
  test('the template is a pod that runs for ever', () => {
    expect(of({ template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } } })).toEqual([
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ]);
    expect(of({ template: { ...template, spec: { ...template.spec, activeDeadlineSeconds: 3 } } })).toEqual([
      'spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported',
    ]);
    expect(of({ template: { ...template, spec: { containers: [{ name: 'c' }] } } })).toEqual([
      'spec.template.spec.containers[0].image: Required value',
    ]);
  });
});

describe('strategy', () => {
  const strategy = (given: object): string[] => deployment({ strategy: given });
  const at = 'spec.strategy.rollingUpdate';
  test.each<[object, string[]]>([
    [{ type: 'Recreate' }, []],
    [
      { type: 'Recreate', rollingUpdate: { maxSurge: 1 } },
      [`${at}: Forbidden: may not be specified when strategy \`type\` is 'Recreate'`],
    ],
    [
      { type: 'Canary' },
      ['spec.strategy.type: Unsupported value: "Canary": supported values: "Recreate", "RollingUpdate"'],
    ],
    [{ rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } }, []],
    [
      { rollingUpdate: { maxSurge: 0, maxUnavailable: '0%' } },
      [`${at}.maxUnavailable: Invalid value: "0%": may not be 0 when \`maxSurge\` is 0`],
    ],
    [
      { rollingUpdate: { maxUnavailable: '101%' } },
      [`${at}.maxUnavailable: Invalid value: "101%": must not be greater than 100%`],
    ],
    [{ rollingUpdate: { maxSurge: -1 } }, [`${at}.maxSurge: Invalid value: -1: must be greater than or equal to 0`]],
    [
      { rollingUpdate: { maxSurge: 'half' } },
      [expect.stringMatching('maxSurge: Invalid value: "half": a valid percent string must be a numeric string')],
    ],
  ])('%j', (given, expected) => expect(strategy(given)).toEqual(expected));

  test('progress takes longer than readiness', () => {
    expect(deployment({ minReadySeconds: 600 })).toEqual([
      'spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds',
    ]);
  });
});

test('counts of a replica set fit together', () => {
  const of = (status: object): string[] => faults(ReplicaSet, { metadata, spec, status });
  expect(of({ replicas: 3, readyReplicas: 3, availableReplicas: 2 })).toEqual([]);
  expect(of({ replicas: 1, readyReplicas: 2 })).toEqual([
    'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
  ]);
  expect(of({ replicas: 3, readyReplicas: 1, availableReplicas: 2 })).toEqual([
    'status.availableReplicas: Invalid value: 2: cannot be greater than readyReplicas',
  ]);
});

test('a scale is not negative', () => {
  expect(faults(Scale, { metadata, spec: { replicas: -2 } })).toEqual([
    'spec.replicas: Invalid value: -2: must be greater than or equal to 0',
  ]);
});

describe('autoscalers', () => {
  const base = { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 3 };
  const of = (more: object): string[] => faults(HorizontalPodAutoscaler, { metadata, spec: { ...base, ...more } });
  const cpu = { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } };
  test.each<[object, string[]]>([
    [{}, []],
    [{ metrics: [cpu] }, []],
    [{ scaleTargetRef: {} }, ['spec.scaleTargetRef.kind: Required value', 'spec.scaleTargetRef.name: Required value']],
    [{ minReplicas: 0 }, ['spec.minReplicas: Invalid value: 0: must be greater than or equal to 1']],
    [
      { maxReplicas: 0 },
      [
        'spec.maxReplicas: Invalid value: 0: must be greater than 0',
        'spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`',
      ],
    ],
    [{ minReplicas: 5 }, ['spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`']],
    [{ metrics: [{ type: 'Moon' }] }, [expect.stringMatching('spec.metrics\\[0\\].type: Unsupported value: "Moon"')]],
    [
      { metrics: [{ type: 'Resource' }] },
      ['spec.metrics[0].resource: Required value: must populate information for the given metric source'],
    ],
    [
      { metrics: [{ ...cpu, pods: { metric: { name: 'x' }, target: { type: 'AverageValue', averageValue: '1' } } }] },
      [expect.stringMatching('must populate the given metric source only')],
    ],
    [
      { metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization' } } }] },
      [
        'spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization',
      ],
    ],
    [
      { behavior: { scaleUp: { policies: [{ type: 'Pods', value: 0, periodSeconds: 3 }] } } },
      ['spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than 0'],
    ],
    [
      { behavior: { scaleDown: { stabilizationWindowSeconds: 4000 } } },
      ['spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600'],
    ],
  ])('%j', (more, expected) => expect(of(more)).toEqual(expected));
});
