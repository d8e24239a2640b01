/** What a changed node or pod may mean to pods that wait: events from two versions of an object. */
import type { Node, Pod } from '@orbitkit/core';
import type { ClusterEvent, ClusterEventType } from '../framework/event.js';
import { isReady } from '../snapshot/node-info.js';
import { classOf } from '../snapshot/pod-class.js';
import { requestsOf } from '../snapshot/resources.js';

export const isTerminal = (pod: Pod): boolean => pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';

export const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

export function nodeEvents(before: Node | undefined, after: Node | undefined): ClusterEvent[] {
  if (!before) return after ? [{ type: 'NodeAdd', after }] : [];
  if (!after) return [{ type: 'NodeDelete', before }];
  const types: ClusterEventType[] = [];
  if (!same(before.status.allocatable, after.status.allocatable)) types.push('NodeAllocatable');
  if (!same(before.metadata.labels, after.metadata.labels)) types.push('NodeLabel');
  if (!same([before.spec.taints, before.spec.unschedulable], [after.spec.taints, after.spec.unschedulable]))
    types.push('NodeTaint');
  if (isReady(before) !== isReady(after)) types.push('NodeReady');
  return types.map(type => ({ type, before, after }));
}

/** Of a pod that has a node, or had one. */
export function podEvents(before: Pod | undefined, after: Pod | undefined): ClusterEvent[] {
  const counted = (pod: Pod | undefined): boolean => !!pod?.spec.nodeName && !isTerminal(pod);
  const [was, is] = [counted(before), counted(after)];
  if (was && !is) return [{ type: 'PodDelete', before: before!, ...(after ? { after } : {}) }];
  if (!was) return is ? [{ type: 'PodAdd', after: after! }] : [];
  if (!before || !after || classOf(before) === classOf(after)) return [];
  const types: ClusterEventType[] = [];
  if (!same(before.metadata.labels, after.metadata.labels)) types.push('PodLabel');
  if (after.metadata.deletionTimestamp && !before.metadata.deletionTimestamp) types.push('PodTerminating');
  if (shrank(before, after)) types.push('PodScaleDown');
  return types.map(type => ({ type, before, after }));
}

function shrank(before: Pod, after: Pod): boolean {
  const now = requestsOf(after);
  for (const [resource, amount] of requestsOf(before)) if (amount > (now.get(resource) ?? 0)) return true;
  return false;
}
