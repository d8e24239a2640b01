import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Event, localVolumes, Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlaneOptions } from '../../testing/index.js';
import { persistentVolumeBinder } from './binder.js';
import { ephemeralVolumes } from './ephemeral-volumes.js';
import { persistentVolumeExpander } from './expander.js';
import { localPathClass, localPathProvisioner } from './local-path.js';
import { annotations, finalizers } from './names.js';
import type { Provisioner } from './provisioner.js';
import { sharedDirectoryProvisioner } from './shared-directory.js';
import { claimDraft, classDraft, namespace, podDraft } from './testing/drafts.js';
import { volumeProvisioner } from './volume-provisioner.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'orbitkit-shared-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function start(provisioners: readonly Provisioner[], options: TestControlPlaneOptions = {}) {
  const plane = await createTestControlPlane({
    controllers: [
      persistentVolumeBinder(),
      volumeProvisioner(provisioners),
      persistentVolumeExpander(provisioners),
      ephemeralVolumes(),
    ],
    ...options,
  });
  const { client, eventually } = plane;
  const claimIs = (name: string, phase: string) =>
    eventually(async () => {
      const claim = await client.get(PersistentVolumeClaim, { namespace, name });
      return claim.status.phase === phase && claim;
    });
  const volumeOf = async (name: string) =>
    client.get(PersistentVolume, { name: (await claimIs(name, 'Bound')).spec.volumeName! });
  const told = (name: string, reason: string) =>
    eventually(
      async () =>
        (await client.list(Event, { fieldSelector: `involvedObject.name=${name},reason=${reason}` })).items[0]?.message,
    );
  const noVolumes = () => eventually(async () => (await client.list(PersistentVolume)).items.length === 0);
  return { plane, client, eventually, claimIs, volumeOf, told, noVolumes };
}

const node = (name: string, zone = 'a') => ({
  metadata: {
    name,
    labels: { 'kubernetes.io/hostname': name, zone },
    annotations: { [localVolumes.directory]: `/nodes/${name}` },
  },
  spec: {},
});
const ready = async (client: Awaited<ReturnType<typeof start>>['client'], name: string, zone?: string) => {
  const made = await client.create(Node, node(name, zone));
  await client.updateStatus(Node, { ...made, status: { conditions: [{ type: 'Ready', status: 'True' }] } });
};

