/**
 * Rules of ReplicationControllers, DaemonSets, StatefulSets and ControllerRevisions. Source: core/validation and apps/validation (v0.33).
 */
import { labelSet } from '../../meta/label-selector.js';
import type { appsv1, corev1 } from '../generated/types/index.js';
import { checkClaimSpec } from './claim.js';
import { type Report, sameValue } from './report.js';
import { checkCounts, checkLastingTemplate, checkSelectorAndTemplate, checkShare } from './workload.js';

export function checkReplicationController(report: Report, { spec, status }: corev1.ReplicationController): void {
  report.notNegative('spec.minReadySeconds', spec.minReadySeconds);
  const { selector, template } = spec;
  const selects = selector !== undefined && Object.keys(selector).length > 0;
  if (!selects) report.required('spec.selector');
  if (spec.replicas === undefined) report.required('spec.replicas');
  report.notNegative('spec.replicas', spec.replicas);
  if (!template) {
    report.required('spec.template');
  } else {
    const labels = template.metadata?.labels ?? {};
    if (selects && !labelSet(selector).matches(labels))
      report.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`');
    checkLastingTemplate(report, template, 'ReplicationController');
  }
  checkCounts(report, status ?? {}, [
    'replicas',
    'fullyLabeledReplicas',
    'readyReplicas',
    'availableReplicas',
    'observedGeneration',
  ]);
  const { replicas = 0, fullyLabeledReplicas = 0, readyReplicas = 0, availableReplicas = 0 } = status ?? {};
  const most = (name: string, value: number, limit: number, of: string): void => {
    if (value > limit) report.invalid(`status.${name}`, value, `cannot be greater than ${of}`);
  };
  most('fullyLabeledReplicas', fullyLabeledReplicas, replicas, 'status.replicas');
  most('readyReplicas', readyReplicas, replicas, 'status.replicas');
  most('availableReplicas', availableReplicas, replicas, 'status.replicas');
  most('availableReplicas', availableReplicas, readyReplicas, 'readyReplicas');
}

export function checkDaemonSet(report: Report, { spec, status }: appsv1.DaemonSet, previous?: appsv1.DaemonSet): void {
  checkSelectorAndTemplate(report, spec, 'daemonset', 'DaemonSet');
  report.notNegative('spec.minReadySeconds', spec.minReadySeconds);
  report.notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit);
  checkDaemonStrategy(report, spec.updateStrategy ?? {});
  if (previous) report.immutable('spec.selector', spec.selector, previous.spec.selector);
  checkCounts(report, status ?? {}, [
    'currentNumberScheduled',
    'numberMisscheduled',
    'desiredNumberScheduled',
    'numberReady',
    'observedGeneration',
    'updatedNumberScheduled',
    'numberAvailable',
    'numberUnavailable',
    'collisionCount',
  ]);
}

function checkDaemonStrategy(report: Report, { type, rollingUpdate }: appsv1.DaemonSetUpdateStrategy): void {
  const field = 'spec.updateStrategy';
  if (type === 'OnDelete') return;
  if (type !== 'RollingUpdate') {
    report.unsupported(`${field}.type`, type ?? '', ['RollingUpdate', 'OnDelete']);
    return;
  }
  if (!rollingUpdate) {
    report.required(`${field}.rollingUpdate`);
    return;
  }
  const at = `${field}.rollingUpdate`;
  const { maxUnavailable = 0, maxSurge = 0 } = rollingUpdate;
  const unavailable = checkShare(report, maxUnavailable, `${at}.maxUnavailable`) ?? 0;
  const surge = checkShare(report, maxSurge, `${at}.maxSurge`) ?? 0;
  for (const [name, share, value] of [
    ['maxUnavailable', maxUnavailable, unavailable],
    ['maxSurge', maxSurge, surge],
  ] as const)
    if (typeof share === 'string' && value > 100)
      report.invalid(`${at}.${name}`, share, 'must not be greater than 100%');
  if (unavailable !== 0 && surge !== 0)
    report.invalid(`${at}.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero');
  else if (unavailable === 0 && surge === 0) report.required(`${at}.maxUnavailable`, 'cannot be 0 when maxSurge is 0');
}

const statefulMayChange =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
const statefulChangeable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
] as const;

