import { Pod } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { RuntimeError } from '../runtime/contract.js';
import { type Laboratory, laboratory } from './testing/laboratory.js';

let lab: Laboratory;
afterEach(() => lab?.close());

const key = { namespace: 'default', name: 'web' };

describe('a pod that runs', () => {
  it("goes from Pending to Running with upstream's conditions, events and ids", async () => {
    lab = await laboratory({ sandboxMs: 500, startMs: 500, pullMs: 500 });
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Pending');
    expect(lab.container()).toMatchObject({
      state: { waiting: { reason: 'ContainerCreating' } },
      ready: false,
      started: false,
    });
    expect(lab.condition('PodReadyToStartContainers')?.status).toBe('False');
    expect(lab.condition('ContainersReady')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [app]',
    });
    await lab.until(() => lab.status().phase === 'Running');
    for (const type of ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled']) {
      expect(lab.condition(type)?.status, type).toBe('True');
    }
    expect(lab.status()).toMatchObject({
      hostIP: '127.0.0.1',
      podIP: expect.stringMatching(/^10\./),
      podIPs: [{ ip: lab.status().podIP }],
    });
    expect(lab.container()).toMatchObject({
      ready: true,
      started: true,
      restartCount: 0,
      containerID: expect.stringMatching(/^simulated:\/\//),
      imageID: 'simulated:app:1',
    });
    await lab.advance(1_000);
    expect(lab.events()).toEqual([
      'Normal Pulling: Pulling image "app:1"',
      expect.stringMatching(/^Normal Pulled: Successfully pulled image "app:1" in 0\.500s\. Image size: \d+ bytes\.$/),
      'Normal Created: Created container: app',
      'Normal Started: Started container app',
    ]);
  });

  it('writes the status only when it changes', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
    await lab.advance(1_000);
    const writes = lab.api.calls.get('update pods');
    await lab.advance(60_000);
    expect(lab.api.calls.get('update pods')).toBe(writes);
  });

  it('keeps what others write to the status while it writes its own', async () => {
    lab = await laboratory({ startMs: 2_000 });
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Pending');
    const pod = lab.current()!;
    await lab.api.client.updateStatus(Pod, {
      ...pod,
      status: { ...pod.status, conditions: [...pod.status.conditions!, { type: 'example.com/Gate', status: 'True' }] },
    });
    await lab.until(() => lab.status().phase === 'Running');
    expect(lab.condition('example.com/Gate')?.status).toBe('True');
  });

  it('writes again after a failure and after a conflict', async () => {
    lab = await laboratory();
    await lab.start();
    lab.api.fail('update', 'pods', new Error('the server is away'), 3);
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
  });

  it('is ready only when its readiness gates are', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({ readinessGates: [{ conditionType: 'example.com/Gate' }] });
    await lab.until(() => lab.condition('ContainersReady')?.status === 'True');
    expect(lab.condition('Ready')).toMatchObject({ status: 'False', reason: 'ReadinessGatesNotReady' });
    const pod = lab.current()!;
    const conditions = [...pod.status.conditions!, { type: 'example.com/Gate', status: 'True' as const }];
    await lab.api.client.updateStatus(Pod, { ...pod, status: { ...pod.status, conditions } });
    await lab.until(() => lab.condition('Ready')?.status === 'True');
    expect(lab.condition('Ready')?.reason).toBeUndefined();
  });

  it('makes a new sandbox when the old one is lost, and counts the restart', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
    const [sandbox] = await lab.runtime.listSandboxes();
    await lab.runtime.stopSandbox(sandbox!.id);
    await lab.until(() => lab.container().restartCount === 1 && lab.container().ready);
    expect(lab.events()).toContain('Normal SandboxChanged: Pod sandbox changed, it will be killed and re-created.');
    expect(lab.container().lastState?.terminated?.exitCode).toBe(137);
  });

  it('starts a container anew when its image changes, whatever the restart policy', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({ restartPolicy: 'Never' });
    await lab.until(() => lab.status().phase === 'Running');
    const pod = lab.current()!;
    await lab.api.client.update(Pod, { ...pod, spec: { ...pod.spec, containers: [{ name: 'app', image: 'app:2' }] } });
    await lab.until(() => lab.container().image === 'app:2' && lab.container().ready);
    expect(lab.container().restartCount).toBe(1);
    expect(lab.events()).toContain('Normal Killing: Container app definition changed, will be restarted');
  });

  it('goes on when the runtime was away for a while', async () => {
    lab = await laboratory();
    await lab.start();
    lab.runtime.setUnavailable('the daemon is being restarted');
    await lab.pod({});
    await lab.advance(15_000);
    lab.runtime.setUnavailable(undefined);
    await lab.until(() => lab.status().phase === 'Running');
  });

  it('tries again when a sandbox cannot be made', async () => {
    lab = await laboratory();
    await lab.start();
    lab.runtime.failNext('runSandbox', new RuntimeError('Unavailable', 'no address is left in 10.0.0.0/30'), 2);
    await lab.pod({});
    await lab.until(() => lab.container().state?.waiting?.message);
    expect(lab.container().state).toEqual({
      waiting: { reason: 'ContainerCreating', message: 'no address is left in 10.0.0.0/30' },
    });
    expect(lab.condition('PodReadyToStartContainers')?.message).toBe('no address is left in 10.0.0.0/30');
    await lab.until(() => lab.status().phase === 'Running');
    expect(lab.events()).toContain('Warning FailedCreatePodSandBox: no address is left in 10.0.0.0/30');
  });
});

