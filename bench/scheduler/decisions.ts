/** Decisions alone: schedule → commit → assume, no API. Pods per second of processor time, by workload and number of nodes. */
import type { Pod } from '@orbitkit/core';
import { ClusterState, commit, defaultPlugins, type Profile, profile, schedule } from '@orbitkit/scheduler';
import { boundTo, testPod } from '@orbitkit/scheduler/testing';
import { nodes, type Workload, workloads } from './workloads.js';

export interface Measured {
  readonly perSecond: number;
  readonly placed: number;
  readonly p99Micros: number;
}

function place(pod: Pod, state: ClusterState, rules: Profile, start: number): { node?: string; start: number } {
  const decision = schedule(pod, state, rules, { start, detail: 'choice' });
  if (decision.outcome === 'placed') {
    commit(pod, decision.node, rules);
    state.assume(pod, decision.node);
    return { node: decision.node, start: decision.nextStart };
  }
  const { preemption } = decision;
  if (!preemption) return { start: decision.nextStart };
  // Victims end at once, and the pod is decided again: two decisions for one pod.
  for (const victim of preemption.victims) state.removePod(victim.metadata.uid);
  return place({ ...pod, status: { ...pod.status, nominatedNodeName: preemption.node } }, state, rules, start);
}

export function decide(workload: Workload, nodeCount: number): Measured {
  const scale = nodeCount / 5_000;
  const state = new ClusterState();
  for (const node of nodes(nodeCount)) state.setNode(node);
  const rules = profile({ plugins: defaultPlugins() });
  let start = 0;
  const initial = Math.round(workload.initial * scale);
  for (let i = 0; i < initial; i++) start = place(workload.initialPod(i), state, rules, start).start;
  const count = Math.round(workload.measured * (workload.name === 'PreemptionAsync' ? scale : Math.max(scale, 0.5)));
  const pods = Array.from({ length: count }, (_, i) => workload.pod(i));
  const stuck = workload.unschedulable
    ? Array.from({ length: 200 }, (_, i) => testPod(`stuck-${i}`, { requests: { cpu: '9' } }))
    : [];
  const times = new Float64Array(count);
  let placed = 0;
  const began = process.cpuUsage();
  for (let i = 0; i < count; i++) {
    const before = performance.now();
    const answer = place(pods[i]!, state, rules, start);
    start = answer.start;
    if (answer.node) placed += 1;
    // A pod in fifty is one that fits nowhere, as events bring those back.
    if (stuck.length > 0 && i % 50 === 0) place(stuck[(i / 50) % stuck.length]!, state, rules, start);
    times[i] = performance.now() - before;
  }
  const used = process.cpuUsage(began);
  const seconds = (used.user + used.system) / 1e6;
  times.sort();
  return { perSecond: count / seconds, placed, p99Micros: times[Math.floor(count * 0.99)]! * 1_000 };
}

/** The simplest thing that is right: every node, every rule, plain objects, nothing kept. */
export function naive(nodeCount: number, count: number): number {
  const all = nodes(nodeCount).map(node => ({ node, pods: [] as Pod[] }));
  const began = process.cpuUsage();
  for (let i = 0; i < count; i++) {
    const pod = testPod(`naive-${i}`, { requests: { cpu: '100m', memory: '500Mi' } });
    let best: (typeof all)[number] | undefined;
    let bestScore = -1;
    for (const each of all) {
      const used = { cpu: each.pods.length * 100, memory: each.pods.length * 500 };
      const ready = each.node.status.conditions?.some(c => c.type === 'Ready' && c.status === 'True');
      const tainted = each.node.spec.taints?.some(taint => taint.effect !== 'PreferNoSchedule');
      const selected = Object.entries(pod.spec.nodeSelector ?? {}).every(
        ([k, v]) => each.node.metadata.labels?.[k] === v,
      );
      if (
        !ready ||
        tainted ||
        !selected ||
        each.node.spec.unschedulable ||
        used.cpu + 100 > 4_000 ||
        each.pods.length >= 110
      )
        continue;
      const [cpu, memory] = [(used.cpu + 100) / 4_000, (used.memory + 500) / 32_768];
      const score = (1 - cpu) * 50 + (1 - memory) * 50 + 100 * (1 - Math.abs(cpu - memory) / 2);
      if (score > bestScore) {
        bestScore = score;
        best = each;
      }
    }
    best?.pods.push(boundTo(pod, best.node.metadata.name));
  }
  const used = process.cpuUsage(began);
  return count / ((used.user + used.system) / 1e6);
}

export function decisionReport(runs = 3, only?: string): void {
  const median = (list: number[]) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]!;
  const round = (value: number) => Math.round(value).toLocaleString('en');
  console.log('| workload | nodes | decisions/s | p99 us | placed | upstream threshold, pods/s through its API |');
  console.log('|---|---|---|---|---|---|');
  for (const workload of workloads.filter(each => !only || each.name === only)) {
    for (const count of [500, 5_000]) {
      const measured = Array.from({ length: runs }, () => decide(workload, count));
      const rate = round(median(measured.map(each => each.perSecond)));
      const p99 = round(median(measured.map(each => each.p99Micros)));
      const threshold = count === 5_000 ? (workload.threshold ?? '-') : '-';
      console.log(`| ${workload.name} | ${count} | ${rate} | ${p99} | ${measured[0]!.placed} | ${threshold} |`);
    }
  }
  if (!only) console.log(`naive reference, 5,000 nodes: ${round(naive(5_000, 500))} decisions/s`);
}
