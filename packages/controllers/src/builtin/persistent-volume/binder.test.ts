import { Event, PersistentVolume, PersistentVolumeClaim, StorageClass } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { persistentVolumeBinder } from './binder.js';
import { annotations } from './names.js';
import { claimDraft, classDraft, namespace, volumeDraft } from './testing/drafts.js';

async function start() {
  const plane = await createTestControlPlane({ controllers: [persistentVolumeBinder()] });
  const { client, eventually } = plane;
  const claimIs = (name: string, phase: string) =>
    eventually(async () => {
      const claim = await client.get(PersistentVolumeClaim, { namespace, name });
      return claim.status.phase === phase && claim;
    });
  const volumeIs = (name: string, phase: string) =>
    eventually(async () => {
      const volume = await client.get(PersistentVolume, { name });
      return volume.status.phase === phase && volume;
    });
  const told = (name: string, reason: string) =>
    eventually(
      async () =>
        (await client.list(Event, { fieldSelector: `involvedObject.name=${name},reason=${reason}` })).items[0]?.message,
    );
  return { plane, client, claimIs, volumeIs, told };
}

describe('static binding', () => {
  it('binds both ways: references, annotations, status', async () => {
    const { plane, client, claimIs, volumeIs } = await start();
    await using _plane = plane;
    await client.create(PersistentVolume, volumeDraft('small', '2Gi'));
    await client.create(PersistentVolume, volumeDraft('large', '8Gi'));
    await volumeIs('small', 'Available');
    await volumeIs('large', 'Available');
    await client.create(PersistentVolumeClaim, claimDraft('data', '1Gi', { storageClassName: '' }));
    const claim = await claimIs('data', 'Bound');
    expect(claim.spec.volumeName).toBe('small');
    expect(claim.metadata.annotations).toEqual({
      [annotations.bindCompleted]: 'yes',
      [annotations.boundByController]: 'yes',
    });
    expect(claim.status).toEqual({ phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '2Gi' } });
    const volume = await volumeIs('small', 'Bound');
    expect(volume.metadata.annotations).toEqual({ [annotations.boundByController]: 'yes' });
    expect(volume.spec.claimRef).toMatchObject({ namespace, name: 'data', uid: claim.metadata.uid });
    expect((await volumeIs('large', 'Available')).spec.claimRef).toBeUndefined();
  });

  it('a claim that came first gets the volume that comes later', async () => {
    const { plane, client, claimIs, told } = await start();
    await using _plane = plane;
    await client.create(PersistentVolumeClaim, claimDraft('data', '1Gi', { storageClassName: '' }));
    expect(await told('data', 'FailedBinding')).toBe(
      'no persistent volumes available for this claim and no storage class is set',
    );
    await client.create(PersistentVolume, volumeDraft('v'));
    await claimIs('data', 'Bound');
  });

  it('keeps a volume that is reserved for a name, without the mark of its own', async () => {
    const { plane, client, claimIs, volumeIs } = await start();
    await using _plane = plane;
    await client.create(PersistentVolume, volumeDraft('kept', '5Gi', { claimRef: { namespace, name: 'later' } }));
    await client.create(PersistentVolume, volumeDraft('free', '1Gi'));
    await volumeIs('kept', 'Available');
    await client.create(PersistentVolumeClaim, claimDraft('other', '2Gi', { storageClassName: '' }));
    await client.create(PersistentVolumeClaim, claimDraft('later', '1Gi', { storageClassName: '' }));
    const later = await claimIs('later', 'Bound');
    expect(later.spec.volumeName).toBe('kept');
    const kept = await volumeIs('kept', 'Bound');
    expect(kept.metadata.annotations?.[annotations.boundByController]).toBeUndefined();
    await claimIs('other', 'Pending');
  });

  it('a claim that names its volume gets that or none, and is told why', async () => {
    const { plane, client, claimIs, told, volumeIs } = await start();
    await using _plane = plane;
    await client.create(PersistentVolume, volumeDraft('mine', '1Gi'));
    const named = { storageClassName: '', volumeName: 'mine' };
    await client.create(PersistentVolumeClaim, claimDraft('large', '2Gi', named));
    expect(await told('large', 'VolumeMismatch')).toBe(
      'Cannot bind to requested volume "mine": requested PV is too small',
    );
    await client.create(PersistentVolumeClaim, claimDraft('right', '1Gi', named));
    const right = await claimIs('right', 'Bound');
    expect(right.metadata.annotations).toEqual({ [annotations.bindCompleted]: 'yes' });
    await volumeIs('mine', 'Bound');
    await client.create(PersistentVolumeClaim, claimDraft('late', '1Gi', named));
    expect(await told('late', 'FailedBinding')).toBe('volume "mine" already bound to a different claim.');
  });
});

