/**
 * Makes the volumes of claims that wait for one of its provisioners, and deletes volumes that nobody needs any more.
 *
 * - The volume of a claim has a name that follows from the claim's uid: made twice, it is one volume. It is bound to its claim from birth.
 * - A class that waits for the first consumer gets its volume when the claim says on which node. A node that is gone or outside the
 *   allowed topologies is taken back from the claim, for the scheduler to choose again.
 * - A volume is deleted when it is released and its policy says so; a finalizer keeps its object until what it stands for is gone, also when
 *   somebody deletes the object first.
 * - Killed after the provisioner made something and before the volume's object was written, it is made again under the same name; only when the
 *   claim goes in that moment it stays behind, as with upstream's library.
 *
 * Source: sig-storage-lib-external-provisioner v11 (`controller.go`). It works beside any kube-controller-manager.
 */
import {
  addFinalizer,
  type Draft,
  hasFinalizer,
  isAlreadyExists,
  isConflict,
  isDeleting,
  isNotFound,
  keyOf,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  removeFinalizer,
  StorageClass,
} from '@orbitkit/core';
import { mutableCopy, type Store } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { messageOf } from '../../refusals.js';
import {
  annotationOf,
  annotations,
  type ClaimView,
  type ClassView,
  classOf,
  finalizers,
  referenceTo,
  requestOf,
  type VolumeView,
  waitsForConsumer,
} from './names.js';
import type { Provisioner } from './provisioner.js';
import { isAllowedTopology } from './topology.js';

/** Everything has a default. */
export interface VolumeProvisionerOptions {
  /** Claims and volumes at one time. Default 4: making a volume may take long, and one that hangs must not hold up the others. */
  concurrency?: number;
}

const name = 'volume-provisioner';
const pendingMs = 30_000;
const letGoAttempts = 5;

/** The controller that calls the provisioners. Classes that none of them is for are left to others. */
export function volumeProvisioner(
  provisioners: readonly Provisioner[],
  { concurrency = 4 }: VolumeProvisionerOptions = {},
): Controller {
  return {
    name,
    async run(context) {
      const claims = context.informers.informer(PersistentVolumeClaim);
      const volumes = context.informers.informer(PersistentVolume);
      const classes = context.informers.informer(StorageClass);
      const nodes = context.informers.informer(Node);
      const queue = controllerQueue(context, name);
      const worker = new Worker(context, provisioners, claims.store, volumes.store, classes.store);
      const claimChanged = (claim: ClaimView) => {
        if (worker.provisionerOf(claim)) queue.add(`claim/${keyOf(claim)}`);
      };
      const volumeChanged = (volume: VolumeView) => {
        if (worker.makerOf(volume)) queue.add(`volume/${volume.metadata.name}`);
      };
      const registrations = [
        claims.addHandler({ onAdd: claimChanged, onUpdate: (_, claim) => claimChanged(claim) }),
        volumes.addHandler({ onAdd: volumeChanged, onUpdate: (_, volume) => volumeChanged(volume) }),
        classes.addHandler({
          onAdd(storageClass) {
            for (const claim of claims.store.list())
              if (classOf(claim) === storageClass.metadata.name) claimChanged(claim);
          },
        }),
        nodes.addHandler({
          onUpdate(before, node) {
            if (before.metadata.annotations === node.metadata.annotations) return;
            for (const each of provisioners)
              for (const volume of each.volumesOf?.(node) ?? [])
                if (volumes.store.has(volume)) queue.add(`volume/${volume}`);
          },
          onDelete(node) {
            for (const each of provisioners)
              for (const volume of each.volumesOf?.(node) ?? [])
                if (volumes.store.has(volume)) queue.add(`volume/${volume}`);
          },
        }),
      ];
      await reconcileLoop(
        context,
        {
          name,
          queue,
          informers: [claims, volumes, classes, nodes],
          concurrency,
          reconcile: key => worker.reconcile(key),
        },
        registrations,
      );
    },
  };
}

