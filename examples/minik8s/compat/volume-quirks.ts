/**
 * What volumes and claims of the older systems say differently. There a claim took the first volume that was large enough, else one was made for
 * it: the class `local-path` of this distribution does both, so volumes are put into it.
 */
import type { Json, Warn } from './translate.js';

const localPath = 'local-path';
const defaultModes = ['ReadWriteOnce'];

export function volumeQuirks(object: Json, warn: Warn): void {
  const { spec, metadata } = object;
  if (typeof spec !== 'object' || spec === null) return;
  if (metadata?.namespace !== undefined) {
    delete metadata.namespace;
    warn('metadata.namespace was dropped: volumes belong to the whole cluster');
  }
  if (typeof spec.capacity === 'string' || typeof spec.capacity === 'number') {
    spec.capacity = { storage: spec.capacity };
    warn('spec.capacity was read as spec.capacity.storage');
  }
  if (spec.reclaimPolicy !== undefined) {
    // Nobody empties a volume for its next claim; keeping the data harms nobody.
    const policy = spec.reclaimPolicy === 'Recycle' ? 'Retain' : spec.reclaimPolicy;
    warn(`spec.reclaimPolicy ${spec.reclaimPolicy} was read as persistentVolumeReclaimPolicy ${policy}`);
    spec.persistentVolumeReclaimPolicy = policy;
    delete spec.reclaimPolicy;
  }
  if (spec.remote !== undefined) {
    const { server, serverIP = server, path } = spec.remote;
    spec.nfs = { server: serverIP, path };
    delete spec.remote;
    warn('spec.remote was read as spec.nfs');
  }
  accessModes(spec, warn);
  if (spec.storageClassName === undefined) {
    spec.storageClassName = localPath;
    warn(`spec.storageClassName ${localPath} was taken, so that claims without a class find it`);
  }
}

export function claimQuirks({ spec }: Json, warn: Warn): void {
  if (typeof spec !== 'object' || spec === null) return;
  if (typeof spec.resources === 'string' || typeof spec.resources === 'number') {
    spec.resources = { requests: { storage: spec.resources } };
    warn('spec.resources was read as spec.resources.requests.storage');
  }
  accessModes(spec, warn);
}

function accessModes(spec: Json, warn: Warn): void {
  if (spec.accessModes !== undefined) return;
  spec.accessModes = [...defaultModes];
  warn('spec.accessModes is missing; ReadWriteOnce was taken');
}
