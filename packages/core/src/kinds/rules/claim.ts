/**
 * Rules of PersistentVolumes and PersistentVolumeClaims. Sources that no node here mounts are checked for being one of a kind
 * only. Source: core/validation `ValidatePersistentVolume`, `ValidatePersistentVolumeClaim` (v0.33).
 */
import { dnsSubdomainProblem } from '../../meta/names.js';
import { Quantity } from '../../meta/quantity.js';
import type { corev1 } from '../generated/types/index.js';
import { backstepProblem } from './forms.js';
import { type Report, sameValue } from './report.js';
import { checkQuantity } from './resources.js';
import { checkLabelSelector } from './selector.js';

function checkAccessModes(report: Report, modes: readonly string[] | undefined, field: string): void {
  if (!modes?.length) {
    report.required(field, 'at least 1 access mode is required');
    return;
  }
  if (modes.includes('ReadWriteOncePod') && modes.length > 1)
    report.forbidden(field, 'may not use ReadWriteOncePod with other access modes');
}

function checkStorage(report: Report, amount: string | number | undefined, field: string): void {
  if (amount === undefined) return;
  if (checkQuantity(report, amount, field)?.isZero()) report.invalid(field, amount, 'must be greater than zero');
}

const className = (report: Report, name: string | undefined, field: string): void => {
  if (name) report.form(field, name, dnsSubdomainProblem(name));
};

/** What is in the spec beside where the volume lies. */
const notSources = new Set([
  'capacity',
  'accessModes',
  'claimRef',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'mountOptions',
  'volumeMode',
  'nodeAffinity',
  'volumeAttributesClassName',
]);
const sourcesOf = (spec: corev1.PersistentVolumeSpec): [name: string, source: unknown][] =>
  Object.entries(spec).filter(([name, value]) => !notSources.has(name) && value !== undefined);

export function checkPersistentVolume(
  report: Report,
  { spec }: corev1.PersistentVolume,
  previous?: corev1.PersistentVolume,
): void {
  checkAccessModes(report, spec.accessModes, 'spec.accessModes');
  const capacity = spec.capacity ?? {};
  if (Object.keys(capacity).length === 0) report.required('spec.capacity');
  else if (capacity['storage'] === undefined || Object.keys(capacity).length > 1)
    report.unsupported('spec.capacity', capacity, ['storage']);
  checkStorage(report, capacity['storage'], 'spec.capacity[storage]');
  if (spec.persistentVolumeReclaimPolicy)
    report.oneOf('spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, [
      'Delete',
      'Recycle',
      'Retain',
    ]);
  const sources = sourcesOf(spec);
  if (sources.length === 0) report.required('spec', 'must specify a volume type');
  for (const [name] of sources.slice(1)) report.forbidden(`spec.${name}`, 'may not specify more than 1 volume type');
  if (spec.hostPath) {
    report.text('spec.hostPath.path', spec.hostPath.path, backstepProblem);
    if (spec.hostPath.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle')
      report.forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'");
  }
  if (spec.local) {
    report.text('spec.local.path', spec.local.path, backstepProblem);
    if (!spec.nodeAffinity) report.required('spec.nodeAffinity', 'Local volume requires node affinity');
  }
  if (spec.nfs) {
    if (!spec.nfs.server) report.required('spec.nfs.server');
    if (!spec.nfs.path) report.required('spec.nfs.path');
    else if (!spec.nfs.path.startsWith('/')) report.invalid('spec.nfs.path', spec.nfs.path, 'must be an absolute path');
  }
  if (spec.csi) {
    report.text('spec.csi.driver', spec.csi.driver, dnsSubdomainProblem);
    if (!spec.csi.volumeHandle) report.required('spec.csi.volumeHandle');
  }
  if (spec.nodeAffinity && !spec.nodeAffinity.required)
    report.required('spec.nodeAffinity.required', 'must specify required node constraints');
  className(report, spec.storageClassName, 'spec.storageClassName');
  if (spec.volumeMode) report.oneOf('spec.volumeMode', spec.volumeMode, ['Block', 'Filesystem']);
  if (!previous) return;
  if (!sameValue(Object.fromEntries(sources), Object.fromEntries(sourcesOf(previous.spec))))
    report.forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation');
  report.immutable('spec.volumeMode', spec.volumeMode, previous.spec.volumeMode);
  if (previous.spec.nodeAffinity && !sameValue(spec.nodeAffinity, previous.spec.nodeAffinity))
    report.invalid('spec.nodeAffinity', spec.nodeAffinity, 'field is immutable');
}

