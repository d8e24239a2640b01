/** How a rollout goes and what is said of it, case by case, after the documentation of Deployments. Sets are `size/available`. */
import { findCondition, formatTime } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { DeploymentView, SetView } from './revision.js';
import { limitsOf, rollingStep } from './rollout-plan.js';
import { pauseCondition, rolloutStatus } from './status.js';

type Amount = number | string;
const start = Date.parse('2026-01-01T00:00:00Z');

interface Wish {
  maxSurge?: Amount;
  maxUnavailable?: Amount;
  deadline?: number;
  paused?: boolean;
  status?: object;
}
const deploymentOf = (replicas: number, wish: Wish = {}): DeploymentView => {
  const { maxSurge = '25%', maxUnavailable = '25%', deadline = 600, paused, status = {} } = wish;
  return {
    metadata: { name: 'web', namespace: 'default', generation: 2 },
    spec: {
      ...{ replicas, paused, progressDeadlineSeconds: deadline },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } },
    },
    status,
  } as unknown as DeploymentView;
};
/** `10/8`: asks for ten, of which eight are available. */
const setOf = (name: string, text: string, conditions: object[] = []): SetView => {
  const [size, available] = text.split('/').map(Number);
  return {
    metadata: { name, creationTimestamp: formatTime(start) },
    spec: { replicas: size },
    status: { replicas: size, readyReplicas: available, availableReplicas: available, conditions },
  } as unknown as SetView;
};

it.each<[number, Amount, Amount, number, number]>([
  [10, '25%', '25%', 3, 2],
  [4, '25%', '25%', 1, 1],
  [1, '25%', '25%', 1, 0],
  [10, 2, 0, 2, 0],
  [10, 0, '35%', 0, 3],
  [10, '100%', '100%', 10, 10],
  [10, 0, '200%', 0, 10],
  // Nothing could ever move.
  [10, 0, 0, 0, 1],
  [3, 0, '10%', 0, 1],
])('%d replicas, surge %s, unavailable %s: %d more, %d less', (replicas, maxSurge, maxUnavailable, more, less) => {
  expect(limitsOf(deploymentOf(replicas, { maxSurge, maxUnavailable }))).toEqual({
    maxSurge: more,
    maxUnavailable: less,
  });
});

describe('of ten replicas', () => {
  it.each<[string, Wish, string, string, string[]]>([
    ['the new set grows into the surge', { maxSurge: 2, maxUnavailable: 0 }, '10/10', '0/0', ['new 2']],
    ['and into what old ones left', { maxSurge: 2, maxUnavailable: 0 }, '5/5', '0/0', ['new 7']],
    ['not beyond what is wanted', { maxSurge: 5, maxUnavailable: 0 }, '1/1', '8/8', ['new 10']],
    ['a new set that is too large shrinks first', { maxSurge: 2, maxUnavailable: 0 }, '2/2', '11/11', ['new 10']],
    ['nothing moves while the new ones are not available', { maxSurge: 2, maxUnavailable: 0 }, '10/10', '2/0', []],
    ['old ones go as new ones come', { maxSurge: 2, maxUnavailable: 0 }, '10/10', '2/2', ['old 8']],
    ['without surge old ones go first', { maxSurge: 0, maxUnavailable: 2 }, '10/10', '0/0', ['old 8']],
    ['those that serve nobody go first', { maxSurge: 0, maxUnavailable: 2 }, '10/8', '0/0', ['old 8']],
    ['one that serves nobody, and one more', { maxSurge: 0, maxUnavailable: 2 }, '10/9', '0/0', ['old 8']],
    ['none that is needed while new ones are awaited', { maxSurge: 0, maxUnavailable: 2 }, '8/8', '2/0', []],
    ['a broken old set is let go of as far as may be', { maxSurge: 0, maxUnavailable: 2 }, '10/0', '0/0', ['old 8']],
    ['the last old ones', { maxSurge: 2, maxUnavailable: 0 }, '2/2', '10/10', ['old 0']],
    ['it is through', {}, '0/0', '10/10', []],
  ])('%s', (_what, wish, old, fresh, expected) => {
    const [oldSet, newSet] = [setOf('old', old), setOf('new', fresh)];
    const step = rollingStep(deploymentOf(10, wish), newSet, [oldSet]);
    expect(step.map(({ set, replicas }) => `${set.metadata.name} ${replicas}`)).toEqual(expected);
  });
});

const progressing = (status: string, reason: string, seconds = 0) => ({
  type: 'Progressing',
  ...{ status, reason },
  lastUpdateTime: formatTime(start + seconds * 1000),
  lastTransitionTime: formatTime(start),
});
const counts = (replicas: number, updatedReplicas: number, availableReplicas: number) => ({
  ...{ replicas, updatedReplicas, availableReplicas },
  readyReplicas: availableReplicas,
  observedGeneration: 2,
});
const goingOn = progressing('True', 'ReplicaSetUpdated');