/** As its pods will be: each claim template is a volume that containers may mount. */
function withClaims(spec: appsv1.StatefulSetSpec): appsv1.StatefulSetSpec {
  const { template, volumeClaimTemplates = [] } = spec;
  const volumes = template?.spec?.volumes ?? [];
  const made = volumeClaimTemplates.flatMap(({ metadata }): corev1.Volume[] => {
    const name = metadata?.name;
    if (!name || volumes.some(volume => volume.name === name)) return [];
    return [{ name, persistentVolumeClaim: { claimName: name } }];
  });
  if (made.length === 0 || !template.spec) return spec;
  return { ...spec, template: { ...template, spec: { ...template.spec, volumes: [...volumes, ...made] } } };
}

export function checkStatefulSet(
  report: Report,
  { spec, status }: appsv1.StatefulSet,
  previous?: appsv1.StatefulSet,
): void {
  if (!spec.podManagementPolicy) report.required('spec.podManagementPolicy');
  checkStatefulStrategy(report, spec.updateStrategy ?? {});
  const retention = spec.persistentVolumeClaimRetentionPolicy;
  for (const name of ['whenDeleted', 'whenScaled'] as const)
    if (retention?.[name])
      report.oneOf(`spec.persistentVolumeClaimRetentionPolicy.${name}`, retention[name], ['Retain', 'Delete']);
  report.notNegative('spec.replicas', spec.replicas);
  report.notNegative('spec.minReadySeconds', spec.minReadySeconds);
  report.notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit);
  report.notNegative('spec.ordinals.start', spec.ordinals?.start);
  checkSelectorAndTemplate(report, withClaims(spec), 'statefulset', 'StatefulSet');
  for (const [index, claim] of (spec.volumeClaimTemplates ?? []).entries())
    if (!previous) checkClaimSpec(report, claim.spec ?? {}, `spec.volumeClaimTemplates[${index}].spec`);
  if (previous) {
    const munged: Record<string, unknown> = { ...spec };
    for (const name of statefulChangeable) munged[name] = previous.spec[name];
    if (!sameValue(munged, previous.spec)) report.forbidden('spec', statefulMayChange);
  }
  checkCounts(report, status ?? {}, [
    'replicas',
    'readyReplicas',
    'currentReplicas',
    'updatedReplicas',
    'availableReplicas',
    'observedGeneration',
    'collisionCount',
  ]);
  const { replicas = 0, readyReplicas = 0, currentReplicas = 0, updatedReplicas = 0 } = status ?? {};
  for (const [name, value] of Object.entries({ readyReplicas, currentReplicas, updatedReplicas }))
    if (value > replicas) report.invalid(`status.${name}`, value, 'cannot be greater than status.replicas');
}

function checkStatefulStrategy(report: Report, { type, rollingUpdate }: appsv1.StatefulSetUpdateStrategy): void {
  const field = 'spec.updateStrategy';
  if (!type) {
    report.required(field);
  } else if (type === 'OnDelete') {
    if (rollingUpdate)
      report.invalid(`${field}.rollingUpdate`, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'");
  } else if (rollingUpdate && type === 'RollingUpdate') {
    report.notNegative(`${field}.rollingUpdate.partition`, rollingUpdate.partition);
    const { maxUnavailable } = rollingUpdate;
    if (maxUnavailable === undefined) return;
    const share = checkShare(report, maxUnavailable, `${field}.rollingUpdate.maxUnavailable`);
    if (share === 0) report.invalid(`${field}.rollingUpdate.maxUnavailable`, maxUnavailable, 'cannot be 0');
  }
}

export function checkControllerRevision(
  report: Report,
  revision: appsv1.ControllerRevision,
  previous?: appsv1.ControllerRevision,
): void {
  report.notNegative('revision', revision.revision);
  if (revision.data === undefined || revision.data === null) report.required('data', 'data is mandatory');
  if (previous) report.immutable('data', revision.data, previous.data);
}
