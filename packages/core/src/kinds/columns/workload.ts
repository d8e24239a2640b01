/** Columns of what keeps pods running, HorizontalPodAutoscalers and Scale. Rules: data/printer-columns.json. */
import type { appsv1, autoscalingv1, autoscalingv2, corev1 } from '../generated/types/index.js';
import type { Column } from '../kind.js';
import {
  ageColumn,
  column,
  containersColumn,
  controllerText,
  imagesColumn,
  nameColumn,
  none,
  pairs,
  selectorText,
} from './column.js';

export const replicaSetColumns: readonly Column<appsv1.ReplicaSet>[] = [
  nameColumn,
  column('Desired', 'Pods that are wanted.', ({ spec }) => spec.replicas ?? 0, { type: 'integer' }),
  column('Current', 'Pods that are there.', ({ status }) => status?.replicas ?? 0, { type: 'integer' }),
  column('Ready', 'Pods that are ready.', ({ status }) => status?.readyReplicas ?? 0, { type: 'integer' }),
  ageColumn,
  containersColumn,
  imagesColumn,
  column(
    'Selector',
    'Which pods belong to the set.',
    ({ spec }) => selectorText(spec.selector, { empty: none, invalid: '<error>' }),
    { wide: true },
  ),
];

export const replicationControllerColumns: readonly Column<corev1.ReplicationController>[] = [
  nameColumn,
  column('Desired', 'Pods that are wanted.', ({ spec }) => spec.replicas ?? 0, { type: 'integer' }),
  column('Current', 'Pods that are there.', ({ status }) => status?.replicas ?? 0, { type: 'integer' }),
  column('Ready', 'Pods that are ready.', ({ status }) => status?.readyReplicas ?? 0, { type: 'integer' }),
  ageColumn,
  containersColumn,
  imagesColumn,
  column('Selector', 'Which pods belong to the controller.', ({ spec }) => pairs(spec.selector), { wide: true }),
];

export const daemonSetColumns: readonly Column<appsv1.DaemonSet>[] = [
  nameColumn,
  column('Desired', 'Nodes that should run it.', ({ status }) => status?.desiredNumberScheduled ?? 0, {
    type: 'integer',
  }),
  column('Current', 'Nodes that should and do.', ({ status }) => status?.currentNumberScheduled ?? 0, {
    type: 'integer',
  }),
  column('Ready', 'Pods that are ready.', ({ status }) => status?.numberReady ?? 0, { type: 'integer' }),
  column('Up-to-date', 'Pods that follow the present template.', ({ status }) => status?.updatedNumberScheduled ?? 0, {
    type: 'integer',
  }),
  column('Available', 'Pods that have been ready for long enough.', ({ status }) => status?.numberAvailable ?? 0, {
    type: 'integer',
  }),
  column('Node Selector', 'Which nodes run it.', ({ spec }) => pairs(spec.template?.spec?.nodeSelector)),
  ageColumn,
  containersColumn,
  imagesColumn,
  column(
    'Selector',
    'Which pods belong to the set.',
    ({ spec }) => selectorText(spec.selector, { empty: none, invalid: '<error>' }),
    { wide: true },
  ),
];

export const statefulSetColumns: readonly Column<appsv1.StatefulSet>[] = [
  nameColumn,
  column(
    'Ready',
    'Pods that are ready, of those wanted.',
    ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
  ),
  ageColumn,
  containersColumn,
  imagesColumn,
];

export const controllerRevisionColumns: readonly Column<appsv1.ControllerRevision>[] = [
  nameColumn,
  column('Controller', 'What it is a revision of.', controllerText),
  column('Revision', 'Number of the revision.', ({ revision }) => revision),
  ageColumn,
];

export const podTemplateColumns: readonly Column<corev1.PodTemplate>[] = [
  nameColumn,
  column('Containers', 'Names of the containers.', ({ template }) =>
    (template?.spec?.containers ?? []).map(({ name }) => name).join(','),
  ),
  column('Images', 'Images of the containers.', ({ template }) =>
    (template?.spec?.containers ?? []).map(({ image }) => image ?? '').join(','),
  ),
  column('Pod Labels', 'Labels of the pods.', ({ template }) => pairs(template?.metadata?.labels)),
];