describe('local paths', () => {
  it('are made where the first pod runs, and removed when the node says so', async () => {
    const { plane, client, eventually, claimIs, volumeOf, told, noVolumes } = await start([localPathProvisioner()]);
    await using _plane = plane;
    await ready(client, 'n1');
    await client.create(StorageClass, localPathClass());
    await client.create(PersistentVolumeClaim, claimDraft('data'));
    expect(await told('data', 'WaitForFirstConsumer')).toBe('waiting for first consumer to be created before binding');
    await client.create(Pod, podDraft('web', 'data', { nodeName: 'n1' }));
    const volume = await volumeOf('data');
    const claim = await claimIs('data', 'Bound');
    expect(claim.metadata.annotations?.[annotations.selectedNode]).toBe('n1');
    expect(volume).toMatchObject({
      metadata: {
        name: `pvc-${claim.metadata.uid}`,
        annotations: { [annotations.provisionedBy]: 'orbitkit.dev/local-path', [localVolumes.node]: 'n1' },
        finalizers: [finalizers.provisioned, finalizers.volume],
      },
      spec: {
        hostPath: { path: `/nodes/n1/pvc-${claim.metadata.uid}_default_data`, type: 'DirectoryOrCreate' },
        storageClassName: 'local-path',
        persistentVolumeReclaimPolicy: 'Delete',
        claimRef: { uid: claim.metadata.uid },
      },
    });
    // While the pod is there the claim only is Terminating.
    await client.delete(PersistentVolumeClaim, { namespace, name: 'data' });
    await plane.consistently(() => claimIs('data', 'Bound'), { forMs: 100 });
    await client.delete(Pod, { namespace, name: 'web' }, { gracePeriodSeconds: 0 });
    const key = `${localVolumes.prefix}${volume.metadata.name}`;
    const request = `${localVolumes.remove}${volume.metadata.name}_default_data`;
    const said = async () => (await client.get(Node, { name: 'n1' })).metadata.annotations?.[key];
    const answer = (value: string) =>
      client.patch(Node, { name: 'n1' }, { type: 'merge', patch: { metadata: { annotations: { [key]: value } } } });
    await eventually(async () => (await said()) === request);
    await answer(`${localVolumes.failed}the disk is full`);
    expect(await told(volume.metadata.name, 'VolumeFailedDelete')).toBe('node "n1": the disk is full');
    await eventually(async () => (await said()) === request);
    expect((await client.list(PersistentVolume)).items).toHaveLength(1);
    await answer(localVolumes.removed);
    await noVolumes();
    expect(await said()).toBeUndefined();
  });

  it('whose data is gone are not asked for again while others hold their object', async () => {
    const { plane, client, eventually, volumeOf, noVolumes } = await start([localPathProvisioner()]);
    await using _plane = plane;
    await ready(client, 'n1');
    await client.create(StorageClass, { ...localPathClass(), volumeBindingMode: 'Immediate' });
    await client.create(PersistentVolumeClaim, claimDraft('data'));
    const { metadata } = await volumeOf('data');
    const change = (patch: object) => client.patch(PersistentVolume, { name: metadata.name }, { type: 'merge', patch });
    await change({ metadata: { finalizers: [...metadata.finalizers!, 'example.com/held'] } });
    await client.delete(PersistentVolumeClaim, { namespace, name: 'data' });
    const key = `${localVolumes.prefix}${metadata.name}`;
    const said = async () => (await client.get(Node, { name: 'n1' })).metadata.annotations?.[key];
    await eventually(async () => (await said())?.startsWith(localVolumes.remove));
    const answer = { metadata: { annotations: { [key]: localVolumes.removed } } };
    await client.patch(Node, { name: 'n1' }, { type: 'merge', patch: answer });
    const held = async () => (await client.get(PersistentVolume, { name: metadata.name })).metadata.finalizers;
    await eventually(async () => (await held())?.join() === 'example.com/held');
    await change({ metadata: { labels: { touched: 'yes' } } });
    await plane.consistently(async () => (await said()) === undefined, { forMs: 200 });
    await change({ metadata: { finalizers: null } });
    await noVolumes();
  });

  it('of a node that is gone are gone; a node outside of the topologies is taken back', async () => {
    const { plane, client, eventually, volumeOf, told, noVolumes } = await start([localPathProvisioner()]);
    await using _plane = plane;
    await ready(client, 'n1', 'a');
    await ready(client, 'n2', 'b');
    await client.create(StorageClass, {
      ...classDraft('zoned', 'orbitkit.dev/local-path', {
        allowedTopologies: [{ matchLabelExpressions: [{ key: 'zone', values: ['b'] }] }],
      }),
    });
    await client.create(PersistentVolumeClaim, claimDraft('now', '1Gi', { storageClassName: 'zoned' }));
    expect((await volumeOf('now')).metadata.annotations?.[localVolumes.node]).toBe('n2');
    const chosen = claimDraft('chosen', '1Gi', { storageClassName: 'zoned' });
    await client.create(PersistentVolumeClaim, {
      ...chosen,
      metadata: { ...chosen.metadata, annotations: { [annotations.selectedNode]: 'n1' } },
    });
    expect(await told('chosen', 'ProvisioningFailed')).toContain('node "n1" is in none of the allowedTopologies');
    expect((await volumeOf('chosen')).metadata.annotations?.[localVolumes.node]).toBe('n2');
    await client.delete(Node, { name: 'n2' });
    for (const name of ['now', 'chosen']) await client.delete(PersistentVolumeClaim, { namespace, name });
    await eventually(async () => (await client.list(PersistentVolumeClaim)).items.length === 0);
    await noVolumes();
  });

  it('serve ephemeral volumes, whose claims belong to their pods', async () => {
    const { plane, client, told, volumeOf } = await start([localPathProvisioner()]);
    await using _plane = plane;
    await ready(client, 'n1');
    await client.create(StorageClass, localPathClass());
    const spec = claimDraft('').spec!;
    const volumes = [{ name: 'cache', ephemeral: { volumeClaimTemplate: { metadata: { labels: { a: 'b' } }, spec } } }];
    await client.create(PersistentVolumeClaim, claimDraft('other-cache'));
    const pod = await client.create(Pod, podDraft('web', '', { nodeName: 'n1', volumes }));
    await volumeOf('web-cache');
    const claim = await client.get(PersistentVolumeClaim, { namespace, name: 'web-cache' });
    expect(claim.metadata).toMatchObject({
      labels: { a: 'b' },
      ownerReferences: [{ kind: 'Pod', uid: pod.metadata.uid, controller: true, blockOwnerDeletion: true }],
    });
    await client.create(Pod, podDraft('other', '', { nodeName: 'n1', volumes }));
    expect(await told('other', 'FailedCreate')).toContain('"default/other-cache" was not created for pod');
  });

  it('grow in numbers', async () => {
    const { plane, client, eventually, volumeOf, told } = await start([localPathProvisioner()]);
    await using _plane = plane;
    await ready(client, 'n1');
    await client.create(StorageClass, { ...localPathClass(), volumeBindingMode: 'Immediate' });
    await client.create(PersistentVolumeClaim, claimDraft('data'));
    await volumeOf('data');
    const patch = { spec: { resources: { requests: { storage: '4Gi' } } } };
    await client.patch(PersistentVolumeClaim, { namespace, name: 'data' }, { type: 'merge', patch });
    const { status } = await eventually(async () => {
      const claim = await client.get(PersistentVolumeClaim, { namespace, name: 'data' });
      return claim.status.capacity?.['storage'] === '4Gi' && claim;
    });
    expect(status).toEqual({
      phase: 'Bound',
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '4Gi' },
      allocatedResources: { storage: '4Gi' },
    });
    expect((await volumeOf('data')).spec.capacity).toEqual({ storage: '4Gi' });
    expect(await told('data', 'VolumeResizeSuccessful')).toBe('Resize volume succeeded');
  });
});

