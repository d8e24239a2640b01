/** What keeps claims and volumes that are deleted, case by case, after the documentation of storage object in use protection. */
import { type Client, PersistentVolume, PersistentVolumeClaim, Pod } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { persistentVolumeClaimProtection, persistentVolumeProtection } from './protection.js';
import { claimDraft, namespace, podDraft, volumeDraft } from './testing/drafts.js';

let plane: TestControlPlane;
let client: Client;
beforeAll(async () => {
  plane = await createTestControlPlane({
    controllers: [persistentVolumeClaimProtection(), persistentVolumeProtection()],
    housekeeping: false,
  });
  client = plane.client;
});
afterAll(() => plane[Symbol.asyncDispose]());

interface PodWish {
  nodeName?: string;
  phase?: string;
  claim?: string;
}
async function pod(name: string, claim: string, { nodeName, phase, claim: other }: PodWish) {
  const made = await client.create(Pod, podDraft(name, other ?? claim, nodeName ? { nodeName } : {}));
  if (phase) await client.updateStatus(Pod, { ...made, status: { ...made.status, phase } as Pod['status'] });
}
const there = async (name: string) =>
  (await client.list(PersistentVolumeClaim, { namespace })).items.some(({ metadata }) => metadata.name === name);

describe('a claim', () => {
  it.each<[string, string, PodWish | undefined, boolean]>([
    ['that nobody uses goes', 'unused', undefined, false],
    ['of a pod on a node stays', 'running', { nodeName: 'n1', phase: 'Running' }, true],
    [
      'of a pod on a node that has ended stays, until the pod goes',
      'ended',
      { nodeName: 'n1', phase: 'Succeeded' },
      true,
    ],
    ['of a pod without a node goes: no node will start it', 'waiting', {}, false],
    ['beside a pod that uses another goes', 'beside', { nodeName: 'n1', claim: 'elsewhere' }, false],
  ])('%s', async (_what, name, wish, stays) => {
    await client.create(PersistentVolumeClaim, claimDraft(name));
    if (wish) await pod(`pod-${name}`, name, wish);
    await client.delete(PersistentVolumeClaim, { name, namespace });
    if (stays) await plane.consistently(() => there(name), { forMs: 60 });
    else await plane.eventually(async () => !(await there(name)));
    if (!wish) return;
    await client.delete(Pod, { name: `pod-${name}`, namespace }, { gracePeriodSeconds: 0 });
    await plane.eventually(async () => !(await there(name)));
  });

  it('from before there was protection gets it', async () => {
    const patch = { metadata: { finalizers: null } };
    const { metadata } = await client.create(PersistentVolumeClaim, claimDraft('old'));
    await client.patch(PersistentVolumeClaim, metadata, { type: 'merge', patch });
    const found = await plane.eventually(async () => {
      const claim = await client.get(PersistentVolumeClaim, metadata);
      return claim.metadata.finalizers?.length ? claim : undefined;
    });
    expect(found.metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
  });
});

describe('a volume', () => {
  it.each<[string, string, PersistentVolume['status']['phase'], boolean]>([
    ['that is free goes', 'free', 'Available', false],
    ['that is bound stays', 'bound', 'Bound', true],
    ['that was released goes', 'released', 'Released', false],
    ['that failed goes', 'failed', 'Failed', false],
  ])('%s', async (_what, name, phase, stays) => {
    const made = await client.create(PersistentVolume, volumeDraft(name));
    await client.updateStatus(PersistentVolume, { ...made, status: { phase: phase! } });
    await client.delete(PersistentVolume, { name });
    const isThere = async () => (await client.list(PersistentVolume)).items.some(each => each.metadata.name === name);
    if (!stays) {
      await plane.eventually(async () => !(await isThere()));
      return;
    }
    await plane.consistently(isThere, { forMs: 60 });
    const now = await client.get(PersistentVolume, { name });
    await client.updateStatus(PersistentVolume, { ...now, status: { phase: 'Released' } });
    await plane.eventually(async () => !(await isThere()));
  });
});
