/**
 * Decisions out of the queue: what waits must not cost what can be placed. Pods enter the queue, are taken, decided and assumed, and what happens is told to
 * the queue as the live scheduler does it; time is a manual one.
 */
import type { Node, Pod } from '@orbitkit/core';
import { ClusterState, commit, defaultPlugins, profile, schedule, schedulingQueue } from '@orbitkit/scheduler';
import { boundTo } from '@orbitkit/scheduler/testing';
import { nodesOf, queueWorkloads, sizesOf, type Workload } from './workloads.js';

/** Measured pods a second of the manual time: about what upstream asks for. */
const perSecond = 500;

function world(clusterNodes: readonly Node[]) {
  const state = new ClusterState();
  for (const node of clusterNodes) state.setNode(node);
  const rules = profile({ plugins: defaultPlugins() });
  let now = 0;
  const clock = { now: () => now, sleep: async () => {}, setTimer: () => ({ cancel() {} }) };
  const queue = schedulingQueue({ profile: rules, clock, snapshot: state });
  let start = 0;
  const counts = { placed: 0, refused: 0 };

  function end(pod: Pod): void {
    const node = state.nodeOf(pod.metadata.uid)!;
    state.removePod(pod.metadata.uid);
    queue.notice({ type: 'PodDelete', before: pod, node });
  }

  /** Decides what is due. */
  function settle(): void {
    for (let next = queue.take(); next; next = queue.take()) {
      const { pod } = next;
      const { uid } = pod.metadata;
      const decision = schedule(pod, state, rules, { start, detail: 'choice' });
      start = decision.nextStart;
      if (decision.outcome === 'placed') {
        commit(pod, decision.node, rules);
        state.assume(pod, decision.node);
        queue.done(uid);
        queue.notice({ type: 'PodAdd', after: boundTo(pod, decision.node) });
        counts.placed += 1;
        continue;
      }
      counts.refused += 1;
      queue.refuse(uid, decision.refusedBy);
      const { preemption } = decision;
      if (!preemption) continue;
      const nominated = { ...pod, status: { ...pod.status, nominatedNodeName: preemption.node } };
      state.nominate(uid, nominated, preemption.node);
      queue.add(nominated);
      for (const victim of preemption.victims) end(victim);
    }
  }

  return {
    state,
    queue,
    counts,
    settle,
    end,
    add: (pod: Pod) => queue.add(pod),
    pass(ms: number): void {
      now += ms;
    },
  };
}

/** Processor time for pods that come one by one; `beside` happens before each. */
function measure(of: ReturnType<typeof world>, pods: readonly Pod[], beside: (index: number) => void): string {
  const before = { ...of.counts };
  const began = process.cpuUsage();
  for (const [index, pod] of pods.entries()) {
    beside(index);
    of.add(pod);
    of.settle();
    of.pass(1_000 / perSecond);
  }
  const { user, system } = process.cpuUsage(began);
  const rate = Math.round((pods.length * 1e6) / (user + system)).toLocaleString('en');
  const { placed, refused } = of.counts;
  const { gated, unschedulable, backoff } = of.queue.sizes;
  return `${rate} | ${placed - before.placed} placed, ${refused - before.refused} refusals; waiting: ${gated} gated, ${unschedulable} at rest, ${backoff} backing off`;
}

const many = (count: number, make: (index: number) => Pod): Pod[] => Array.from({ length: count }, (_, i) => make(i));

/** A queued workload at its full size; what happens beside is told by the manual time. */
function run(workload: Workload): [string, string][] {
  const { initial, measured } = sizesOf(workload, nodeCount);
  const of = world(nodesOf(workload, nodeCount));
  const waiting = many(workload.gated ?? 0, index => workload.gatedPod!(index));
  for (const pod of waiting) of.add(pod);
  const there = many(initial, workload.initialPod);
  for (const pod of there) of.add(pod);
  of.settle();
  const comesEach = perSecond / 5;
  const endsEach = perSecond / (workload.endingPerSecond ?? 0);
  const text = measure(of, many(measured, workload.pod), index => {
    if (workload.beside && index % comesEach === 0) of.add(workload.beside(index / comesEach));
    if (index % endsEach === 0) of.end(there[index / endsEach]!);
  });
  const rows: [string, string][] = [[workload.name, text]];
  if (waiting.length === 0) return rows;
  const opened = waiting.map(pod => {
    const { schedulingGates: _gates, ...spec } = pod.spec;
    return { ...pod, spec };
  });
  rows.push([`${workload.name}: then the gates removed one by one`, measure(of, opened, () => {})]);
  return rows;
}

const nodeCount = 5_000;

export function queuedReport(): void {
  console.log('| out of the queue, 5,000 nodes | pods/s of processor time | what became of them |');
  console.log('|---|---|---|');
  for (const workload of queueWorkloads) for (const [name, text] of run(workload)) console.log(`| ${name} | ${text} |`);
}
