/**
 * Binds claims and volumes: carries out what `binding.ts` decides.
 *
 * - One key at a time, claims and volumes in one queue, so that two claims of this process never run for the same volume. Another process that
 *   does the same is found out by the versions of the objects.
 * - Every binding is four writes (volume, its status, claim, its status); killed between any two of them, the next look goes on from there.
 * - Before a volume is released or a claim is called lost, the other half is looked for at the API server: a cache may not know it yet.
 * - Volumes are made and deleted by provisioners. One that nobody made cannot be deleted: it becomes Failed. Recycle, deprecated
 *   upstream, is not carried out: the volume becomes Failed and says so.
 *
 * Source: kube-controller-manager `pkg/controller/volume/persistentvolume` (v0.33).
 */
import {
  formatTime,
  isDeleting,
  isNotFound,
  keyOf,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy, type Store } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { type BindingWorld, type Consumer, decideClaim, decideVolume, type Note } from './binding.js';
import { claimsOf, isConsumer } from './claims-of-pods.js';
import { annotations, type ClaimView, claimKeyOf, classOf, isBoundTo, referenceTo, type VolumeView } from './names.js';
import { Newest } from './newest.js';

const name = 'persistentvolume-binder-controller';

/** Index of volumes: the free ones by class, the others by claim. */
export const byPlace = (volume: VolumeView): string[] => {
  const claim = claimKeyOf(volume);
  return [claim === undefined ? `class:${classOf(volume)}` : `claim:${claim}`];
};
/** Index of claims that wait, by class. */
const waiting = (claim: ClaimView): string[] => (claim.spec.volumeName ? [] : [classOf(claim)]);

const defaultMarks = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** The controller that binds; volumes are made by a {@link volumeProvisioner} beside it. */
export function persistentVolumeBinder(): Controller {
  return {
    name,
    async run(context) {
      const { informers } = context;
      const claims = informers.informer(PersistentVolumeClaim, { indexers: { waiting } });
      const volumes = informers.informer(PersistentVolume, { indexers: { byPlace } });
      const classes = informers.informer(StorageClass);
      const pods = informers.informer(Pod, { indexers: { byClaim: claimsOf } });
      const nodes = informers.informer(Node);
      const queue = controllerQueue(context, name);
      const claimChanged = (claim: ClaimView) => queue.add(`claim/${keyOf(claim)}`);
      const volumeChanged = (volume: VolumeView) => queue.add(`volume/${volume.metadata.name}`);
      const wake = (className: string) => {
        for (const claim of claims.store.byIndex('waiting', className)) claimChanged(claim);
      };
      const worker = new Binder(context, {
        claims: claims.store,
        volumes: volumes.store,
        classes: classes.store,
        pods: pods.store,
        nodes: nodes.store,
        add: key => queue.add(key),
      });
      const concerned = (volume: VolumeView) => {
        volumeChanged(volume);
        const key = claimKeyOf(volume);
        if (key !== undefined) queue.add(`claim/${key}`);
        else if (volume.status.phase === 'Available') wake(classOf(volume));
      };
      const ofVolume = (claim: ClaimView) => {
        if (claim.spec.volumeName) queue.add(`volume/${claim.spec.volumeName}`);
        for (const volume of volumes.store.byIndex('byPlace', `claim:${keyOf(claim)}`)) volumeChanged(volume);
      };
      const consumed = (pod: DeepReadonly<Pod>) => {
        for (const key of claimsOf(pod)) if (!claims.store.get(key)?.spec.volumeName) queue.add(`claim/${key}`);
      };
      const classChanged = (storageClass: DeepReadonly<StorageClass>) => {
        wake(storageClass.metadata.name);
        if (isDefault(storageClass)) wake('');
      };
      const registrations = [
        claims.addHandler({
          onAdd: claimChanged,
          onUpdate(before, claim) {
            claimChanged(claim);
            if (before.spec.volumeName !== claim.spec.volumeName) ofVolume(claim);
          },
          onDelete(claim) {
            worker.forgetClaim(keyOf(claim));
            ofVolume(claim);
          },
        }),
        volumes.addHandler({
          onAdd: concerned,
          onUpdate(before, volume) {
            const key = claimKeyOf(before);
            if (key !== undefined && key !== claimKeyOf(volume)) queue.add(`claim/${key}`);
            concerned(volume);
          },
          onDelete(volume) {
            worker.forgetVolume(volume.metadata.name);
            const key = claimKeyOf(volume);
            if (key !== undefined) queue.add(`claim/${key}`);
          },
        }),
        classes.addHandler({ onAdd: classChanged, onUpdate: (_, after) => classChanged(after) }),
        pods.addHandler({
          onAdd: consumed,
          onUpdate(before, pod) {
            if (before.spec.nodeName !== pod.spec.nodeName) consumed(pod);
          },
        }),
      ];
      await reconcileLoop(
        context,
        {
          name,
          queue,
          informers: [claims, volumes, classes, pods, nodes],
          reconcile: key => worker.reconcile(key),
        },
        registrations,
      );
    },
  };
}