describe('a provisioner', () => {
  it('that has to be helped by the node leaves the claim waiting for it; failures are said and tried again', async () => {
    let failures = 1;
    const made: string[] = [];
    const disks: Provisioner = {
      name: 'example.com/disk',
      async provision({ name }) {
        made.push(name);
        if (failures-- > 0) throw new Error('no disk is free');
        return { spec: { nfs: { server: 's', path: '/' } } };
      },
      delete: async () => 'deleted',
      expand: async () => ({ nodeExpansionRequired: true }),
    };
    const { plane, client, eventually, volumeOf, told } = await start([disks]);
    await using _plane = plane;
    await client.create(StorageClass, classDraft('disk', disks.name, { allowVolumeExpansion: true }));
    await client.create(PersistentVolumeClaim, claimDraft('data', '1Gi', { storageClassName: 'disk' }));
    expect(await told('data', 'ProvisioningFailed')).toBe(
      'failed to provision volume with StorageClass "disk": no disk is free',
    );
    await volumeOf('data');
    expect(new Set(made).size).toBe(1);
    const patch = { spec: { resources: { requests: { storage: '2Gi' } } } };
    await client.patch(PersistentVolumeClaim, { namespace, name: 'data' }, { type: 'merge', patch });
    const claim = await eventually(async () => {
      const found = await client.get(PersistentVolumeClaim, { namespace, name: 'data' });
      return found.status.allocatedResourceStatuses?.['storage'] === 'NodeResizePending' && found;
    });
    expect(claim.status).toMatchObject({
      capacity: { storage: '1Gi' },
      allocatedResources: { storage: '2Gi' },
      conditions: [{ type: 'FileSystemResizePending', status: 'True' }],
    });
  });
});

