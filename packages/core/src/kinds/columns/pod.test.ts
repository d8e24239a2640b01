import { describe, expect, test } from 'vitest';
import { Pod } from '../generated/kinds.js';
import { columnsOf } from '../table.js';
import { podRowConditions, summarizePod } from './pod.js';

const running = (name: string, more: object = {}) => ({
  name,
  ready: true,
  restartCount: 0,
  state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
  ...more,
});
const waiting = (name: string, reason: string, more: object = {}) => ({
  name,
  state: { waiting: { reason } },
  ...more,
});
const ended = (name: string, exitCode: number, more: object = {}) => ({
  name,
  state: { terminated: { exitCode, ...more } },
});
const condition = (type: string, status = 'True', reason = '') => ({ type, status, reason });

function pod(status: object, spec: object = { containers: [{ name: 'a' }] }, metadata: object = {}) {
  return Pod.decode(structuredClone({ metadata: { name: 'p', ...metadata }, spec, status })).object;
}
const statusOf = (...given: Parameters<typeof pod>): string => summarizePod(pod(...given)).status;
const two = { containers: [{ name: 'a' }, { name: 'b' }] };
const init = { containers: [{ name: 'a' }], initContainers: [{ name: 'i' }, { name: 'j' }] };
const sidecar = {
  containers: [{ name: 'a' }],
  initContainers: [{ name: 's', restartPolicy: 'Always' }, { name: 'j' }],
};

describe('status', () => {
  test.each<[string, string, Parameters<typeof pod>]>([
    ['nothing known yet', '', [{}]],
    ['the phase', 'Pending', [{ phase: 'Pending' }]],
    ['the reason of the pod before its phase', 'Evicted', [{ phase: 'Failed', reason: 'Evicted' }]],
    [
      'gates',
      'SchedulingGated',
      [{ phase: 'Pending', conditions: [condition('PodScheduled', 'False', 'SchedulingGated')] }],
    ],
    ['running', 'Running', [{ phase: 'Running', containerStatuses: [running('a')] }]],
    [
      'a container that waits',
      'ImagePullBackOff',
      [{ phase: 'Pending', containerStatuses: [waiting('a', 'ImagePullBackOff')] }],
    ],
    [
      'the first container has the last word',
      'CrashLoopBackOff',
      [{ phase: 'Running', containerStatuses: [waiting('a', 'CrashLoopBackOff'), waiting('b', 'ErrImagePull')] }, two],
    ],
    [
      'an end with a reason',
      'OOMKilled',
      [{ phase: 'Running', containerStatuses: [ended('a', 137, { reason: 'OOMKilled' })] }],
    ],
    ['an end by a signal', 'Signal:9', [{ phase: 'Failed', containerStatuses: [ended('a', 137, { signal: 9 })] }]],
    ['an end with a code', 'ExitCode:3', [{ phase: 'Failed', containerStatuses: [ended('a', 3)] }]],
    [
      'one completed, one runs, pod ready',
      'Running',
      [
        {
          phase: 'Running',
          conditions: [condition('Ready')],
          containerStatuses: [ended('a', 0, { reason: 'Completed' }), running('b')],
        },
        two,
      ],
    ],
    [
      'one completed, one runs, pod not ready',
      'NotReady',
      [{ phase: 'Running', containerStatuses: [ended('a', 0, { reason: 'Completed' }), running('b')] }, two],
    ],
    [
      'all completed',
      'Completed',
      [{ phase: 'Succeeded', containerStatuses: [ended('a', 0, { reason: 'Completed' })] }],
    ],
    [
      'the first init container runs',
      'Init:0/2',
      [{ phase: 'Pending', initContainerStatuses: [running('i'), waiting('j', 'PodInitializing')] }, init],
    ],
    [
      'the second init container runs',
      'Init:1/2',
      [{ phase: 'Pending', initContainerStatuses: [ended('i', 0), running('j')] }, init],
    ],
    [
      'an init container failed',
      'Init:Error',
      [{ phase: 'Pending', initContainerStatuses: [ended('i', 1, { reason: 'Error' })] }, init],
    ],
    [
      'an init container failed without a reason',
      'Init:ExitCode:1',
      [{ phase: 'Pending', initContainerStatuses: [ended('i', 1)] }, init],
    ],
    [
      'an init container was killed',
      'Init:Signal:9',
      [{ phase: 'Pending', initContainerStatuses: [ended('i', 137, { signal: 9 })] }, init],
    ],
    [
      'an init container waits',
      'Init:CrashLoopBackOff',
      [{ phase: 'Pending', initContainerStatuses: [waiting('i', 'CrashLoopBackOff')] }, init],
    ],
    [
      'init is not over for containers either',
      'Init:0/2',
      [
        {
          phase: 'Pending',
          initContainerStatuses: [waiting('i', 'PodInitializing')],
          containerStatuses: [waiting('a', 'PodInitializing')],
        },
        init,
      ],
    ],
    [
      'init is over',
      'Running',
      [
        { phase: 'Running', initContainerStatuses: [ended('i', 0), ended('j', 0)], containerStatuses: [running('a')] },
        init,
      ],
    ],
    [
      'initialised once, an init container restarts',
      'CrashLoopBackOff',
      [
        {
          phase: 'Running',
          conditions: [condition('Initialized')],
          initContainerStatuses: [ended('i', 1)],
          containerStatuses: [waiting('a', 'CrashLoopBackOff')],
        },
        init,
      ],
    ],
    [
      'a started sidecar is passed over',
      'Init:1/2',
      [{ phase: 'Pending', initContainerStatuses: [running('s', { started: true }), running('j')] }, sidecar],
    ],
    [
      'a sidecar that has not started is not',
      'Init:0/2',
      [{ phase: 'Pending', initContainerStatuses: [running('s', { started: false })] }, sidecar],
    ],
    [
      'on its way out',
      'Terminating',
      [
        { phase: 'Running', containerStatuses: [running('a')] },
        undefined,
        { deletionTimestamp: '2026-01-01T00:00:00Z' },
      ],
    ],
    [
      'on its way out but ended',
      'Completed',
      [
        { phase: 'Succeeded', containerStatuses: [ended('a', 0, { reason: 'Completed' })] },
        undefined,
        { deletionTimestamp: '2026-01-01T00:00:00Z' },
      ],
    ],
    [
      'on its way out with its node lost',
      'Unknown',
      [{ phase: 'Running', reason: 'NodeLost' }, undefined, { deletionTimestamp: '2026-01-01T00:00:00Z' }],
    ],
  ])('%s: %s', (_, expected, given) => expect(statusOf(...given)).toBe(expected));
});

