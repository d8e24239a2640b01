/**
 * The nodes of a simulation and what becomes of them: failures by chance, rolling replacement, or changes told one by one (a recording).
 *
 * A failed node is NotReady; when it is not back within `evictAfter` its pods are lost and come again elsewhere (the node controller's 300 s).
 * A rolled node is closed and emptied at once, is away for `seconds`, and comes back empty.
 */
import type { corev1, Node } from '@orbitkit/core';
import { seededRandom } from './random.js';
import type { ResourceList } from './workload.js';

/** Nodes that are alike. Resources as in a Node's `allocatable`. */
export interface NodePool {
  /** Nodes are named `<name>-<number>`. */
  readonly name: string;
  readonly count: number;
  readonly resources: ResourceList;
  /** In turn. */
  readonly zones?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: readonly corev1.Taint[];
}

/** How often nodes fail. */
export interface Failures {
  /** Mean seconds between failures of one node (exponential). */
  readonly meanTimeBetween: number;
  /** Mean seconds until it is back (exponential). */
  readonly repair: number;
  /** Default 300. */
  readonly evictAfter?: number;
}

/** A rolling replacement of all nodes. */
export interface Rolling {
  /** Seconds at which the first node is closed. */
  readonly at: number;
  /** Seconds that a node is away. */
  readonly seconds: number;
  /** Nodes at a time. Default 1. */
  readonly parallel?: number;
}

/** What happens to a node at a time, the same for every policy. */
export type NodeChange =
  | { readonly at: number; readonly what: 'set'; readonly node: Node }
  | { readonly at: number; readonly what: 'remove'; readonly name: string }
  | { readonly at: number; readonly what: 'fail' | 'lose' | 'repair' | 'drain' | 'return'; readonly name: string };

/** The nodes of a pool, ready. 110 pods each where the resources do not say. */
export function nodePool({ name, count, resources, zones, labels, taints }: NodePool): Node[] {
  const allocatable = Object.fromEntries(
    Object.entries({ pods: 110, ...resources }).map(([resource, amount]) => [resource, `${amount}`]),
  );
  return Array.from({ length: count }, (_, i): Node => {
    const own = `${name}-${i}`;
    const zone = zones?.length ? zones[i % zones.length]! : undefined;
    return {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: own,
        uid: own,
        resourceVersion: '1',
        creationTimestamp: '2026-01-01T00:00:00Z',
        labels: {
          'kubernetes.io/hostname': own,
          ...(zone ? { 'topology.kubernetes.io/zone': zone } : {}),
          ...labels,
        },
      },
      spec: taints?.length ? { taints: [...taints] } : {},
      status: { capacity: allocatable, allocatable, conditions: [{ type: 'Ready', status: 'True' }] },
    };
  });
}

export function drawNodeChanges(
  names: readonly string[],
  plan: { failures?: Failures | undefined; rolling?: Rolling | undefined },
  seed: number,
  until: number,
): NodeChange[] {
  const changes: NodeChange[] = [];
  const { failures, rolling } = plan;
  /** Until when the node is away for rolling: it does not fail meanwhile. */
  const away = new Map<string, { from: number; to: number }>();
  if (rolling) {
    const parallel = rolling.parallel ?? 1;
    names.forEach((name, i) => {
      const from = rolling.at + Math.floor(i / parallel) * rolling.seconds;
      const to = from + rolling.seconds;
      away.set(name, { from, to });
      changes.push({ at: from, what: 'drain', name }, { at: to, what: 'return', name });
    });
  }
  if (failures)
    for (const name of names) {
      const random = seededRandom(seed, `failures/${name}`);
      const evictAfter = failures.evictAfter ?? 300;
      const rolled = away.get(name);
      for (let at = random.exponential(failures.meanTimeBetween); at < until; ) {
        const back = at + random.exponential(failures.repair);
        if (!rolled || back < rolled.from || at > rolled.to) {
          changes.push({ at, what: 'fail', name }, { at: back, what: 'repair', name });
          if (back - at > evictAfter) changes.push({ at: at + evictAfter, what: 'lose', name });
        }
        at = back + random.exponential(failures.meanTimeBetween);
      }
    }
  return changes.filter(change => change.at < until).sort((a, b) => a.at - b.at);
}

/** The node as it is while it is away or back. */
export function nodeIn(node: Node, state: { ready: boolean; closed: boolean }): Node {
  return {
    ...node,
    spec: { ...node.spec, ...(state.closed ? { unschedulable: true } : { unschedulable: false }) },
    status: { ...node.status, conditions: [{ type: 'Ready', status: state.ready ? 'True' : 'False' }] },
  };
}
