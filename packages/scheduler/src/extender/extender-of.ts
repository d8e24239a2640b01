/**
 * A profile, or a single plugin, as the verbs of an extender: what is decided here serves a real kube-scheduler.
 *
 * - `snapshot` is the cluster as this process knows it. Without one, the nodes of the request are all there is, without pods: enough for policies that look at
 *   nodes alone, and then the scheduler must send them whole (no `nodeCacheCapable`), and preempt is not served.
 * - Scores are the profile's totals, brought to 0…10 by the weights of the plugins that scored.
 * - With a `client` bind is served: the policies take note (`reserve`, and `unreserve` when it fails) and the Binding is created.
 */
import { type Client, Pod } from '@orbitkit/core';
import { commit, rollback } from '../commit.js';
import type { Plugin } from '../framework/plugin.js';
import { type Profile, profile } from '../framework/profile.js';
import { type Decision, type ExtenderVerdict, schedule } from '../schedule.js';
import { isUsable } from '../snapshot/node-info.js';
import { type Snapshot, snapshotOf } from '../snapshot/snapshot.js';
import type { ExtenderQuestion, ExtenderVerbs } from './server.js';
import { maxExtenderPriority } from './wire.js';

/** What the extender knows besides the request. */
export interface ExtenderOfOptions {
  /** Asked for each request. */
  snapshot?: () => Snapshot;
  client?: Client;
}

/** Only these nodes, and nothing else said of them. */
const among = (nodes: Iterable<string>): ExtenderVerdict => ({
  nodes: new Set(nodes),
  refusals: new Map(),
  scores: new Map(),
});

/** The verbs for `extenderServer`. Bind is among them when there is a client. */
export function extenderOf(rules: Profile | Plugin, options: ExtenderOfOptions = {}): ExtenderVerbs {
  const own: Profile = 'plugins' in rules ? rules : profile({ plugins: [rules] });
  const { snapshot, client } = options;
  const joined = new Set<string>();

  function worldOf({ nodes }: ExtenderQuestion): Snapshot {
    if (snapshot) return snapshot();
    if (!nodes) throw new Error('this extender does not know the nodes: configure nodeCacheCapable: false');
    for (const node of nodes) {
      if (joined.has(node.metadata.name) || !isUsable(node)) continue;
      joined.add(node.metadata.name);
      for (const plugin of own.plugins) plugin.nodeJoined?.(node.metadata.name);
    }
    return snapshotOf(nodes);
  }

  const decide = (question: ExtenderQuestion): Decision =>
    schedule(question.pod, worldOf(question), own, {
      extended: among(question.nodeNames),
      withoutPostFilter: true,
    });

  return {
    filter(question) {
      const decision = decide(question);
      const failed: Record<string, string> = {};
      const unresolvable: Record<string, string> = {};
      for (const name of question.nodeNames) {
        const refusal = decision.refusals.get(name);
        if (refusal) (refusal.unresolvable ? unresolvable : failed)[name] = refusal.reasons.join(', ');
      }
      return { nodes: feasibleOf(decision), failed, unresolvable };
    },

    prioritize(question) {
      const decision = decide(question);
      const scores = new Map<string, number>();
      if (decision.outcome === 'unschedulable') return scores;
      for (const { node, total, byPlugin } of decision.scores) {
        const most = Object.keys(byPlugin).reduce((sum, name) => {
          const plugin = own.plugins.find(each => each.name === name);
          return sum + (plugin ? own.weightOf(plugin) * 100 : 0);
        }, 0);
        const share = most > 0 ? (maxExtenderPriority * total) / most : 0;
        scores.set(node, Math.min(maxExtenderPriority, Math.max(0, share)));
      }
      return scores;
    },

    ...(client
      ? {
          async bind({ podName: name, podNamespace: namespace, podUid, node }) {
            const pod = await client.get(Pod, { namespace, name });
            if (pod.metadata.uid !== podUid)
              throw new Error(`pod ${namespace}/${name} is not the one with uid ${podUid}`);
            const refusal = commit(pod, node, own);
            if (refusal) throw new Error(`${refusal.plugin}: ${refusal.reasons.join(', ')}`);
            try {
              await client.createSubresource(Pod, { namespace, name }, 'binding', {
                apiVersion: 'v1',
                kind: 'Binding',
                metadata: { name, namespace, uid: podUid },
                target: { apiVersion: 'v1', kind: 'Node', name: node },
              });
            } catch (error) {
              rollback(pod, node, own);
              throw error;
            }
          },
        }
      : {}),

    ...(snapshot
      ? {
          /** Nodes on which the profile lets the pod in once the victims have ended. */
          preempt({ pod, victims }) {
            const world = snapshot();
            const left = new Map(victims);
            for (const [node, { uids }] of victims) {
              const ends = world.get(node)?.pods.filter(each => uids.includes(each.metadata.uid)) ?? [];
              const fits = world.suppose(change => {
                for (const each of ends) change.remove(each);
                return (
                  schedule(pod, world, own, { extended: among([node]), withoutPostFilter: true }).outcome === 'placed'
                );
              });
              if (!fits) left.delete(node);
            }
            return left;
          },
        }
      : {}),
  };
}

const feasibleOf = (decision: Decision): string[] => {
  if (decision.outcome === 'unschedulable') return [];
  return decision.scores.length > 0 ? decision.scores.map(({ node }) => node) : [decision.node];
};
