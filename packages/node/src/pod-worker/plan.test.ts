import type { Pod } from '@orbitkit/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { labels } from '../agent/labels.js';
import type { ContainerStatus, Sandbox } from '../runtime/contract.js';
import { type PlanInput, planOf } from './plan.js';
import { podStateOf, specHashOf } from './pod-state.js';

const sandbox = (attempt = 0, state: Sandbox['state'] = 'ready'): Sandbox => ({
  id: `s${attempt}`,
  name: 'web',
  namespace: 'default',
  uid: 'u',
  attempt,
  state,
  createdAt: attempt,
  labels: {},
});

let ids = 0;
function container(
  name: string,
  state: ContainerStatus['state'],
  options: Partial<ContainerStatus> & { count?: number } = {},
): ContainerStatus {
  const { count = 0, ...rest } = options;
  ids += 1;
  return {
    id: `c${ids}`,
    sandboxId: 's0',
    name,
    attempt: count,
    state,
    image: 'app:1',
    imageId: 'i',
    createdAt: ids,
    logPath: '',
    labels: { [labels.restartCount]: String(count), [labels.specHash]: specHashOf({ name, image: 'app:1' }) },
    ...(state === 'exited' ? { exitCode: 0, finishedAt: ids } : {}),
    ...rest,
  };
}

function pod(spec: object = {}, status: object = {}): Pod {
  return {
    metadata: { name: 'web', namespace: 'default', uid: 'u' },
    spec: { containers: [{ name: 'app', image: 'app:1' }], ...spec },
    status,
  } as unknown as Pod;
}

function planFor(thePod: Pod, sandboxes: Sandbox[], containers: ContainerStatus[], options: Partial<PlanInput> = {}) {
  const plan = planOf({
    pod: thePod,
    state: podStateOf(sandboxes, containers),
    busy: new Set(),
    verdict: () => undefined,
    hasStarted: () => true,
    mustRestart: () => false,
    waitOf: () => 0,
    ...options,
  });
  return {
    ...plan,
    start: plan.start.map(({ container: { name }, attempt, type }) => `${type} ${name}#${attempt}`),
    stop: plan.stop.map(({ container: { name }, message }) => `${name}: ${message}`),
  };
}

const two = {
  containers: [
    { name: 'a', image: 'app:1' },
    { name: 'b', image: 'app:1' },
  ],
};
const init = {
  initContainers: [
    { name: 'i1', image: 'app:1' },
    { name: 'i2', image: 'app:1' },
  ],
};
const sidecar = { initContainers: [{ name: 'side', image: 'app:1', restartPolicy: 'Always' }] };
const nothing = { createSandbox: false, start: [], stop: [], removeContainers: [], removeSandboxes: [] };

