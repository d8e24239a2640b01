import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { localVolumes, Node, PersistentVolume, PersistentVolumeClaim, Pod } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { ContainerConfig } from '../runtime/contract.js';
import { type Laboratory, laboratory } from './testing/laboratory.js';

let lab: Laboratory;
afterEach(() => lab?.close());

const volumeFile = (name: string) => path.join(lab.dataDir, 'pods', lab.current()!.metadata.uid, 'volumes', 'v', name);

describe('volumes of a pod', () => {
  it('a ConfigMap that changes is shown by and by; one that goes away leaves its files', async () => {
    lab = await laboratory();
    await lab.start({ volumeSyncMs: 5_000 });
    await lab.configMap('settings', { a: '1' });
    await lab.pod({ volumes: [{ name: 'v', configMap: { name: 'settings' } }] });
    await lab.until(() => lab.status().phase === 'Running');
    expect(await readFile(volumeFile('a'), 'utf8')).toBe('1');
    await lab.configMap('settings', { a: '2' });
    await lab.advance(8_000);
    expect(await readFile(volumeFile('a'), 'utf8')).toBe('2');
    const { ConfigMap } = await import('@orbitkit/core');
    lab.api.forget(ConfigMap, { namespace: 'default', name: 'settings' });
    await lab.advance(10_000);
    expect(await readFile(volumeFile('a'), 'utf8')).toBe('2');
    expect(lab.status().phase).toBe('Running');
    expect(lab.events()).toContain(
      'Warning FailedMount: volume v: configmap "settings" not found in namespace "default"',
    );
  });

  it('labels that change are shown at once', async () => {
    lab = await laboratory();
    await lab.start();
    const items = [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }];
    await lab.pod({ volumes: [{ name: 'v', downwardAPI: { items } }] }, 'web', { labels: { a: '1' } });
    await lab.until(() => lab.status().phase === 'Running');
    const pod = lab.current()!;
    await lab.api.client.update(Pod, { ...pod, metadata: { ...pod.metadata, labels: { a: '2' } } });
    await lab.advance(1_000);
    expect(await readFile(volumeFile('labels'), 'utf8')).toBe('a="2"');
  });

  it('a pod whose volume is missing waits, says why, and starts when it appears', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod({ volumes: [{ name: 'v', configMap: { name: 'settings' } }] });
    const message = 'volume v: configmap "settings" not found in namespace "default"';
    await lab.until(() => lab.container().state?.waiting?.message === message);
    expect(lab.container().state?.waiting?.reason).toBe('ContainerCreating');
    expect(lab.events()).toContain(`Warning FailedMount: ${message}`);
    await lab.configMap('settings', {});
    await lab.until(() => lab.status().phase === 'Running', 'runs', 6_000);
  });

  it('a pod waits for its claim to be bound, and its volume outlives it until its removal is asked for', async () => {
    lab = await laboratory();
    await lab.start();
    const { client } = lab.api;
    const claimName = 'data';
    await lab.pod({ volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }] });
    await lab.until(() => lab.condition('PodReadyToStartContainers')?.message?.includes('claim "data" not found'));
    const claim = await client.create(PersistentVolumeClaim, {
      metadata: { name: claimName, namespace: 'default' },
      spec: { volumeName: 'pv' },
    });
    await lab.until(
      () => lab.condition('PodReadyToStartContainers')?.message?.includes('is not bound'),
      'waits',
      6_000,
    );
    const node = await client.get(Node, { name: 'n1' });
    const root = node.metadata.annotations?.[localVolumes.directory] ?? '';
    expect(root).toBe(path.join(lab.dataDir, 'local-volumes'));
    const hostPath = { path: path.join(root, 'pv_default_data'), type: 'DirectoryOrCreate' as const };
    await client.create(PersistentVolume, {
      metadata: { name: 'pv' },
      spec: { hostPath, claimRef: { namespace: 'default', name: claimName, uid: claim.metadata.uid } },
    });
    await client.updateStatus(PersistentVolumeClaim, { ...claim, status: { phase: 'Bound' } });
    await lab.until(() => lab.status().phase === 'Running', 'runs', 6_000);
    await writeFile(path.join(hostPath.path, 'kept'), 'yes');
    await client.delete(Pod, { namespace: 'default', name: 'web' });
    await lab.until(() => !lab.current());
    expect(await readFile(path.join(hostPath.path, 'kept'), 'utf8')).toBe('yes');

    const key = `${localVolumes.prefix}pv`;
    const ask = (value: string) =>
      client.patch(
        Node,
        { name: 'n1' },
        { type: 'merge', patch: { metadata: { annotations: { [key]: `${localVolumes.remove}${value}` } } } },
      );
    const answer = async () => (await client.get(Node, { name: 'n1' })).metadata.annotations?.[key];
    await ask('../pods');
    await lab.advance(11_000);
    expect(await answer()).toContain('cannot be the name of a local volume');
    await ask('pv_default_data');
    await lab.advance(11_000);
    expect(await answer()).toBe(localVolumes.removed);
    await expect(readFile(path.join(hostPath.path, 'kept'))).rejects.toThrow('ENOENT');
  });
});

