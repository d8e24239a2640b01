/**
 * Pods: they begin Pending with a quality-of-service class, are bound to a node once, and go with a grace.
 * Source: core registry `pod/strategy.go`, `pod/storage` (binding), `qos.ComputePodQOS` (v0.33).
 */
import { Binding, conflict, type corev1, type DynamicObject, formatTime, invalid } from '@orbitkit/core';
import type { Strategy } from '../strategy.js';
import { checkEphemeral, checkResize, qualityOfService, withResources } from './pod-parts.js';

type PodSpec = corev1.PodSpec;

export const podStrategy: Strategy = {
  prepareCreate(pod) {
    pod['status'] = { phase: 'Pending', qosClass: qualityOfService(pod['spec']) };
    const gates: unknown[] = pod['spec'].schedulingGates ?? [];
    if (gates.length > 0) {
      pod['status'].conditions = [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'SchedulingGated',
          message: 'Scheduling is blocked due to non-empty scheduling gates',
        },
      ];
    }
  },
  graceSeconds(pod, requested) {
    const { nodeName, terminationGracePeriodSeconds } = pod['spec'] as PodSpec;
    const phase: string | undefined = pod['status']?.phase;
    // Nobody runs it: there is nothing to wait for.
    if (!nodeName || phase === 'Succeeded' || phase === 'Failed') return 0;
    const seconds = requested ?? terminationGracePeriodSeconds ?? 0;
    return seconds < 0 ? 1 : seconds;
  },
  parts: {
    status(given, current) {
      const status = { ...given['status'] };
      // Decided at creation by the resources, which do not change.
      if (current['status']?.qosClass !== undefined) status.qosClass = current['status'].qosClass;
      return { ...current, status };
    },
    ephemeralcontainers: (given, current) => ({
      ...current,
      spec: { ...current['spec'], ephemeralContainers: given['spec']?.ephemeralContainers },
    }),
    resize: (given, current) => ({ ...current, spec: withResources(current['spec'], given['spec'] ?? {}) }),
  },
  partRules: {
    ephemeralcontainers: checkEphemeral,
    resize: checkResize,
  },
  actions: {
    binding: {
      body: Binding as never,
      change(pod, binding, { now }) {
        bind(pod, binding, now());
      },
    },
  },
};

function bind(pod: DynamicObject, binding: DynamicObject, now: number): void {
  const { name } = pod.metadata;
  const { target } = binding as unknown as corev1.Binding;
  const refuse = (field: string, type: 'FieldValueNotSupported' | 'FieldValueRequired', message: string) =>
    invalid({ group: '', kind: 'Binding' }, name, [{ field, type, message }]);
  if (target?.kind !== undefined && target.kind !== '' && target.kind !== 'Node') {
    throw refuse(
      'target.kind',
      'FieldValueNotSupported',
      `Unsupported value: ${JSON.stringify(target.kind)}: supported values: "Node", "<empty>"`,
    );
  }
  if (!target?.name) throw refuse('target.name', 'FieldValueRequired', 'Required value');
  if (pod.metadata.deletionTimestamp !== undefined) {
    throw conflict(
      { group: '', plural: 'pods/binding' },
      name,
      `pod ${name} is being deleted, cannot be assigned to a host`,
    );
  }
  const spec = pod['spec'] as PodSpec;
  if (spec.nodeName) {
    throw conflict(
      { group: '', plural: 'pods/binding' },
      name,
      `pod ${name} is already assigned to node "${spec.nodeName}"`,
    );
  }
  if ((spec.schedulingGates?.length ?? 0) > 0) {
    throw conflict({ group: '', plural: 'pods/binding' }, name, `pod ${name} has non-empty .spec.schedulingGates`);
  }
  spec.nodeName = target.name;
  const { annotations } = binding.metadata;
  if (annotations !== undefined) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations };
  pod['status'] ??= {};
  const status = pod['status'] as corev1.PodStatus;
  const conditions = (status.conditions ?? []).filter(each => each.type !== 'PodScheduled');
  conditions.push({ type: 'PodScheduled', status: 'True', lastTransitionTime: formatTime(now) } as corev1.PodCondition);
  status.conditions = conditions;
}