describe('planOf', () => {
  it('begins with a sandbox, then all containers together', () => {
    expect(planFor(pod(two), [], [])).toEqual({ ...nothing, createSandbox: true });
    expect(planFor(pod(two), [sandbox()], [])).toEqual({ ...nothing, start: ['app a#0', 'app b#0'] });
  });

  it('leaves alone what runs as it is wanted, and what is busy', () => {
    expect(planFor(pod(), [sandbox()], [container('app', 'running')])).toEqual(nothing);
    expect(planFor(pod(two), [sandbox()], [], { busy: new Set(['a']) })).toEqual({ ...nothing, start: ['app b#0'] });
  });

  it('runs init containers in order, then the others', () => {
    const done = (name: string) => container(name, 'exited');
    expect(planFor(pod(init), [sandbox()], []).start).toEqual(['init i1#0']);
    expect(planFor(pod(init), [sandbox()], [container('i1', 'running')]).start).toEqual([]);
    expect(planFor(pod(init), [sandbox()], [done('i1')]).start).toEqual(['init i2#0']);
    expect(planFor(pod(init), [sandbox()], [done('i1'), done('i2')]).start).toEqual(['app app#0']);
    expect(planFor(pod(init), [sandbox()], [done('i1'), container('i2', 'exited', { exitCode: 1 })]).start).toEqual([
      'init i2#1',
    ]);
  });

  it('does not run init containers again beside running containers, but again in a new sandbox', () => {
    const running = [container('app', 'running')];
    expect(planFor(pod(init), [sandbox()], running)).toEqual(nothing);
    const old = [container('i1', 'exited'), container('i2', 'exited'), container('app', 'exited')];
    expect(planFor(pod(init), [sandbox(1), sandbox(0, 'not-ready')], old).start).toEqual(['init i1#1']);
  });

  it('starts a sidecar first and waits until it has started; later it only restarts it', () => {
    const running = [container('side', 'running')];
    expect(planFor(pod(sidecar), [sandbox()], []).start).toEqual(['sidecar side#0']);
    expect(planFor(pod(sidecar), [sandbox()], running, { hasStarted: () => false }).start).toEqual([]);
    expect(planFor(pod(sidecar), [sandbox()], running).start).toEqual(['app app#0']);
    const crashed = [container('side', 'exited', { exitCode: 1 }), container('app', 'running')];
    expect(planFor(pod({ ...sidecar, restartPolicy: 'Never' }), [sandbox()], crashed).start).toEqual([
      'sidecar side#1',
    ]);
  });

  it.each([
    ['Always', 0, ['app app#3'], undefined],
    ['Always', 1, ['app app#3'], undefined],
    ['OnFailure', 1, ['app app#3'], undefined],
    ['OnFailure', 0, [], 'Succeeded'],
    ['Never', 0, [], 'Succeeded'],
    ['Never', 1, [], 'Failed'],
  ])('policy %s, exit code %i: start %j, finished %s', (restartPolicy, exitCode, start, finished) => {
    const plan = planFor(pod({ restartPolicy }), [sandbox()], [container('app', 'exited', { exitCode, count: 2 })]);
    expect([plan.start, plan.finished]).toEqual([start, finished]);
  });

  it('is finished only when all containers have ended', () => {
    const spec = { ...two, restartPolicy: 'Never' };
    const ended = container('a', 'exited', { exitCode: 1 });
    expect(planFor(pod(spec), [sandbox()], [ended, container('b', 'running')]).finished).toBeUndefined();
    expect(planFor(pod(spec), [sandbox()], [ended], { busy: new Set(['b']) }).finished).toBeUndefined();
    expect(planFor(pod(spec), [sandbox()], [ended, container('b', 'exited')]).finished).toBe('Failed');
  });

  it('does not run a pod twice whose policy is Never', () => {
    const spec = { ...two, restartPolicy: 'Never' };
    const plan = planFor(pod(spec), [sandbox(0, 'not-ready')], [container('a', 'exited')]);
    expect(plan).toMatchObject({ createSandbox: false, finished: 'Failed', start: [] });
  });

  it('waits its back-off, and says how long', () => {
    const ended = container('app', 'exited', { exitCode: 1 });
    expect(planFor(pod(), [sandbox()], [ended], { waitOf: () => 7_000 })).toEqual({ ...nothing, wakeInMs: 7_000 });
  });

  it.each([
    [
      'a changed image',
      { labels: { [labels.specHash]: 'other' } },
      {},
      'app: Container app definition changed, will be restarted',
    ],
    [
      'liveness',
      {},
      { verdict: () => 'liveness' as const },
      'app: Container app failed liveness probe, will be restarted',
    ],
    [
      'startup',
      {},
      { verdict: () => 'startup' as const },
      'app: Container app failed startup probe, will be restarted',
    ],
  ])('stops a running container for %s', (_name, status, options, message) => {
    const plan = planFor(pod(), [sandbox()], [container('app', 'running', status)], options);
    expect(plan).toEqual({ ...nothing, stop: [message] });
  });

  it('replaces a lost sandbox, and goes on counting', () => {
    const old = [container('app', 'exited', { exitCode: 137, count: 4 })];
    expect(planFor(pod(), [sandbox(0, 'not-ready')], old)).toEqual({ ...nothing, createSandbox: true });
    expect(planFor(pod(), [sandbox(1), sandbox(0, 'not-ready')], old).start).toEqual(['app app#5']);
  });

  it('makes a container anew that was created and never started', () => {
    const created = container('app', 'created', { count: 2 });
    const plan = planFor(pod(), [sandbox()], [created]);
    expect(plan).toEqual({ ...nothing, start: ['app app#2'], removeContainers: [created] });
  });

  it.each([
    [{ state: { running: {} }, restartCount: 3 }, 4],
    [{ state: { waiting: {} }, lastState: { terminated: {} }, restartCount: 3 }, 4],
    [{ state: { waiting: {} }, restartCount: 0 }, 0],
  ])('counts on from the API when the runtime knows nothing: %j gives %i', (known, attempt) => {
    const status = { containerStatuses: [{ name: 'app', ...known }] };
    expect(planFor(pod({}, status), [sandbox()], []).start).toEqual([`app app#${attempt}`]);
  });

  it('removes what nobody needs: ended containers before the last two, empty old sandboxes', () => {
    const all = [0, 1, 2, 3].map(count =>
      container('app', count === 3 ? 'running' : 'exited', { count, sandboxId: count < 2 ? 's0' : 's1' }),
    );
    const plan = planFor(pod(), [sandbox(1), sandbox(0, 'not-ready')], all);
    expect(plan.removeContainers.map(({ id }) => id).sort()).toEqual([all[0]!.id, all[1]!.id].sort());
    expect(plan.removeSandboxes).toEqual(['s0']);
  });
});