describe('Progressing', () => {
  it.each<[string, Wish, string, string, number, string | undefined]>([
    [
      'something got better',
      { status: { ...counts(4, 0, 4), conditions: [goingOn] } },
      '3/3',
      '1/0',
      5,
      'True ReplicaSetUpdated',
    ],
    [
      'an old pod went',
      { status: { ...counts(4, 1, 3), conditions: [goingOn] } },
      '2/2',
      '1/0',
      5,
      'True ReplicaSetUpdated',
    ],
    [
      'all is there',
      { status: { ...counts(4, 4, 3), conditions: [goingOn] } },
      '0/0',
      '4/4',
      5,
      'True NewReplicaSetAvailable',
    ],
    [
      'nothing yet',
      { status: { ...counts(4, 1, 3), conditions: [goingOn] } },
      '3/3',
      '1/0',
      599,
      'True ReplicaSetUpdated',
    ],
    [
      'nothing for the deadline',
      { status: { ...counts(4, 1, 3), conditions: [goingOn] } },
      ...(['3/3', '1/0', 600, 'False ProgressDeadlineExceeded'] as const),
    ],
    [
      'too late, but it goes on',
      { status: { ...counts(4, 1, 3), conditions: [progressing('False', 'ProgressDeadlineExceeded')] } },
      ...(['2/2', '2/1', 900, 'True ReplicaSetUpdated'] as const),
    ],
    [
      'it was through, and a pod is lost',
      { status: { ...counts(4, 4, 4), conditions: [progressing('True', 'NewReplicaSetAvailable')] } },
      ...(['0/0', '4/3', 9_000, 'True NewReplicaSetAvailable'] as const),
    ],
    ['no deadline', { deadline: 2 ** 31 - 1, status: counts(4, 1, 3) }, '3/3', '1/1', 5, undefined],
  ])('%s', (_what, wish, old, fresh, seconds, expected) => {
    const sets = [setOf('old', old), setOf('new', fresh)] as const;
    const status = rolloutStatus(deploymentOf(4, wish), sets[1], [sets[0]], start + seconds * 1000);
    const found = findCondition(status.conditions, 'Progressing');
    expect(found && `${found.status} ${found.reason}`).toBe(expected);
  });

  it.each<[string, Wish, string | undefined]>([
    ['paused', { paused: true, status: { conditions: [goingOn] } }, 'Unknown DeploymentPaused'],
    ['still paused', { paused: true, status: { conditions: [progressing('Unknown', 'DeploymentPaused')] } }, undefined],
    ['resumed', { status: { conditions: [progressing('Unknown', 'DeploymentPaused')] } }, 'Unknown DeploymentResumed'],
    [
      'paused when it was too late: that remains said',
      { paused: true, status: { conditions: [progressing('False', 'ProgressDeadlineExceeded')] } },
      undefined,
    ],
    ['paused without a deadline', { paused: true, deadline: 2 ** 31 - 1 }, undefined],
  ])('%s', (_what, wish, expected) => {
    const found = pauseCondition(deploymentOf(4, wish), start);
    expect(found && `${found.status} ${found.reason}`).toBe(expected);
  });
});

it.each<[string, string, string, string]>([
  ['all are there', '0/0', '4/4', 'True MinimumReplicasAvailable'],
  ['one may lack', '0/0', '4/3', 'True MinimumReplicasAvailable'],
  ['two may not', '0/0', '4/2', 'False MinimumReplicasUnavailable'],
  ['old ones count', '2/2', '2/1', 'True MinimumReplicasAvailable'],
])('Available: %s', (_what, old, fresh, expected) => {
  const { conditions } = rolloutStatus(deploymentOf(4), setOf('new', fresh), [setOf('old', old)], start);
  const found = findCondition(conditions, 'Available');
  expect(`${found?.status} ${found?.reason}`).toBe(expected);
});

it.each<[string, boolean, boolean, string | undefined]>([
  ['of the new set', true, false, 'quota of new'],
  ['of an old set', false, true, 'quota of old'],
  ['of both: the new one’s', true, true, 'quota of new'],
  ['of none', false, false, undefined],
])('ReplicaFailure: %s', (_what, ofNew, ofOld, expected) => {
  const failing = (name: string, fails: boolean) =>
    fails ? [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: `quota of ${name}` }] : [];
  const before = {
    conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'before' }],
  };
  const sets = [setOf('old', '2/2', failing('old', ofOld)), setOf('new', '2/2', failing('new', ofNew))] as const;
  const { conditions } = rolloutStatus(deploymentOf(4, { status: expected ? {} : before }), sets[1], [sets[0]], start);
  expect(findCondition(conditions, 'ReplicaFailure')?.message).toBe(expected);
});