describe('init containers', () => {
  it('run one after the other before the containers', async () => {
    lab = await laboratory({ program: ({ name }) => (name.startsWith('init') ? { runMs: 3_000 } : {}) });
    await lab.start();
    await lab.pod({
      initContainers: [
        { name: 'init-a', image: 'init:1' },
        { name: 'init-b', image: 'init:1' },
      ],
    });
    await lab.until(() => lab.container('web', 'init-a').state?.running);
    expect(lab.container().state).toEqual({ waiting: { reason: 'PodInitializing' } });
    expect(lab.container('web', 'init-b').state).toEqual({ waiting: { reason: 'PodInitializing' } });
    expect(lab.condition('Initialized')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotInitialized',
      message: 'containers with incomplete status: [init-a init-b]',
    });
    await lab.until(() => lab.container('web', 'init-b').state?.running);
    expect(lab.container('web', 'init-a').state?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
    await lab.until(() => lab.status().phase === 'Running');
    expect(lab.condition('Initialized')?.status).toBe('True');
  });

  it('that fail are tried again; with policy Never they fail the pod', async () => {
    lab = await laboratory({ program: ({ name }) => (name === 'init' ? { runMs: 100, exitCode: 3 } : {}) });
    await lab.start();
    const spec = { initContainers: [{ name: 'init', image: 'init:1' }] };
    await lab.pod(spec, 'again');
    await lab.pod({ ...spec, restartPolicy: 'Never' }, 'never');
    await lab.until(() => lab.status('never').phase === 'Failed');
    expect(lab.container('never').state?.waiting?.reason).toBe('PodInitializing');
    await lab.until(() => lab.container('again', 'init').state?.waiting?.reason === 'CrashLoopBackOff');
    expect(lab.status('again').phase).toBe('Pending');
    expect(lab.container('again', 'init').lastState?.terminated?.exitCode).toBe(3);
  });

  it('with restartPolicy Always run beside the others, and are stopped after them', async () => {
    const ends: string[] = [];
    lab = await laboratory();
    await lab.start();
    await lab.pod({
      initContainers: [
        { name: 'one', image: 'proxy:1', restartPolicy: 'Always' },
        { name: 'two', image: 'proxy:1', restartPolicy: 'Always' },
      ],
    });
    await lab.until(() => lab.status().phase === 'Running');
    expect(lab.container('web', 'one')).toMatchObject({ ready: true, started: true });
    const stop = lab.runtime.stopContainer.bind(lab.runtime);
    const names = new Map((await lab.runtime.listContainers()).map(({ id, name }) => [id, name]));
    lab.runtime.stopContainer = async (id, graceMs) => {
      ends.push(names.get(id)!);
      await stop(id, graceMs);
    };
    await lab.api.client.delete(Pod, key);
    await lab.until(() => !lab.current());
    expect(ends).toEqual(['app', 'two', 'one']);
  });

  it('a sidecar does not keep a pod that has ended from completing', async () => {
    lab = await laboratory({ program: ({ name }) => (name === 'app' ? { runMs: 1_000 } : {}) });
    await lab.start();
    await lab.pod({
      restartPolicy: 'Never',
      initContainers: [{ name: 'side', image: 'proxy:1', restartPolicy: 'Always' }],
    });
    await lab.until(() => lab.status().phase === 'Succeeded');
    expect(await lab.running()).toEqual([]);
  });
});

