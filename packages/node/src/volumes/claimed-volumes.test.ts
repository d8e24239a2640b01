import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { corev1, PersistentVolume, PersistentVolumeClaim, Pod } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claimedVolumes } from './claimed-volumes.js';
import { localVolumesIn, localVolumesOf } from './local-volumes.js';
import { type MountsOptions, mounts } from './mounts.js';
import { podVolumes } from './pod-volumes.js';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(os.tmpdir(), 'orbitkit-claimed-'));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const claim = (more: object = {}): PersistentVolumeClaim =>
  ({
    metadata: { name: 'data', namespace: 'shop', uid: 'c-1', ...more },
    spec: { volumeName: 'pv' },
    status: { phase: 'Bound' },
  }) as PersistentVolumeClaim;
const volume = (spec: Partial<corev1.PersistentVolumeSpec>): PersistentVolume =>
  ({
    metadata: { name: 'pv' },
    spec: { claimRef: { name: 'data', namespace: 'shop', uid: 'c-1' }, ...spec },
    status: { phase: 'Bound' },
  }) as PersistentVolume;

interface There {
  claim?: PersistentVolumeClaim | undefined;
  volume?: PersistentVolume | undefined;
  source?: Omit<corev1.Volume, 'name'>;
  mounts?: MountsOptions;
}

function volumesOf({ mounts: options = {} }: There = {}) {
  const mounted = mounts(options);
  const nodeLabels = () => ({ zone: 'a' });
  return podVolumes({
    dataDir,
    mounts: mounted,
    claimed: claimedVolumes({ local: localVolumesOf(dataDir), mounts: mounted, nodeLabels }),
  });
}

async function mount(there: There) {
  const pod = {
    metadata: { name: 'web', namespace: 'shop', uid: 'u-1' },
    spec: {
      containers: [],
      volumes: [{ name: 'v', ...(there.source ?? { persistentVolumeClaim: { claimName: 'data' } }) }],
    },
  } as unknown as Pod;
  const result = await volumesOf(there).mount({
    pod,
    place: { nodeName: 'n1', hostIPs: [], podIPs: [] },
    allocatable: {},
    references: {
      configMap: async () => undefined,
      secret: async () => undefined,
      services: async () => [],
      claim: async (_namespace, name) => (there.claim?.metadata.name === name ? there.claim : undefined),
      volume: async name => (there.volume?.metadata.name === name ? there.volume : undefined),
    },
  });
  return result.get('v')!;
}

describe('a claim', () => {
  it('of a local volume is a directory that everybody may write, made once and kept', async () => {
    const hostPath = { path: path.join(localVolumesIn(dataDir), 'pv_shop_data'), type: 'DirectoryOrCreate' as const };
    const there = { claim: claim(), volume: volume({ hostPath }) };
    expect(await mount(there)).toEqual({ hostPath: hostPath.path, readOnly: false });
    expect((await stat(hostPath.path)).mode & 0o777).toBe(0o777);
    await writeFile(path.join(hostPath.path, 'kept'), 'yes');
    const source = { persistentVolumeClaim: { claimName: 'data', readOnly: true } };
    expect(await mount({ ...there, source })).toEqual({ hostPath: hostPath.path, readOnly: true });
    await volumesOf().remove('u-1');
    expect(await readdir(hostPath.path)).toEqual(['kept']);
  });

  it('of an ephemeral volume is its own pod’s only', async () => {
    const source = { ephemeral: { volumeClaimTemplate: { spec: {} } } };
    const there = { volume: volume({ local: { path: dataDir } }), source };
    const owner = { apiVersion: 'v1', kind: 'Pod', name: 'web', uid: 'u-1', controller: true };
    const own = claim({ name: 'web-v', ownerReferences: [owner] });
    expect(await mount({ ...there, claim: own })).toEqual({ hostPath: dataDir, readOnly: false });
    await expect(mount({ ...there, claim: claim({ name: 'web-v' }) })).rejects.toThrow('was not created for this pod');
  });

  const bound = (spec: Partial<corev1.PersistentVolumeSpec>): There => ({ claim: claim(), volume: volume(spec) });
  const elsewhere = {
    required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In' as const, values: ['b'] }] }] },
  };
  it.each<[string, There]>([
    ['persistentvolumeclaim "data" not found', {}],
    ['is being deleted', { claim: claim({ deletionTimestamp: '2026-01-01T00:00:00Z' }) }],
    ['is not bound: it is Pending', { claim: { ...claim(), status: { phase: 'Pending' } } }],
    ['persistentvolume "pv" of claim "data" not found', { claim: claim() }],
    ['bound to another claim', bound({ claimRef: { uid: 'c-2' } })],
    ['its nodeAffinity names others', bound({ nodeAffinity: elsewhere })],
    ['raw block volume', bound({ volumeMode: 'Block' })],
    ['needs the CSI driver disk.example.com', bound({ csi: { driver: 'disk.example.com', volumeHandle: 'h' } })],
    ['its source is not supported', bound({ iscsi: { targetPortal: 's', iqn: 'i', lun: 0 } })],
    ['hostPath type check failed: /nowhere/at/all does not exist', bound({ local: { path: '/nowhere/at/all' } })],
  ])('%s: the pod waits', async (message, there) => {
    await expect(mount(there)).rejects.toThrow(message);
  });
});

