/**
 * Keeps the arithmetic of disruption budgets: how many of the pods that one selects are healthy, how many must be, and so how many may be
 * evicted now. The eviction subresource of the API server spends that number.
 *
 * - `minAvailable` as a number counts the pods that are there; a percentage of it, and `maxUnavailable`, count those that the pods' controllers
 *   want (`spec.replicas` of a Deployment, ReplicaSet, StatefulSet or ReplicationController, or the scale subresource of any other kind).
 * - A pod that was granted to an eviction counts as gone for two minutes, or until it is.
 * - A pod without a controller counts as healthy and not as wanted, since nobody says how many there should be; an event tells so.
 * - When it cannot tell (a controller without a scale, a selector that cannot be read), nothing may be evicted, and the condition says why.
 * - A pod whose DisruptionTarget was not followed by its deletion within two minutes loses that mark (stale-disruptions).
 *
 * Source of the rules and constants: kube-controller-manager `disruption.go` (1.33).
 */
import {
  controllerOf,
  Deployment,
  type DiscoveredKind,
  discoverKinds,
  formatTime,
  isDeleting,
  isNotFound,
  type LabelSelector,
  labelSelectorOf,
  type OwnerReference,
  type ParsedLabelSelector,
  Pod,
  PodDisruptionBudget,
  parseTime,
  ReplicaSet,
  resolvePercent,
  setCondition,
} from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { Controller } from '../../controller.js';
import { controller, type ReconcileRequest } from '../../controller-builder.js';
import { isPodReady, isTerminal, type PodView } from '../../pods/pod-state.js';
import type { ReconcileResult } from '../../reconcile-loop.js';
import { messageOf } from '../../refusals.js';
import { together } from '../../together.js';
import { staleDisruptions } from './stale-disruptions.js';

/** Everything has a default. */
export interface PodDisruptionBudgetsOptions {
  /** Budgets reconciled at the same time. Default 5. */
  concurrency?: number;
}

type Request = ReconcileRequest<PodDisruptionBudget>;
type Status = PodDisruptionBudget['status'];

const name = 'disruption-controller';

/** `DeletionTimeout`: after this an eviction that was granted is taken for one that did not happen. */
const grantMs = 120_000;

/** The controller of PodDisruptionBudgets. */
export function podDisruptionBudgets({ concurrency = 5 }: PodDisruptionBudgetsOptions = {}): Controller {
  const budgets = controller(PodDisruptionBudget)
    .named(name)
    .concurrency(concurrency)
    .watches(Pod, (pod, read) =>
      read(PodDisruptionBudget)
        .list(pod.metadata.namespace)
        .filter(({ spec }) => spec.selector && selectorOf(spec.selector)?.matches(pod.metadata.labels))
        .map(({ metadata }) => metadata.name),
    )
    .reads(ReplicaSet)
    .reads(Deployment)
    .reconcile(reconcile);
  const stale = staleDisruptions();
  return {
    ...budgets,
    run: context => together(context, budgets.run, each => stale.run({ ...each, ready() {} })),
  };
}

/** Undefined when it cannot be read: the reconciliation says so. */
function selectorOf(selector: DeepReadonly<LabelSelector>): ParsedLabelSelector | undefined {
  try {
    return labelSelectorOf(selector as LabelSelector);
  } catch {
    return undefined;
  }
}

async function reconcile(request: Request): Promise<ReconcileResult> {
  const { object: budget, client, clock, events } = request;
  const now = clock.now();
  const before = budget.status;
  let status: Status;
  let recheckMs: number | undefined;
  try {
    ({ status, recheckMs } = await statusOf(request, now));
  } catch (error) {
    const message = messageOf(error);
    events.event(
      budget,
      'Warning',
      'CalculateExpectedPodCountFailed',
      `Failed to calculate the number of expected pods: ${message}`,
    );
    status = { ...before, disruptionsAllowed: 0 };
    status.conditions = allowed(status, budget, now, { reason: 'SyncFailed', message });
    if (JSON.stringify(before) !== JSON.stringify(status))
      await client.updateStatus(PodDisruptionBudget, { ...budget, status });
    throw error;
  }
  if (JSON.stringify(before) !== JSON.stringify(status))
    await client.updateStatus(PodDisruptionBudget, { ...budget, status });
  return recheckMs === undefined ? undefined : { requeueAfter: recheckMs };
}

