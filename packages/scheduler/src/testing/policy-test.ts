/**
 * Tests of a policy without server or clock: a small cluster, pods placed one after the other as the live scheduler would, and what came of it.
 *
 * ```ts
 * const test = policyTest({ plugins: [quietestNode()], nodes: [testNode('a'), testNode('b')] });
 * expect(test.trace([testPod('one'), testPod('two')])).toEqual(['a', 'b']);
 * ```
 */
import { type KubeObject, labelSelectorOf, type Node, type Pod, selectsNode, tolerates } from '@orbitkit/core';
import { commit, rollback } from '../commit.js';
import type { Plugin } from '../framework/plugin.js';
import { type Profile, profile } from '../framework/profile.js';
import { resourceFit } from '../plugins/resource-fit.js';
import { type Decision, type ScheduleOptions, schedule } from '../schedule.js';
import { ClusterState } from '../snapshot/cluster-state.js';
import { isUsable, type NodeInfo } from '../snapshot/node-info.js';

/** What is in the cluster at first. */
export interface PolicyTestOptions {
  plugins: readonly Plugin[];
  nodes: readonly Node[];
  /** Pods that have a node already. */
  pods?: readonly Pod[];
  /** Claims, volumes, budgets, services and what else plugins look at. */
  objects?: readonly KubeObject[];
}

/** A cluster for one policy. */
export interface PolicyTest {
  readonly state: ClusterState;
  readonly profile: Profile;
  /** Decides and changes nothing. */
  decide(pod: Pod, options?: ScheduleOptions): Decision;
  /** Decides and places: the node's name, or `Pending`. A pod that names its node is taken as placed there. */
  place(pod: Pod): string;
  /** Places them in turn: a golden trace. */
  trace(pods: readonly Pod[]): string[];
  /** A placement whose binding failed. */
  unbind(pod: Pod, node: string): void;
  remove(pod: Pod): void;
}

/** A cluster with these nodes, and the policy's plugins in a profile of their own. */
export function policyTest(options: PolicyTestOptions): PolicyTest {
  const state = new ClusterState();
  const rules = profile({ plugins: options.plugins });
  for (const node of options.nodes) {
    state.setNode(node);
    if (isUsable(node)) for (const plugin of rules.plugins) plugin.nodeJoined?.(node.metadata.name);
  }
  for (const object of options.objects ?? []) state.objects.set(object);
  for (const pod of options.pods ?? []) state.setPod(pod);
  const decide = (pod: Pod, how?: ScheduleOptions) => schedule(pod, state, rules, how);
  function place(pod: Pod): string {
    if (pod.spec.nodeName) {
      state.setPod(pod);
      return pod.spec.nodeName;
    }
    const decision = decide(pod);
    if (decision.outcome === 'unschedulable' || commit(pod, decision.node, rules)) return 'Pending';
    state.assume(pod, decision.node);
    return decision.node;
  }
  return {
    state,
    profile: rules,
    decide,
    place,
    trace: pods => pods.map(place),
    unbind(pod, node) {
      state.forget(pod.metadata.uid);
      rollback(pod, node, rules);
    },
    remove: pod => state.removePod(pod.metadata.uid),
  };
}

/** What is wrong after the pods were placed in turn: a node with more than it has, a required term not respected, or a policy that answers the same question differently. Empty: nothing. */
export function problemsOf(plugins: () => readonly Plugin[], nodes: readonly Node[], pods: readonly Pod[]): string[] {
  const problems: string[] = [];
  const run = () => policyTest({ plugins: [...plugins(), ...fitIfMissing(plugins())], nodes });
  const test = run();
  const first = test.trace(pods);
  const second = run().trace(pods);
  first.forEach((node, i) => {
    if (node !== second[i]) problems.push(`${pods[i]!.metadata.name}: ${node} the first time, ${second[i]} the second`);
  });
  for (const node of test.state.nodes) {
    for (const [resource, used] of node.requested) {
      const total = node.allocatable.get(resource) ?? 0;
      if (used > total) problems.push(`${node.name}: ${used} of ${total} ${resource}`);
    }
    for (const pod of node.pods) problems.push(...requiredOf(pod, node, test.state.nodes));
  }
  return problems;
}

/** What the pod, or its node, requires and did not get. */
function requiredOf(pod: Pod, node: NodeInfo, nodes: readonly NodeInfo[]): string[] {
  const problems: string[] = [];
  const say = (what: string): void => void problems.push(`${pod.metadata.name}: on ${node.name}, ${what}`);
  if (!selectsNode(pod.spec, node.node)) say('which its node selector or required node affinity excludes');
  for (const taint of node.node.spec.taints ?? []) {
    if (taint.effect !== 'NoSchedule' || pod.spec.tolerations?.some(each => tolerates(each, taint))) continue;
    say(`whose taint ${taint.key} it does not tolerate`);
  }
  for (const term of pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
    const { topologyKey } = term;
    const place = node.node.metadata.labels?.[topologyKey];
    // Terms with a namespace selector are about namespaces, which are not known here.
    if (place === undefined || term.namespaceSelector) continue;
    const selector = labelSelectorOf(term.labelSelector);
    const namespaces = term.namespaces?.length ? term.namespaces : [pod.metadata.namespace];
    for (const near of nodes) {
      if (near.node.metadata.labels?.[topologyKey] !== place) continue;
      for (const other of near.pods) {
        if (other.metadata.uid === pod.metadata.uid || !namespaces.includes(other.metadata.namespace)) continue;
        if (selector.matches(other.metadata.labels ?? {})) say(`beside ${other.metadata.name}, which it must avoid`);
      }
    }
  }
  return problems;
}

/** A score plugin alone has no view on room. */
const fitIfMissing = (plugins: readonly Plugin[]): Plugin[] =>
  plugins.some(each => each.name === 'NodeResourcesFit') ? [] : [{ ...resourceFit(), weight: 0 }];