describe('ready', () => {
  const readyOf = (...given: Parameters<typeof pod>): string => {
    const { ready, total } = summarizePod(pod(...given));
    return `${ready}/${total}`;
  };
  test('ready containers that run, of all', () => {
    expect(readyOf({ containerStatuses: [running('a'), running('b', { ready: false })] }, two)).toBe('1/2');
    expect(readyOf({ containerStatuses: [ended('a', 0)] })).toBe('0/1');
    expect(
      readyOf({ initContainerStatuses: [ended('i', 0), ended('j', 0)], containerStatuses: [running('a')] }, init),
    ).toBe('1/1');
  });
  test('sidecars count', () => {
    expect(
      readyOf(
        { initContainerStatuses: [running('s', { started: true }), ended('j', 0)], containerStatuses: [running('a')] },
        sidecar,
      ),
    ).toBe('2/2');
  });
});

describe('restarts', () => {
  const now = Date.parse('2026-01-01T01:00:00Z');
  const restartsOf = (...given: Parameters<typeof pod>) =>
    columnsOf(Pod)
      .find(column => column.name === 'Restarts')!
      .cell(pod(...given), now);
  const before = (finishedAt: string) => ({ terminated: { exitCode: 1, finishedAt } });
  test('none', () => expect(restartsOf({ containerStatuses: [running('a')] })).toBe('0'));
  test('the sum, and the latest end', () => {
    const statuses = [
      running('a', { restartCount: 2, lastState: before('2026-01-01T00:55:00Z') }),
      running('b', { restartCount: 1, lastState: before('2026-01-01T00:10:00Z') }),
    ];
    expect(restartsOf({ containerStatuses: statuses }, two)).toBe('3 (5m ago)');
    expect(restartsOf({ containerStatuses: [running('a', { restartCount: 2 })] })).toBe('2');
  });
  test('of init containers while they run, of sidecars for good', () => {
    expect(restartsOf({ initContainerStatuses: [waiting('i', 'CrashLoopBackOff', { restartCount: 4 })] }, init)).toBe(
      '4',
    );
    expect(
      restartsOf(
        {
          initContainerStatuses: [ended('i', 0), { ...ended('j', 0), restartCount: 4 }],
          containerStatuses: [running('a')],
        },
        init,
      ),
    ).toBe('0');
    expect(
      restartsOf(
        {
          initContainerStatuses: [running('s', { started: true, restartCount: 4 }), ended('j', 0)],
          containerStatuses: [running('a', { restartCount: 1 })],
        },
        sidecar,
      ),
    ).toBe('5');
  });
});

test('further columns', () => {
  const cell = (name: string, ...given: Parameters<typeof pod>) =>
    columnsOf(Pod)
      .find(column => column.name === name)!
      .cell(pod(...given), 0);
  expect(cell('IP', { podIPs: [{ ip: '1.2.3.4' }] })).toBe('1.2.3.4');
  expect(cell('IP', {})).toBe('<none>');
  expect(cell('Node', {}, { nodeName: 'n' })).toBe('n');
  expect(cell('Nominated Node', {})).toBe('<none>');
  const gates = { readinessGates: [{ conditionType: 'x' }, { conditionType: 'y' }] };
  expect(cell('Readiness Gates', { conditions: [condition('x'), condition('y', 'False')] }, gates)).toBe('1/2');
  expect(cell('Readiness Gates', {})).toBe('<none>');
});

test('a pod that has ended marks its row', () => {
  expect(podRowConditions(pod({ phase: 'Running' }))).toBeUndefined();
  expect(podRowConditions(pod({ phase: 'Succeeded' }))).toMatchObject([
    { type: 'Completed', status: 'True', reason: 'Succeeded' },
  ]);
  expect(podRowConditions(pod({ phase: 'Failed' }))).toMatchObject([
    { type: 'Completed', status: 'True', reason: 'Failed' },
  ]);
});
