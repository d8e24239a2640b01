/**
 * What a daemon set needs next, as a pure function of the set, its pods, the nodes and the newest revision: which nodes get a pod, which pods go, and
 * what the status says.
 *
 * - One pod on each node where it belongs. A failed one is replaced after 1 s, doubled with each failure up to 15 minutes; an ended one at once.
 * - A pod that is on a node where it may not stay goes; one whose node has become unschedulable for it stays.
 * - RollingUpdate: no more than `maxUnavailable` nodes without an available pod (those that are not available anyway are replaced first), or, with
 *   `maxSurge`, the new pod first and the old one when the new one is available. OnDelete: an old pod stays until somebody deletes it.
 *
 * Source of the rules: kube-controller-manager `daemon_controller.go`, `update.go` (1.33).
 */
import { isDeleting, parseTime, resolvePercent } from '@orbitkit/core';
import { isAvailable, isPodReady, type PodView } from '../../pods/pod-state.js';
import { revisionLabel } from '../revision-history/revision-history.js';
import { type DaemonSetView, type NodeView, nodeOf, placeOn } from './daemon-pods.js';

export interface DaemonCounts {
  desiredNumberScheduled: number;
  currentNumberScheduled: number;
  numberMisscheduled: number;
  numberReady: number;
  numberAvailable: number;
  updatedNumberScheduled: number;
}

export interface DaemonPlan {
  /** Names of nodes. */
  create: string[];
  delete: PodView[];
  /** Failed pods among those that go. */
  failed: PodView[];
  counts: DaemonCounts;
  /** Look again then, even if nothing happens. */
  recheckMs?: number;
}

export interface DaemonState {
  set: DaemonSetView;
  pods: readonly PodView[];
  nodes: readonly NodeView[];
  /** Hash of the newest revision. */
  hash: string;
  now: number;
  /** Milliseconds until the failed pod of this node may be replaced. */
  backoffMs(node: string): number;
}

export function planDaemons(state: DaemonState): DaemonPlan {
  const { set, pods, nodes, hash, now, backoffMs } = state;
  const byNode = new Map<string, PodView[]>();
  for (const pod of pods) {
    const node = nodeOf(pod) ?? '';
    byNode.set(node, [...(byNode.get(node) ?? []), pod]);
  }
  const plan: DaemonPlan = { create: [], delete: [], failed: [], counts: countsOf(state, byNode) };
  const waits: number[] = [];
  const isNew = (pod: PodView) => pod.metadata.labels?.[revisionLabel] === hash;
  const minReady = set.spec.minReadySeconds ?? 0;
  const available = (pod: PodView) => {
    const yes = isAvailable(pod, minReady, now);
    if (!yes && isPodReady(pod) && minReady > 0) waits.push(minReady * 1000);
    return yes;
  };
  const rolling = set.spec.updateStrategy?.type !== 'OnDelete';
  const { maxSurge = 0, maxUnavailable = 1 } = set.spec.updateStrategy?.rollingUpdate ?? {};
  const wanted = nodes.filter(node => placeOn(set, node).run);
  const surge = rolling ? resolvePercent(maxSurge, wanted.length, 'up') : 0;
  const mayLack = Math.max(resolvePercent(maxUnavailable, wanted.length, 'up'), surge > 0 ? 0 : 1);

  const known = new Set(nodes.map(({ metadata }) => metadata.name));
  for (const [node, there] of byNode) if (!known.has(node)) plan.delete.push(...there.filter(pod => !isDeleting(pod)));

  /** Nodes with an old pod, to be updated within the limits. */
  const toUpdate: { node: string; old: PodView; fresh: PodView | undefined }[] = [];
  let lacking = 0;
  let surging = 0;
  for (const node of nodes) {
    const { name } = node.metadata;
    const { run, stay } = placeOn(set, node);
    const there = byNode.get(name) ?? [];
    if (!stay) {
      plan.delete.push(...there.filter(pod => !isDeleting(pod)));
      continue;
    }
    const ended = there.filter(
      pod => !isDeleting(pod) && (pod.status.phase === 'Failed' || pod.status.phase === 'Succeeded'),
    );
    const living = there.filter(pod => !ended.includes(pod));
    for (const pod of ended) {
      const wait = pod.status.phase === 'Failed' ? backoffMs(name) : 0;
      if (wait > 0) waits.push(wait);
      else {
        plan.delete.push(pod);
        if (pod.status.phase === 'Failed') plan.failed.push(pod);
      }
    }
    if (!run) continue;
    const going = living.filter(isDeleting);
    const standing = living.filter(pod => !isDeleting(pod));
    if (standing.length === 0) {
      // Its place is free when the last one is gone.
      if (going.length === 0 && ended.length === 0) plan.create.push(name);
      lacking += 1;
      continue;
    }
    const fresh = oldestOf(standing.filter(isNew));
    const old = oldestOf(standing.filter(pod => !isNew(pod)));
    const kept = surge > 0 && old && fresh ? [old, fresh] : [fresh && !old ? fresh : (old ?? fresh)!];
    plan.delete.push(...standing.filter(pod => !kept.includes(pod)));
    if (!standing.some(available)) lacking += 1;
    if (fresh && old) surging += 1;
    if (rolling && old) toUpdate.push({ node: name, old, fresh: surge > 0 ? fresh : undefined });
  }

  for (const { node, old, fresh } of toUpdate) {
    if (surge > 0) {
      if (fresh) {
        if (available(fresh)) plan.delete.push(old);
      } else if (!available(old)) plan.delete.push(old);
      else if (surging < surge) {
        surging += 1;
        plan.create.push(node);
      }
    } else if (!available(old)) plan.delete.push(old);
    else if (lacking < mayLack) {
      lacking += 1;
      plan.delete.push(old);
    }
  }
  if (waits.length > 0) plan.recheckMs = Math.min(...waits);
  return plan;
}

function countsOf(
  { set, nodes, hash, now }: DaemonState,
  byNode: ReadonlyMap<string, readonly PodView[]>,
): DaemonCounts {
  const counts: DaemonCounts = {
    desiredNumberScheduled: 0,
    currentNumberScheduled: 0,
    numberMisscheduled: 0,
    numberReady: 0,
    numberAvailable: 0,
    updatedNumberScheduled: 0,
  };
  for (const node of nodes) {
    const pods = byNode.get(node.metadata.name) ?? [];
    if (!placeOn(set, node).run) {
      if (pods.length > 0) counts.numberMisscheduled += 1;
      continue;
    }
    counts.desiredNumberScheduled += 1;
    if (pods.length === 0) continue;
    counts.currentNumberScheduled += 1;
    // The one that serves speaks for the node.
    const pod = pods.find(each => isPodReady(each) && !isDeleting(each)) ?? pods[0]!;
    if (isPodReady(pod)) counts.numberReady += 1;
    if (isAvailable(pod, set.spec.minReadySeconds ?? 0, now)) counts.numberAvailable += 1;
    if (pods.some(each => each.metadata.labels?.[revisionLabel] === hash)) counts.updatedNumberScheduled += 1;
  }
  return counts;
}

function oldestOf(pods: readonly PodView[]): PodView | undefined {
  const born = (pod: PodView) => parseTime(pod.metadata.creationTimestamp) ?? 0;
  return [...pods].sort((a, b) => born(a) - born(b) || (a.metadata.name < b.metadata.name ? -1 : 1))[0];
}
