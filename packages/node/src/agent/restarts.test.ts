import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { RuntimeError } from '../runtime/contract.js';
import { type Laboratory, laboratory } from './testing/laboratory.js';

let lab: Laboratory;
afterEach(() => lab?.close());

/** A pod whose container fails after a second. @returns the seconds between each end and the next start. */
async function waitsOf(count: number, options = {}): Promise<number[]> {
  const made: number[] = [];
  lab = await laboratory({
    program: () => {
      made.push(lab.clock.now());
      return { runMs: 1_000, exitCode: 1 };
    },
  });
  await lab.start(options);
  await lab.pod({});
  await lab.until(() => made.length > count, `${count} restarts`, 5_000_000);
  return made.slice(1, count + 1).map((at, index) => (at - made[index]! - 1_000) / 1_000);
}

describe('a container that ends', () => {
  it('is restarted at once the first time, then after 10, 20, 40, 80, 160, 300, 300 seconds', async () => {
    expect((await waitsOf(8)).map(Math.floor)).toEqual([0, 10, 20, 40, 80, 160, 300, 300]);
  }, 60_000);

  it('shows CrashLoopBackOff, its last end and the count meanwhile; the pod stays Running', async () => {
    lab = await laboratory({ program: () => ({ runMs: 1_000, exitCode: 7 }) });
    await lab.start();
    const pod = await lab.pod({});
    await lab.until(() => lab.container().state?.waiting?.reason === 'CrashLoopBackOff');
    const what = `restarting failed container=app pod=web_default(${pod.metadata.uid})`;
    expect(lab.container()).toMatchObject({
      ready: false,
      started: false,
      restartCount: 1,
      state: { waiting: { reason: 'CrashLoopBackOff', message: `back-off 10s ${what}` } },
      lastState: { terminated: { exitCode: 7, reason: 'Error' } },
    });
    expect(lab.status().phase).toBe('Running');
    await lab.advance(1_000);
    expect(lab.events().filter(event => event.includes('BackOff'))).toEqual([`Warning BackOff: Back-off ${what}`]);
  });

  it('is forgiven after ten quiet minutes', async () => {
    let crash = true;
    lab = await laboratory({
      program: () => (crash ? { runMs: 1_000, exitCode: 1 } : { runMs: 700_000, exitCode: 1 }),
    });
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.container().restartCount === 3, 'crashed three times', 200_000);
    crash = false;
    await lab.until(() => lab.container().restartCount === 4, 'runs long', 200_000);
    await lab.advance(700_000);
    await lab.until(() => lab.container().restartCount === 5, 'restarted at once', 2_000);
  }, 60_000);

  it.each([
    { policy: 'Always', exitCode: 0, restarted: true },
    { policy: 'OnFailure', exitCode: 1, restarted: true },
    { policy: 'OnFailure', exitCode: 0, restarted: false },
    { policy: 'Never', exitCode: 1, restarted: false },
  ] as const)('policy $policy, exit code $exitCode: restarted $restarted', async ({ policy, exitCode, restarted }) => {
    lab = await laboratory({ program: () => ({ runMs: 1_000, exitCode }) });
    await lab.start();
    await lab.pod({ restartPolicy: policy });
    await lab.advance(20_000);
    expect(lab.container().restartCount > 0).toBe(restarted);
  });

  it('its back-off is configurable', async () => {
    expect((await waitsOf(4, { restartBackOff: { initialMs: 1_000, maxMs: 2_000 } })).map(Math.floor)).toEqual([
      0, 1, 2, 2,
    ]);
  });

  it('keeps the container before the last for its log, and no more', async () => {
    lab = await laboratory({ program: () => ({ runMs: 100, exitCode: 1, output: ['hello'] }) });
    await lab.start({ restartBackOff: { initialMs: 1, maxMs: 1 } });
    await lab.pod({});
    await lab.until(() => lab.container().restartCount >= 5);
    const kept = await lab.runtime.listContainers();
    expect(kept.length).toBeLessThanOrEqual(3);
    const pod = path.join(lab.dataDir, 'pods', lab.current()!.metadata.uid);
    expect((await readdir(path.join(pod, 'logs', 'app'))).length).toBeLessThanOrEqual(3);
    expect((await readdir(path.join(pod, 'termination'))).length).toBeLessThanOrEqual(3);
  });

  it('that is OOM killed says so', async () => {
    lab = await laboratory({ program: () => ({ runMs: 1_000, exitCode: 137, reason: 'OOMKilled' }) });
    await lab.start();
    await lab.pod({ restartPolicy: 'Never' });
    await lab.until(() => lab.status().phase === 'Failed');
    expect(lab.container().state?.terminated).toMatchObject({ exitCode: 137, reason: 'OOMKilled' });
  });
});