const isDefault = ({ metadata }: DeepReadonly<StorageClass>): boolean =>
  defaultMarks.some(mark => metadata.annotations?.[mark] === 'true');

interface World {
  claims: Store<PersistentVolumeClaim>;
  volumes: Store<PersistentVolume>;
  classes: Store<StorageClass>;
  pods: Store<Pod>;
  nodes: Store<Node>;
  add(key: string): void;
}

/** One process of it, without the queue. */
export class Binder implements BindingWorld {
  readonly #claims: Newest<PersistentVolumeClaim>;
  readonly #volumes: Newest<PersistentVolume>;

  constructor(
    private readonly context: ControllerContext,
    private readonly world: World,
  ) {
    this.#claims = new Newest(world.claims, context.clock);
    this.#volumes = new Newest(world.volumes, context.clock);
  }

  forgetClaim(key: string): void {
    this.#claims.forget(key);
  }
  forgetVolume(key: string): void {
    this.#volumes.forget(key);
  }

  volume(volumeName: string): VolumeView | undefined {
    return this.#volumes.get(volumeName);
  }
  *candidates(claim: ClaimView): Iterable<VolumeView> {
    const { volumes } = this.world;
    for (const volume of volumes.byIndex('byPlace', `claim:${keyOf(claim)}`)) yield this.#volumes.of(volume);
    for (const volume of volumes.byIndex('byPlace', `class:${classOf(claim)}`)) yield this.#volumes.of(volume);
  }
  storageClass(className: string): DeepReadonly<StorageClass> | undefined {
    return this.world.classes.get(className);
  }
  defaultClass(): string | undefined {
    const created = ({ metadata }: DeepReadonly<StorageClass>) => Date.parse(metadata.creationTimestamp ?? '') || 0;
    return this.world.classes
      .list()
      .filter(isDefault)
      .sort((a, b) => created(b) - created(a) || (a.metadata.name < b.metadata.name ? -1 : 1))[0]?.metadata.name;
  }
  consumer(claim: ClaimView): Consumer | undefined {
    const pods = this.world.pods.byIndex('byClaim', keyOf(claim)).filter(pod => isConsumer(pod, claim));
    const pod = pods.find(({ spec }) => spec.nodeName) ?? pods[0];
    if (!pod) return undefined;
    const { nodeName } = pod.spec;
    return { pod: pod.metadata.name, ...(nodeName ? { nodeName, node: this.world.nodes.get(nodeName) } : {}) };
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const slash = key.indexOf('/');
    const rest = key.slice(slash + 1);
    if (key.startsWith('claim/')) {
      const claim = this.#claims.get(rest);
      if (claim) await this.#claim(claim);
    } else {
      const volume = this.#volumes.get(rest);
      if (volume) await this.#volume(volume);
    }
  }