describe('nfs', () => {
  const nfs = { server: 'files', path: '/export', readOnly: true };
  const mountOptions = ['nfsvers=4'];

  it('is mounted by root with the options of the volume', async () => {
    const ran: string[] = [];
    const run = async (program: string, args: readonly string[]) => {
      ran.push([program, ...args].join(' '));
    };
    const there = { claim: claim(), volume: volume({ nfs, mountOptions }), mounts: { run, isRoot: true } };
    const target = path.join(dataDir, 'pods/u-1/volumes/v');
    expect(await mount(there)).toEqual({ hostPath: target, readOnly: true });
    expect(ran).toEqual([`mount -t nfs -o ro,nfsvers=4 files:/export ${target}`]);
  });

  it('says what is in the way', async () => {
    const there = { claim: claim(), volume: volume({ nfs }) };
    await expect(mount({ ...there, mounts: { isRoot: false } })).rejects.toThrow('can be mounted only by root');
    const run = () => Promise.reject(new Error('no such host'));
    await expect(mount({ ...there, mounts: { run, isRoot: true } })).rejects.toThrow(
      'nfs files:/export could not be mounted: no such host',
    );
  });
});

// A bind mount stands for the server's export. Needs the right to mount.
const mayMount = process.geteuid?.() === 0 && process.platform === 'linux';
it.runIf(mayMount)('what is mounted for a pod is unmounted before the pod’s directory is removed', async () => {
  const server = path.join(dataDir, 'server');
  const { mkdir, symlink } = await import('node:fs/promises');
  const { execFileSync } = await import('node:child_process');
  await mkdir(server);
  await writeFile(path.join(server, 'precious'), 'data');
  // The agent's directory is reached through a link, as it may be.
  const real = path.join(dataDir, 'real');
  await mkdir(real);
  await symlink(real, path.join(dataDir, 'link'));
  const run = async (program: string, args: readonly string[]) => {
    const words = program === 'mount' ? ['--bind', server, args.at(-1)!] : args;
    execFileSync(program, words as string[]);
  };
  const base = path.join(dataDir, 'link');
  const target = path.join(base, 'pods/u-1/volumes/v');
  const mounted = mounts({ run, isRoot: true });
  const claimed = claimedVolumes({ local: localVolumesOf(base), mounts: mounted, nodeLabels: () => ({}) });
  const stuck = mounts({ run: async () => {}, isRoot: true });
  try {
    const source = { server: 's', path: '/', readOnly: false, options: [] };
    await mounted.nfs(source, target, 'volume v');
    await mounted.nfs(source, target, 'volume v');
    expect(await readFile(path.join(target, 'precious'), 'utf8')).toBe('data');
    await expect(podVolumes({ dataDir: base, mounts: stuck, claimed }).remove('u-1')).rejects.toThrow(
      'is still mounted; nothing below it is removed',
    );
    await podVolumes({ dataDir: base, mounts: mounted, claimed }).remove('u-1');
    expect(await readFile(path.join(server, 'precious'), 'utf8')).toBe('data');
    await expect(stat(target)).rejects.toThrow('ENOENT');
  } finally {
    await mounted.unmountBelow(dataDir);
  }
});