describe('deletion', () => {
  it('stops the containers within the grace, removes every trace, then the pod from the API', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true }) });
    await lab.start();
    await lab.pod({ terminationGracePeriodSeconds: 5, volumes: [{ name: 'scratch', emptyDir: {} }] });
    await lab.until(() => lab.status().phase === 'Running');
    await lab.api.client.delete(Pod, key);
    await lab.advance(4_500);
    expect(await lab.running()).toHaveLength(1);
    expect(lab.events()).toContain('Normal Killing: Stopping container app');
    await lab.until(() => !lab.current(), 'deleted', 3_000);
    expect(await lab.runtime.listSandboxes()).toEqual([]);
    expect(await lab.runtime.listContainers()).toEqual([]);
  });

  it('a second deletion with a shorter grace hastens the first', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true }) });
    await lab.start();
    await lab.pod({ terminationGracePeriodSeconds: 600 });
    await lab.until(() => lab.status().phase === 'Running');
    await lab.api.client.delete(Pod, key);
    await lab.advance(2_000);
    await lab.api.client.delete(Pod, key, { gracePeriodSeconds: 2 });
    await lab.until(() => !lab.current(), 'deleted', 5_000);
  });

  it('forced: a pod that vanished from the API is taken down all the same', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true }) });
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
    await lab.api.client.delete(Pod, key, { gracePeriodSeconds: 0 });
    await lab.advance(3_000);
    expect(await lab.runtime.listSandboxes()).toEqual([]);
  });

  it('gives up an image that is being pulled', async () => {
    lab = await laboratory({ pullMs: 600_000 });
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Pending');
    await lab.advance(5_000);
    await lab.api.client.delete(Pod, key);
    await lab.until(() => !lab.current(), 'deleted', 3_000);
  });

  it('writes how the pod ended before it goes; a finalizer then holds it without containers', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({}, 'web', { finalizers: ['example.com/keep'] });
    await lab.until(() => lab.status().phase === 'Running');
    await lab.api.client.delete(Pod, key);
    await lab.until(() => lab.status().phase === 'Succeeded');
    await lab.advance(30_000);
    expect(lab.container().state?.terminated?.exitCode).toBe(0);
    expect(await lab.runtime.listSandboxes()).toEqual([]);
    lab.api.forget(Pod, key);
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
  });

  it('a pod of the same name made at once is another pod', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true }) });
    await lab.start();
    const first = await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
    await lab.api.client.delete(Pod, key, { gracePeriodSeconds: 0 });
    const second = await lab.pod({});
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    await lab.until(() => lab.status().phase === 'Running');
    await lab.advance(5_000);
    expect((await lab.runtime.listSandboxes()).map(({ uid }) => uid)).toEqual([second.metadata.uid]);
  });
});