export const deploymentColumns: readonly Column<appsv1.Deployment>[] = [
  nameColumn,
  column(
    'Ready',
    'Pods that are ready, of those wanted.',
    ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
  ),
  column('Up-to-date', 'Pods that follow the present template.', ({ status }) => status?.updatedReplicas ?? 0),
  column('Available', 'Pods that have been ready for long enough.', ({ status }) => status?.availableReplicas ?? 0),
  ageColumn,
  containersColumn,
  imagesColumn,
  column(
    'Selector',
    'Which pods belong to the deployment.',
    ({ spec }) => selectorText(spec.selector, { empty: '', invalid: '<invalid>' }),
    {
      wide: true,
    },
  ),
];

export const scaleColumns: readonly Column<autoscalingv1.Scale>[] = [
  nameColumn,
  column('Desired', 'Pods that are wanted.', ({ spec }) => spec?.replicas ?? 0, { type: 'integer' }),
  column('Available', 'Pods that are there.', ({ status }) => status?.replicas ?? 0, { type: 'integer' }),
  ageColumn,
];

const unknown = '<unknown>';
const shownMetrics = 2;

function metricText(metric: autoscalingv2.MetricSpec, status: autoscalingv2.MetricStatus | undefined): string {
  switch (metric.type) {
    case 'External':
      return valueText(metric.external?.target, status?.external?.current);
    case 'Object':
      return valueText(metric.object?.target, status?.object?.current);
    case 'Pods':
      return `${status?.pods?.current.averageValue ?? unknown}/${metric.pods?.target.averageValue ?? unknown}`;
    case 'Resource':
      return `${metric.resource?.name}: ${shareText(metric.resource?.target, status?.resource?.current)}`;
    case 'ContainerResource':
      return `${metric.containerResource?.name}: ${shareText(metric.containerResource?.target, status?.containerResource?.current)}`;
    default:
      return '<unknown type>';
  }
}

function valueText(
  target: autoscalingv2.MetricTarget | undefined,
  current: autoscalingv2.MetricValueStatus | undefined,
): string {
  if (target?.averageValue !== undefined) return `${current?.averageValue ?? unknown}/${target.averageValue} (avg)`;
  return `${current?.value ?? unknown}/${target?.value ?? unknown}`;
}

function shareText(
  target: autoscalingv2.MetricTarget | undefined,
  current: autoscalingv2.MetricValueStatus | undefined,
): string {
  if (target?.averageValue !== undefined) return `${current?.averageValue ?? unknown}/${target.averageValue}`;
  const now = current?.averageUtilization === undefined ? unknown : `${current.averageUtilization}%`;
  return `${now}/${target?.averageUtilization === undefined ? '<auto>' : `${target.averageUtilization}%`}`;
}

function targetsText({ spec, status }: autoscalingv2.HorizontalPodAutoscaler): string {
  const metrics = spec.metrics ?? [];
  if (metrics.length === 0) return none;
  const texts = metrics
    .slice(0, shownMetrics)
    .map((metric, index) => metricText(metric, status?.currentMetrics?.[index]));
  const more = metrics.length - shownMetrics;
  return texts.join(', ') + (more > 0 ? ` + ${more} more...` : '');
}

export const autoscalerColumns: readonly Column<autoscalingv2.HorizontalPodAutoscaler>[] = [
  nameColumn,
  column('Reference', 'What is scaled.', ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`),
  column('Targets', 'Measured and wanted value of each metric.', targetsText),
  column('MinPods', 'Fewest pods.', ({ spec }) =>
    spec.minReplicas === undefined ? '<unset>' : String(spec.minReplicas),
  ),
  column('MaxPods', 'Most pods.', ({ spec }) => spec.maxReplicas),
  column('Replicas', 'Pods that are there.', ({ status }) => status?.currentReplicas ?? 0),
  ageColumn,
];