describe('a container that cannot be started', () => {
  it.each([
    {
      name: 'the program does not exist',
      simulation: { program: () => ({ startError: 'exec: "nope": executable file not found in $PATH' }) },
      reason: 'RunContainerError',
      message: 'exec: "nope": executable file not found in $PATH',
    },
    {
      name: 'its ConfigMap is missing',
      pod: { containers: [{ name: 'app', image: 'app:1', envFrom: [{ configMapRef: { name: 'settings' } }] }] },
      reason: 'CreateContainerConfigError',
      message: 'configmap "settings" not found in namespace "default"',
    },
    {
      name: 'a key of its Secret is missing',
      pod: {
        containers: [
          {
            name: 'app',
            image: 'app:1',
            env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'keys', key: 'b' } } }],
          },
        ],
      },
      reason: 'CreateContainerConfigError',
      message: 'secret "keys" not found in namespace "default"',
    },
    {
      name: 'it must not run as root and does',
      pod: {
        containers: [{ name: 'app', image: 'app:1', securityContext: { runAsNonRoot: true, runAsUser: 0 } }],
      },
      reason: 'CreateContainerConfigError',
      message: 'container app: runAsNonRoot is set and runAsUser is 0; set another runAsUser',
    },
    {
      name: 'its image is missing and must not be pulled',
      pod: { containers: [{ name: 'app', image: 'app:1', imagePullPolicy: 'Never' as const }] },
      reason: 'ErrImageNeverPull',
      message: 'Container image "app:1" is not present with pull policy of Never',
    },
    {
      name: 'its image has no valid name',
      pod: { containers: [{ name: 'app', image: 'App:1:2' }] },
      reason: 'InvalidImageName',
      message: 'image "App:1:2" of container app is not a reference such as registry/name:tag',
    },
  ])('$name: $reason', async ({ simulation = {}, pod = {}, reason, message }) => {
    lab = await laboratory(simulation);
    await lab.start();
    await lab.pod(pod);
    await lab.until(() => lab.container().state?.waiting?.reason === reason);
    expect(lab.container().state?.waiting).toEqual({ reason, message });
    expect(lab.status().phase).toBe(reason === 'RunContainerError' ? 'Running' : 'Pending');
    await lab.advance(500);
    expect(lab.events()).toContain(`Warning Failed: Error: ${message}`);
  });

  it('is created when what it needs appears', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({ containers: [{ name: 'app', image: 'app:1', envFrom: [{ configMapRef: { name: 'settings' } }] }] });
    await lab.until(() => lab.container().state?.waiting?.reason === 'CreateContainerConfigError');
    await lab.configMap('settings', { COLOUR: 'blue' });
    await lab.until(() => lab.status().phase === 'Running', 'soon', 6_000);
    expect(lab.container().restartCount).toBe(0);
  });

  it('says what the runtime says of it', async () => {
    lab = await laboratory();
    await lab.start();
    lab.runtime.failNext(
      'createContainer',
      new RuntimeError('InvalidConfig', 'the memory limit is below 6 MiB'),
      1_000,
    );
    await lab.pod({});
    await lab.until(() => lab.container().state?.waiting?.reason === 'CreateContainerError');
    expect(lab.container().state?.waiting?.message).toBe('the memory limit is below 6 MiB');
    expect(await lab.runtime.listContainers()).toEqual([]);
  });
});

describe('images', () => {
  it('ErrImagePull, then ImagePullBackOff with the reason, then again after 10, 20, … seconds', async () => {
    lab = await laboratory({ pullable: image => `no program is known for ${image}; add it to the catalogue` });
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.container().state?.waiting?.reason === 'ErrImagePull');
    expect(lab.container().state?.waiting?.message).toBe('no program is known for app:1; add it to the catalogue');
    await lab.until(() => lab.container().state?.waiting?.reason === 'ImagePullBackOff', 'backed off', 6_000);
    expect(lab.container().state?.waiting?.message).toBe(
      'Back-off pulling image "app:1": ErrImagePull: no program is known for app:1; add it to the catalogue',
    );
    const pulls = () => lab.events().filter(event => event.startsWith('Normal Pulling')).length;
    await lab.advance(200_000);
    expect(pulls()).toBe(1);
    // One event whose count rises: 0, 10, 30, 70, 150 s.
    const { Event } = await import('@orbitkit/core');
    expect(lab.api.objects(Event).find(event => event.reason === 'Pulling')?.count).toBe(5);
  });

  it('Always pulls again at every start; IfNotPresent does not', async () => {
    let pulls = 0;
    lab = await laboratory({
      program: () => ({ runMs: 500 }),
      pullable: () => {
        pulls += 1;
        return true;
      },
    });
    await lab.start({ restartBackOff: { initialMs: 100, maxMs: 100 } });
    await lab.pod({ containers: [{ name: 'app', image: 'app:1', imagePullPolicy: 'Always' }] }, 'always');
    await lab.until(() => lab.container('always').restartCount === 2);
    expect(pulls).toBe(3);
    await lab.pod({ containers: [{ name: 'app', image: 'other:1', imagePullPolicy: 'IfNotPresent' }] }, 'once');
    await lab.until(() => lab.container('once').restartCount === 3);
    await lab.advance(500);
    expect(lab.events('once')).toContain('Normal Pulled: Container image "other:1" already present on machine');
  });

  it('are pulled once for pods that want the same', async () => {
    let pulls = 0;
    lab = await laboratory({
      pullMs: 3_000,
      pullable: () => {
        pulls += 1;
        return true;
      },
    });
    await lab.start();
    for (const name of ['a', 'b', 'c']) await lab.pod({}, name);
    await lab.until(() => ['a', 'b', 'c'].every(name => lab.status(name).phase === 'Running'));
    expect(pulls).toBe(1);
  });

  it('a slow one does not keep another container from its restart', async () => {
    lab = await laboratory({ pullMs: 20_000, images: ['quick:1'], program: () => ({ runMs: 1_000, exitCode: 1 }) });
    await lab.start();
    await lab.pod({
      containers: [
        { name: 'slow', image: 'slow:1' },
        { name: 'app', image: 'quick:1' },
      ],
    });
    await lab.until(() => lab.container().restartCount === 2, 'restarted twice', 15_000);
    expect(lab.container('web', 'slow').state?.waiting?.reason).toBe('ContainerCreating');
  });
});
