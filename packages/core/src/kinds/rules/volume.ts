/**
 * Rules of a pod's volumes: unique names, exactly one source each, and what the common sources need. Sources that no node here
 * mounts (cloud disks and the like) are checked for shape only. Source: core/validation `ValidateVolumes` (v0.33).
 */
import { dnsLabelProblem, dnsSubdomainProblem } from '../../meta/names.js';
import type { corev1 } from '../generated/types/index.js';
import { checkFieldRef, checkResourceFieldRef } from './container.js';
import { backstepProblem, modeProblem, volumeFileProblem } from './forms.js';
import type { Report } from './report.js';
import { checkQuantity } from './resources.js';

const fileFields = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid'];

/** Answers the volumes by name. */
export function checkVolumes(
  report: Report,
  volumes: readonly corev1.Volume[] | undefined,
  path: string,
): ReadonlyMap<string, corev1.Volume> {
  const byName = new Map<string, corev1.Volume>();
  for (const [index, volume] of (volumes ?? []).entries()) {
    const field = `${path}[${index}]`;
    report.text(`${field}.name`, volume.name, dnsLabelProblem);
    if (volume.name) {
      if (byName.has(volume.name)) report.duplicate(`${field}.name`, volume.name);
      byName.set(volume.name, volume);
    }
    checkSources(report, volume, field);
  }
  return byName;
}

function checkSources(report: Report, volume: corev1.Volume, field: string): void {
  let found = 0;
  for (const name in volume) {
    if (name === 'name' || !volume[name as keyof corev1.Volume]) continue;
    found += 1;
    if (found > 1) report.forbidden(`${field}.${name}`, 'may not specify more than 1 volume type');
    else sourceRules[name]?.(report, volume, `${field}.${name}`);
  }
  if (found === 0) report.required(field, 'must specify a volume type');
}

type SourceRule = (report: Report, volume: corev1.Volume, field: string) => void;

const sourceRules: Readonly<Record<string, SourceRule>> = {
  emptyDir: (report, { emptyDir }, field) => {
    if (emptyDir!.sizeLimit !== undefined) checkQuantity(report, emptyDir!.sizeLimit, `${field}.sizeLimit`);
  },
  hostPath: (report, { hostPath }, field) => {
    report.text(`${field}.path`, hostPath!.path, backstepProblem);
  },
  configMap: (report, { configMap }, field) => {
    if (!configMap!.name) report.required(`${field}.name`);
    checkMode(report, configMap!.defaultMode, `${field}.defaultMode`);
    checkItems(report, configMap!.items, `${field}.items`);
  },
  secret: (report, { secret }, field) => {
    if (!secret!.secretName) report.required(`${field}.secretName`);
    checkMode(report, secret!.defaultMode, `${field}.defaultMode`);
    checkItems(report, secret!.items, `${field}.items`);
  },
  downwardAPI: (report, { downwardAPI }, field) => {
    checkMode(report, downwardAPI!.defaultMode, `${field}.defaultMode`);
    for (const [index, file] of (downwardAPI!.items ?? []).entries())
      checkDownwardFile(report, file, `${field}.items[${index}]`);
  },
  persistentVolumeClaim: (report, { persistentVolumeClaim: claim }, field) => {
    if (!claim!.claimName) report.required(`${field}.claimName`);
  },
  nfs: (report, { nfs }, field) => {
    if (!nfs!.server) report.required(`${field}.server`);
    if (!nfs!.path) report.required(`${field}.path`);
    else if (!nfs!.path.startsWith('/')) report.invalid(`${field}.path`, nfs!.path, 'must be an absolute path');
  },
  csi: (report, { csi }, field) => {
    report.text(`${field}.driver`, csi!.driver, dnsSubdomainProblem);
  },
  projected: (report, { projected }, field) => {
    checkMode(report, projected!.defaultMode, `${field}.defaultMode`);
    const paths = new Set<string>();
    for (const [index, source] of (projected!.sources ?? []).entries()) {
      checkProjection(report, source, paths, `${field}.sources[${index}]`);
    }
  },
  ephemeral: (report, { ephemeral }, field) => {
    if (!ephemeral!.volumeClaimTemplate) report.required(`${field}.volumeClaimTemplate`);
  },
};

function checkMode(report: Report, mode: number | undefined, field: string): void {
  if (mode !== undefined && modeProblem(mode)) report.invalid(field, mode, modeProblem(mode)!);
}

function checkItems(report: Report, items: readonly corev1.KeyToPath[] | undefined, path: string): void {
  for (const [index, item] of (items ?? []).entries()) {
    const field = `${path}[${index}]`;
    if (!item.key) report.required(`${field}.key`);
    report.text(`${field}.path`, item.path, volumeFileProblem);
    checkMode(report, item.mode, `${field}.mode`);
  }
}

function checkDownwardFile(report: Report, file: corev1.DownwardAPIVolumeFile, field: string): void {
  report.text(`${field}.path`, file.path, volumeFileProblem);
  if (file.fieldRef) {
    checkFieldRef(report, file.fieldRef, fileFields, `${field}.fieldRef`);
    if (file.resourceFieldRef)
      report.invalid(field, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously');
  } else if (file.resourceFieldRef) {
    checkResourceFieldRef(report, file.resourceFieldRef, true, `${field}.resourceFieldRef`);
  } else {
    report.required(field, 'one of fieldRef and resourceFieldRef is required');
  }
  checkMode(report, file.mode, `${field}.mode`);
}

function checkProjection(report: Report, source: corev1.VolumeProjection, paths: Set<string>, field: string): void {
  const kinds = (['configMap', 'secret', 'downwardAPI', 'serviceAccountToken', 'clusterTrustBundle'] as const).filter(
    name => source[name],
  );
  if (kinds.length === 0) report.required(field, 'must specify a projection type');
  for (const kind of kinds.slice(1)) report.forbidden(`${field}.${kind}`, 'may not specify more than 1 volume type');
  const place = (path: string | undefined, at: string): void => {
    if (!path) return;
    if (paths.has(path)) report.invalid(at, path, 'conflicting duplicate paths');
    paths.add(path);
  };
  for (const kind of ['configMap', 'secret'] as const) {
    const from = source[kind];
    if (!from) continue;
    if (!from.name) report.required(`${field}.${kind}.name`);
    checkItems(report, from.items, `${field}.${kind}.items`);
    for (const item of from.items ?? []) place(item.path, `${field}.${kind}`);
  }
  for (const [index, file] of (source.downwardAPI?.items ?? []).entries()) {
    checkDownwardFile(report, file, `${field}.downwardAPI.items[${index}]`);
    place(file.path, `${field}.downwardAPI`);
  }
  const token = source.serviceAccountToken;
  if (!token) return;
  if (token.expirationSeconds !== undefined && token.expirationSeconds < 600) {
    report.invalid(
      `${field}.serviceAccountToken.expirationSeconds`,
      token.expirationSeconds,
      'may not specify a duration less than 10 minutes',
    );
  }
  if (!token.path) report.required(`${field}.serviceAccountToken.path`);
  else place(token.path, `${field}.serviceAccountToken.path`);
}
