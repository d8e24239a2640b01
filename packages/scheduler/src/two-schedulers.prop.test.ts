/**
 * Two schedulers over the same nodes, through a real API server with `nodeCapacity`: each decides on its own late view of the cluster, bindings of both
 * are sent at the same time, pods end and are written in between. Whatever happens, what is bound to a node fits on it; and once both see everything, no
 * pod is left that would.
 */
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { type Client, compose, isConflict, isNotFound, Namespace, Node, Pod, silentLogger } from '@orbitkit/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { profile } from './framework/profile.js';
import { defaultPlugins } from './profiles.js';
import { schedule } from './schedule.js';
import { ClusterState } from './snapshot/cluster-state.js';
import { testNode } from './testing/fixtures.js';

const stop = new AbortController();
const server = apiServer({ store: memoryStore(), listen: false, nodeCapacity: true, flowControl: false });
const composition = compose({ log: silentLogger }, server);
let running: Promise<void>;
let client: Client;
beforeAll(async () => {
  running = composition.run({ signal: stop.signal });
  await composition.ready;
  client = server.clientFor({ username: 'test', groups: ['system:masters'] });
});
afterAll(async () => {
  stop.abort();
  await running;
});

const step = fc.record({
  what: fc.constantFrom('decide', 'decide', 'decide', 'decide', 'send', 'end', 'write', 'see'),
  who: fc.nat(1),
  pod: fc.nat(11),
});

const cpuOf = (pod: Pod): number => Number.parseInt(String(pod.spec.containers[0]!.resources!.requests!['cpu']), 10);
let round = 0;

describe('two schedulers over the same nodes', () => {
  it('never give a node more than it has', async () => {
    let refusals = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 100, max: 900 }), { minLength: 6, maxLength: 12 }),
        fc.array(step, { minLength: 10, maxLength: 80 }),
        async (sizes, steps) => {
          const namespace = `round-${round++}`;
          await client.create(Namespace, { metadata: { name: namespace } });
          const names = ['a', 'b'].map(name => `${namespace}-${name}`);
          const allocatable = { cpu: '1', pods: '3' };
          for (const name of names) {
            const { spec, status } = testNode(name, { allocatable });
            const made = await client.create(Node, { metadata: { name }, spec });
            await client.updateStatus(Node, { ...made, status: { ...status, capacity: allocatable, allocatable } });
          }
          const nodes = await Promise.all(names.map(name => client.get(Node, { name })));
          const pods: Pod[] = [];
          for (const [index, size] of sizes.entries()) {
            const resources = { requests: { cpu: `${size}m` } };
            const metadata = { name: `p${index}`, namespace };
            pods.push(
              await client.create(Pod, { metadata, spec: { containers: [{ name: 'c', image: 'i', resources }] } }),
            );
          }
          const rules = profile({ plugins: defaultPlugins() });
          const schedulers = [0, 1].map(() => {
            const state = new ClusterState();
            for (const node of nodes) state.setNode(node);
            return { state, flying: [] as { pod: Pod; node: string }[] };
          });
          type Scheduler = (typeof schedulers)[number];

          const decide = ({ state, flying }: Scheduler, pod: Pod): boolean => {
            if (state.nodeOf(pod.metadata.uid)) return false;
            const decision = schedule(pod, state, rules, { detail: 'choice', withoutPostFilter: true });
            if (decision.outcome !== 'placed') return false;
            state.assume(pod, decision.node);
            flying.push({ pod, node: decision.node });
            return true;
          };
          const bind = async (state: ClusterState, { pod, node }: { pod: Pod; node: string }): Promise<void> => {
            const { name, uid } = pod.metadata;
            const target = { apiVersion: 'v1', kind: 'Node', name: node };
            const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid }, target };
            try {
              await client.createSubresource(Pod, pod.metadata, 'binding', binding);
            } catch (error) {
              if (!isConflict(error) && !isNotFound(error)) throw error;
              refusals += 1;
              state.forget(uid);
            }
          };
          const send = async (): Promise<void> => {
            const all = schedulers.flatMap(({ state, flying }) => flying.splice(0).map(each => bind(state, each)));
            await Promise.all(all);
          };
          const look = async (): Promise<readonly Pod[]> => {
            const { items } = await client.list(Pod, { namespace });
            for (const name of names) {
              const here = items.filter(each => each.spec.nodeName === name && each.status.phase !== 'Succeeded');
              expect(here.reduce((sum, each) => sum + cpuOf(each), 0)).toBeLessThanOrEqual(1_000);
              expect(here.length).toBeLessThanOrEqual(3);
            }
            return items;
          };
          const see = ({ state }: Scheduler, items: readonly Pod[]): void => {
            const there = new Set(items.map(each => each.metadata.uid));
            for (const pod of pods) if (!there.has(pod.metadata.uid)) state.removePod(pod.metadata.uid);
            for (const pod of items) state.setPod(pod);
          };

          for (const { what, who, pod: index } of steps) {
            const pod = pods[index % pods.length]!;
            const which = schedulers[who]!;
            if (what === 'decide') decide(which, pod);
            else if (what === 'send') {
              await send();
              await look();
            } else if (what === 'see') see(which, await look());
            else if (what === 'write') {
              const patch = { metadata: { annotations: { seen: String(index) } } };
              await client.patch(Pod, pod.metadata, { type: 'merge', patch }).catch(ignoreGone);
            } else {
              const { uid } = pod.metadata;
              await client
                .delete(Pod, pod.metadata, { gracePeriodSeconds: 0, preconditions: { uid } })
                .catch(ignoreGone);
            }
          }
          // From here on they see everything before they decide.
          for (let pass = 0; pass < 20; pass++) {
            await send();
            const items = await look();
            for (const each of schedulers) see(each, items);
            const waiting = items.filter(each => !each.spec.nodeName);
            if (!waiting.some((pod, index) => decide(schedulers[index % 2]!, pod))) return;
          }
          expect.unreachable('after twenty passes there are still pods that fit and are not bound');
        },
      ),
      { numRuns: 40 },
    );
    // Otherwise they never met.
    expect(refusals).toBeGreaterThan(0);
  }, 60_000);
});

function ignoreGone(error: unknown): void {
  if (!isNotFound(error)) throw error;
}