describe('after the claim', () => {
  it('Retain keeps the volume Released, and it is free again when its claimRef is taken away', async () => {
    const { plane, client, claimIs, volumeIs } = await start();
    await using _plane = plane;
    await client.create(PersistentVolume, volumeDraft('v'));
    const draft = claimDraft('data', '1Gi', { storageClassName: '' });
    await client.create(PersistentVolumeClaim, draft);
    await claimIs('data', 'Bound');
    await client.delete(PersistentVolumeClaim, draft.metadata);
    await volumeIs('v', 'Released');
    // Another claim of the name is not the one that wrote the data.
    const again = await client.create(PersistentVolumeClaim, draft);
    expect(again.spec.volumeName).toBeUndefined();
    await plane.consistently(async () =>
      expect((await client.get(PersistentVolume, { name: 'v' })).status.phase).toBe('Released'),
    );
    await client.patch(PersistentVolume, { name: 'v' }, { type: 'merge', patch: { spec: { claimRef: null } } });
    expect((await claimIs('data', 'Bound')).metadata.uid).toBe(again.metadata.uid);
    await volumeIs('v', 'Bound');
  });

  it.each([
    ['Delete', 'VolumeFailedDelete', 'no provisioner made volume "v"'],
    ['Recycle', 'VolumeFailedRecycle', 'recycling is deprecated'],
  ] as const)('%s of a volume that nobody made is Failed, and says why', async (policy, reason, message) => {
    const { plane, client, claimIs, volumeIs } = await start();
    await using _plane = plane;
    await client.create(PersistentVolume, volumeDraft('v', '1Gi', { persistentVolumeReclaimPolicy: policy }));
    const draft = claimDraft('data', '1Gi', { storageClassName: '' });
    await client.create(PersistentVolumeClaim, draft);
    await claimIs('data', 'Bound');
    await client.delete(PersistentVolumeClaim, draft.metadata);
    const failed = await volumeIs('v', 'Failed');
    expect(failed.status).toMatchObject({ reason, message: expect.stringContaining(message) });
  });

  it('a bound claim whose volume goes is Lost', async () => {
    const { plane, client, claimIs, told } = await start();
    await using _plane = plane;
    await client.create(PersistentVolume, volumeDraft('v'));
    await client.create(PersistentVolumeClaim, claimDraft('data', '1Gi', { storageClassName: '' }));
    await claimIs('data', 'Bound');
    await client.delete(PersistentVolume, { name: 'v' });
    await client
      .patch(PersistentVolume, { name: 'v' }, { type: 'merge', patch: { metadata: { finalizers: null } } })
      .catch(() => {});
    await claimIs('data', 'Lost');
    expect(await told('data', 'ClaimLost')).toContain('has lost its PersistentVolume');
  });
});

describe('classes', () => {
  it('a claim without one gets the default class when there is one, and its provisioner is named', async () => {
    const { plane, client, told } = await start();
    await using _plane = plane;
    await client.create(PersistentVolumeClaim, claimDraft('early'));
    await told('early', 'FailedBinding');
    const marks = { 'storageclass.kubernetes.io/is-default-class': 'true' };
    await client.create(StorageClass, {
      ...classDraft('fast', 'example.com/fast'),
      metadata: { name: 'fast', annotations: marks },
    });
    const claim = await plane.eventually(async () => {
      const found = await client.get(PersistentVolumeClaim, { namespace, name: 'early' });
      return found.metadata.annotations?.[annotations.storageProvisioner] !== undefined && found;
    });
    expect(claim.spec.storageClassName).toBe('fast');
    expect(claim.metadata.annotations).toMatchObject({
      [annotations.storageProvisioner]: 'example.com/fast',
      [annotations.betaStorageProvisioner]: 'example.com/fast',
    });
    expect(await told('early', 'ExternalProvisioning')).toContain("'example.com/fast'");
  });

  it('a class that is not there, and one that provisions nothing, are said', async () => {
    const { plane, client, told } = await start();
    await using _plane = plane;
    await client.create(PersistentVolumeClaim, claimDraft('a', '1Gi', { storageClassName: 'none' }));
    expect(await told('a', 'ProvisioningFailed')).toBe('storageclass.storage.k8s.io "none" not found');
    await client.create(StorageClass, classDraft('hand', 'kubernetes.io/no-provisioner'));
    await client.create(PersistentVolumeClaim, claimDraft('b', '1Gi', { storageClassName: 'hand' }));
    expect(await told('b', 'ProvisioningFailed')).toContain('no volume plugin matched');
  });
});
