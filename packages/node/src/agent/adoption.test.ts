import { access } from 'node:fs/promises';
import path from 'node:path';
import { Pod } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type Laboratory, laboratory } from './testing/laboratory.js';

let lab: Laboratory;
afterEach(() => lab?.close());

const key = { namespace: 'default', name: 'web' };

async function idsOf() {
  const containers = await lab.runtime.listContainers();
  return containers.map(({ id, startedAt, state }) => ({ id, startedAt, state }));
}

describe('an agent that comes back', () => {
  it('leaves what runs as it is: same containers, same start, no restart, no write', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
    await lab.advance(1_000);
    const before = await idsOf();
    const status = lab.status();
    await lab.kill();
    await lab.advance(30_000);
    await lab.start();
    await lab.advance(30_000);
    expect(await idsOf()).toEqual(before);
    expect(lab.status()).toEqual(status);
  });

  it('stopped by SIGTERM leaves the pods running too, and starts no timer more', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
    const before = await idsOf();
    await lab.stop();
    expect(await idsOf()).toEqual(before);
    expect(lab.clock.pending).toBe(0);
  });

  it('reports the exit code of what ended meanwhile, and restarts it with the count going on', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
    await lab.kill();
    lab.runtime.exit((await idsOf())[0]!.id, 42);
    await lab.start();
    await lab.until(() => lab.container().restartCount === 1 && lab.container().ready);
    expect(lab.container().lastState?.terminated).toMatchObject({ exitCode: 42, reason: 'Error' });
  });

  it('reports the end of a pod that is not restarted', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({ restartPolicy: 'Never' });
    await lab.until(() => lab.status().phase === 'Running');
    await lab.kill();
    lab.runtime.exit((await idsOf())[0]!.id, 3);
    await lab.start();
    await lab.until(() => lab.status().phase === 'Failed');
    expect(lab.container().state?.terminated?.exitCode).toBe(3);
  });

  it('takes down a pod that was deleted meanwhile, with the grace that it had', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true }) });
    await lab.start();
    await lab.pod({ terminationGracePeriodSeconds: 3, volumes: [{ name: 'v', emptyDir: {} }] });
    await lab.until(() => lab.status().phase === 'Running');
    const { uid } = lab.current()!.metadata;
    await lab.kill();
    await lab.api.client.delete(Pod, key, { gracePeriodSeconds: 0 });
    await lab.start();
    await lab.advance(1_500);
    expect(await lab.runtime.listSandboxes()).toHaveLength(1);
    await lab.advance(4_000);
    expect(await lab.runtime.listSandboxes()).toEqual([]);
    await expect(access(path.join(lab.dataDir, 'pods', uid))).rejects.toThrow();
  });

  it('finishes a deletion that was under way', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true }) });
    await lab.start();
    await lab.pod({ terminationGracePeriodSeconds: 5 });
    await lab.until(() => lab.status().phase === 'Running');
    await lab.api.client.delete(Pod, key);
    await lab.advance(1_000);
    await lab.kill();
    await lab.start();
    await lab.until(() => !lab.current(), 'deleted', 10_000);
    expect(await lab.runtime.listSandboxes()).toEqual([]);
  });

  it("killed at any moment of a pod's start, runs it exactly once", async () => {
    for (const after of [0, 300, 700, 1_100, 1_500, 1_900, 2_300]) {
      lab = await laboratory({ pullMs: 500, sandboxMs: 500, startMs: 500 });
      await lab.start();
      await lab.pod({});
      await lab.advance(after);
      await lab.kill();
      await lab.start();
      await lab.until(() => lab.status().phase === 'Running', `after ${after} ms`);
      await lab.advance(2_000);
      expect(await lab.running(), `after ${after} ms`).toHaveLength(1);
      expect(lab.container().restartCount).toBe(0);
      await lab.close();
    }
  });

  it('counts on when the machine has forgotten the containers', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
    await lab.kill();
    for (const { id } of await lab.runtime.listSandboxes()) await lab.runtime.removeSandbox(id);
    await lab.start();
    await lab.until(() => lab.container().restartCount === 1 && lab.container().ready);
    expect(lab.container().lastState?.terminated?.reason ?? 'ContainerStatusUnknown').toBe('ContainerStatusUnknown');
  });

  it('keeps the end of a pod that has ended, also when the runtime has forgotten it', async () => {
    lab = await laboratory({ program: () => ({ runMs: 500, exitCode: 4 }) });
    await lab.start();
    await lab.pod({ restartPolicy: 'Never' });
    await lab.until(() => lab.status().phase === 'Failed');
    await lab.advance(1_000);
    const status = lab.status();
    await lab.kill();
    for (const { id } of await lab.runtime.listSandboxes()) await lab.runtime.removeSandbox(id);
    await lab.start();
    await lab.advance(10_000);
    expect(lab.status().phase).toBe('Failed');
    expect(lab.container().state).toEqual(status.containerStatuses![0]!.state);
    expect(await lab.runtime.listSandboxes()).toEqual([]);
  });

  it('leaves sandboxes of another agent on the same machine alone', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.runtime.runSandbox({
      name: 'foreign',
      namespace: 'default',
      uid: 'foreign-uid',
      attempt: 0,
      hostname: 'foreign',
      labels: { 'orbitkit.dev/agent': 'somebody-else', 'orbitkit.dev/pod-uid': 'foreign-uid' },
      annotations: {},
      logDirectory: path.join(lab.dataDir, 'foreign'),
      hostNetwork: false,
      portMappings: [],
    });
    await lab.advance(10_000);
    expect(await lab.runtime.listSandboxes()).toHaveLength(1);
  });

  it('goes on following its pods after the API server was away', async () => {
    lab = await laboratory();
    await lab.start();
    lab.api.fail('watch', 'pods', new Error('connection refused'), 3);
    lab.api.fail('list', 'pods', new Error('connection refused'), 1);
    lab.api.breakWatches();
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running', 'seen at last', 90_000);
  });
});