export function checkPersistentVolumeClaim(
  report: Report,
  claim: corev1.PersistentVolumeClaim,
  previous?: corev1.PersistentVolumeClaim,
): void {
  checkClaimSpec(report, claim.spec, 'spec');
  if (previous) checkClaimUpdate(report, claim, previous);
}

/** Of a claim, or of a template of one. */
export function checkClaimSpec(report: Report, spec: corev1.PersistentVolumeClaimSpec, field: string): void {
  checkAccessModes(report, spec.accessModes, `${field}.accessModes`);
  checkLabelSelector(report, spec.selector, `${field}.selector`);
  const storage = spec.resources?.requests?.['storage'];
  if (storage === undefined) report.required(`${field}.resources[storage]`);
  else checkStorage(report, storage, `${field}.resources[storage]`);
  className(report, spec.storageClassName, `${field}.storageClassName`);
  if (spec.volumeMode) report.oneOf(`${field}.volumeMode`, spec.volumeMode, ['Block', 'Filesystem']);
  for (const name of ['dataSource', 'dataSourceRef'] as const) {
    const source = spec[name];
    if (!source) continue;
    const at = `${field}.${name}`;
    if (!source.name) report.required(`${at}.name`);
    if (!source.kind) report.required(`${at}.kind`);
    if (!source.apiGroup && source.kind && source.kind !== 'PersistentVolumeClaim')
      report.invalid(at, source.kind, 'must be PersistentVolumeClaim when referencing the default apiGroup');
  }
}

/** Bound once; then it can only ask for more. */
function checkClaimUpdate(
  report: Report,
  { spec }: corev1.PersistentVolumeClaim,
  { spec: before, status }: corev1.PersistentVolumeClaim,
): void {
  const asked = spec.resources?.requests?.['storage'];
  const askedBefore = before.resources?.requests?.['storage'];
  const munged: corev1.PersistentVolumeClaimSpec = { ...spec };
  if (!before.volumeName && spec.volumeName) delete munged.volumeName;
  // A class may be given once to a claim that has none.
  if (before.storageClassName === undefined && spec.storageClassName !== undefined && status?.phase !== 'Bound')
    delete munged.storageClassName;
  const bound = status?.phase === 'Bound';
  if (bound) {
    munged.resources = before.resources ?? {};
    if (before.volumeAttributesClassName === undefined) delete munged.volumeAttributesClassName;
    else munged.volumeAttributesClassName = before.volumeAttributesClassName;
  }
  if (!sameValue(munged, before)) {
    const changed = Object.keys({ ...munged, ...before }).filter(
      name => !sameValue(munged[name as keyof typeof munged], before[name as keyof typeof before]),
    );
    report.forbidden(
      'spec',
      `spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims; changed: ${changed.map(name => `spec.${name}`).join(', ')}`,
    );
    return;
  }
  if (!bound || asked === undefined || askedBefore === undefined) return;
  if (!Quantity.isQuantity(asked) || Quantity.parse(asked).compare(Quantity.parse(askedBefore)) >= 0) return;
  // A growth that has failed can be taken back, down to what there is.
  const has = status?.capacity?.['storage'];
  if (has === undefined || Quantity.parse(asked).compare(Quantity.parse(has)) <= 0)
    report.forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity');
}