async function statusOf(request: Request, now: number): Promise<{ status: Status; recheckMs: number | undefined }> {
  const { object: budget, read, events } = request;
  const { namespace } = budget.metadata;
  // No selector selects nothing, an empty one everything (policy/v1).
  const selector = budget.spec.selector && labelSelectorOf(budget.spec.selector as LabelSelector);
  const pods = read(Pod)
    .list(namespace)
    .filter(pod => !isTerminal(pod) && selector?.matches(pod.metadata.labels));
  if (pods.length === 0) events.event(budget, 'Normal', 'NoPods', 'No matching pods found');
  const { expected, desired, unmanaged = [] } = await wanted(request, pods);
  if (unmanaged.length > 0) {
    const some = unmanaged.slice(0, 3).join(', ');
    const text = `${unmanaged.length} of the selected pods have no controller (${some}): nobody says how many there should be; set spec.minAvailable to a number`;
    events.event(budget, 'Warning', 'UnmanagedPods', text);
  }

  const granted: Record<string, string> = {};
  let recheckMs: number | undefined;
  for (const pod of pods) {
    const since = budget.status.disruptedPods?.[pod.metadata.name];
    if (since === undefined || isDeleting(pod)) continue;
    const left = (parseTime(since) ?? now) + grantMs - now;
    if (left <= 0) {
      events.event(
        pod,
        'Warning',
        'NotDeleted',
        `Pod was expected by PDB ${namespace}/${budget.metadata.name} to be deleted but it wasn't`,
      );
      continue;
    }
    granted[pod.metadata.name] = since;
    recheckMs = Math.min(recheckMs ?? left, left);
  }
  const healthy = pods.filter(
    pod => isPodReady(pod) && !isDeleting(pod) && granted[pod.metadata.name] === undefined,
  ).length;
  const status: Status = {
    ...budget.status,
    observedGeneration: budget.metadata.generation ?? 0,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    disruptionsAllowed: expected <= 0 ? 0 : Math.max(0, healthy - desired),
  };
  if (Object.keys(granted).length > 0) status.disruptedPods = granted;
  else delete status.disruptedPods;
  status.conditions = allowed(status, budget, now);
  return { status, recheckMs };
}

function allowed(
  status: Status,
  budget: PodDisruptionBudget,
  now: number,
  failure?: { reason: string; message: string },
) {
  const enough = status.disruptionsAllowed > 0;
  return setCondition(
    status.conditions,
    {
      type: 'DisruptionAllowed',
      status: !failure && enough ? 'True' : 'False',
      reason: failure?.reason ?? (enough ? 'SufficientPods' : 'InsufficientPods'),
      message: failure?.message ?? '',
      observedGeneration: budget.metadata.generation ?? 0,
      lastTransitionTime: formatTime(now),
    },
    now,
  );
}

interface Wanted {
  expected: number;
  desired: number;
  /** Names of pods without a controller, where that matters. */
  unmanaged?: readonly string[];
}

/** How many pods there should be, and how many of them must be healthy. */
async function wanted(request: Request, pods: readonly PodView[]): Promise<Wanted> {
  const { minAvailable, maxUnavailable } = request.object.spec;
  if (maxUnavailable !== undefined) {
    const { expected, unmanaged } = await expectedOf(request, pods);
    return { expected, unmanaged, desired: Math.max(0, expected - resolvePercent(maxUnavailable, expected, 'up')) };
  }
  if (typeof minAvailable === 'string') {
    const { expected, unmanaged } = await expectedOf(request, pods);
    return { expected, unmanaged, desired: resolvePercent(minAvailable, expected, 'up') };
  }
  return { expected: pods.length, desired: minAvailable ?? 0 };
}

/** The replicas that the pods' controllers want, each controller once. */
async function expectedOf(
  request: Request,
  pods: readonly PodView[],
): Promise<{ expected: number; unmanaged: readonly string[] }> {
  const scales = new Map<string, number>();
  const seen = new Set<string>();
  const unmanaged: string[] = [];
  for (const pod of pods) {
    const owner = controllerOf(pod);
    if (!owner) {
      unmanaged.push(pod.metadata.name);
      continue;
    }
    if (seen.has(owner.uid)) continue;
    seen.add(owner.uid);
    const { uid, replicas } = await scaleOf(request, owner);
    scales.set(uid, replicas);
  }
  return { expected: [...scales.values()].reduce((sum, replicas) => sum + replicas, 0), unmanaged };
}

async function scaleOf(request: Request, owner: OwnerReference): Promise<{ uid: string; replicas: number }> {
  const { read, object } = request;
  const { namespace } = object.metadata;
  if (owner.kind === ReplicaSet.kind && owner.apiVersion === 'apps/v1') {
    const set = read(ReplicaSet).get({ namespace, name: owner.name });
    const above = set && controllerOf(set);
    if (set?.metadata.uid === owner.uid && above?.kind === Deployment.kind) {
      const deployment = read(Deployment).get({ namespace, name: above.name });
      if (deployment?.metadata.uid === above.uid) return { uid: above.uid, replicas: deployment.spec.replicas ?? 1 };
    }
    if (set?.metadata.uid === owner.uid) return { uid: owner.uid, replicas: set.spec.replicas ?? 1 };
  }
  return { uid: owner.uid, replicas: await scaleByApi(request, owner) };
}

interface Scale {
  metadata: { uid: string };
  spec?: { replicas?: number };
}

/** Any kind that has a scale. */
async function scaleByApi({ client, object }: Request, owner: OwnerReference): Promise<number> {
  const kinds = await discoverKinds(client.transport);
  const kind: DiscoveredKind = kinds.byKind(owner.apiVersion, owner.kind);
  try {
    const scale = await client.getSubresource<Scale>(
      kind,
      { name: owner.name, namespace: object.metadata.namespace },
      'scale',
    );
    if (scale.metadata.uid === owner.uid) return scale.spec?.replicas ?? 0;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  throw new Error(
    `the controller ${owner.kind} ${owner.name} of its pods has no scale, or is gone: it cannot be told how many there should be`,
  );
}