class Worker {
  readonly #provisioners: ReadonlyMap<string, Provisioner>;

  constructor(
    private readonly context: ControllerContext,
    provisioners: readonly Provisioner[],
    private readonly claims: Store<PersistentVolumeClaim>,
    private readonly volumes: Store<PersistentVolume>,
    private readonly classes: Store<StorageClass>,
  ) {
    this.#provisioners = new Map(provisioners.map(each => [each.name, each]));
  }

  /** Of claims that still need a volume. */
  provisionerOf(claim: ClaimView): Provisioner | undefined {
    if (claim.spec.volumeName || isDeleting(claim)) return undefined;
    const asked =
      annotationOf(claim, annotations.storageProvisioner) ?? annotationOf(claim, annotations.betaStorageProvisioner);
    return asked === undefined ? undefined : this.#provisioners.get(asked);
  }

  makerOf(volume: VolumeView): Provisioner | undefined {
    const maker = annotationOf(volume, annotations.provisionedBy);
    return maker === undefined ? undefined : this.#provisioners.get(maker);
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const rest = key.slice(key.indexOf('/') + 1);
    if (key.startsWith('claim/')) {
      const claim = this.claims.get(rest);
      const provisioner = claim && this.provisionerOf(claim);
      if (provisioner) await this.#provision(claim, provisioner);
      return undefined;
    }
    const volume = this.volumes.get(rest);
    const maker = volume && this.makerOf(volume);
    return maker ? this.#keepOrDelete(volume, maker) : undefined;
  }

  async #provision(claim: ClaimView, provisioner: Provisioner): Promise<void> {
    const { events } = this.context;
    const storageClass = this.classes.get(classOf(claim));
    if (!storageClass || storageClass.provisioner !== provisioner.name) return;
    const volumeName = `pvc-${claim.metadata.uid}`;
    if (this.volumes.has(volumeName)) return;
    const selected = annotationOf(claim, annotations.selectedNode);
    if (!selected && waitsForConsumer(storageClass)) return;
    try {
      const node = selected ? await this.#node(selected) : undefined;
      if (selected && (!node || !isAllowedTopology(storageClass, node))) {
        await this.#takeNodeBack(claim);
        throw new Error(
          node
            ? `node "${selected}" is in none of the allowedTopologies of the class`
            : `node "${selected}" does not exist any more`,
        );
      }
      events.event(
        claim,
        'Normal',
        'Provisioning',
        `External provisioner is provisioning volume for claim "${keyOf(claim)}"`,
      );
      const made = await provisioner.provision({ name: volumeName, claim, storageClass, node }, this.context);
      await this.#create(volumeOf(claim, storageClass, provisioner, volumeName, made));
      events.event(claim, 'Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${volumeName}`);
    } catch (error) {
      if (this.context.signal.aborted) throw error;
      const why = messageOf(error);
      const message = `failed to provision volume with StorageClass "${storageClass.metadata.name}": ${why}`;
      events.event(claim, 'Warning', 'ProvisioningFailed', message);
      throw error;
    }
  }

  async #node(nodeName: string): Promise<Node | undefined> {
    try {
      return await this.context.client.get(Node, { name: nodeName });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #takeNodeBack(claim: ClaimView): Promise<void> {
    const { name: claimName, namespace, uid, resourceVersion } = claim.metadata;
    const patch = { metadata: { uid, resourceVersion, annotations: { [annotations.selectedNode]: null } } };
    await this.context.client.patch(PersistentVolumeClaim, { name: claimName, namespace }, { type: 'merge', patch });
  }

  async #create(draft: Draft<PersistentVolume>): Promise<void> {
    try {
      await this.context.client.create(PersistentVolume, draft);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
  }

