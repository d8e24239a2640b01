/**
 * Eviction: a deletion of a pod that disruption budgets may refuse. A budget that allows it is charged before the pod goes, so that
 * two evictions at once cannot use the same allowance; the disruption controller sets the allowance right again later.
 *
 * A pod that does not serve (it has ended, has not begun, or is on its way out) is charged to nobody. Source: core registry
 * `pod/storage/eviction.go` (v0.33).
 */
import {
  builtinSchema,
  type DynamicObject,
  decodeStruct,
  formatTime,
  invalid,
  type Kind,
  labelSelectorOf,
  PodDisruptionBudget,
  type policyv1,
  StatusError,
} from '@orbitkit/core';
import type { Body, RequestContext, ResourceKey, WriteOptions } from './contract.js';
import { deleteObject } from './delete.js';
import { reportFields } from './field-validation.js';
import type { ReadonlyObject, StoredObject } from './object-bytes.js';
import { readObject } from './read.js';
import { resourceIdOf } from './storage-keys.js';
import { type Decision, dryRunAnswer, serialized, writeObject } from './write.js';
import { targetOf, type Writing } from './writing.js';

const evictionKind = { group: 'policy', version: 'v1', kind: 'Eviction' };
const budgetKind = PodDisruptionBudget as Kind<any>;
const budgets = resourceIdOf(PodDisruptionBudget);
/** Pods on their way out that one budget keeps account of. */
const maxDisruptedPods = 2000;
const refusal = "Cannot evict pod as it would violate the pod's disruption budget.";

type Budget = policyv1.PodDisruptionBudget;

/** @throws StatusError TooManyRequests when a budget stands against it. */
export async function evictPod(
  writing: Writing,
  context: RequestContext,
  kind: Kind,
  key: ResourceKey,
  body: Body,
  options: WriteOptions,
): Promise<void> {
  const { value, unknownFields } = decodeStruct(builtinSchema('policy/v1.Eviction'), body.value ?? {}, evictionKind);
  reportFields(context, { ...kind, ...evictionKind }, unknownFields, body.duplicateFields ?? [], options);
  const name = value['metadata']?.name;
  if (name !== undefined && name !== '' && name !== key.name) {
    throw new StatusError('BadRequest', `name in URL does not match name in Eviction object: ${key.name} and ${name}`);
  }
  const { dryRun: dryRuns, ...deleteOptions } = value['deleteOptions'] ?? {};
  if (dryRuns?.some((each: string) => each !== 'All')) {
    throw invalid(evictionKind, key.name, [
      {
        field: 'deleteOptions.dryRun',
        type: 'FieldValueNotSupported',
        message: `Unsupported value: ${JSON.stringify(dryRuns)}: supported values: "All"`,
      },
    ]);
  }
  const dryRun = options.dryRun === true || (dryRuns?.length ?? 0) > 0;
  const pod = (await readObject(writing.cache, kind, key, {}, context.signal)).object();
  if (serves(pod)) {
    const found = await budgetsOf(writing, pod, context.signal);
    if (found.length > 1) {
      throw new StatusError(
        'InternalError',
        'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
      );
    }
    const budget = found[0]?.object() as Budget | undefined;
    if (budget && !isFree(pod, budget)) await charge(writing, context, budget, key.name, dryRun);
  }
  await deleteObject(writing, context, kind, key, { ...deleteOptions, dryRun });
}

function serves(pod: ReadonlyObject): boolean {
  const phase: string | undefined = pod['status']?.phase;
  return phase === 'Running' && pod.metadata.deletionTimestamp === undefined;
}

async function budgetsOf(writing: Writing, pod: ReadonlyObject, signal: AbortSignal): Promise<StoredObject[]> {
  // Up to date with the store: a budget that was acknowledged protects.
  await writing.cache.fresh(signal);
  const resource = writing.cache.resource(budgets);
  const inNamespace = [...resource.paths(pod.metadata.namespace)].map(path => resource.objects.get(path)!);
  const labels = pod.metadata.labels ?? {};
  return inNamespace.filter(stored => labelSelectorOf((stored.object() as Budget).spec?.selector).matches(labels));
}

const isReady = (pod: ReadonlyObject): boolean =>
  pod['status']?.conditions?.some(
    (condition: { type: string; status: string }) => condition.type === 'Ready' && condition.status === 'True',
  ) ?? false;

/** A pod that is not ready serves nobody: its going hurts a budget only while that is hurt already. */
function isFree(pod: ReadonlyObject, { spec, status }: Budget): boolean {
  if (isReady(pod)) return false;
  if (spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return true;
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return currentHealthy >= desiredHealthy && desiredHealthy > 0;
}

function tooMany(cause: string): StatusError {
  return new StatusError('TooManyRequests', refusal, {
    details: { causes: [{ reason: 'DisruptionBudget', message: cause }] },
  });
}

/** @throws StatusError when the budget allows no disruption now. */
function checkAllowance({ metadata, status }: Budget): void {
  const { name } = metadata;
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0))
    throw tooMany(`The disruption budget ${name} is still being processed by the server.`);
  const { disruptionsAllowed = 0, desiredHealthy = 0, currentHealthy = 0 } = status ?? {};
  const forbidden = (message: string): StatusError =>
    new StatusError('Forbidden', `poddisruptionbudgets.policy "${name}" is forbidden: ${message}`);
  if (disruptionsAllowed < 0) throw forbidden('pdb disruptions allowed is negative');
  if (Object.keys(status?.disruptedPods ?? {}).length > maxDisruptedPods)
    throw forbidden('DisruptedPods map too big - too many evictions not confirmed by PDB controller');
  if (disruptionsAllowed === 0)
    throw tooMany(
      `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
    );
}

async function charge(
  writing: Writing,
  context: RequestContext,
  { metadata }: Budget,
  pod: string,
  dryRun: boolean,
): Promise<void> {
  const key = { name: metadata.name, namespace: metadata.namespace };
  await writeObject(writing.cache, context, targetOf(budgetKind, key), (current): Decision => {
    // The budget has gone meanwhile: it protects nothing any more.
    if (current === undefined) return { type: 'answer', object: undefined as never };
    const object = current.copy();
    const budget = object as unknown as Budget;
    checkAllowance(budget);
    const { status } = budget;
    status!.disruptionsAllowed -= 1;
    status!.disruptedPods = { ...status!.disruptedPods, [pod]: formatTime(writing.clock.now()) };
    const value = serialized(budgetKind, object as DynamicObject);
    if (dryRun) return { type: 'answer', object: dryRunAnswer(writing.cache, value, current.revision) };
    return { type: 'put', object, value };
  });
}
