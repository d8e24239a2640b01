/**
 * Claims and volumes: a claim that names no class gets the default one; both keep a finalizer while they are in use; a claim grows only when its
 * class lets it. Sources:
 * `plugin/pkg/admission/storage/{storageclass/setdefault,storageobjectinuseprotection,persistentvolume/resize}` (v0.33).
 */
import { type corev1, Quantity, StatusError, type storagev1 } from '@orbitkit/core';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from './contract.js';

const storageClasses = { group: 'storage.k8s.io', plural: 'storageclasses' };
const defaultMarks = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

const isNew = (request: AdmissionRequest, plural: string): boolean =>
  request.kind.group === '' &&
  request.kind.plural === plural &&
  request.operation === 'CREATE' &&
  request.subresource === undefined;

/** Upstream's DefaultStorageClass: of several default classes the newest, and of equally old ones the first by name. */
export function defaultStorageClass(): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    admit(request, cluster) {
      if (isNew(request, 'persistentvolumeclaims')) return fill(request, cluster);
    },
  };

  async function fill(request: AdmissionRequest, cluster: AdmissionCluster): Promise<void> {
    const claim = request.object as unknown as corev1.PersistentVolumeClaim;
    // An empty name is a wish: no class.
    if (claim.spec.storageClassName !== undefined || claim.metadata.annotations?.[classAnnotation] !== undefined)
      return;
    const all = await cluster.list(storageClasses, undefined, request.signal);
    const marked = all
      .map(each => each.object() as unknown as storagev1.StorageClass)
      .filter(each => defaultMarks.some(mark => each.metadata.annotations?.[mark] === 'true'))
      // The newest wins, then the first by name.
      .sort(
        (a, b) =>
          Date.parse(b.metadata.creationTimestamp ?? '') - Date.parse(a.metadata.creationTimestamp ?? '') ||
          (a.metadata.name! < b.metadata.name! ? -1 : 1),
      );
    if (marked[0]) claim.spec.storageClassName = marked[0].metadata.name!;
  }
}

const protections: readonly [plural: string, finalizer: string][] = [
  ['persistentvolumeclaims', 'kubernetes.io/pvc-protection'],
  ['persistentvolumes', 'kubernetes.io/pv-protection'],
];

/** The protection controllers take the finalizers away when nothing uses the object any more; without one, what is deleted stays Terminating. */
export function storageObjectInUseProtection(): AdmissionPlugin {
  return {
    name: 'StorageObjectInUseProtection',
    admit(request) {
      for (const [plural, finalizer] of protections) {
        if (!isNew(request, plural)) continue;
        const { metadata } = request.object!;
        if (!metadata.finalizers?.includes(finalizer))
          metadata.finalizers = [...(metadata.finalizers ?? []), finalizer];
      }
    },
  };
}

/** Upstream's PersistentVolumeClaimResize: refuses (403) a claim that asks for more than before, unless its class has `allowVolumeExpansion`. */
export function persistentVolumeClaimResize(): AdmissionPlugin {
  return {
    name: 'PersistentVolumeClaimResize',
    validate(request, cluster) {
      const { kind, operation, subresource, object, oldObject, name } = request;
      if (kind.group !== '' || kind.plural !== 'persistentvolumeclaims') return;
      if (operation !== 'UPDATE' || subresource !== undefined || !object || !oldObject) return;
      const claim = object as unknown as corev1.PersistentVolumeClaim;
      const before = oldObject as unknown as corev1.PersistentVolumeClaim;
      const asked = claim.spec.resources?.requests?.['storage'];
      const had = before.spec.resources?.requests?.['storage'];
      // What is no amount is for the rules of the kind to refuse.
      if (asked === undefined || had === undefined || asked === had) return;
      if (!Quantity.isQuantity(asked) || !Quantity.isQuantity(had)) return;
      if (Quantity.parse(asked).compare(Quantity.parse(had)) <= 0) return;
      const refuse = (why: string) => {
        throw new StatusError('Forbidden', `persistentvolumeclaims ${JSON.stringify(name)} is forbidden: ${why}`, {
          details: { name, kind: 'persistentvolumeclaims' },
        });
      };
      if (before.status?.phase !== 'Bound') refuse('Only bound persistent volume claims can be expanded');
      const className = claim.metadata.annotations?.[classAnnotation] ?? claim.spec.storageClassName;
      const found = className
        ? (cluster.peek(storageClasses, { namespace: undefined, name: className })?.object() as unknown as
            | storagev1.StorageClass
            | undefined)
        : undefined;
      if (found?.allowVolumeExpansion !== true)
        refuse(
          'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
        );
    },
  };
}