describe('planOf, whatever the state', () => {
  const states = fc.constantFrom<ContainerStatus['state']>('created', 'running', 'exited', 'unknown');
  const containers = fc.array(
    fc.record({
      name: fc.constantFrom('i1', 'side', 'a', 'b'),
      state: states,
      count: fc.nat(4),
      exitCode: fc.constantFrom(0, 1),
      in: fc.nat(1),
    }),
    { maxLength: 8 },
  );
  const spec = fc.record({
    restartPolicy: fc.constantFrom('Always', 'OnFailure', 'Never'),
    initContainers: fc.constantFrom(
      [],
      [{ name: 'i1', image: 'app:1' }],
      [{ name: 'side', image: 'app:1', restartPolicy: 'Always' }],
    ),
    containers: fc.constant(two.containers),
  });

  it('runs an ephemeral container once, beside everything else, and decides nothing by it', () => {
    const look = { ephemeralContainers: [{ name: 'look', image: 'app:1' }] };
    const running = container('app', 'running');
    expect(planFor(pod(look), [], []).start).toEqual([]);
    expect(planFor(pod(look), [sandbox()], [running])).toEqual({ ...nothing, start: ['ephemeral look#0'] });
    expect(planFor(pod({ ...init, ...look }), [sandbox()], []).start).toEqual(['ephemeral look#0', 'init i1#0']);
    for (const ended of [0, 1]) {
      const looked = container('look', 'exited', { exitCode: ended });
      expect(planFor(pod(look), [sandbox()], [running, looked])).toEqual(nothing);
    }
    const before = { ephemeralContainerStatuses: [{ name: 'look', state: { terminated: { exitCode: 0 } } }] };
    expect(planFor(pod(look, before), [sandbox()], [running])).toEqual(nothing);
    const backedOff = planFor(pod(look), [sandbox()], [running], { waitOf: () => 7 });
    expect(backedOff).toEqual({ ...nothing, wakeInMs: 7 });
    const done = [container('app', 'exited'), container('look', 'running')];
    expect(planFor(pod({ ...look, restartPolicy: 'Never' }), [sandbox()], done).finished).toBe('Succeeded');
  });

  it('never starts a container that runs, nor two of one name, nor any without a ready sandbox, nor touches a busy one', () => {
    fc.assert(
      fc.property(
        spec,
        containers,
        fc.boolean(),
        fc.subarray(['i1', 'side', 'a', 'b']),
        (theSpec, made, ready, busyNames) => {
          const list = made.map(({ name, state, count, exitCode, in: at }) =>
            container(name, state, { count, sandboxId: `s${at}`, ...(state === 'exited' ? { exitCode } : {}) }),
          );
          const state = podStateOf([sandbox(1, ready ? 'ready' : 'not-ready'), sandbox(0, 'not-ready')], list);
          const busy = new Set(busyNames);
          const plan = planOf({
            pod: pod(theSpec),
            state,
            busy,
            verdict: () => undefined,
            hasStarted: () => true,
            mustRestart: () => false,
            waitOf: () => 0,
          });
          const names = plan.start.map(({ container: { name } }) => name);
          expect(new Set(names).size).toBe(names.length);
          if (!ready || plan.finished) expect(names).toEqual([]);
          for (const name of names) {
            expect(busy.has(name)).toBe(false);
            expect(state.containers.find(each => each.name === name)?.state).not.toBe('running');
          }
          for (const stop of plan.stop) expect(busy.has(stop.container.name)).toBe(false);
          // Nothing that runs is removed, and what is removed is not the latest of a known container unless it never ran.
          for (const container of plan.removeContainers) expect(container.state).not.toBe('running');
        },
      ),
      { numRuns: 500 },
    );
  });
});
