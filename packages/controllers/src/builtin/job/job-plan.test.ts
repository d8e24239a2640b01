import { type batchv1, findCondition, formatTime, type Job, type Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { formatIndexes, parseIndexes } from './indexes.js';
import { planJob } from './job-plan.js';
import { isTracked, podFor, trackingFinalizer } from './job-pods.js';

const start = Date.parse('2026-01-01T00:00:00Z');
const at = (seconds: number) => start + seconds * 1000;

const jobWith = (spec: Partial<batchv1.JobSpec>, status: batchv1.JobStatus = {}): Job =>
  ({
    kind: 'Job',
    apiVersion: 'batch/v1',
    metadata: { name: 'j', namespace: 'default', uid: 'job' },
    spec: {
      ...{ parallelism: 1, backoffLimit: 6, completionMode: 'NonIndexed', suspend: false },
      template: { metadata: {}, spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'x' }] } },
      ...spec,
    },
    status,
  }) as unknown as Job;

interface PodWish {
  phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  index?: number;
  failures?: number;
  exitCode?: number;
  endedAt?: number;
  tracked?: boolean;
  deleting?: boolean;
  restarts?: number;
  conditions?: unknown[];
}
function podNamed(name: string, wish: PodWish = {}): Pod {
  const { phase = 'Running', index, failures, exitCode, endedAt = start, tracked = true, restarts = 0 } = wish;
  const over = phase === 'Failed' || phase === 'Succeeded';
  const terminated = { exitCode: exitCode ?? (phase === 'Failed' ? 1 : 0), finishedAt: formatTime(endedAt) };
  return {
    metadata: {
      ...{ name, uid: name, namespace: 'default', creationTimestamp: formatTime(start) },
      ...(tracked ? { finalizers: [trackingFinalizer] } : {}),
      ...(wish.deleting ? { deletionTimestamp: formatTime(start) } : {}),
      annotations: {
        ...(index === undefined ? {} : { 'batch.kubernetes.io/job-completion-index': `${index}` }),
        ...(failures === undefined ? {} : { 'batch.kubernetes.io/job-index-failure-count': `${failures}` }),
      },
    },
    spec: { nodeName: 'n1' },
    status: {
      phase,
      conditions: wish.conditions ?? [],
      containerStatuses: [{ name: 'main', restartCount: restarts, state: over ? { terminated } : { running: {} } }],
    },
  } as unknown as Pod;
}
const conditionOf = (status: batchv1.JobStatus, type: string) => {
  const condition = findCondition(status.conditions, type);
  return condition && [condition.status, condition.reason];
};

describe('how many pods', () => {
  const table: [string, Partial<batchv1.JobSpec>, batchv1.JobStatus, Pod[], number, number][] = [
    ['one by default', {}, {}, [], 1, 0],
    ['as many as run at once', { completions: 5, parallelism: 2 }, {}, [], 2, 0],
    ['no more than are left', { completions: 5, parallelism: 4 }, { succeeded: 3 }, [podNamed('a')], 1, 0],
    ['none when nothing may run', { completions: 5, parallelism: 0 }, {}, [podNamed('a')], 0, 1],
    ['a work queue starts no more after a success', { parallelism: 3 }, { succeeded: 1 }, [podNamed('a')], 0, 0],
    ['fewer when parallelism falls', { completions: 9, parallelism: 1 }, {}, [podNamed('a'), podNamed('b')], 0, 1],
    ['suspended: all go', { completions: 2, parallelism: 2, suspend: true }, {}, [podNamed('a'), podNamed('b')], 0, 2],
  ];
  it.each(table)('%s', (_title, spec, status, pods, create, remove) => {
    const plan = planJob(jobWith(spec, status), pods, start);
    expect([plan.create.length, plan.delete.length]).toEqual([create, remove]);
  });

  it('makes none while the cache is behind', () => {
    expect(planJob(jobWith({}), [], start, false).create).toEqual([]);
  });
});

