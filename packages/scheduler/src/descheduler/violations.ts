/**
 * Pods that the rules would not let onto their node today: labels and taints of nodes changed, or other pods came, after they were placed.
 *
 * Only required terms count, and taints of effect NoSchedule (NoExecute is the taint controller's; PreferNoSchedule if asked). Of pods that may not be
 * together the least important go, until the rest may. Source: the documentation of the descheduler's RemovePodsViolating… strategies.
 */
import { type Pod, selectsNode, tolerates } from '@orbitkit/core';
import { profile } from '../framework/profile.js';
import { interPodAffinity } from '../plugins/inter-pod-affinity.js';
import { schedule } from '../schedule.js';
import type { DeschedulePass, DescheduleStrategy } from './plan.js';

/** The strategy of this name. */
export const removePodsViolatingNodeAffinity = (): DescheduleStrategy => ({
  name: 'RemovePodsViolatingNodeAffinity',
  plan(pass) {
    for (const node of pass.snapshot.nodes)
      for (const pod of pass.evictable(node))
        if (!selectsNode(pod.spec, node.node)) pass.evict(pod, `it does not select ${node.name} any more`);
  },
});

/** Which taints count. */
export interface NodeTaintsOptions {
  /** Default false. */
  includePreferNoSchedule?: boolean;
  /** Keys, or `key=value`, that are left alone. */
  excludedTaints?: readonly string[];
}

/** The strategy of this name. */
export const removePodsViolatingNodeTaints = (options: NodeTaintsOptions = {}): DescheduleStrategy => ({
  name: 'RemovePodsViolatingNodeTaints',
  plan(pass) {
    const excluded = new Set(options.excludedTaints);
    for (const node of pass.snapshot.nodes) {
      const taints = (node.node.spec.taints ?? []).filter(
        ({ key, value, effect }) =>
          !excluded.has(key) &&
          !excluded.has(`${key}=${value ?? ''}`) &&
          (effect === 'NoSchedule' || (effect === 'PreferNoSchedule' && options.includePreferNoSchedule)),
      );
      if (taints.length === 0) continue;
      for (const pod of pass.evictable(node)) {
        const taint = taints.find(each => !(pod.spec.tolerations ?? []).some(own => tolerates(own, each)));
        if (taint)
          pass.evict(pod, `it does not tolerate ${taint.key}=${taint.value ?? ''}:${taint.effect} of ${node.name}`);
      }
    }
  },
});

/** The strategy of this name. */
export const removePodsViolatingInterPodAntiAffinity = (): DescheduleStrategy => ({
  name: 'RemovePodsViolatingInterPodAntiAffinity',
  plan(pass) {
    const { counts } = pass.snapshot;
    const terms = [...counts.carried].filter(({ type }) => type === 'requiredAnti');
    const about = terms.map(({ term, namespace }) => counts.matcherOf(term, namespace));
    const rules = profile({ plugins: [interPodAffinity()] });
    for (const node of pass.snapshot.nodes)
      for (const pod of pass.evictable(node))
        if (concerned(pod) && isUnwelcome(pod, node.name, pass))
          pass.evict(pod, `anti-affinity keeps it away from pods near ${node.name}`);

    /** Most pods neither have such terms nor are spoken of by one. */
    function concerned({ metadata, spec }: Pod): boolean {
      const { namespace, labels = {} } = metadata;
      const own = spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.length;
      return !!own || about.some(matches => matches({ namespace, labels }));
    }

    /** Whether its own terms or those of others would keep it from the node where it is. */
    function isUnwelcome(pod: Pod, node: string, { snapshot }: DeschedulePass): boolean {
      const { nodeName: _node, affinity, ...spec } = pod.spec;
      const podAntiAffinity = affinity?.podAntiAffinity;
      const again: Pod = { ...pod, spec: { ...spec, ...(podAntiAffinity ? { affinity: { podAntiAffinity } } : {}) } };
      const extended = { nodes: new Set([node]), refusals: new Map(), scores: new Map() };
      return snapshot.suppose(change => {
        change.remove(pod);
        return schedule(again, snapshot, rules, { extended, detail: 'choice' }).outcome === 'unschedulable';
      });
    }
  },
});
