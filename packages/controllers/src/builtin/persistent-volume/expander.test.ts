/** How claims grow, case by case, after the documentation of expanding claims and KEP-1790. */
import { type Client, Event, PersistentVolume, PersistentVolumeClaim, StorageClass } from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { persistentVolumeExpander } from './expander.js';
import { annotations } from './names.js';
import type { Provisioner } from './provisioner.js';
import { claimDraft, classDraft, namespace, volumeDraft } from './testing/drafts.js';

const provisioner = (name: string, expand?: Provisioner['expand']): Provisioner => ({
  name: `example.com/${name}`,
  provision: () => Promise.reject(new Error('not asked here')),
  delete: async () => 'deleted',
  ...(expand ? { expand } : {}),
});
let plane: TestControlPlane;
let client: Client;
beforeAll(async () => {
  const provisioners = [
    provisioner('easy', async () => ({ nodeExpansionRequired: false })),
    provisioner('by-node', async () => ({ nodeExpansionRequired: true })),
    provisioner('full', () => Promise.reject(new Error('no space is left'))),
    provisioner('small', async (_volume, size) => {
      if (size !== '1536Mi') throw new Error('no space is left');
      return { nodeExpansionRequired: false };
    }),
    provisioner('rigid'),
  ];
  plane = await createTestControlPlane({ controllers: [persistentVolumeExpander(provisioners)] });
  client = plane.client;
  await client.create(StorageClass, classDraft('any', 'example.com/any', { allowVolumeExpansion: true }));
});
afterAll(() => plane[Symbol.asyncDispose]());

/** A claim that is bound to a volume of 1Gi; `maker` undefined: somebody made it by hand. */
async function bound(name: string, maker: string | undefined, phase = 'Bound'): Promise<void> {
  const claim = await client.create(
    PersistentVolumeClaim,
    claimDraft(name, '1Gi', { storageClassName: 'any', volumeName: name }),
  );
  const draft = volumeDraft(name, '1Gi', {
    storageClassName: 'any',
    claimRef: { name, namespace, uid: claim.metadata.uid },
  });
  const marks: Record<string, string> = maker ? { [annotations.provisionedBy]: `example.com/${maker}` } : {};
  await client.create(PersistentVolume, { ...draft, metadata: { name, annotations: marks } });
  const status = {
    phase,
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
  } as PersistentVolumeClaim['status'];
  await client.updateStatus(PersistentVolumeClaim, { ...claim, status });
}
const ask = (name: string, storage: string) =>
  client.patch(
    PersistentVolumeClaim,
    { name, namespace },
    {
      type: 'merge',
      patch: { spec: { resources: { requests: { storage } } } },
    },
  );
/** `capacity/allocated state conditions`, and the size of the volume. */
async function shown(name: string): Promise<string> {
  const { status } = await client.get(PersistentVolumeClaim, { name, namespace });
  const volume = await client.get(PersistentVolume, { name });
  const state = status.allocatedResourceStatuses?.['storage'] ?? '-';
  const conditions = (status.conditions ?? []).map(({ type }) => type).join();
  return `${status.capacity?.['storage']}/${status.allocatedResources?.['storage'] ?? '-'} ${state} ${conditions || '-'} ${volume.spec.capacity?.['storage']}`;
}
const said = async (name: string) =>
  (await client.list(Event, { namespace, fieldSelector: `involvedObject.name=${name}` })).items.map(
    ({ reason }) => reason,
  );

it.each<[string, string, string | undefined, string, string | undefined]>([
  ['by its provisioner', 'easy', 'easy', '2Gi/2Gi - - 2Gi', 'VolumeResizeSuccessful'],
  [
    'as far as the node has to help',
    'by-node',
    'by-node',
    '1Gi/2Gi NodeResizePending FileSystemResizePending 2Gi',
    'FileSystemResizeRequired',
  ],
  [
    'not while its provisioner cannot',
    'full',
    'full',
    '1Gi/2Gi ControllerResizeInProgress Resizing 1Gi',
    'VolumeResizeFailed',
  ],
  ['not by a provisioner that does not: others are waited for', 'rigid', 'rigid', '1Gi/- - - 1Gi', 'ExternalExpanding'],
  ['not by us when another made it', 'foreign', 'foreign', '1Gi/- - - 1Gi', 'ExternalExpanding'],
  ['not when it was made by hand', 'manual', undefined, '1Gi/- - - 1Gi', undefined],
])('a claim grows %s', async (_what, name, maker, expected, reason) => {
  await bound(name, maker);
  await ask(name, '2Gi');
  // What is told is told after what is done; one that is left alone has another after it.
  if (reason) await plane.eventually(async () => (await said(name)).includes(reason));
  else {
    await bound(`${name}-after`, 'easy');
    await ask(`${name}-after`, '2Gi');
    await plane.eventually(async () => (await said(`${name}-after`)).includes('VolumeResizeSuccessful'));
  }
  expect(await shown(name)).toBe(expected);
  const resizer = (await client.get(PersistentVolumeClaim, { name, namespace })).metadata.annotations?.[
    annotations.storageResizer
  ];
  expect(resizer).toBe(reason === 'ExternalExpanding' ? `example.com/${maker}` : undefined);
});

it('one that could not may ask for less, as long as that is more than it has', async () => {
  await bound('modest', 'small');
  await ask('modest', '9Gi');
  await plane.eventually(async () => (await said('modest')).includes('VolumeResizeFailed'));
  await expect(ask('modest', '1Gi')).rejects.toThrow('field can not be less than status.capacity');
  await ask('modest', '1536Mi');
  await plane.eventually(async () => (await shown('modest')) === '1536Mi/1536Mi - - 1536Mi');
});