describe('each end is counted once', () => {
  it('is noted first, then the pod is let go, then it is a number', () => {
    const done = podNamed('a', { phase: 'Succeeded' });
    const first = planJob(jobWith({ completions: 3 }), [done], start);
    expect(first.status).toMatchObject({ uncountedTerminatedPods: { succeeded: ['a'] } });
    expect([first.status.succeeded ?? 0, first.release.length]).toEqual([0, 0]);

    const second = planJob(jobWith({ completions: 3 }, first.status), [done], start);
    expect(second.release).toEqual([done]);
    expect(second.status).toEqual(first.status);

    const free = podNamed('a', { phase: 'Succeeded', tracked: false });
    const third = planJob(jobWith({ completions: 3 }, second.status), [free], start);
    expect([third.status.succeeded, third.status.uncountedTerminatedPods]).toEqual([1, {}]);
    expect(planJob(jobWith({ completions: 3 }, third.status), [free], start).status).toEqual(third.status);
    // The same when the pod vanished altogether.
    expect(planJob(jobWith({ completions: 3 }, second.status), [], start).status.succeeded).toBe(1);
  });

  it('a failure that a rule ignores is let go uncounted', () => {
    const rules = [{ action: 'Ignore' as const, onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }];
    const conditions = [{ type: 'DisruptionTarget', status: 'True' }];
    const pod = podNamed('a', { phase: 'Failed', conditions });
    const plan = planJob(jobWith({ podFailurePolicy: { rules } }), [pod], at(60));
    expect(plan.release).toEqual([pod]);
    expect(plan.status.uncountedTerminatedPods).toEqual({});
    expect(plan.create.length).toBe(1);
  });
});

describe('the end of a Job', () => {
  it('is complete when enough have succeeded and all are counted', () => {
    const pods = [podNamed('a', { phase: 'Succeeded', tracked: false })];
    const noted = jobWith({ completions: 1 }, { uncountedTerminatedPods: { succeeded: ['a'] } });
    const { status, create } = planJob(noted, pods, at(3));
    expect(conditionOf(status, 'SuccessCriteriaMet')).toEqual(['True', 'CompletionsReached']);
    expect(conditionOf(status, 'Complete')).toEqual(['True', 'CompletionsReached']);
    expect([status.succeeded, status.completionTime, create.length]).toEqual([1, '2026-01-01T00:00:03Z', 0]);
  });

  it('says at once that it failed, and is over when the last pod is gone', () => {
    const failed = [podNamed('a', { phase: 'Failed', tracked: false }), podNamed('b')];
    const first = planJob(jobWith({ backoffLimit: 0, completions: 2, parallelism: 2 }, { failed: 1 }), failed, start);
    expect(conditionOf(first.status, 'FailureTarget')).toEqual(['True', 'BackoffLimitExceeded']);
    expect(conditionOf(first.status, 'Failed')).toBeUndefined();
    expect(first.delete.map(pod => pod.metadata.name)).toEqual(['b']);
    const later = planJob(jobWith({ backoffLimit: 0, completions: 2 }, first.status), [failed[0]!], at(1));
    expect(conditionOf(later.status, 'Failed')).toEqual(['True', 'BackoffLimitExceeded']);
  });

  it.each<[string, Partial<batchv1.JobSpec>, Pod[], number]>([
    ['DeadlineExceeded', { activeDeadlineSeconds: 5 }, [podNamed('a')], 5],
    ['BackoffLimitExceeded', { backoffLimit: 2, template: inPlace() }, [podNamed('a', { restarts: 2 })], 1],
    [
      'PodFailurePolicy',
      { podFailurePolicy: exitRule('FailJob', [42]) },
      [podNamed('a', { phase: 'Failed', exitCode: 42 })],
      1,
    ],
  ])('%s', (reason, spec, pods, seconds) => {
    const { status } = planJob(jobWith(spec, { startTime: formatTime(start) }), pods, at(seconds));
    expect(conditionOf(status, 'FailureTarget')).toEqual(['True', reason]);
  });

  it('looks again when the deadline comes', () => {
    const job = jobWith({ activeDeadlineSeconds: 5 }, { startTime: formatTime(start) });
    expect(planJob(job, [podNamed('a')], at(2)).recheckMs).toBe(3000);
  });

  it('lets every pod go afterwards', () => {
    const over = jobWith({}, { conditions: [{ type: 'Failed', status: 'True' }] });
    const plan = planJob(over, [podNamed('a', { phase: 'Failed' })], start);
    expect([plan.release.length, plan.create.length]).toEqual([1, 0]);
    expect(plan.status).toEqual(over.status);
  });
});

