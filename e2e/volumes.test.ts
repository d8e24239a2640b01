/**
 * Claims and volumes on real nodes (process runtime, an ordinary user): data outlives its pod and the controller manager, a volume has one claim,
 * claims are kept while they are used, and what nobody needs any more is removed from the node's disk.
 */
import { existsSync } from 'node:fs';
import { chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type corev1,
  type Draft,
  isNotFound,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StatefulSet,
  StorageClass,
} from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, layouts, startCluster, type TestCluster } from './cluster.js';
import { podOf, running, shellContainer } from './manifests.js';
import { kubectlPath } from './tours/clients.js';

const namespace = 'default';
const timing = { nodeGrace: 5, eviction: 1, heartbeat: 1 };
const file = '"$ORBIT_ROOT/data/words"';

const claimSpec: PersistentVolumeClaim['spec'] = {
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage: '1Gi' } },
};

const claimDraft = (name: string, spec: Partial<PersistentVolumeClaim['spec']> = {}): Draft<PersistentVolumeClaim> => ({
  metadata: { name, namespace },
  spec: { ...claimSpec, ...spec },
});

const user = (name: string, volume: Omit<corev1.Volume, 'name'>): Draft<Pod> =>
  podOf(name, shellContainer('exec sleep 600', { volumeMounts: [{ name: 'data', mountPath: '/data' }] }), {
    volumes: [{ name: 'data', ...volume }],
  });
const claims = (claimName: string) => ({ persistentVolumeClaim: { claimName } });

