import { keyOf, PersistentVolume, PersistentVolumeClaim } from '@orbitkit/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isBoundTo, type VolumeView } from './names.js';
import { claimDraft, volumeDraft } from './testing/drafts.js';
import { RacingBinders } from './testing/racing-binders.js';
import { findMatchingVolume } from './volume-match.js';

const names = ['a', 'b'];
const name = fc.constantFrom(...names);
const binder = fc.constantFrom(0, 1);
const kinds = [PersistentVolume.plural, PersistentVolumeClaim.plural];
const kind = fc.constantFrom(...kinds);
const size = fc.constantFrom('1Gi', '2Gi', '3Gi');
const modes = fc.constantFrom(['ReadWriteOnce'], ['ReadWriteOnce', 'ReadOnlyMany']);
const key = fc.oneof(
  name.map(each => `claim/default/${each}`),
  name.map(each => `volume/${each}`),
);
const changes = fc.oneof(fc.nat(4), fc.constant(Number.MAX_SAFE_INTEGER));
const writes = fc.option(fc.nat(4), { nil: Number.POSITIVE_INFINITY });

const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('volume' as const), name, size, modes, reserved: fc.option(name) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('claim' as const), name, size, named: fc.option(name) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop-claim' as const), name }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('free-volume' as const), name }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('sync' as const), binder, kind, changes }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('look' as const), binder, key, writes }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('all' as const), binder, writes }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('race' as const), keys: fc.tuple(key, key), writes }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function play(binders: RacingBinders, steps: readonly Step[], scheduler: fc.Scheduler): Promise<void> {
  const has = (plural: string, of: string) => binders.objects.has(`${plural}/${of}`);
  for (const each of steps) {
    switch (each.do) {
      case 'volume':
        if (has(PersistentVolume.plural, each.name)) break;
        binders.create(PersistentVolume, {
          ...volumeDraft(each.name, each.size, {
            accessModes: each.modes as never,
            persistentVolumeReclaimPolicy: 'Retain',
            ...(each.reserved ? { claimRef: { namespace: 'default', name: each.reserved } } : {}),
          }),
          status: { phase: 'Pending' },
        });
        break;
      case 'claim':
        if (has(PersistentVolumeClaim.plural, `default/${each.name}`)) break;
        binders.create(PersistentVolumeClaim, {
          ...claimDraft(each.name, each.size, {
            storageClassName: '',
            ...(each.named ? { volumeName: each.named } : {}),
          }),
          status: { phase: 'Pending' },
        });
        break;
      case 'drop-claim':
        binders.remove(PersistentVolumeClaim, `default/${each.name}`);
        break;
      case 'free-volume':
        // As an administrator does with a volume that is released.
        binders.edit(PersistentVolume, each.name, volume => {
          if (volume.status.phase === 'Released') delete volume.spec.claimRef;
        });
        break;
      case 'sync':
        binders.sync(each.binder, each.kind, each.changes);
        break;
      case 'look':
        await settle(binders.look(each.binder, each.key, each.writes), scheduler);
        break;
      case 'all':
        await all(binders, each.binder, scheduler, each.writes);
        break;
      case 'race':
        await settle(
          Promise.all([binders.look(0, each.keys[0], each.writes), binders.look(1, each.keys[1])]),
          scheduler,
        );
        break;
    }
  }
}

/** One binder with new caches looks at everything. */
async function all(binders: RacingBinders, index: number, scheduler: fc.Scheduler, budget?: number): Promise<void> {
  for (const each of names) {
    for (const of of [`volume/${each}`, `claim/default/${each}`]) {
      for (const plural of kinds) binders.sync(index, plural);
      await settle(binders.look(index, of, budget), scheduler);
    }
  }
}

const settle = (work: Promise<unknown>, scheduler: fc.Scheduler): Promise<unknown> => scheduler.waitFor(work);