describe('replacing failed pods', () => {
  it.each([
    [1, 9, 0],
    [1, 10, 1],
    [2, 19, 0],
    [2, 20, 1],
    [7, 599, 0],
    [7, 600, 1],
  ])('after %i failures, %i s after the last one: %i new', (failures, seconds, created) => {
    const pods = Array.from({ length: failures }, (_, i) => podNamed(`f${i}`, { phase: 'Failed', tracked: false }));
    const plan = planJob(jobWith({ backoffLimit: 100 }, { failed: failures }), pods, at(seconds));
    expect(plan.create.length).toBe(created);
    if (created === 0) expect(plan.recheckMs).toBe(1000);
  });

  it('a success makes up for earlier failures', () => {
    const pods = [
      podNamed('f', { phase: 'Failed', tracked: false }),
      podNamed('s', { phase: 'Succeeded', tracked: false, endedAt: at(1) }),
    ];
    expect(planJob(jobWith({ completions: 3 }, { failed: 1, succeeded: 1 }), pods, at(2)).create.length).toBe(1);
  });
});

describe('Indexed', () => {
  const spec = { completionMode: 'Indexed' as const, completions: 4, parallelism: 4 };

  it('makes the lowest indexes that are missing, and drops a second pod of one', () => {
    const job = jobWith({ ...spec, parallelism: 3 }, { completedIndexes: '0', succeeded: 1 });
    const plan = planJob(
      job,
      [podNamed('a', { index: 2 }), podNamed('b', { index: 2 }), podNamed('c', { index: 9 })],
      start,
    );
    expect(plan.create.map(({ index }) => index)).toEqual([1, 3]);
    expect(plan.delete.map(pod => pod.metadata.name)).toEqual(['b', 'c']);
  });

  it('a success is its index, written before the pod is let go', () => {
    const pod = podNamed('a', { index: 1, phase: 'Succeeded' });
    const first = planJob(jobWith(spec), [pod], start);
    expect([first.status.completedIndexes, first.status.succeeded, first.release.length]).toEqual(['1', 1, 0]);
    expect(planJob(jobWith(spec, first.status), [pod], start).release).toEqual([pod]);
  });

  it('names, environment and host name tell the index', () => {
    const pod = podFor(jobWith({ ...spec, backoffLimitPerIndex: 1 }), 3, 2);
    expect(pod.metadata).toMatchObject({
      generateName: 'j-3-',
      labels: { 'batch.kubernetes.io/job-completion-index': '3' },
      annotations: {
        'batch.kubernetes.io/job-completion-index': '3',
        'batch.kubernetes.io/job-index-failure-count': '2',
      },
      finalizers: [trackingFinalizer],
    });
    expect(pod.spec).toMatchObject({ hostname: 'j-3', containers: [{ env: [{ name: 'JOB_COMPLETION_INDEX' }] }] });
  });

  it('each index has its own backoff and limit, and failed ones end the Job when nothing else is left', () => {
    const own = { ...spec, completions: 2, backoffLimitPerIndex: 1, backoffLimit: 2 ** 31 - 1 };
    const first = podNamed('a', { index: 0, failures: 0, phase: 'Failed' });
    const early = planJob(jobWith(own), [first, podNamed('b', { index: 1, failures: 0 })], at(5));
    // It carries the count until its successor is there.
    expect([early.create, early.release, early.status.uncountedTerminatedPods]).toEqual([[], [], {}]);
    const due = planJob(jobWith(own), [first, podNamed('b', { index: 1 })], at(10));
    expect(due.create).toEqual([{ index: 0, failures: 1 }]);
    const second = podNamed('c', { index: 0, failures: 1, phase: 'Failed', endedAt: at(12) });
    const ok = podNamed('b', { index: 1, phase: 'Succeeded' });
    const { status } = planJob(jobWith(own), [first, second, ok], at(13));
    expect([status.failedIndexes, status.completedIndexes]).toEqual(['0', '1']);
    expect(conditionOf(status, 'FailureTarget')).toEqual(['True', 'FailedIndexes']);
  });

  it('FailIndex gives an index up at once; too many end the Job', () => {
    const own = { ...spec, backoffLimitPerIndex: 5, maxFailedIndexes: 0, podFailurePolicy: exitRule('FailIndex', [7]) };
    const pod = podNamed('a', { index: 2, failures: 0, phase: 'Failed', exitCode: 7 });
    const { status } = planJob(jobWith(own), [pod], start);
    expect(status.failedIndexes).toBe('2');
    expect(conditionOf(status, 'FailureTarget')).toEqual(['True', 'MaxFailedIndexesExceeded']);
  });

  it('a success policy ends it early', () => {
    const own = { ...spec, successPolicy: { rules: [{ succeededIndexes: '0,2-3', succeededCount: 2 }] } };
    const plan = planJob(jobWith(own, { completedIndexes: '0,3', succeeded: 2 }), [podNamed('a', { index: 1 })], start);
    expect(conditionOf(plan.status, 'SuccessCriteriaMet')).toEqual(['True', 'SuccessPolicy']);
    expect(plan.delete.length).toBe(1);
  });
});

