/**
 * Decisions alone: schedule → commit → assume, no queue, no API. Pods per second of processor time, by workload and number of nodes: medians of runs that
 * take turns. The time of one decision is processor time as well, of the whole process: on a shared machine the clock on the wall shows others.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Pod } from '@orbitkit/core';
import { ClusterState, commit, defaultPlugins, type Profile, profile, schedule } from '@orbitkit/scheduler';
import { boundTo, testPod } from '@orbitkit/scheduler/testing';
import { nodes, nodesOf, sizesOf, type Workload, workloads } from './workloads.js';

export interface Measured {
  readonly perSecond: number;
  readonly placed: number;
  /** Processor time of single decisions, sorted, microseconds; asking for it costs two, so that it is a run of its own. */
  readonly micros: Float64Array;
  /** Share of the CPU that is requested: mean and standard deviation over nodes, percent. */
  readonly utilization: { readonly mean: number; readonly deviation: number };
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const micros = ({ user, system }: NodeJS.CpuUsage): number => user + system;

export function utilizationOf(state: ClusterState): Measured['utilization'] {
  const shares = state.nodes.map(({ load }) => 100 * load.cpu);
  const mean = shares.reduce((sum, each) => sum + each, 0) / shares.length;
  const square = shares.reduce((sum, each) => sum + (each - mean) ** 2, 0) / shares.length;
  return { mean, deviation: Math.sqrt(square) };
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

export function decide(workload: Workload, nodeCount: number, timed = false): Measured {
  // What others left behind is not this one's to clear; the code that died with it is warm again before it counts.
  collectGarbage();
  const state = new ClusterState();
  for (const node of nodesOf(workload, nodeCount)) state.setNode(node);
  const rules = profile({ plugins: defaultPlugins() });
  let start = 0;
  const { initial, measured: count } = sizesOf(workload, nodeCount);
  for (let i = 0; i < initial; i++) start = place(workload.initialPod(i), state, rules, start).start;
  const pods = Array.from({ length: count }, (_, i) => workload.pod(i));
  const times = new Float64Array(count);
  let placed = 0;
  const began = process.cpuUsage();
  let before = micros(began);
  for (let i = 0; i < count; i++) {
    const answer = place(pods[i]!, state, rules, start);
    start = answer.start;
    if (answer.node) placed += 1;
    if (!timed) continue;
    const now = micros(process.cpuUsage());
    times[i] = now - before;
    before = now;
  }
  const seconds = micros(process.cpuUsage(began)) / 1e6;
  times.sort();
  return {
    perSecond: count / seconds,
    placed,
    micros: times,
    utilization: utilizationOf(state),
  };
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

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]!;
const round = (value: number) => Math.round(value).toLocaleString('en');

export function decisionReport(runs = 3, only?: string): void {
  const chosen = workloads.filter(each => !only || each.name === only);
  console.log(
    '| workload | nodes | decisions/s | of basic | p50, p99, most us | placed | CPU requested, mean and sd | upstream threshold, pods/s through its API |',
  );
  console.log('|---|---|---|---|---|---|---|---|');
  for (const count of [500, 5_000]) {
    const measured = new Map(chosen.map(each => [each, [] as Measured[]]));
    for (let run = 0; run < runs; run++) for (const [workload, list] of measured) list.push(decide(workload, count));
    let basic: number | undefined;
    for (const [workload, list] of measured) {
      const rate = median(list.map(each => each.perSecond));
      if (workload.name === 'SchedulingBasic') basic = rate;
      const { micros: single } = decide(workload, count, true);
      const times = [0.5, 0.99, 1].map(share => round(single[Math.ceil(single.length * share) - 1]!));
      const { placed, utilization } = list[0]!;
      const threshold = count === 5_000 ? (workload.threshold ?? '-') : '-';
      const share = basic === undefined ? '-' : (rate / basic).toFixed(2);
      console.log(
        `| ${workload.name} | ${count} | ${round(rate)} | ${share} | ${times.join(', ')} | ${placed} | ${utilization.mean.toFixed(1)} %, ${utilization.deviation.toFixed(2)} | ${threshold} |`,
      );
    }
  }
  if (!only) console.log(`naive reference, 5,000 nodes: ${round(naive(5_000, 500))} decisions/s`);
}

/** What a basic decision costs as the cluster grows. */
export function sizeReport(runs = 3): void {
  const [basic] = workloads;
  const sizes = [500, 1_000, 2_000, 5_000, 10_000];
  const measured = new Map(sizes.map(size => [size, [] as number[]]));
  for (let run = 0; run < runs; run++)
    for (const [size, list] of measured)
      list.push(1e6 / decide({ ...basic!, measured: 10_000 / Math.max(0.5, size / 5_000) }, size).perSecond);
  console.log('| nodes | processor time of a decision, us |');
  console.log('|---|---|');
  for (const [size, list] of measured) console.log(`| ${size} | ${median(list).toFixed(1)} |`);
}