describe('a shared directory', () => {
  const shared = (parameters?: Record<string, string>) =>
    classDraft('shared', 'orbitkit.dev/shared-directory', parameters ? { parameters } : {});

  it('has a subdirectory for each volume, and archives it', async () => {
    const { plane, client, volumeOf, noVolumes } = await start([sharedDirectoryProvisioner({ directory })]);
    await using _plane = plane;
    await client.create(StorageClass, shared());
    await client.create(
      PersistentVolumeClaim,
      claimDraft('data', '1Gi', { storageClassName: 'shared', accessModes: ['ReadWriteMany'] }),
    );
    const volume = await volumeOf('data');
    const name = `default-data-${volume.metadata.name}`;
    expect(volume.spec).toMatchObject({ hostPath: { path: path.join(directory, name), type: 'Directory' } });
    await writeFile(path.join(directory, name, 'kept'), 'yes');
    await client.delete(PersistentVolumeClaim, { namespace, name: 'data' });
    await noVolumes();
    expect(await readdir(directory)).toEqual([`archived-${name}`]);
    expect(await readdir(path.join(directory, `archived-${name}`))).toEqual(['kept']);
  });

  it('follows the pattern of the class, and deletes when it says so; over NFS nodes mount the subdirectory', async () => {
    const nfs = { server: 'files', path: '/export' };
    const { plane, client, volumeOf, noVolumes } = await start([sharedDirectoryProvisioner({ directory, nfs })]);
    await using _plane = plane;
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the pattern's own placeholders
    const pathPattern = '${.PVC.namespace}/${.PVC.annotations.team}';
    await client.create(StorageClass, shared({ pathPattern, archiveOnDelete: 'false' }));
    const draft = claimDraft('data', '1Gi', { storageClassName: 'shared' });
    await client.create(PersistentVolumeClaim, {
      ...draft,
      metadata: { ...draft.metadata, annotations: { team: 'red' } },
    });
    expect((await volumeOf('data')).spec.nfs).toEqual({ server: 'files', path: '/export/default/red' });
    expect(await readdir(path.join(directory, 'default'))).toEqual(['red']);
    await client.delete(PersistentVolumeClaim, { namespace, name: 'data' });
    await noVolumes();
    expect(await readdir(path.join(directory, 'default'))).toEqual([]);
  });

  it.each([
    ['../out', 'not a path inside the shared directory'],
    ['link/in', 'is a link'],
    ['', 'is nothing that this claim has'],
  ])('lets nobody out: %j', async (team, message) => {
    await mkdir(path.join(directory, 'export'));
    await symlink(directory, path.join(directory, 'export', 'link'));
    const provisioner = sharedDirectoryProvisioner({ directory: path.join(directory, 'export') });
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the pattern's own placeholders
    const storageClass = { ...shared({ pathPattern: '${.PVC.annotations.team}' }), metadata: { name: 'shared' } };
    const claim = { ...claimDraft('data'), metadata: { name: 'data', namespace, annotations: { team } } };
    const request = { name: 'pvc-1', claim, storageClass, node: undefined } as never;
    await expect(provisioner.provision(request, {} as never)).rejects.toThrow(message);
    expect(await readdir(directory)).toEqual(['export']);
  });
});

it('whichever of its writes fails, before it or after it was done, a claim gets its one volume, and nothing stays', async () => {
  // The whole way takes fewer writes than this.
  for (let fatal = 0; fatal < 14; fatal++) {
    let count = 0;
    const failing = async (
      next: (...parameters: any[]) => Promise<any>,
      kind: { kind: string },
      ...rest: unknown[]
    ) => {
      const mine = kind.kind !== 'Event' && count++ === fatal;
      if (mine && fatal % 2 === 0) throw new Error('killed before');
      const answer = await next(kind, ...rest);
      if (mine) throw new Error('killed after');
      return answer;
    };
    const intercept = { create: failing, update: failing, updateStatus: failing, patch: failing, delete: failing };
    const shared = await mkdtemp(path.join(directory, 'run-'));
    const { plane, client, volumeOf, noVolumes } = await start([sharedDirectoryProvisioner({ directory: shared })], {
      intercept: intercept as NonNullable<TestControlPlaneOptions['intercept']>,
    });
    await using _plane = plane;
    const parameters = { onDelete: 'delete' };
    await client.create(StorageClass, classDraft('shared', 'orbitkit.dev/shared-directory', { parameters }));
    await client.create(PersistentVolumeClaim, claimDraft('data', '1Gi', { storageClassName: 'shared' }));
    await volumeOf('data');
    expect((await client.list(PersistentVolume)).items).toHaveLength(1);
    expect(await readdir(shared)).toHaveLength(1);
    await client.delete(PersistentVolumeClaim, { namespace, name: 'data' });
    await noVolumes();
    expect(await readdir(shared)).toEqual([]);
  }
}, 60_000);
