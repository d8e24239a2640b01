/** Defaults of ReplicaSets, Deployments and HorizontalPodAutoscalers. Source: apps/v1 and autoscaling/v2 defaults (v0.33). */
import type { appsv1, autoscalingv2 } from '../generated/types/index.js';
import { defaultPodTemplate } from './pod.js';

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