describe.each(layouts)('volumes of a cluster in %s', layout => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ layout, timing });
  }, 60_000);
  afterAll(() => cluster?.stop(), 90_000);

  const bound = (name: string) =>
    eventually(`claim ${name} is bound`, async () => {
      const claim = await cluster.client.get(PersistentVolumeClaim, { namespace, name });
      if (claim.status.phase !== 'Bound') throw new Error(JSON.stringify(claim.status));
      return claim;
    });
  const gone = (kind: typeof Pod | typeof PersistentVolumeClaim | typeof PersistentVolume, name: string) =>
    eventually(`${kind.kind} ${name} is gone`, async () => {
      try {
        const object = await cluster.client.get(kind as typeof Pod, { namespace, name });
        throw new Error(JSON.stringify({ ...object.metadata, managedFields: undefined }));
      } catch (error) {
        return isNotFound(error) || Promise.reject(error);
      }
    });
  const remove = async (name: string) => {
    await cluster.client.delete(Pod, { namespace, name });
    await gone(Pod, name);
  };
  const write = async (pod: string, text: string) =>
    expect(await cluster.exec(pod, ['sh', '-c', `echo ${text} >> ${file}`])).toMatchObject({ code: 0 });
  const read = async (pod: string) => (await cluster.exec(pod, ['sh', '-c', `cat ${file}`])).out.trim().split('\n');
  const volumeOf = async (claim: PersistentVolumeClaim) =>
    cluster.client.get(PersistentVolume, { name: claim.spec.volumeName! });

  it('data outlives its pod and the controller manager, and goes when the claim goes', async () => {
    const { client } = cluster;
    await client.create(PersistentVolumeClaim, claimDraft('data'));
    await client.create(Pod, user('first', claims('data')));
    const first = await running(cluster, 'first');
    await write('first', 'one');
    const volume = await volumeOf(await bound('data'));
    const path = volume.spec.hostPath!.path;
    expect(path).toContain(`nodes/${first.spec.nodeName}/local-volumes/${volume.metadata.name}_default_data`);
    await remove('first');
    expect(existsSync(path)).toBe(true);

    if (layout === 'own processes') {
      await cluster.kill('controller-manager');
      await cluster.start('controller-manager');
    }
    await client.create(Pod, user('second', claims('data')));
    const second = await running(cluster, 'second');
    // Its volume is there and nowhere else.
    expect(second.spec.nodeName).toBe(first.spec.nodeName);
    expect(await read('second')).toEqual(['one']);

    // The claim stays while a pod uses it; then all of it goes, the directory of the node last of all.
    await client.delete(PersistentVolumeClaim, { namespace, name: 'data' });
    await write('second', 'two');
    expect((await bound('data')).metadata).toMatchObject({
      deletionTimestamp: expect.any(String),
      finalizers: ['kubernetes.io/pvc-protection'],
    });
    expect(await read('second')).toEqual(['one', 'two']);
    await remove('second');
    await gone(PersistentVolumeClaim, 'data');
    await gone(PersistentVolume, volume.metadata.name);
    expect(existsSync(path)).toBe(false);
  }, 120_000);

  it('a volume that was made by hand has one claim, and keeps its data for the next', async () => {
    const { client } = cluster;
    const path = join(cluster.directory, 'data', 'by-hand');
    const { uid, gid } = await stat(cluster.directory);
    await mkdir(path, { recursive: true });
    await chown(path, uid, gid);
    await client.create(PersistentVolume, {
      metadata: { name: 'by-hand' },
      spec: {
        capacity: { storage: '5Gi' },
        accessModes: ['ReadWriteOnce'],
        hostPath: { path },
        storageClassName: 'by-hand',
      },
    });
    await client.create(PersistentVolumeClaim, claimDraft('mine', { storageClassName: 'by-hand' }));
    expect((await bound('mine')).spec.volumeName).toBe('by-hand');
    await client.create(PersistentVolumeClaim, claimDraft('other', { storageClassName: 'by-hand' }));
    await client.create(Pod, user('writer', claims('mine')));
    await running(cluster, 'writer');
    await write('writer', 'kept');
    await remove('writer');
    expect((await client.get(PersistentVolumeClaim, { namespace, name: 'other' })).status.phase).toBe('Pending');
    await client.delete(PersistentVolumeClaim, { namespace, name: 'mine' });
    await eventually('it is released', async () => {
      return (await client.get(PersistentVolume, { name: 'by-hand' })).status.phase === 'Released';
    });
    await client.patch(PersistentVolume, { name: 'by-hand' }, { type: 'merge', patch: { spec: { claimRef: null } } });
    await bound('other');
    await client.create(Pod, user('reader', claims('other')));
    await running(cluster, 'reader');
    expect(await read('reader')).toEqual(['kept']);
    await remove('reader');
  }, 120_000);

  it('a stateful set has a volume for each of its pods, which come back to theirs; a claim grows', async () => {
    const { client } = cluster;
    const container = shellContainer('exec sleep 600', { volumeMounts: [{ name: 'data', mountPath: '/data' }] });
    await client.create(StatefulSet, {
      metadata: { name: 'db', namespace },
      spec: {
        replicas: 2,
        serviceName: 'db',
        selector: { matchLabels: { app: 'db' } },
        template: {
          metadata: { labels: { app: 'db' } },
          spec: { containers: [container], terminationGracePeriodSeconds: 2 },
        },
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claimSpec } as PersistentVolumeClaim],
      },
    });
    for (const name of ['db-0', 'db-1']) {
      await running(cluster, name);
      await write(name, name);
    }
    const { uid } = (await client.get(Pod, { namespace, name: 'db-1' })).metadata;
    await client.delete(Pod, { namespace, name: 'db-1' });
    await eventually('db-1 is another pod', async () => {
      return (await client.get(Pod, { namespace, name: 'db-1' })).metadata.uid !== uid;
    });
    await running(cluster, 'db-1');
    expect(await read('db-1')).toEqual(['db-1']);
    expect(await read('db-0')).toEqual(['db-0']);

    const grown = { spec: { resources: { requests: { storage: '3Gi' } } } };
    await client.patch(PersistentVolumeClaim, { namespace, name: 'data-db-0' }, { type: 'merge', patch: grown });
    await eventually('the claim has grown', async () => {
      const { status } = await client.get(PersistentVolumeClaim, { namespace, name: 'data-db-0' });
      return status.capacity?.['storage'] === '3Gi';
    });
    expect((await volumeOf(await bound('data-db-0'))).spec.capacity).toEqual({ storage: '3Gi' });
    await client.delete(StatefulSet, { namespace, name: 'db' });
    await gone(Pod, 'db-1');
    await gone(Pod, 'db-0');
    // Claims outlive their set.
    await bound('data-db-1');
  }, 120_000);

  it('an ephemeral volume comes and goes with its pod', async () => {
    const { client } = cluster;
    await client.create(Pod, user('short', { ephemeral: { volumeClaimTemplate: { spec: claimSpec } } }));
    await running(cluster, 'short');
    await write('short', 'word');
    const volume = await volumeOf(await bound('short-data'));
    expect(existsSync(volume.spec.hostPath!.path)).toBe(true);
    await remove('short');
    await gone(PersistentVolumeClaim, 'short-data');
    await gone(PersistentVolume, volume.metadata.name);
    expect(existsSync(volume.spec.hostPath!.path)).toBe(false);
  }, 120_000);

  const binary = kubectlPath(33) ?? kubectlPath(35);
  it.runIf(layout === 'one process')(
    'kubectl and orbit show them in the usual columns, and who uses a claim',
    async () => {
      const { client } = cluster;
      await client.create(PersistentVolumeClaim, claimDraft('shown'));
      await client.create(Pod, user('shows', claims('shown')));
      await running(cluster, 'shows');
      const { volumeName } = (await bound('shown')).spec;
      expect((await client.get(StorageClass, { name: 'local-path' })).allowVolumeExpansion).toBe(true);
      const tools: ((...args: string[]) => Promise<{ out: string }>)[] = [(...args) => cluster.orbit(args)];
      if (binary) tools.push((...args) => cluster.run(binary, args));
      for (const tool of tools) {
        const rows = async (what: string, name: string) =>
          (await tool('get', what)).out.split('\n').filter((line, index) => index === 0 || line.startsWith(name));
        const cells = (lines: string[]) => lines.map(line => line.trim().split(/\s{2,}/));
        const [heads, claim] = cells(await rows('pvc', 'shown'));
        expect(heads).toEqual([
          'NAME',
          'STATUS',
          'VOLUME',
          'CAPACITY',
          'ACCESS MODES',
          'STORAGECLASS',
          'VOLUMEATTRIBUTESCLASS',
          'AGE',
        ]);
        expect(claim!.slice(0, 7)).toEqual(['shown', 'Bound', volumeName, '1Gi', 'RWO', 'local-path', '<unset>']);
        const [, volume] = cells(await rows('pv', volumeName!));
        expect(volume!.slice(0, 8)).toEqual([
          volumeName,
          '1Gi',
          'RWO',
          'Delete',
          'Bound',
          'default/shown',
          'local-path',
          '<unset>',
        ]);
        const [, storageClass] = cells(await rows('sc', 'local-path'));
        expect(storageClass!.slice(0, 5)).toEqual([
          'local-path (default)',
          'orbitkit.dev/local-path',
          'Delete',
          'WaitForFirstConsumer',
          'true',
        ]);
        expect((await tool('describe', 'pvc', 'shown')).out).toMatch(/^Used By: +shows$/m);
      }
      await remove('shows');
    },
    60_000,
  );
});