describe('what ends a pod by itself', () => {
  it.each([
    { policy: 'Never', exitCode: 0, phase: 'Succeeded', reason: 'PodCompleted' },
    { policy: 'Never', exitCode: 2, phase: 'Failed', reason: 'PodFailed' },
    { policy: 'OnFailure', exitCode: 0, phase: 'Succeeded', reason: 'PodCompleted' },
  ] as const)('policy $policy, exit code $exitCode: $phase', async ({ policy, exitCode, phase, reason }) => {
    lab = await laboratory({ program: () => ({ runMs: 1_000, exitCode }) });
    await lab.start();
    await lab.pod({ restartPolicy: policy });
    await lab.until(() => lab.status().phase === phase);
    await lab.advance(60_000);
    expect(lab.status().phase).toBe(phase);
    expect(lab.condition('Ready')).toMatchObject({ status: 'False', reason });
    expect(lab.container().state?.terminated).toMatchObject({
      exitCode,
      reason: exitCode === 0 ? 'Completed' : 'Error',
    });
    expect((await lab.runtime.listSandboxes())[0]?.state).toBe('not-ready');
  });

  it('its deadline', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({ activeDeadlineSeconds: 20 });
    await lab.until(() => lab.status().phase === 'Running');
    await lab.advance(18_000);
    expect(lab.status().phase).toBe('Running');
    await lab.until(() => lab.status().phase === 'Failed', 'past its deadline', 4_000);
    expect(lab.status()).toMatchObject({
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    });
    expect(await lab.running()).toEqual([]);
  });
});

describe('admission', () => {
  it('refuses a pod whose host port is taken', async () => {
    lab = await laboratory();
    await lab.start();
    const containers = [{ name: 'app', image: 'app:1', ports: [{ containerPort: 80, hostPort: 8080 }] }];
    await lab.pod({ containers }, 'first');
    await lab.until(() => lab.status('first').phase === 'Running');
    await lab.pod({ containers }, 'second');
    await lab.until(() => lab.status('second').phase === 'Failed');
    expect(lab.status('second')).toMatchObject({
      reason: 'NodePorts',
      message: 'Pod was rejected: host port TCP/8080 is taken by pod default/first',
    });
    await lab.advance(5_000);
    expect(await lab.runtime.listSandboxes()).toHaveLength(1);
  });

  it('refuses more pods than the node takes, and takes one again when there is room', async () => {
    lab = await laboratory();
    await lab.start({ maxPods: 1 });
    await lab.pod({}, 'first');
    await lab.until(() => lab.status('first').phase === 'Running');
    await lab.pod({}, 'second');
    await lab.until(() => lab.status('second').reason === 'OutOfpods');
    await lab.api.client.delete(Pod, { namespace: 'default', name: 'first' });
    await lab.until(() => !lab.current('first'));
    await lab.pod({}, 'third');
    await lab.until(() => lab.status('third').phase === 'Running');
  });

  it('refuses what two schedulers gave the same room, and leaves alone what runs', async () => {
    lab = await laboratory();
    await lab.start({ capacity: { cpu: '1', memory: '1Gi' } });
    const containers = [{ name: 'app', image: 'app:1', resources: { requests: { cpu: '600m' } } }];
    await lab.pod({ containers }, 'first');
    await lab.until(() => lab.status('first').phase === 'Running');
    await lab.pod({ containers }, 'second');
    await lab.until(() => lab.status('second').phase === 'Failed');
    expect(lab.status('second')).toMatchObject({
      reason: 'OutOfcpu',
      message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 600, capacity: 1000",
    });
    expect(lab.status('first').phase).toBe('Running');
  });

  it('says what the runtime cannot give, and runs the pod', async () => {
    lab = await laboratory({ capabilities: ['private-localhost', 'attach'] });
    await lab.start();
    await lab.pod({
      containers: [
        {
          name: 'app',
          image: 'app:1',
          ports: [{ containerPort: 80 }],
          resources: { limits: { cpu: '1', memory: '64Mi' } },
        },
      ],
      volumes: [{ name: 'fast', emptyDir: { medium: 'Memory' } }],
    });
    await lab.until(() => lab.status().phase === 'Running');
    const message = lab.condition('orbitkit.dev/Limited')?.message ?? '';
    expect(message.split('; ')).toEqual([
      'container app: the simulated runtime here does not enforce its CPU limit',
      'container app: the simulated runtime here does not enforce its memory limit',
      'container app: port 80 is below 1024 and may not be bound here: it answers on 8080',
      'volume fast: medium Memory is kept on disk',
    ]);
    await lab.advance(1_000);
    expect(lab.events()).toContain(`Warning Limited: ${message}`);
  });
});
