import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { corev1, Pod } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { References } from '../env/references.js';
import { claimedVolumes } from './claimed-volumes.js';
import { localVolumesOf } from './local-volumes.js';
import { mounts } from './mounts.js';
import { type PodVolumes, podVolumes } from './pod-volumes.js';

let dataDir: string;
let volumes: PodVolumes;
let settings: Record<string, string>;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'orbitkit-volumes-'));
  const mounted = mounts();
  const claimed = claimedVolumes({ local: localVolumesOf(dataDir), mounts: mounted, nodeLabels: () => ({}) });
  volumes = podVolumes({ dataDir, mounts: mounted, claimed });
  settings = { 'app.conf': 'colour=blue', other: 'x' };
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const base64 = (text: string) => Buffer.from(text).toString('base64');
const references: References = {
  configMap: async (_namespace, name) =>
    name === 'settings'
      ? ({ data: settings, binaryData: { bin: Buffer.from([0, 255]).toString('base64') } } as never)
      : undefined,
  secret: async (_namespace, name) => (name === 'keys' ? ({ data: { token: base64('s3cret') } } as never) : undefined),
  claim: async () => undefined,
  volume: async () => undefined,
  services: async () => [],
};

function input(volume: Omit<corev1.Volume, 'name'>, spec: object = {}) {
  const pod = {
    metadata: { name: 'web', namespace: 'shop', uid: 'u-1', labels: { b: '2', a: 'quote "1"' } },
    spec: {
      containers: [{ name: 'app', resources: { limits: { memory: '64Mi' } } }],
      volumes: [{ name: 'v', ...volume }],
      ...spec,
    },
  } as unknown as Pod;
  return { pod, references, place: { nodeName: 'n1', hostIPs: [], podIPs: [] }, allocatable: { cpu: '2' } };
}
const mount = async (volume: Omit<corev1.Volume, 'name'>, spec = {}) =>
  (await volumes.mount(input(volume, spec))).get('v')!;
const read = async (name: string) => readFile(path.join(dataDir, 'pods', 'u-1', 'volumes', 'v', name), 'utf8');

describe('emptyDir', () => {
  it('is a directory that everybody may write, kept when it is mounted again, removed with the pod', async () => {
    const { hostPath, readOnly } = await mount({ emptyDir: {} });
    expect(readOnly).toBe(false);
    expect((await stat(hostPath)).mode & 0o777).toBe(0o777);
    await writeFile(path.join(hostPath, 'kept'), 'yes');
    await mount({ emptyDir: {} });
    expect(await read('kept')).toBe('yes');
    expect(await volumes.list()).toEqual(['u-1']);
    await volumes.remove('u-1');
    expect(await volumes.list()).toEqual([]);
  });
});

describe('configMap, secret, downwardAPI, projected', () => {
  it('show every key, or those that are listed under their path and mode', async () => {
    expect((await mount({ configMap: { name: 'settings' } })).readOnly).toBe(true);
    expect(await read('app.conf')).toBe('colour=blue');
    expect(await readFile(path.join(dataDir, 'pods/u-1/volumes/v/bin'))).toEqual(Buffer.from([0, 255]));
    await mount({
      secret: { secretName: 'keys', defaultMode: 0o400, items: [{ key: 'token', path: 'a/token', mode: 0o440 }] },
    });
    expect(await read('a/token')).toBe('s3cret');
    expect((await stat(path.join(dataDir, 'pods/u-1/volumes/v/a/token'))).mode & 0o777).toBe(0o440);
  });

  it('follow their object', async () => {
    await mount({ configMap: { name: 'settings' } });
    settings = { 'app.conf': 'colour=red' };
    await volumes.refresh(input({ configMap: { name: 'settings' } }));
    expect(await read('app.conf')).toBe('colour=red');
    await expect(read('other')).rejects.toThrow('ENOENT');
  });

  it('downwardAPI shows labels and amounts', async () => {
    await mount({
      downwardAPI: {
        items: [
          { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
          { path: 'memory', resourceFieldRef: { containerName: 'app', resource: 'limits.memory', divisor: '1Mi' } },
        ],
      },
    });
    expect(await read('labels')).toBe('a="quote \\"1\\""\nb="2"');
    expect(await read('memory')).toBe('64');
  });

  it('projected joins its sources', async () => {
    await mount({
      projected: {
        defaultMode: 0o600,
        sources: [
          { configMap: { name: 'settings', items: [{ key: 'other', path: 'both' }] } },
          { secret: { name: 'keys', items: [{ key: 'token', path: 'both' }] } },
          { secret: { name: 'none', optional: true } },
          { downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
        ],
      },
    });
    expect([await read('both'), await read('name')]).toEqual(['s3cret', 'web']);
  });

  it.each<[Omit<corev1.Volume, 'name'>, string]>([
    [{ configMap: { name: 'none' } }, 'volume v: configmap "none" not found in namespace "shop"'],
    [{ secret: { secretName: 'none' } }, 'volume v: secret "none" not found in namespace "shop"'],
    [
      { configMap: { name: 'settings', items: [{ key: 'no', path: 'p' }] } },
      'volume v: ConfigMap shop/settings has no key no',
    ],
    [
      { configMap: { name: 'settings', items: [{ key: 'other', path: '../out' }] } },
      'must be relative, without ".." parts',
    ],
    [
      { configMap: { name: 'settings', items: [{ key: 'other', path: '/abs' }] } },
      'must be relative, without ".." parts',
    ],
    [
      { projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
      'serviceAccountToken is not supported by this node',
    ],
    [
      { downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'spec.none' } }] } },
      'nothing that the downward API offers',
    ],
    [{ iscsi: { targetPortal: 's', iqn: 'i', lun: 0 } }, 'volume v: type iscsi is not supported by this node'],
    [{}, 'volume v: it has no source'],
  ])('%j is refused: %s', async (volume, message) => {
    await expect(mount(volume)).rejects.toThrow(message);
  });
});