describe('an agent that is stopped', () => {
  it('does not wait for the grace of a pod that is being deleted; the next one goes on', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true }) });
    await lab.start();
    const preStop = { exec: { command: ['drain'] } };
    await lab.pod({
      terminationGracePeriodSeconds: 40,
      containers: [{ name: 'app', image: 'app:1', lifecycle: { preStop } }],
    });
    await lab.until(() => lab.status().phase === 'Running');
    await lab.api.client.delete(Pod, key);
    await lab.advance(2_000);
    const from = lab.clock.now();
    await lab.stop();
    expect(lab.clock.now() - from).toBeLessThan(2_000);
    expect(lab.current()).toBeDefined();
    await lab.start();
    await lab.until(() => !lab.current(), 'deleted', 60_000);
  });
});

describe('stopPodsOnShutdown', () => {
  it('stops every container within the bound; the next agent starts the pods again', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true }) });
    await lab.start({ stopPodsOnShutdown: true, shutdownGraceMs: 3_000 });
    await lab.pod({ terminationGracePeriodSeconds: 600 }, 'a');
    await lab.pod({}, 'b');
    await lab.until(() => lab.status('a').phase === 'Running' && lab.status('b').phase === 'Running');
    const from = lab.clock.now();
    await lab.stop();
    expect(lab.clock.now() - from).toBeLessThan(6_000);
    expect((await lab.runtime.listContainers()).filter(({ state }) => state === 'running')).toEqual([]);
    expect(lab.clock.pending).toBe(0);
    expect(lab.current('a')).toBeDefined();
    await lab.start();
    await lab.until(() => lab.container('a').ready && lab.container('b').ready);
    expect(lab.container('a').restartCount).toBe(1);
  });

  it('begins no pod that comes while the others are being stopped', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true }) });
    await lab.start({ stopPodsOnShutdown: true, shutdownGraceMs: 3_000 });
    await lab.pod({}, 'a');
    await lab.until(() => lab.status('a').phase === 'Running');
    const stopped = lab.stop();
    await lab.pod({}, 'late');
    await stopped;
    expect((await lab.runtime.listSandboxes()).map(({ name }) => name)).not.toContain('late');
    expect((await lab.runtime.listContainers()).filter(({ state }) => state === 'running')).toEqual([]);
    await lab.start();
    await lab.until(() => lab.container('a').ready && lab.container('late').ready);
  });
});
