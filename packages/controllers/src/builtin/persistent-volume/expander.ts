/**
 * Makes volumes larger when their claims ask for more than they have, through the provisioner that made them.
 *
 * | step | claim |
 * |---|---|
 * | begun | `status.allocatedResources` and `ControllerResizeInProgress`, condition Resizing |
 * | the provisioner has done it | the volume's capacity is the new one |
 * | the node has to make the file system larger | `NodeResizePending`, condition FileSystemResizePending; the node's agent finishes it |
 * | done | `status.capacity` is the new one, conditions and states are gone |
 *
 * Each step is a write of its own, and a killed one is taken up where it was. A failure stays as an event and in the claim's state, and is tried
 * again; the claim may ask for less meanwhile, as long as that is more than it has. Volumes of other provisioners are left to those: the claim says who is
 * waited for. Whether a class lets its claims grow is admission's to say (`PersistentVolumeClaimResize`).
 *
 * Source: kube-controller-manager `volume/expand`, kubernetes-csi external-resizer with RecoverVolumeExpansionFailure (v1.13).
 */
import {
  findCondition,
  formatTime,
  isDeleting,
  keyOf,
  PersistentVolume,
  PersistentVolumeClaim,
  Quantity,
  removeCondition,
  setCondition,
} from '@orbitkit/core';
import { mutableCopy } from '@orbitkit/informer';
import type { Controller } from '../../controller.js';
import { controller, type ReconcileRequest } from '../../controller-builder.js';
import { messageOf } from '../../refusals.js';
import { annotationOf, annotations, claimKeyOf, requestOf } from './names.js';
import type { Provisioner } from './provisioner.js';

const storage = 'storage';
const resizing = ['Resizing', 'FileSystemResizePending', 'ControllerResizeError', 'NodeResizeError'] as const;

/** The controller `persistentvolume-expander-controller`. Claims whose provisioner is not among these are left alone. */
export function persistentVolumeExpander(provisioners: readonly Provisioner[] = []): Controller {
  const byName = new Map(provisioners.map(each => [each.name, each]));
  return controller(PersistentVolumeClaim)
    .named('persistentvolume-expander-controller')
    .watches(PersistentVolume, volume => claimKeyOf(volume))
    .reconcile(async request => {
      const { object: claim, read, events } = request;
      const volume = claim.spec.volumeName ? read(PersistentVolume).get(claim.spec.volumeName) : undefined;
      if (!volume || claim.status.phase !== 'Bound' || isDeleting(claim)) return;
      if (volume.spec.claimRef?.uid !== claim.metadata.uid) return;
      const asked = Quantity.parse(requestOf(claim));
      const held = Quantity.parse(claim.status.capacity?.[storage] ?? 0);
      if (asked.compare(held) <= 0) {
        // Taken back: what it has is what it asks for.
        if (claim.status.allocatedResourceStatuses?.[storage]) await settle(request, claim.status.capacity?.[storage]);
        return;
      }
      const maker = annotationOf(volume, annotations.provisionedBy);
      const provisioner = maker === undefined ? undefined : byName.get(maker);
      if (!provisioner?.expand) {
        if (claim.metadata.annotations?.[annotations.storageResizer] === maker || maker === undefined) return;
        await request.client.update(PersistentVolumeClaim, {
          ...claim,
          metadata: {
            ...claim.metadata,
            annotations: { ...claim.metadata.annotations, [annotations.storageResizer]: maker },
          },
        });
        events.event(claim, 'Normal', 'ExternalExpanding', 'waiting for an external controller to expand this PVC');
        return;
      }
      if (claim.status.allocatedResourceStatuses?.[storage] === 'NodeResizePending') {
        if (Quantity.parse(volume.spec.capacity?.[storage] ?? 0).compare(asked) >= 0) return;
      }
      await grow(request, mutableCopy<PersistentVolume>(volume), provisioner, asked.toString());
    });
}