  async #keepOrDelete(volume: VolumeView, maker: Provisioner): Promise<ReconcileResult> {
    const deletes = volume.spec.persistentVolumeReclaimPolicy === 'Delete';
    const held = hasFinalizer(volume.metadata.finalizers ? volume : { metadata: {} }, finalizers.provisioned);
    if (held !== deletes && !(deletes && isDeleting(volume))) {
      await this.#setFinalizer(volume, deletes);
      return undefined;
    }
    if (!deletes || volume.status.phase !== 'Released') return undefined;
    if (!(await this.#isUnneeded(volume))) return undefined;
    const { client, events } = this.context;
    try {
      if ((await maker.delete(volume, this.context)) === 'pending') return { requeueAfter: pendingMs };
    } catch (error) {
      if (!this.context.signal.aborted) {
        const why = messageOf(error);
        events.event(volume, 'Warning', 'VolumeFailedDelete', why);
      }
      throw error;
    }
    try {
      const { uid } = volume.metadata;
      if (!isDeleting(volume))
        await client.delete(PersistentVolume, { name: volume.metadata.name }, { preconditions: { uid } });
      await this.#letGo(volume);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    return undefined;
  }

  /** Data goes only when the API server itself says that no claim holds the volume. */
  async #isUnneeded(volume: VolumeView): Promise<boolean> {
    const { client } = this.context;
    const ref = volume.spec.claimRef;
    if (!ref?.uid) return false;
    const now = await client.get(PersistentVolume, { name: volume.metadata.name }).catch(error => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    if (now?.metadata.uid !== volume.metadata.uid || now?.status.phase !== 'Released') return false;
    // Its data is gone already; others still hold the object.
    if (isDeleting(now) && !hasFinalizer(now, finalizers.provisioned)) return false;
    if (now.spec.claimRef?.uid !== ref.uid || now.spec.persistentVolumeReclaimPolicy !== 'Delete') return false;
    try {
      const claim = await client.get(PersistentVolumeClaim, { name: ref.name!, namespace: ref.namespace! });
      const elsewhere = claim.spec.volumeName && claim.spec.volumeName !== volume.metadata.name;
      return claim.metadata.uid !== ref.uid || Boolean(elsewhere);
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }

  async #setFinalizer(volume: VolumeView, wanted: boolean): Promise<void> {
    const draft = mutableCopy<PersistentVolume>(volume);
    if (wanted) addFinalizer(draft, finalizers.provisioned);
    else removeFinalizer(draft, finalizers.provisioned);
    await this.context.client.update(PersistentVolume, draft);
  }

  /**
   * By the version that is there now: the deletion a moment ago made a new one, and the controller that protects volumes writes as well. Tried
   * here and not by the queue, which would ask for the data to be deleted once more.
   */
  async #letGo(volume: VolumeView): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const draft = await this.context.client.get(PersistentVolume, { name: volume.metadata.name });
      if (draft.metadata.uid !== volume.metadata.uid) return;
      if (!removeFinalizer(draft, finalizers.provisioned)) return;
      try {
        await this.context.client.update(PersistentVolume, draft);
        return;
      } catch (error) {
        if (!isConflict(error) || attempt === letGoAttempts) throw error;
      }
    }
  }
}

function volumeOf(
  claim: ClaimView,
  storageClass: ClassView,
  provisioner: Provisioner,
  volumeName: string,
  made: { spec: Partial<PersistentVolume['spec']>; annotations?: Readonly<Record<string, string>> },
): Draft<PersistentVolume> {
  const policy = storageClass.reclaimPolicy ?? 'Delete';
  return {
    metadata: {
      name: volumeName,
      annotations: { ...made.annotations, [annotations.provisionedBy]: provisioner.name },
      ...(policy === 'Delete' ? { finalizers: [finalizers.provisioned] } : {}),
    },
    spec: {
      capacity: { storage: requestOf(claim) },
      accessModes: [...(claim.spec.accessModes ?? [])],
      ...(claim.spec.volumeMode ? { volumeMode: claim.spec.volumeMode } : {}),
      ...made.spec,
      claimRef: referenceTo(claim),
      persistentVolumeReclaimPolicy: policy,
      storageClassName: storageClass.metadata.name,
      ...(storageClass.mountOptions?.length ? { mountOptions: [...storageClass.mountOptions] } : {}),
    },
  };
}
