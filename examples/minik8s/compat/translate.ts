/**
 * Reads manifests of two older MiniK8s systems as Kubernetes objects.
 *
 * Every deviation that is understood is rewritten and said in a warning; nothing is dropped in silence. What has no counterpart yet
 * (functions, jobs, DNS routes) is not an error but `waits`, with the reason. What is not a quirk of those systems is
 * left as it is, so that the API server's own validation speaks. The input is not changed.
 */
import type { DynamicObject } from '@orbitkit/core';
import { legalName } from './names.js';
import { podQuirks } from './pod-quirks.js';
import { claimQuirks, volumeQuirks } from './volume-quirks.js';

export type Translated =
  | { outcome: 'object'; object: DynamicObject; warnings: string[] }
  | { outcome: 'waits'; what: string; reason: string };

/** A free JSON object, as a manifest gives it. */
export type Json = Record<string, any>;
export type Warn = (message: string) => void;

/** Kinds that those systems have and this distribution has not, with what they wait for. */
const waiting: Readonly<Record<string, string>> = {
  Dns: 'DNS routes are not served yet',
  DNS: 'DNS routes are not served yet',
  Hpa: 'this older autoscaler counts pods by label, without a workload to scale; a HorizontalPodAutoscaler scales one',
  Func: 'functions are not served yet',
  Job: 'cluster jobs are not served yet',
};

/** The API version under which a kind is served, whatever the manifest says. */
const servedAs: Readonly<Record<string, string>> = {
  ReplicaSet: 'apps/v1',
  Deployment: 'apps/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2',
};

export function translate(document: unknown): Translated {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw new TypeError('a manifest is a mapping with apiVersion, kind and metadata');
  }
  const source = document as Json;
  const warnings: string[] = [];
  const warn: Warn = message => {
    if (!warnings.includes(message)) warnings.push(message);
  };

  if (source.kind === undefined) {
    if (source.functionFile !== undefined)
      return { outcome: 'waits', what: `function ${source.name}`, reason: waiting.Func! };
    if (source.type !== undefined && source.params !== undefined) {
      return {
        outcome: 'waits',
        what: `event of function ${source.name}`,
        reason: 'events of functions are not served yet',
      };
    }
    throw new TypeError('kind is missing');
  }
  const object = structuredClone(source) as Json;
  if (object.metadata === undefined && typeof object.name === 'string') {
    object.metadata = { name: object.name };
    delete object.name;
    warn('name at the top level was moved to metadata.name');
  }
  const reason = waiting[object.kind];
  if (reason && !(object.kind === 'Job' && object.apiVersion === 'batch/v1')) {
    return { outcome: 'waits', what: `${object.kind} ${object.metadata?.name ?? ''}`.trim(), reason };
  }

  const apiVersion = servedAs[object.kind];
  if (apiVersion && object.apiVersion !== apiVersion) {
    warn(`apiVersion ${object.apiVersion} of ${object.kind} was read as ${apiVersion}`);
    object.apiVersion = apiVersion;
  }
  renameObject(object, warn);
  dumpQuirks(object, warn);
  switch (object.kind) {
    case 'Pod':
      podQuirks(object.spec, 'spec', warn, object.metadata);
      break;
    case 'ReplicaSet':
    case 'Deployment':
      workloadQuirks(object, warn);
      break;
    case 'Service':
      serviceQuirks(object, warn);
      break;
    case 'PersistentVolume':
      volumeQuirks(object, warn);
      break;
    case 'PersistentVolumeClaim':
      claimQuirks(object, warn);
      break;
    case 'Node':
      nodeQuirks(object, warn);
      break;
    case 'HorizontalPodAutoscaler':
      autoscalerQuirks(object, warn);
      break;
  }
  return { outcome: 'object', object: object as DynamicObject, warnings };
}

function renameObject(object: Json, warn: Warn): void {
  const metadata = object.metadata;
  if (typeof metadata?.name !== 'string') return;
  const name = legalName(metadata.name);
  if (name !== metadata.name) {
    warn(`metadata.name "${metadata.name}" is no legal name; it was rewritten to "${name}"`);
    metadata.name = name;
  }
}

/** An object that was read from another cluster, whole: what that cluster gave it is not this one's. */
function dumpQuirks({ metadata }: Json, warn: Warn): void {
  if (metadata?.uid === undefined && metadata?.resourceVersion === undefined) return;
  for (const field of ['uid', 'resourceVersion', 'creationTimestamp', 'selfLink', 'managedFields', 'ownerReferences']) {
    if (metadata[field] === undefined) continue;
    delete metadata[field];
    warn(`metadata.${field} was dropped: it is of the cluster that the object was read from`);
  }
}

function workloadQuirks(object: Json, warn: Warn): void {
  const { spec } = object;
  if (typeof spec !== 'object' || spec === null) return;
  const { selector } = spec;
  if (
    selector &&
    selector.matchLabels === undefined &&
    selector.matchExpressions === undefined &&
    Object.keys(selector).length > 0
  ) {
    spec.selector = { matchLabels: selector };
    warn('spec.selector is a flat map; it was read as matchLabels');
  }
  const metadata = spec.template?.metadata;
  for (const field of ['name', 'namespace']) {
    if (metadata?.[field] === undefined) continue;
    delete metadata[field];
    warn(
      `spec.template.metadata.${field} was dropped: pods are named after their ${object.kind} and live in its namespace`,
    );
  }
  podQuirks(spec.template?.spec, 'spec.template.spec', warn, spec.template);
}

function serviceQuirks(object: Json, warn: Warn): void {
  for (const [index, port] of (object.spec?.ports ?? []).entries()) {
    if (typeof port?.name !== 'string') continue;
    const name = legalName(port.name);
    if (name === port.name) continue;
    warn(`spec.ports[${index}].name "${port.name}" was rewritten to "${name}"`);
    port.name = name;
  }
}

const addressAnnotation = 'minik8s.orbitkit.dev/address';

function nodeQuirks(object: Json, warn: Warn): void {
  const address = object.spec?.address;
  if (address === undefined) return;
  delete object.spec.address;
  object.metadata.annotations = { ...object.metadata.annotations, [addressAnnotation]: String(address) };
  warn(`spec.address was kept as annotation ${addressAnnotation}: a node's agent reports its own addresses`);
}

function autoscalerQuirks(object: Json, warn: Warn): void {
  const percent = object.spec?.targetCPUUtilizationPercentage;
  if (percent === undefined) return;
  delete object.spec.targetCPUUtilizationPercentage;
  object.spec.metrics ??= [];
  object.spec.metrics.push({
    type: 'Resource',
    resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } },
  });
  warn('spec.targetCPUUtilizationPercentage was read as a cpu metric');
}
