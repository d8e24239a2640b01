/**
 * Makes a claim for each ephemeral volume of a pod, from the pod's template, owned by the pod: it goes with it. A claim of that name that is
 * another's is left alone, and the pod waits.
 *
 * Source: kube-controller-manager `volume/ephemeral` (v0.33).
 */
import {
  type corev1,
  isAlreadyExists,
  isControlledBy,
  isDeleting,
  isForbidden,
  isInvalid,
  isNotFound,
  PersistentVolumeClaim,
  Pod,
} from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { Controller } from '../../controller.js';
import { controller, type ReconcileRequest } from '../../controller-builder.js';
import { ephemeralClaimName } from './claims-of-pods.js';

const hasEphemeral = ({ spec }: DeepReadonly<Pod>): boolean => spec.volumes?.some(each => each.ephemeral) ?? false;

/** The controller of claims of ephemeral volumes. */
export const ephemeralVolumes = (): Controller =>
  controller(Pod)
    .named('ephemeral-volume-controller')
    .predicate(({ object }) => hasEphemeral(object as DeepReadonly<Pod>) && !isDeleting(object))
    .owns(PersistentVolumeClaim, { predicate: change => change.type === 'delete' })
    .concurrency(5)
    .reconcile(async request => {
      if (isDeleting(request.object)) return;
      for (const volume of request.object.spec.volumes ?? []) if (volume.ephemeral) await ensure(volume, request);
    });

async function ensure(
  { name: volumeName, ephemeral }: corev1.Volume,
  { object: pod, client, read, events }: Pick<ReconcileRequest<Pod>, 'object' | 'client' | 'read' | 'events'>,
): Promise<void> {
  const template = ephemeral?.volumeClaimTemplate;
  if (!template) return;
  const { namespace } = pod.metadata;
  const name = ephemeralClaimName(pod.metadata.name, volumeName);
  const refuse = (why: string) => {
    events.event(pod, 'Warning', 'FailedCreate', why);
    return new Error(why);
  };
  const others = `ephemeral volume "${volumeName}": PVC "${namespace}/${name}" was not created for pod "${namespace}/${pod.metadata.name}" (pod is not owner)`;
  const known = read(PersistentVolumeClaim).get({ namespace, name });
  if (known) {
    if (isControlledBy(known, pod)) return;
    throw refuse(others);
  }
  const { labels, annotations } = template.metadata ?? {};
  const { metadata } = pod;
  const owner = {
    apiVersion: 'v1',
    kind: 'Pod',
    name: metadata.name,
    uid: metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  try {
    await client.create(PersistentVolumeClaim, {
      metadata: {
        name,
        namespace,
        ownerReferences: [owner],
        ...(labels ? { labels } : {}),
        ...(annotations ? { annotations } : {}),
      },
      spec: template.spec,
    });
  } catch (error) {
    if (isAlreadyExists(error)) {
      const there = await client.get(PersistentVolumeClaim, { namespace, name }).catch(failure => {
        if (isNotFound(failure)) return undefined;
        throw failure;
      });
      if (there && !isControlledBy(there, pod)) throw refuse(others);
      return;
    }
    if (isForbidden(error) || isInvalid(error))
      refuse(`ephemeral volume "${volumeName}": create PVC "${namespace}/${name}": ${error.message}`);
    throw error;
  }
}