describe('podReplacementPolicy', () => {
  const leaving = podNamed('a', { deleting: true });
  it('counts a pod that is being deleted as failed and replaces it, by default', () => {
    const plan = planJob(jobWith({}), [leaving], at(60));
    expect(plan.status.uncountedTerminatedPods).toEqual({ failed: ['a'] });
    expect(plan.create.length).toBe(1);
  });
  it('waits until it is over with Failed', () => {
    const plan = planJob(jobWith({ podReplacementPolicy: 'Failed' }), [leaving], at(60));
    expect([plan.status.uncountedTerminatedPods, plan.create.length, plan.status.terminating]).toEqual([{}, 0, 1]);
  });
});

it('suspending keeps the start, resuming sets it anew', () => {
  const never = planJob(jobWith({ suspend: true }), [], at(5));
  expect(never.status.startTime).toBeUndefined();
  const suspended = planJob(jobWith({ suspend: true }, { startTime: formatTime(start) }), [], at(5));
  expect([suspended.status.startTime, conditionOf(suspended.status, 'Suspended')]).toEqual([
    formatTime(start),
    ['True', 'JobSuspended'],
  ]);
  const resumed = planJob(jobWith({}, suspended.status), [], at(9));
  expect([resumed.status.startTime, conditionOf(resumed.status, 'Suspended')]).toEqual([
    formatTime(at(9)),
    ['False', 'JobResumed'],
  ]);
});

it('indexes are read and written as ranges', () => {
  expect(formatIndexes([7, 1, 3, 4, 5, 0])).toBe('0,1,3-5,7');
  expect([...parseIndexes('0,1,3-5,7', 6)]).toEqual([0, 1, 3, 4, 5]);
  expect([...parseIndexes('x,2-,', 6)]).toEqual([]);
  expect(isTracked(podNamed('a'))).toBe(true);
});

function inPlace() {
  return { metadata: {}, spec: { restartPolicy: 'OnFailure' as const, containers: [{ name: 'main', image: 'x' }] } };
}
function exitRule(action: 'FailJob' | 'FailIndex', values: number[]) {
  return { rules: [{ action, onExitCodes: { operator: 'In' as const, values } }] };
}