type Request = ReconcileRequest<PersistentVolumeClaim>;

async function grow(request: Request, volume: PersistentVolume, provisioner: Provisioner, size: string): Promise<void> {
  const { object: claim, client, clock, events, log, signal } = request;
  let state = claim;
  if (
    state.status.allocatedResources?.[storage] !== size ||
    state.status.allocatedResourceStatuses?.[storage] !== 'ControllerResizeInProgress' ||
    findCondition(state.status.conditions, 'Resizing')?.status !== 'True'
  ) {
    state = await client.updateStatus(PersistentVolumeClaim, {
      ...state,
      status: {
        ...state.status,
        allocatedResources: { ...state.status.allocatedResources, [storage]: size },
        allocatedResourceStatuses: {
          ...state.status.allocatedResourceStatuses,
          [storage]: 'ControllerResizeInProgress',
        },
        conditions: setCondition(
          state.status.conditions?.filter(({ type }) => !(resizing as readonly string[]).includes(type)),
          { type: 'Resizing', status: 'True', lastTransitionTime: formatTime(clock.now()) },
          clock.now(),
        ),
      },
    });
    events.event(claim, 'Normal', 'Resizing', `External resizer is resizing volume ${volume.metadata.name}`);
  }
  let outcome: { nodeExpansionRequired: boolean };
  try {
    outcome = await provisioner.expand!(volume, size, { client, clock, log, signal });
    if (Quantity.parse(volume.spec.capacity?.[storage] ?? 0).compare(Quantity.parse(size)) < 0) {
      volume.spec.capacity = { ...volume.spec.capacity, [storage]: size };
      await client.update(PersistentVolume, volume);
    }
  } catch (error) {
    if (!signal.aborted) {
      const why = messageOf(error);
      const message = `resize volume "${volume.metadata.name}" by resizer "${provisioner.name}" failed: ${why}`;
      events.event(claim, 'Warning', 'VolumeResizeFailed', message);
    }
    throw error;
  }
  if (!outcome.nodeExpansionRequired) {
    await settle({ ...request, object: state }, size);
    events.event(claim, 'Normal', 'VolumeResizeSuccessful', 'Resize volume succeeded');
    return;
  }
  await client.updateStatus(PersistentVolumeClaim, {
    ...state,
    status: {
      ...state.status,
      allocatedResourceStatuses: { ...state.status.allocatedResourceStatuses, [storage]: 'NodeResizePending' },
      conditions: setCondition(
        removeCondition(state.status.conditions, 'Resizing'),
        {
          type: 'FileSystemResizePending',
          status: 'True',
          message: 'Waiting for user to (re-)start a pod to finish file system resize of volume on node.',
          lastTransitionTime: formatTime(clock.now()),
        },
        clock.now(),
      ),
    },
  });
  events.event(claim, 'Normal', 'FileSystemResizeRequired', 'Require file system resize of volume on node');
}

/** The claim has what it asks for. */
async function settle(
  { object: claim, client, log }: Pick<Request, 'object' | 'client' | 'log'>,
  size: string | number | undefined,
): Promise<void> {
  const { allocatedResourceStatuses: states, conditions, ...status } = claim.status;
  const { [storage]: _done, ...otherStates } = states ?? {};
  const rest = conditions?.filter(({ type }) => !(resizing as readonly string[]).includes(type));
  await client.updateStatus(PersistentVolumeClaim, {
    ...claim,
    status: {
      ...status,
      ...(size === undefined
        ? {}
        : {
            capacity: { ...status.capacity, [storage]: size },
            allocatedResources: { ...status.allocatedResources, [storage]: size },
          }),
      ...(Object.keys(otherStates).length > 0 ? { allocatedResourceStatuses: otherStates } : {}),
      ...(rest?.length ? { conditions: rest } : {}),
    },
  });
  log.debug('a claim has the size that it asks for', { claim: keyOf(claim), size });
}
