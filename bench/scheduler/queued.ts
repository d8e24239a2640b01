/**
 * Decisions out of the queue: what waits must not cost what can be placed. Pods enter the queue, are taken, decided and assumed, and what happens is told to
 * the queue as the live scheduler does it; time is a manual one. Shapes and sizes of scheduler_perf's SchedulingWhileGated, Unschedulable and
 * PreemptionAsync, where those that come beside the measured pods come five a second.
 */
import type { Pod } from '@orbitkit/core';
import { ClusterState, commit, defaultPlugins, profile, schedule, schedulingQueue } from '@orbitkit/scheduler';
import { boundTo, testNode, testPod } from '@orbitkit/scheduler/testing';
import { high, low, nodes, plain } from './workloads.js';

/** Measured pods a second of the manual time: about what upstream asks for. */
const perSecond = 500;

function world(clusterNodes: ReturnType<typeof nodes>) {
  const state = new ClusterState();
  for (const node of clusterNodes) state.setNode(node);
  const rules = profile({ plugins: defaultPlugins() });
  let now = 0;
  const clock = { now: () => now, sleep: async () => {}, setTimer: () => ({ cancel() {} }) };
  const queue = schedulingQueue({ profile: rules, clock });
  let start = 0;
  const counts = { placed: 0, refused: 0 };

  function end(pod: Pod): void {
    state.removePod(pod.metadata.uid);
    queue.notice({ type: 'PodDelete', before: pod });
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

function gated(): [string, string][] {
  const light = (name: string) => (index: number) => testPod(`${name}-${index}`, { namespace: name });
  const gate = { schedulingGates: [{ name: 'perf/wait' }] };
  const of = world([testNode('one', { allocatable: { cpu: '64', memory: '512Gi', pods: '90000' } })]);
  const waiting = many(10_000, index => testPod(`gated-${index}`, { namespace: 'gated', spec: gate }));
  for (const pod of waiting) of.add(pod);
  const ending = many(20_000, light('ending'));
  for (const pod of ending) of.add(pod);
  of.settle();
  let ended = 0;
  const beside = (index: number): void => {
    // Fifty a second end.
    if (index % (perSecond / 50) === 0) of.end(ending[ended++]!);
  };
  const during = measure(of, many(20_000, light('measured')), beside);
  const opened = waiting.map(pod => {
    const { schedulingGates: _gates, ...spec } = pod.spec;
    return { ...pod, spec };
  });
  return [
    ['SchedulingWhileGated, 1 node, 10,000 gated, 20,000 pods', during],
    ['the 10,000 gates removed one by one', measure(of, opened, () => {})],
  ];
}

function beside(name: string, initial: readonly Pod[], extra: (index: number) => Pod, count: number): [string, string] {
  const of = world(nodes(5_000));
  for (const pod of initial) of.add(pod);
  of.settle();
  const each = perSecond / 5;
  const text = measure(of, many(count, plain('measured')), index => {
    if (index % each === 0) of.add(extra(index / each));
  });
  return [name, text];
}

const large = (index: number): Pod =>
  testPod(`large-${index}`, { namespace: 'perf', requests: { cpu: '9', memory: '500Mi' }, spec: { priority: 10 } });

export function queuedReport(): void {
  console.log('| out of the queue | pods/s of processor time | what became of them |');
  console.log('|---|---|---|');
  const rows = [
    ...gated(),
    beside('10,000 pods, 5,000 nodes, nothing beside', many(100, plain('init')), plain('beside'), 10_000),
    beside('Unschedulable, 5,000 nodes, 100 there, 10,000 pods', many(100, plain('init')), large, 10_000),
    beside('Unschedulable, 5,000 nodes, 20,000 there, 10,000 pods', many(20_000, plain('init')), large, 10_000),
    beside('PreemptionAsync, 5,000 nodes, 20,000 there, 5,000 pods', many(20_000, low), high, 5_000),
  ];
  for (const [name, text] of rows) console.log(`| ${name} | ${text} |`);
}