  async #claim(claim: ClaimView): Promise<void> {
    const decision = decideClaim(claim, this);
    switch (decision.do) {
      case 'bind':
        return this.#bind(decision.volume, claim);
      case 'wait':
        this.#tell(claim, decision.note);
        return this.#claimStatus(claim, 'Pending');
      case 'lost':
        if (await this.#volumeHolds(claim)) return;
        if (claim.status.phase !== 'Lost') this.#tell(claim, decision.note);
        return this.#claimStatus(claim, 'Lost');
      case 'assign-class':
        await this.#updateClaim(claim, draft => {
          draft.spec.storageClassName = decision.name;
        });
        return this.world.add(`claim/${keyOf(claim)}`);
      case 'select-node':
        await this.#updateClaim(claim, draft => annotate(draft, { [annotations.selectedNode]: decision.nodeName }));
        return this.world.add(`claim/${keyOf(claim)}`);
      case 'provision': {
        const { provisioner } = decision.storageClass;
        const marks = {
          [annotations.storageProvisioner]: provisioner,
          [annotations.betaStorageProvisioner]: provisioner,
        };
        if (Object.keys(marks).some(mark => claim.metadata.annotations?.[mark] !== provisioner)) {
          const marked = await this.#updateClaim(claim, draft => annotate(draft, marks));
          this.#tell(claim, {
            type: 'Normal',
            reason: 'ExternalProvisioning',
            message: `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
          });
          return this.#claimStatus(marked, 'Pending');
        }
        return this.#claimStatus(claim, 'Pending');
      }
    }
  }

  async #volume(volume: VolumeView): Promise<void> {
    const key = claimKeyOf(volume);
    const claim = key === undefined ? undefined : this.#claims.get(key);
    const decision = decideVolume(volume, claim);
    switch (decision.do) {
      case 'phase':
        await this.#phase(volume, decision.phase);
        return;
      case 'claim':
        return this.world.add(`claim/${key}`);
      case 'mismatch':
        this.#tell(volume, decision.note);
        return this.#tell(claim!, decision.note);
      case 'unbind':
        return this.#unbind(volume);
      case 'release':
        if (decision.confirm && (await this.#claimLives(volume))) {
          this.world.add(`claim/${key}`);
          return;
        }
        return this.#reclaim(volume);
    }
  }

  /** Whether the claim's volume is there and its own, whatever the cache says: then the cache's next change brings the claim here again. */
  async #volumeHolds({ metadata, spec }: ClaimView): Promise<boolean> {
    if (!spec.volumeName) return false;
    try {
      const { spec: its } = await this.context.client.get(PersistentVolume, { name: spec.volumeName });
      return its.claimRef === undefined || its.claimRef.uid === metadata.uid;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Whether the claim exists, whatever the cache says. */
  async #claimLives({ spec }: VolumeView): Promise<boolean> {
    const { name: claimName, namespace, uid } = spec.claimRef!;
    try {
      const claim = await this.context.client.get(PersistentVolumeClaim, { name: claimName!, namespace: namespace! });
      return claim.metadata.uid === uid;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async #bind(volume: VolumeView, claim: ClaimView): Promise<void> {
    let held = volume;
    const ref = volume.spec.claimRef;
    const reserved = isBoundTo(volume, claim);
    if (!reserved || ref?.uid !== claim.metadata.uid) {
      held = await this.#updateVolume(volume, draft => {
        draft.spec.claimRef = referenceTo(claim);
        if (!reserved) annotate(draft, { [annotations.boundByController]: 'yes' });
      });
    }
    held = await this.#phase(held, 'Bound');
    let bound = claim;
    const isNew = claim.spec.volumeName !== held.metadata.name;
    if (isNew || claim.metadata.annotations?.[annotations.bindCompleted] === undefined) {
      bound = await this.#updateClaim(claim, draft => {
        draft.spec.volumeName = held.metadata.name;
        annotate(draft, {
          [annotations.bindCompleted]: 'yes',
          ...(isNew ? { [annotations.boundByController]: 'yes' } : {}),
        });
      });
    }
    await this.#claimStatus(bound, 'Bound', held);
  }

  async #unbind(volume: VolumeView): Promise<void> {
    const free = await this.#updateVolume(volume, draft => {
      // Someone reserved it for a name: it goes on waiting for that name.
      if (draft.metadata.annotations?.[annotations.boundByController] === undefined) delete draft.spec.claimRef?.uid;
      else {
        delete draft.spec.claimRef;
        delete draft.metadata.annotations[annotations.boundByController];
      }
    });
    await this.#phase(free, 'Available');
  }

  async #reclaim(volume: VolumeView): Promise<void> {
    const done = volume.status.phase === 'Failed';
    const released = done ? volume : await this.#phase(volume, 'Released');
    const policy = volume.spec.persistentVolumeReclaimPolicy;
    if (policy === 'Retain' || done) return;
    if (policy === 'Delete' && volume.metadata.annotations?.[annotations.provisionedBy] !== undefined) return;
    const reason = policy === 'Delete' ? 'VolumeFailedDelete' : 'VolumeFailedRecycle';
    const message =
      policy === 'Delete'
        ? `no provisioner made volume "${volume.metadata.name}": nobody knows how to delete what it stands for`
        : 'recycling is deprecated and not carried out here: empty the volume and remove spec.claimRef, or use a class that provisions volumes';
    await this.#phase(released, 'Failed', { reason, message });
    this.#tell(volume, { type: 'Warning', reason, message });
  }

  async #phase(
    volume: VolumeView,
    phase: NonNullable<PersistentVolume['status']['phase']>,
    why?: { reason: string; message: string },
  ): Promise<VolumeView> {
    if (volume.status.phase === phase) return volume;
    const draft = mutableCopy<PersistentVolume>(volume);
    draft.status = { phase, lastPhaseTransitionTime: formatTime(this.context.clock.now()), ...why };
    const written = await this.context.client.updateStatus(PersistentVolume, draft);
    this.#volumes.wrote(written);
    return written;
  }

  async #claimStatus(claim: ClaimView, phase: 'Pending' | 'Bound' | 'Lost', volume?: VolumeView): Promise<void> {
    const draft = mutableCopy<PersistentVolumeClaim>(claim);
    const before = JSON.stringify(draft.status);
    const becomes = draft.status.phase !== phase;
    draft.status.phase = phase;
    if (volume) {
      draft.status.accessModes = [...(volume.spec.accessModes ?? [])];
      // Later a difference may be meant: the volume has grown, its file system not yet.
      if (becomes) draft.status.capacity = { storage: volume.spec.capacity?.['storage'] ?? '0' };
    } else {
      delete draft.status.accessModes;
      delete draft.status.capacity;
    }
    if (before === JSON.stringify(draft.status)) return;
    this.#claims.wrote(await this.context.client.updateStatus(PersistentVolumeClaim, draft));
  }

  async #updateVolume(volume: VolumeView, change: (draft: PersistentVolume) => void): Promise<PersistentVolume> {
    const draft = mutableCopy<PersistentVolume>(volume);
    change(draft);
    const written = await this.context.client.update(PersistentVolume, draft);
    this.#volumes.wrote(written);
    return written;
  }

  async #updateClaim(claim: ClaimView, change: (draft: PersistentVolumeClaim) => void): Promise<PersistentVolumeClaim> {
    const draft = mutableCopy<PersistentVolumeClaim>(claim);
    change(draft);
    const written = await this.context.client.update(PersistentVolumeClaim, draft);
    this.#claims.wrote(written);
    return written;
  }

  #tell(about: VolumeView | ClaimView, note: Note | undefined): void {
    if (note && !isDeleting(about)) this.context.events.event(about, note.type, note.reason, note.message);
  }
}

function annotate(object: PersistentVolume | PersistentVolumeClaim, more: Record<string, string>): void {
  object.metadata.annotations = { ...object.metadata.annotations, ...more };
}
