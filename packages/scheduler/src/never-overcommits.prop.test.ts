/**
 * A model of a cluster that goes wrong: watch events come late, bindings are lost before or after they reached the server, another scheduler binds the
 * same pods first, nodes vanish between the decision and the binding. Whatever happens, the server's own pods never exceed a node.
 */
import type { Pod } from '@orbitkit/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commit, rollback } from './commit.js';
import { profile } from './framework/profile.js';
import { defaultPlugins } from './profiles.js';
import { schedule } from './schedule.js';
import { ClusterState } from './snapshot/cluster-state.js';
import { boundTo, testNode, testPod } from './testing/fixtures.js';

/** The store: what is bound is bound once. */
function server(pods: readonly Pod[]) {
  const bound = new Map<string, Pod>();
  return {
    bound,
    bind(pod: Pod, node: string): boolean {
      if (bound.has(pod.metadata.uid)) return false;
      bound.set(pod.metadata.uid, boundTo(pod, node));
      return true;
    },
    pending: () => pods.filter(pod => !bound.has(pod.metadata.uid)),
  };
}

const step = fc.record({
  who: fc.nat(1),
  pod: fc.nat(15),
  what: fc.constantFrom('decide', 'decide', 'decide', 'deliver', 'answer', 'end', 'vanish', 'return'),
  answer: fc.constantFrom('arrives', 'lost before', 'lost after'),
  node: fc.nat(3),
});

describe('overcommitment', () => {
  it('does not happen, whatever is lost, late or gone', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 100, max: 900 }), { minLength: 8, maxLength: 16 }),
        fc.array(step, { maxLength: 120 }),
        (sizes, steps) => {
          const names = ['n0', 'n1', 'n2', 'n3'];
          const node = (name: string) => testNode(name, { allocatable: { cpu: '1', pods: '3' } });
          const pods = sizes.map((size, i) => testPod(`p${i}`, { requests: { cpu: `${size}m` } }));
          const api = server(pods);
          // Two schedulers see the same pods; each has half of the nodes, as shards do, and its own late view.
          const schedulers = [0, 1].map(which => {
            const state = new ClusterState();
            const own = names.filter((_, i) => i % 2 === which);
            for (const name of own) state.setNode(node(name));
            return {
              state,
              own,
              rules: profile({ plugins: defaultPlugins() }),
              flying: [] as { pod: Pod; node: string }[],
              late: [] as (() => void)[],
            };
          });
          const tell = (event: (state: ClusterState) => void) => {
            for (const each of schedulers) each.late.push(() => event(each.state));
          };
          for (const { who, pod: index, what, answer, node: at } of steps) {
            const { state, rules, flying, late, own } = schedulers[who]!;
            const pod = pods[index % pods.length]!;
            const { uid } = pod.metadata;
            if (what === 'decide') {
              if (state.isAssumed(uid) || state.nodeOf(uid)) continue;
              const decision = schedule(pod, state, rules, { detail: 'choice', withoutPostFilter: true });
              if (decision.outcome !== 'placed') continue;
              commit(pod, decision.node, rules);
              state.assume(pod, decision.node);
              flying.push({ pod, node: decision.node });
            } else if (what === 'answer') {
              const next = flying.shift();
              if (!next) continue;
              const reached = answer !== 'lost before' && api.bind(next.pod, next.node);
              if (reached)
                tell(each => each.setPod(api.bound.get(next.pod.metadata.uid) ?? boundTo(next.pod, next.node)));
              // The scheduler asks what became of it before it gives the room away.
              if (api.bound.get(next.pod.metadata.uid)?.spec.nodeName === next.node) continue;
              state.forget(next.pod.metadata.uid);
              rollback(next.pod, next.node, rules);
            } else if (what === 'deliver') late.shift()?.();
            else if (what === 'end') {
              if (!api.bound.has(uid)) continue;
              // Ended pods stay ended: the server does not bind them again.
              const ended = { ...api.bound.get(uid)!, status: { phase: 'Succeeded' as const } };
              api.bound.set(uid, ended);
              tell(each => each.setPod(ended));
            } else if (what === 'vanish') late.push(() => state.removeNode(own[at % own.length]!));
            else late.push(() => state.setNode(node(own[at % own.length]!)));
            for (const name of names) {
              const here = [...api.bound.values()].filter(
                each => each.spec.nodeName === name && each.status.phase !== 'Succeeded',
              );
              const used = here.reduce(
                (sum, each) => sum + Number.parseInt(String(each.spec.containers[0]!.resources!.requests!['cpu']), 10),
                0,
              );
              expect(used).toBeLessThanOrEqual(1_000);
              expect(here.length).toBeLessThanOrEqual(3);
            }
          }
        },
      ),
      { numRuns: 500 },
    );
  }, 60_000);
});
