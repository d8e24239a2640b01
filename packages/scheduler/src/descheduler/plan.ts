/**
 * Which pods should leave their nodes: a pure function of the snapshot, the strategies and the limits. It changes nothing.
 *
 * Strategies run in their order; each sees the cluster as those before it left it, with the pods that leave where the profile would put them next. A pod that
 * the profile would put nowhere else stays (`nodeFit`), as do protected pods (evictor.ts) and those whose disruption budget has nothing left.
 */
import { type KubeObject, labelSelectorOf, type Pod, type policyv1 } from '@orbitkit/core';
import { type Profile, profile } from '../framework/profile.js';
import { defaultPlugins } from '../profiles.js';
import { schedule } from '../schedule.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import type { Snapshot, Supposition } from '../snapshot/snapshot.js';
import { type EvictorOptions, protectionOf } from './evictor.js';

/** Strategies and limits; without a limit any number of pods may leave. */
export interface PlanOptions extends EvictorOptions {
  strategies: readonly DescheduleStrategy[];
  /** In one plan. Default: no limit. */
  maxEvictionsPerNode?: number;
  /** In one plan. Default: no limit. */
  maxEvictionsPerNamespace?: number;
  /** In one plan. Default: no limit. */
  maxEvictions?: number;
  /** Only pods that would find another node. Default true. */
  nodeFit?: boolean;
  /** What decides whether they would. Default: `defaultPlugins()`. */
  profile?: Profile;
  /** Milliseconds since 1970, for `minPodAgeMs`. */
  now?: number;
}

/** One pod that should leave, and why. */
export interface PlannedEviction {
  readonly pod: Pod;
  readonly node: string;
  readonly strategy: string;
  readonly reason: string;
  /** Where the profile would put it now. Absent without `nodeFit`. */
  readonly target?: string;
}

/** One reason for pods to leave. `plan` proposes evictions to the pass, which may refuse them. */
export interface DescheduleStrategy {
  readonly name: string;
  plan(pass: DeschedulePass): void;
}

/** What a strategy works with. */
export interface DeschedulePass {
  /** With what has been planned already. */
  readonly snapshot: Snapshot;
  /** Least important first: low priority, then the younger. */
  evictable(node: NodeInfo): Pod[];
  /** Whether it goes. `targets` are the only nodes that it may find. */
  evict(pod: Pod, reason: string, targets?: ReadonlySet<string>): boolean;
}

type Budget = KubeObject & { kind: 'PodDisruptionBudget' } & Pick<policyv1.PodDisruptionBudget, 'spec' | 'status'>;

/** What should leave, in the order in which it was planned. The snapshot is as before when it returns. */
export function planEvictions(snapshot: Snapshot, options: PlanOptions): PlannedEviction[] {
  const rules = options.profile ?? profile({ plugins: defaultPlugins() });
  const planned: PlannedEviction[] = [];
  const gone = new Set<string>();
  const byNode = new Map<string, number>();
  const byNamespace = new Map<string, number>();
  const budgets = budgetsOf(snapshot);
  const replicas = replicasOf(snapshot);
  const nodeFit = options.nodeFit ?? true;

  snapshot.suppose(change => {
    for (const strategy of options.strategies) strategy.plan(passOf(strategy.name, change));
  });
  return planned;

  function stays(pod: Pod): boolean {
    if (gone.has(pod.metadata.uid)) return true;
    const owner = pod.metadata.ownerReferences?.[0]?.uid ?? '';
    const facts = { now: options.now ?? 0, replicas: () => replicas.get(owner) ?? 0 };
    return protectionOf(pod, options, facts) !== undefined;
  }

  function limited(node: string, namespace: string): boolean {
    return (
      (byNode.get(node) ?? 0) >= (options.maxEvictionsPerNode ?? Number.POSITIVE_INFINITY) ||
      (byNamespace.get(namespace) ?? 0) >= (options.maxEvictionsPerNamespace ?? Number.POSITIVE_INFINITY) ||
      planned.length >= (options.maxEvictions ?? Number.POSITIVE_INFINITY)
    );
  }

  function passOf(strategy: string, change: Supposition): DeschedulePass {
    return {
      snapshot,
      evictable: node => node.pods.filter(pod => !stays(pod)).sort(leastImportantFirst),
      evict(pod, reason, targets) {
        const { uid, namespace } = pod.metadata;
        const node = snapshot.nodeOf(uid);
        if (!node || stays(pod) || limited(node, namespace)) return false;
        const charged = budgets.filter(each => each.covers(pod));
        if (charged.some(each => each.left <= 0)) return false;
        change.remove(pod);
        const target = nodeFit ? nextNode(pod, node, snapshot, rules, targets) : undefined;
        if (nodeFit && !target) {
          change.add(pod, node);
          return false;
        }
        if (target) change.add(pod, target);
        gone.add(uid);
        byNode.set(node, (byNode.get(node) ?? 0) + 1);
        byNamespace.set(namespace, (byNamespace.get(namespace) ?? 0) + 1);
        for (const each of charged) each.left -= 1;
        planned.push({ pod, node, strategy, reason, ...(target ? { target } : {}) });
        return true;
      },
    };
  }
}

/** Where a pod like it would go, if not to where it was. */
function nextNode(
  pod: Pod,
  from: string,
  snapshot: Snapshot,
  rules: Profile,
  targets: ReadonlySet<string> | undefined,
): string | undefined {
  const names = snapshot.nodes.map(each => each.name).filter(name => name !== from && (targets?.has(name) ?? true));
  if (names.length === 0) return undefined;
  const { nodeName: _node, ...spec } = pod.spec;
  const { nominatedNodeName: _nominated, ...status } = pod.status;
  const extended = { nodes: new Set(names), refusals: new Map(), scores: new Map() };
  const decision = schedule({ ...pod, spec, status }, snapshot, rules, {
    extended,
    detail: 'choice',
    withoutPostFilter: true,
  });
  return decision.outcome === 'placed' ? decision.node : undefined;
}

const priorityOf = (pod: Pod): number => pod.spec.priority ?? 0;
const startOf = (pod: Pod): string => pod.status.startTime ?? pod.metadata.creationTimestamp ?? '';
const leastImportantFirst = (a: Pod, b: Pod): number =>
  priorityOf(a) - priorityOf(b) ||
  (startOf(a) > startOf(b) ? -1 : startOf(a) < startOf(b) ? 1 : 0) ||
  (a.metadata.name < b.metadata.name ? -1 : 1);

function budgetsOf(snapshot: Snapshot): { left: number; covers(pod: Pod): boolean }[] {
  return snapshot.objects.list<Budget>('PodDisruptionBudget').map(({ metadata, spec, status }) => {
    const selector = labelSelectorOf(spec.selector);
    return {
      left: status?.disruptionsAllowed ?? 0,
      covers: pod => pod.metadata.namespace === metadata.namespace && selector.matches(pod.metadata.labels ?? {}),
    };
  });
}

function replicasOf(snapshot: Snapshot): Map<string, number> {
  const counts = new Map<string, number>();
  for (const node of snapshot.nodes)
    for (const pod of node.pods) {
      const owner = pod.metadata.ownerReferences?.[0]?.uid;
      if (owner) counts.set(owner, (counts.get(owner) ?? 0) + 1);
    }
  return counts;
}
