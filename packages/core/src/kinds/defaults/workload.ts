/** Defaults of what keeps pods running and of HorizontalPodAutoscalers. Source: core/v1, apps/v1, autoscaling defaults (v0.33). */
import type { appsv1, autoscalingv1, autoscalingv2, corev1 } from '../generated/types/index.js';
import { defaultPodTemplate } from './pod.js';
import { defaultClaim } from './volume.js';

export function defaultReplicaSet({ spec }: appsv1.ReplicaSet): void {
  spec.replicas ??= 1;
  defaultPodTemplate(spec.template);
}

export function defaultDeployment({ spec }: appsv1.Deployment): void {
  spec.replicas ??= 1;
  spec.strategy ??= {};
  spec.strategy.type ??= 'RollingUpdate';
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate ??= {};
    spec.strategy.rollingUpdate.maxUnavailable ??= '25%';
    spec.strategy.rollingUpdate.maxSurge ??= '25%';
  }
  spec.revisionHistoryLimit ??= 10;
  spec.progressDeadlineSeconds ??= 600;
  defaultPodTemplate(spec.template);
}

/** A controller selects by its template's labels, and carries them, unless it says otherwise. */
export function defaultReplicationController({ metadata, spec }: corev1.ReplicationController): void {
  spec.replicas ??= 1;
  const labels = spec.template?.metadata?.labels;
  if (labels) {
    if (!spec.selector || Object.keys(spec.selector).length === 0) spec.selector = { ...labels };
    if (!metadata.labels || Object.keys(metadata.labels).length === 0) metadata.labels = { ...labels };
  }
  defaultPodTemplate(spec.template);
}

export function defaultDaemonSet({ spec }: appsv1.DaemonSet): void {
  spec.updateStrategy ??= {};
  spec.updateStrategy.type ??= 'RollingUpdate';
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {};
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
    spec.updateStrategy.rollingUpdate.maxSurge ??= 0;
  }
  spec.revisionHistoryLimit ??= 10;
  defaultPodTemplate(spec.template);
}

export function defaultStatefulSet({ spec }: appsv1.StatefulSet): void {
  spec.podManagementPolicy ??= 'OrderedReady';
  spec.updateStrategy ??= {};
  if (!spec.updateStrategy.type) {
    spec.updateStrategy.type = 'RollingUpdate';
    spec.updateStrategy.rollingUpdate ??= {};
  }
  if (spec.updateStrategy.type === 'RollingUpdate' && spec.updateStrategy.rollingUpdate)
    spec.updateStrategy.rollingUpdate.partition ??= 0;
  spec.persistentVolumeClaimRetentionPolicy ??= {};
  spec.persistentVolumeClaimRetentionPolicy.whenDeleted ??= 'Retain';
  spec.persistentVolumeClaimRetentionPolicy.whenScaled ??= 'Retain';
  spec.replicas ??= 1;
  spec.revisionHistoryLimit ??= 10;
  defaultPodTemplate(spec.template);
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion = 'v1';
    claim.kind = 'PersistentVolumeClaim';
    defaultClaim(claim);
  }
}

export function defaultTemplateOfPods({ template }: corev1.PodTemplate): void {
  defaultPodTemplate(template);
}

export function defaultAutoscalerV1({ spec }: autoscalingv1.HorizontalPodAutoscaler): void {
  spec.minReplicas ??= 1;
}

const targetUtilization = 80;

export function defaultAutoscaler({ spec }: autoscalingv2.HorizontalPodAutoscaler): void {
  spec.minReplicas ??= 1;
  if (!spec.metrics?.length) {
    spec.metrics = [
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: targetUtilization } },
      },
    ];
  }
  if (!spec.behavior) return;
  const { scaleUp, scaleDown } = spec.behavior;
  spec.behavior.scaleUp = {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Pods', value: 4, periodSeconds: 15 },
      { type: 'Percent', value: 100, periodSeconds: 15 },
    ],
    ...scaleUp,
  };
  spec.behavior.scaleDown = {
    selectPolicy: 'Max',
    policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    ...scaleDown,
  };
}
