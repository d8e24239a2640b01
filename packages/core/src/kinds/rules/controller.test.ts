import { describe, expect, test } from 'vitest';
import { ControllerRevision, DaemonSet, ReplicationController, StatefulSet } from '../generated/kinds.js';
import type { Kind } from '../kind.js';
import { faults } from './rules-testing.js';

const metadata = { name: 'x', namespace: 'default' };
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const selector = { matchLabels: { app: 'a' } };
const of =
  (kind: Kind<any>, base: object) =>
  (more: object, previous?: object): string[] =>
    faults(
      kind,
      { metadata, spec: { ...base, ...more } },
      previous === undefined ? undefined : { metadata, spec: { ...base, ...previous } },
    );

describe('replication controllers', () => {
  const rc = of(ReplicationController, { template });
  test.each<[object, string[]]>([
    [{}, []],
    [
      { selector: { app: 'b' } },
      ['spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`'],
    ],
    [{ replicas: -1 }, ['spec.replicas: Invalid value: -1: must be greater than or equal to 0']],
    [
      { template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } } },
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    [
      { template: { ...template, spec: { ...template.spec, activeDeadlineSeconds: 3 } } },
      [
        'spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicationController is not Supported',
      ],
    ],
  ])('%j', (more, expected) => expect(rc(more)).toEqual(expected));
  test('without template', () => {
    expect(faults(ReplicationController, { metadata, spec: {} })).toEqual([
      'spec.selector: Required value',
      'spec.template: Required value',
    ]);
  });
  test('counts fit together', () => {
    const status = { replicas: 1, readyReplicas: 2, availableReplicas: 3, fullyLabeledReplicas: 4 };
    expect(faults(ReplicationController, { metadata, spec: { template }, status })).toEqual([
      'status.fullyLabeledReplicas: Invalid value: 4: cannot be greater than status.replicas',
      'status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas',
      'status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas',
      'status.availableReplicas: Invalid value: 3: cannot be greater than readyReplicas',
    ]);
  });
});

describe('daemon sets', () => {
  const ds = of(DaemonSet, { selector, template });
  const rolling = (rollingUpdate: object) => ({ updateStrategy: { type: 'RollingUpdate', rollingUpdate } });
  const at = 'spec.updateStrategy.rollingUpdate';
  test.each<[object, string[]]>([
    [{}, []],
    [rolling({ maxUnavailable: 0, maxSurge: '10%' }), []],
    [
      rolling({ maxUnavailable: 1, maxSurge: 1 }),
      [`${at}.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero`],
    ],
    [rolling({ maxUnavailable: 0 }), [`${at}.maxUnavailable: Required value: cannot be 0 when maxSurge is 0`]],
    [
      rolling({ maxUnavailable: '101%' }),
      [`${at}.maxUnavailable: Invalid value: "101%": must not be greater than 100%`],
    ],
    [
      { updateStrategy: { type: 'Sometimes' } },
      ['spec.updateStrategy.type: Unsupported value: "Sometimes": supported values: "OnDelete", "RollingUpdate"'],
    ],
    [{ selector: {} }, ['spec.selector: Invalid value: {}: empty selector is invalid for daemonset']],
    [{ minReadySeconds: -1 }, ['spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0']],
    [
      { template: { ...template, spec: { ...template.spec, activeDeadlineSeconds: 3 } } },
      ['spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported'],
    ],
  ])('%j', (more, expected) => expect(ds(more)).toEqual(expected));
  test('the selector stays', () => {
    const other = { selector: { matchExpressions: [{ key: 'app', operator: 'Exists' }] } };
    expect(ds(other, {})).toEqual([expect.stringMatching('^spec.selector: Invalid value: .*: field is immutable$')]);
  });
});

describe('stateful sets', () => {
  const sts = of(StatefulSet, { selector, template, serviceName: 's' });
  test.each<[object, string[]]>([
    [{}, []],
    [
      { podManagementPolicy: 'Wild' },
      ['spec.podManagementPolicy: Unsupported value: "Wild": supported values: "OrderedReady", "Parallel"'],
    ],
    [
      { updateStrategy: { type: 'Odd' } },
      ['spec.updateStrategy.type: Unsupported value: "Odd": supported values: "OnDelete", "RollingUpdate"'],
    ],
    [
      { updateStrategy: { type: 'OnDelete', rollingUpdate: { partition: 1 } } },
      [
        'spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for updateStrategy \'RollingUpdate\'',
      ],
    ],
    [
      { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: -1 } } },
      ['spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0'],
    ],
    [
      { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Maybe' } },
      [
        'spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: "Maybe": supported values: "Delete", "Retain"',
      ],
    ],
    [
      { volumeClaimTemplates: [{ metadata: { name: 'd' }, spec: {} }] },
      [
        'spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required',
        'spec.volumeClaimTemplates[0].spec.resources[storage]: Required value',
      ],
    ],
    [{ selector: {} }, ['spec.selector: Invalid value: {}: empty selector is invalid for statefulset']],
  ])('%j', (more, expected) => expect(sts(more)).toEqual(expected));
  test('containers mount the claims of its templates', () => {
    const mounting = (name: string) => ({
      template: {
        ...template,
        spec: { containers: [{ name: 'c', image: 'i', volumeMounts: [{ name, mountPath: '/d' }] }] },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
    });
    expect(sts(mounting('data'))).toEqual([]);
    expect(sts(mounting('other'))).toEqual([
      'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "other"',
    ]);
  });
  test('what an update may change, and what not', () => {
    const may = {
      replicas: 5,
      template: { ...template, spec: { containers: [{ name: 'c', image: 'j' }] } },
      updateStrategy: { type: 'OnDelete' },
      minReadySeconds: 3,
      revisionHistoryLimit: 2,
    };
    expect(sts(may, {})).toEqual([]);
    for (const more of [{ serviceName: 't' }, { podManagementPolicy: 'Parallel' }]) {
      expect(sts(more, {})).toEqual([
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ]);
    }
  });
  test('the name becomes part of the names of pods', () => {
    expect(
      faults(StatefulSet, { metadata: { ...metadata, name: 'a.b' }, spec: { selector, template, serviceName: 's' } }),
    ).toEqual([expect.stringMatching('^metadata.name: Invalid value: "a.b": a lowercase RFC 1123 label')]);
  });
});

test('a controller revision holds something, for ever', () => {
  const revision = (data: unknown, more: object = {}) => ({ metadata, data, revision: 1, ...more });
  expect(faults(ControllerRevision, revision({ a: 1 }))).toEqual([]);
  expect(faults(ControllerRevision, { metadata, revision: -1 })).toEqual([
    'revision: Invalid value: -1: must be greater than or equal to 0',
    'data: Required value: data is mandatory',
  ]);
  expect(faults(ControllerRevision, revision({ a: 2 }), revision({ a: 1 }))).toEqual([
    'data: Invalid value: {"a":2}: field is immutable',
  ]);
  expect(faults(ControllerRevision, revision({ a: 1 }, { revision: 2 }), revision({ a: 1 }))).toEqual([]);
});