describe('hostPath', () => {
  it.each(['', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'] as const)(
    'type "%s" accepts what it names',
    async type => {
      const target = path.join(dataDir, 'target');
      const server = net.createServer();
      if (type === 'Directory') await mkdir(target);
      if (type === 'File') await writeFile(target, 'content');
      if (type === 'Socket') await new Promise<void>(resolve => server.listen(target, resolve));
      expect(await mount({ hostPath: { path: target, type } })).toEqual({ hostPath: target, readOnly: false });
      if (type.endsWith('Create')) expect((await stat(target)).isDirectory()).toBe(type === 'DirectoryOrCreate');
      server.close();
    },
  );

  it.each([
    ['Directory', 'does not exist'],
    ['File', 'does not exist'],
    ['Socket', 'does not exist'],
    ['CharDevice', 'does not exist'],
  ] as const)('type %s refuses what is missing', async (type, message) => {
    await expect(mount({ hostPath: { path: path.join(dataDir, 'none'), type } })).rejects.toThrow(message);
  });

  it('refuses what is something else, and is never removed', async () => {
    const file = path.join(dataDir, 'file');
    await writeFile(file, 'content');
    await expect(mount({ hostPath: { path: file, type: 'Directory' } })).rejects.toThrow('is not a directory');
    await mount({ hostPath: { path: file } });
    await volumes.remove('u-1');
    expect(await readFile(file, 'utf8')).toBe('content');
    await expect(mount({ hostPath: { path: 'relative' } })).rejects.toThrow('must be absolute');
  });
});

describe('mounts', () => {
  const mountsOf = async (
    volumeMount: Partial<corev1.VolumeMount>,
    volume: Omit<corev1.Volume, 'name'> = { emptyDir: {} },
  ) => {
    const container: corev1.Container = {
      name: 'app',
      volumeMounts: [{ name: 'v', mountPath: '/data', ...volumeMount }],
    };
    const mounted = await volumes.mount(input(volume));
    return volumes.mountsOf(container, mounted, [{ name: 'WHO', value: 'ann' }]);
  };
  const inVolume = (...parts: string[]) => path.join(dataDir, 'pods', 'u-1', 'volumes', 'v', ...parts);

  it('lead to the volume, or to a part of it', async () => {
    expect(await mountsOf({})).toEqual([{ hostPath: inVolume(), containerPath: '/data', readOnly: false }]);
    expect(await mountsOf({ readOnly: true, subPath: 'a/b' })).toEqual([
      { hostPath: inVolume('a/b'), containerPath: '/data', readOnly: true },
    ]);
    expect(await mountsOf({ subPathExpr: 'users/$(WHO)' })).toMatchObject([{ hostPath: inVolume('users/ann') }]);
  });

  it('a subPath of a ConfigMap is one file', async () => {
    const [found] = await mountsOf({ subPath: 'app.conf' }, { configMap: { name: 'settings' } });
    expect(await readFile(found!.hostPath, 'utf8')).toBe('colour=blue');
    expect(found!.readOnly).toBe(true);
    await expect(mountsOf({ subPath: 'none' }, { configMap: { name: 'settings' } })).rejects.toThrow(
      'does not exist in the volume',
    );
  });

  it('refuse what leads out, what is not there, what is not set', async () => {
    const { hostPath } = await mount({ emptyDir: {} });
    await symlink('/etc', path.join(hostPath, 'sly'));
    await expect(mountsOf({ subPath: 'sly' })).rejects.toThrow('leads out of the volume');
    await expect(mountsOf({ subPath: '../..' })).rejects.toThrow('without ".." parts');
    await expect(mountsOf({ name: 'none' })).rejects.toThrow('the pod has no volume none');
    await expect(mountsOf({ subPathExpr: '$(NOBODY)' })).rejects.toThrow('names the variable NOBODY, which is not set');
  });
});

it('a uid that is no uid names no directory', async () => {
  for (const uid of ['../..', '', 'a/b', '.'])
    expect(() => volumes.directoryOf(uid)).toThrow('cannot name a directory');
});
