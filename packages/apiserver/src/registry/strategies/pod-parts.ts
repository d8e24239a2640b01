/**
 * What of a pod can be changed after its creation, and only by a way of its own: ephemeral containers are added and never changed,
 * resources are resized within the pod's class of service. Source: core/validation `ValidatePodEphemeralContainersUpdate`,
 * `ValidatePodResize`; `qos.ComputePodQOS` (v0.33).
 */
import { type corev1, type FieldError, Quantity } from '@orbitkit/core';
import { sameJson } from '../json-value.js';
import type { PartRules } from '../strategy.js';

type PodSpec = corev1.PodSpec;

const forbidden = (field: string, message: string): FieldError => ({
  field,
  type: 'FieldValueForbidden',
  message: `Forbidden: ${message}`,
});

export const checkEphemeral: PartRules = (pod, old, validate) => {
  const spec = pod['spec'] as PodSpec;
  const added = spec.ephemeralContainers ?? [];
  const errors: FieldError[] = [];
  for (const before of (old['spec'] as PodSpec).ephemeralContainers ?? []) {
    const now = added.find(({ name }) => name === before.name);
    const field = 'spec.ephemeralContainers';
    if (now === undefined)
      errors.push(forbidden(field, `existing ephemeral containers ${JSON.stringify(before.name)} may not be removed`));
    else if (!sameJson(now, before))
      errors.push(forbidden(field, `existing ephemeral containers ${JSON.stringify(before.name)} may not be changed`));
  }
  return [...validate(pod, { ...old, spec: { ...old['spec'], ephemeralContainers: added } }), ...errors];
};

/** The spec with the resources of containers of the same name in `given`. */
export function withResources(spec: PodSpec, given: Partial<PodSpec>): PodSpec {
  const resized = (containers: readonly corev1.Container[] | undefined, from: readonly corev1.Container[] = []) =>
    containers?.map(container => {
      const match = from.find(({ name }) => name === container.name);
      if (!match) return container;
      const { resources, resizePolicy } = match;
      return {
        ...container,
        ...(resources === undefined ? {} : { resources }),
        ...(resizePolicy === undefined ? {} : { resizePolicy }),
      };
    });
  const made: PodSpec = { ...spec, containers: resized(spec.containers, given.containers) ?? [] };
  const initContainers = resized(spec.initContainers, given.initContainers);
  if (initContainers !== undefined) made.initContainers = initContainers;
  return made;
}

const resizable = ['cpu', 'memory'];

export const checkResize: PartRules = (pod, old, validate) => {
  const spec = pod['spec'] as PodSpec;
  const before = old['spec'] as PodSpec;
  const errors = validate(pod, { ...old, spec: withResources(before, spec) });
  if (errors.length > 0) return errors;
  for (const [index, container] of spec.containers.entries()) {
    const was = before.containers[index]?.resources ?? {};
    for (const part of ['limits', 'requests'] as const) {
      const [amounts, amountsBefore] = [container.resources?.[part] ?? {}, was[part] ?? {}];
      const field = `spec.containers[${index}].resources.${part}`;
      for (const name of new Set([...Object.keys(amounts), ...Object.keys(amountsBefore)])) {
        if (sameAmount(amounts[name], amountsBefore[name])) continue;
        if (!resizable.includes(name)) errors.push(forbidden(field, `only cpu and memory resources are mutable`));
        else if (amounts[name] === undefined) errors.push(forbidden(field, `resource ${part} cannot be removed`));
      }
    }
  }
  if (qualityOfService(spec) !== (old['status']?.qosClass ?? qualityOfService(before)))
    errors.push({
      field: 'spec',
      type: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(qualityOfService(spec))}: Pod QOS Class may not change as a result of resizing`,
    });
  return errors;
};

function sameAmount(a: string | number | undefined, b: string | number | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return Quantity.parse(a).equals(Quantity.parse(b));
}

const resourceNames = ['cpu', 'memory'] as const;

/** Guaranteed: every container has equal limits and requests of cpu and memory; BestEffort: none has any; else Burstable. */
export function qualityOfService(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  let any = false;
  let guaranteed = true;
  for (const { resources } of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    for (const name of resourceNames) {
      const limit = positive(resources?.limits?.[name]);
      const request = positive(resources?.requests?.[name]);
      any ||= limit !== undefined || request !== undefined;
      if (limit === undefined || (request !== undefined && !limit.equals(request))) guaranteed = false;
    }
  }
  if (!any) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function positive(text: string | number | undefined): Quantity | undefined {
  if (text === undefined) return undefined;
  const quantity = Quantity.parse(text);
  return quantity.compare(Quantity.zero) > 0 ? quantity : undefined;
}