describe('what the runtime is told', () => {
  it('commands are expanded, limits are exact, and labels carry what adoption needs', async () => {
    const configs: ContainerConfig[] = [];
    lab = await laboratory({
      program: config => {
        configs.push(config);
        return {};
      },
    });
    await lab.start();
    const { metadata } = await lab.pod({
      securityContext: { runAsUser: 1000, runAsGroup: 2000 },
      containers: [
        {
          name: 'app',
          image: 'app:1',
          command: ['serve', '$(WHO)', '$(NOBODY)'],
          args: ['$$(WHO)'],
          workingDir: '/srv',
          env: [{ name: 'WHO', value: 'ann' }],
          ports: [{ containerPort: 8080, name: 'http' }],
          resources: { limits: { cpu: '0.1', memory: '1.5Mi' }, requests: { cpu: '50m' } },
          securityContext: { runAsUser: 1234 },
          stdin: true,
          tty: true,
        },
      ],
    });
    await lab.until(() => lab.status().phase === 'Running');
    expect(configs[0]).toMatchObject({
      name: 'app',
      attempt: 0,
      command: ['serve', 'ann', '$(NOBODY)'],
      args: ['$(WHO)'],
      workingDir: '/srv',
      env: [{ name: 'WHO', value: 'ann' }],
      ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
      resources: { cpuLimitMillis: 100, cpuRequestMillis: 50, memoryLimitBytes: 1572864 },
      user: { uid: 1234, gid: 2000 },
      stdin: true,
      tty: true,
      labels: {
        'orbitkit.dev/pod-uid': metadata.uid,
        'orbitkit.dev/container-name': 'app',
        'orbitkit.dev/restart-count': '0',
        'orbitkit.dev/container-type': 'app',
      },
    });
  });
});

describe('termination messages', () => {
  const messageFile = (attempt = 0) =>
    path.join(lab.dataDir, 'pods', lab.current()!.metadata.uid, 'termination', `app.${attempt}`);

  async function ended(container: object, before: () => Promise<void>, exitCode = 1) {
    lab = await laboratory({ program: () => ({ output: ['first line', 'last words'] }) });
    await lab.start();
    await lab.pod({ restartPolicy: 'Never', containers: [{ name: 'app', image: 'app:1', ...container }] });
    await lab.until(() => lab.status().phase === 'Running');
    await before();
    const [id] = await lab.running();
    lab.runtime.exit(id!, exitCode);
    await lab.until(() => lab.container().state?.terminated);
    return lab.container().state!.terminated!.message;
  }

  it('come from the file', async () => {
    expect(await ended({}, () => writeFile(messageFile(), 'no space left'))).toBe('no space left');
  });
  it('of a file are cut at 4096 bytes', async () => {
    expect((await ended({}, () => writeFile(messageFile(), 'x'.repeat(10_000))))?.length).toBe(4096);
  });
  it('are none when nothing was written', async () => {
    expect(await ended({}, async () => {})).toBeUndefined();
  });
  const fallback = { terminationMessagePolicy: 'FallbackToLogsOnError' };
  it('come from the end of the log when asked for and the container failed', async () => {
    expect(await ended(fallback, async () => {})).toBe('first line\nlast words');
  });
  it('of a log are cut to its last lines', async () => {
    const message = await ended(fallback, async () => {
      const [container] = await lab.runtime.listContainers();
      for (let i = 0; i < 200; i++)
        await appendFile(container!.logPath, `2026-01-01T00:00:00.000000000Z stdout F line ${i}\n`);
    });
    expect(message?.split('\n')).toHaveLength(80);
    expect(message?.endsWith('line 199')).toBe(true);
  });
  it('do not come from the log of a container that ended well', async () => {
    expect(await ended(fallback, async () => {}, 0)).toBeUndefined();
  });
});