it('no claim gets two volumes and no volume two claims, with two binders, old caches, and kills between any two writes', async () => {
  let bound = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), fc.scheduler(), async (steps, scheduler) => {
      const binders = new RacingBinders(2, () => scheduler.schedule(Promise.resolve(), 'call'));
      await play(binders, steps, scheduler);

      // What is left to do, one of them does, once its cache is up to date.
      let before = '';
      for (let round = 0; round < 12; round++) {
        const now = JSON.stringify([...binders.objects.values()]);
        if (now === before) break;
        before = now;
        await all(binders, 0, scheduler);
      }
      expect(JSON.stringify([...binders.objects.values()]), 'it comes to rest').toBe(before);
      const { claims, volumes } = binders;
      for (const claim of claims) {
        const volume = volumes.find(each => each.metadata.name === claim.spec.volumeName);
        if (claim.status.phase === 'Bound') {
          bound += 1;
          expect(volume?.spec.claimRef?.uid).toBe(claim.metadata.uid);
          expect(volume?.status.phase).toBe('Bound');
          expect(volumes.filter(each => each.spec.claimRef?.uid === claim.metadata.uid)).toHaveLength(1);
        } else {
          expect(claim.status.phase).toBe('Pending');
          if (!claim.spec.volumeName) expect(findMatchingVolume(claim, volumes), keyOf(claim)).toBeUndefined();
        }
      }
      for (const volume of volumes) {
        const { phase } = volume.status;
        const holder = claims.find(each => each.metadata.uid === volume.spec.claimRef?.uid);
        if (phase === 'Bound') expect(holder?.spec.volumeName).toBe(volume.metadata.name);
        else if (phase === 'Available') expect(volume.spec.claimRef?.uid).toBeUndefined();
        else expect([phase, holder]).toEqual(['Released', undefined]);
      }
    }),
    { numRuns: 1_000 },
  );
  // Not a history of nothing.
  expect(bound).toBeGreaterThan(150);
}, 120_000);

it('a claim gets the smallest of the volumes that satisfy it, whatever their order', () => {
  const volume = fc.record({ size, modes, reserved: fc.constantFrom(undefined, 'mine', 'other'), free: fc.boolean() });
  fc.assert(
    fc.property(fc.array(volume, { maxLength: 6 }), size, fc.boolean(), (drafts, asked, delayed) => {
      const claim = {
        ...claimDraft('mine', asked),
        status: {},
        kind: 'PersistentVolumeClaim',
        apiVersion: 'v1',
      } as never as PersistentVolumeClaim;
      const all = drafts.map(({ size: has, modes: its, reserved, free }, index) => ({
        ...volumeDraft(`v${index}`, has, {
          accessModes: its as never,
          ...(reserved ? { claimRef: { namespace: 'default', name: reserved } } : {}),
        }),
        status: { phase: free ? 'Available' : 'Pending' },
      })) as never as PersistentVolume[];
      const found = findMatchingVolume(claim, all, { delayed });
      expect(findMatchingVolume(claim, [...all].reverse(), { delayed })?.metadata.name).toBe(found?.metadata.name);
      const gigabytes = (of: VolumeView) => Number.parseInt(String(of.spec.capacity?.['storage']), 10);
      const able = all.filter(each => gigabytes(each) >= Number.parseInt(asked, 10));
      const mine = able.filter(each => isBoundTo(each, claim));
      const free = able.filter(each => !each.spec.claimRef && each.status.phase === 'Available');
      if (mine.length > 0) expect(mine).toContain(found);
      else if (delayed || free.length === 0) expect(found).toBeUndefined();
      else {
        const fewest = Math.min(...free.map(each => each.spec.accessModes!.length));
        const best = free.filter(each => each.spec.accessModes!.length === fewest);
        expect(best).toContain(found);
        expect(gigabytes(found!)).toBe(Math.min(...best.map(gigabytes)));
      }
    }),
  );
});
