import type { corev1, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { labels } from '../agent/labels.js';
import { podStateOf } from '../pod-worker/pod-state.js';
import type { ContainerStatus, Sandbox } from '../runtime/contract.js';
import { type PodStatusInput, podStatusOf } from './pod-status.js';

const now = Date.UTC(2026, 0, 1, 12);
let ids = 0;

function container(name: string, state: ContainerStatus['state'], exitCode = 0, count = 0): ContainerStatus {
  ids += 1;
  return {
    id: `c${ids}`,
    sandboxId: 's',
    name,
    attempt: count,
    state,
    image: 'app:1',
    imageId: 'sha256:1',
    createdAt: ids,
    startedAt: now - 60_000,
    logPath: '',
    labels: { [labels.restartCount]: String(count) },
    ...(state === 'exited' ? { exitCode, finishedAt: now } : {}),
  };
}

const sandbox: Sandbox = {
  id: 's',
  name: 'p',
  namespace: 'd',
  uid: 'u',
  attempt: 0,
  state: 'ready',
  createdAt: 0,
  ip: '10.0.0.5',
  labels: {},
};

function statusOf(
  containers: ContainerStatus[],
  options: { spec?: Partial<corev1.PodSpec>; status?: corev1.PodStatus; input?: Partial<PodStatusInput> } = {},
): corev1.PodStatus {
  const names = [...new Set(containers.map(({ name }) => name).filter(name => !name.startsWith('init')))];
  const pod = {
    metadata: { name: 'p', namespace: 'd', uid: 'u' },
    spec: { containers: names.map(name => ({ name, image: 'app:1' })), ...options.spec },
    status: options.status ?? {},
  } as unknown as Pod;
  return podStatusOf({
    pod,
    state: podStateOf([sandbox], containers),
    now,
    runtimeName: 'simulated',
    hostIPs: ['192.0.2.1'],
    waiting: () => undefined,
    restarts: () => false,
    isReady: () => true,
    hasStarted: () => true,
    messageOf: () => undefined,
    ending: false,
    limitations: [],
    ...options.input,
  });
}

const condition = (status: corev1.PodStatus, type: string) => status.conditions?.find(its => its.type === type);

describe('ephemeral containers', () => {
  it('have statuses of their own, are never ready, and leave phase and readiness alone', () => {
    const spec = {
      containers: [{ name: 'a', image: 'app:1' }],
      ephemeralContainers: [{ name: 'look', image: 'app:1' }],
    };
    const app = container('a', 'running');
    const status = statusOf([app, container('look', 'exited', 3)], { spec: spec as never });
    expect(status.ephemeralContainerStatuses).toMatchObject([
      { name: 'look', ready: false, restartCount: 0, state: { terminated: { exitCode: 3, reason: 'Error' } } },
    ]);
    expect([status.phase, condition(status, 'Ready')?.status]).toEqual(['Running', 'True']);
    expect(statusOf([app], { spec: spec as never }).ephemeralContainerStatuses?.[0]?.state).toEqual({
      waiting: { reason: 'ContainerCreating' },
    });
    expect(statusOf([app])).not.toHaveProperty('ephemeralContainerStatuses');
  });
});

describe('the phase', () => {
  const running = container('a', 'running');
  const [ok, failed] = [container('b', 'exited', 0), container('b', 'exited', 1)];
  const created = container('b', 'created');
  it.each<[string, ContainerStatus[], corev1.PodSpec['restartPolicy'], boolean, string]>([
    ['one runs, one has not begun', [running, created], 'Always', false, 'Pending'],
    ['all run', [running], 'Always', false, 'Running'],
    ['one runs, one ended', [running, ok], 'Never', false, 'Running'],
    ['all ended well, policy Always', [ok], 'Always', false, 'Running'],
    ['all ended well, policy OnFailure', [ok], 'OnFailure', false, 'Succeeded'],
    ['one failed, policy OnFailure', [failed], 'OnFailure', false, 'Running'],
    ['one failed, policy Never', [failed], 'Never', false, 'Failed'],
    ['all ended well while taken down', [ok], 'Always', true, 'Succeeded'],
    ['one failed while taken down', [failed], 'Always', true, 'Failed'],
    ['taken down before it began', [created], 'Always', true, 'Failed'],
  ])('%s', (_name, containers, restartPolicy, ending, phase) => {
    expect(statusOf(containers, { spec: restartPolicy ? { restartPolicy } : {}, input: { ending } }).phase).toBe(phase);
  });

  it('that has ended does not come back', () => {
    for (const phase of ['Succeeded', 'Failed'] as const) {
      expect(statusOf([running], { status: { phase, reason: 'Evicted', message: 'm' } })).toMatchObject({
        phase,
        reason: 'Evicted',
        message: 'm',
      });
    }
  });

  it("follows the node's own verdict", () => {
    const verdict = { phase: 'Failed' as const, reason: 'DeadlineExceeded', message: 'late' };
    expect(statusOf([running], { input: { ending: true, verdict } })).toMatchObject(verdict);
  });
});

describe('what others own', () => {
  it('is kept', () => {
    const status: corev1.PodStatus = {
      qosClass: 'Burstable',
      nominatedNodeName: 'n9',
      startTime: '2026-01-01T00:00:00Z',
      conditions: [{ type: 'example.com/Gate', status: 'False', message: 'theirs' }],
    };
    expect(statusOf([container('a', 'running')], { status })).toMatchObject({
      qosClass: 'Burstable',
      nominatedNodeName: 'n9',
      startTime: '2026-01-01T00:00:00Z',
      conditions: expect.arrayContaining([{ type: 'example.com/Gate', status: 'False', message: 'theirs' }]),
    });
  });
});

describe('conditions', () => {
  it('keep their transition time while they hold, and take a new one when they change', () => {
    const first = statusOf([container('a', 'running')]);
    const later = now + 60_000;
    const second = statusOf([container('a', 'running')], { status: first, input: { now: later } });
    expect(second.conditions).toEqual(first.conditions);
    const third = statusOf([container('a', 'running')], { status: first, input: { now: later, isReady: () => false } });
    expect(condition(third, 'Ready')).toEqual({
      type: 'Ready',
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [a]',
      lastTransitionTime: '2026-01-01T12:01:00Z',
    });
    const fourth = statusOf([container('a', 'running')], { status: third, input: { now: later } });
    expect(condition(fourth, 'Ready')).toEqual({
      type: 'Ready',
      status: 'True',
      lastTransitionTime: '2026-01-01T12:01:00Z',
    });
  });

  it('name what limits the pod, until nothing does', () => {
    const limited = statusOf([container('a', 'running')], { input: { limitations: ['one', 'two'] } });
    expect(condition(limited, 'orbitkit.dev/Limited')).toMatchObject({ status: 'True', message: 'one; two' });
    expect(
      condition(statusOf([container('a', 'running')], { status: limited }), 'orbitkit.dev/Limited'),
    ).toBeUndefined();
  });
});

describe('container statuses', () => {
  it('show the last end beside the running container', () => {
    const status = statusOf([container('a', 'running', 0, 1), container('a', 'exited', 9, 0)]);
    expect(status.containerStatuses).toMatchObject([
      {
        restartCount: 1,
        state: { running: { startedAt: '2026-01-01T11:59:00Z' } },
        lastState: { terminated: { exitCode: 9, reason: 'Error' } },
      },
    ]);
  });

  it('show what waits, with its last end', () => {
    const waiting = { reason: 'CrashLoopBackOff', message: 'back-off 10s' };
    const status = statusOf([container('a', 'exited', 1)], { input: { waiting: () => waiting, restarts: () => true } });
    expect(status.containerStatuses).toMatchObject([
      { state: { waiting }, lastState: { terminated: { exitCode: 1 } }, ready: false },
    ]);
  });

  it('an init container that ended well is ready', () => {
    const spec = { initContainers: [{ name: 'init', image: 'app:1' }] };
    const status = statusOf([container('init', 'exited'), container('a', 'running')], { spec });
    expect(status.initContainerStatuses).toMatchObject([
      { name: 'init', ready: true, state: { terminated: { exitCode: 0, reason: 'Completed' } } },
    ]);
  });

  it('an end that the runtime has forgotten is told from the API, or said to be unknown', () => {
    const known = (state: corev1.ContainerState): corev1.PodStatus => ({
      containerStatuses: [{ name: 'a', state, ready: false, restartCount: 2, image: 'app:1', imageID: '' }],
    });
    const spec = { containers: [{ name: 'a', image: 'app:1' }] };
    const ended = { terminated: { exitCode: 4, reason: 'Error' } };
    const first = statusOf([], { spec, status: known(ended), input: { ending: true } });
    expect(first.containerStatuses).toMatchObject([{ restartCount: 2, state: ended }]);
    const second = statusOf([], { spec, status: known({ running: {} }), input: { ending: true } });
    expect(second.containerStatuses).toMatchObject([
      { state: { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown' } } },
    ]);
  });
});

describe('addresses', () => {
  it("are the sandbox's, or the node's with host network; the last one stays when it is gone", () => {
    expect(statusOf([container('a', 'running')])).toMatchObject({
      podIP: '10.0.0.5',
      podIPs: [{ ip: '10.0.0.5' }],
      hostIP: '192.0.2.1',
    });
    expect(statusOf([container('a', 'running')], { spec: { hostNetwork: true } })).toMatchObject({
      podIP: '192.0.2.1',
    });
    const state = podStateOf([{ ...sandbox, state: 'not-ready' }], []);
    expect(statusOf([container('a', 'running')], { status: { podIP: '10.0.0.5' }, input: { state } }).podIP).toBe(
      '10.0.0.5',
    );
  });
});
