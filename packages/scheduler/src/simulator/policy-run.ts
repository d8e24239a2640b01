/**
 * One policy over one workload: the live scheduler's queue, cluster state, `schedule` and `commit`, with a virtual clock for the world around them.
 *
 * A decision takes no virtual time, binding neither; a pod runs from the moment it is bound. Victims of preemption end at once. An evicted pod
 * comes again as a new one, as its controller would have it. A plugin that throws ends the simulation, since its report would be worth nothing.
 */
import type { KubeObject, Node, Pod } from '@orbitkit/core';
import { commit, rollback } from '../commit.js';
import type { NodeRefusal } from '../framework/plugin.js';
import { type Profile, profile } from '../framework/profile.js';
import { nodeEvents } from '../live/cluster-events.js';
import { schedulingQueue } from '../queue/scheduling-queue.js';
import { schedule } from '../schedule.js';
import { ClusterState } from '../snapshot/cluster-state.js';
import { isUsable } from '../snapshot/node-info.js';
import { NodeLoads } from '../snapshot/node-loads.js';
import { classOf } from '../snapshot/pod-class.js';
import { Ledger } from './ledger.js';
import { Measures, resourcesOf, shapesOf } from './measures.js';
import { type NodeChange, nodeIn } from './nodes.js';
import type { Policy } from './policies.js';
import type { EvictionCause, PolicyReport } from './report.js';
import { VirtualClock } from './virtual-clock.js';
import { type Arrival, podOf } from './workload.js';

export interface World {
  readonly nodes: readonly Node[];
  readonly changes: readonly NodeChange[];
  readonly arrivals: readonly Arrival[];
  readonly objects: readonly KubeObject[];
  readonly seed: number;
  readonly until: number;
  readonly warmup: number;
  readonly sampleEvery: number;
  readonly sloWaiting: number;
  /** Seconds that a pod may wait in Permit. */
  readonly permitTimeout: number;
  readonly stopwatch: (() => number) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A pod, or one of its replacements. */
interface Life {
  readonly arrival: Arrival;
  readonly index: number;
  readonly number: number;
  pod: Pod;
  /** Seconds at which it came. */
  readonly since: number;
  /** Where the one before it ran. */
  readonly from: string | undefined;
  phase: 'waits' | 'permit' | 'runs' | 'over';
  node: string | undefined;
  placedAt: number;
  end: { cancel(): void } | undefined;
}

/** Plugins that ask what nodes really use. */
const measured: ReadonlySet<string> = new Set(['TargetLoadPacking', 'LoadVariationRiskBalancing']);
const metricsEveryMs = 30_000;

/** Between looks at the signal. */
const stepsBetweenPauses = 5_000;

export async function runPolicy(policy: Policy, world: World): Promise<PolicyReport> {
  const run = new PolicyRun(policy, world);
  await run.play();
  return run.report();
}

class PolicyRun {
  readonly #rules: Profile;
  readonly #clock = new VirtualClock();
  readonly #state = new ClusterState();
  readonly #loads = new NodeLoads({ clock: this.#clock });
  readonly #queue;
  readonly #measures: Measures;
  readonly #lives = new Map<string, Life>();
  /** Of pods that their owners will delete, who stands for them by now. */
  readonly #latest = new Map<number, Life>();
  readonly #ledger = new Ledger();
  readonly #hasPermit: boolean;
  #permits = 0;
  #failure: unknown;
  #start = 0;
  #running = 0;

  constructor(
    private readonly policy: Policy,
    private readonly world: World,
  ) {
    this.#rules = profile({
      plugins: policy.plugins({ seed: world.seed, loads: this.#loads }),
      ...(policy.percentageOfNodesToScore ? { percentageOfNodesToScore: policy.percentageOfNodesToScore } : {}),
    });
    this.#hasPermit = this.#rules.plugins.some(plugin => plugin.permit);
    this.#queue = schedulingQueue({ profile: this.#rules, clock: this.#clock, snapshot: this.#state });
    for (const object of world.objects) this.#state.objects.set(object);
    for (const node of world.nodes) this.#setNode(node);
    const shapes = shapesOf(world.arrivals);
    this.#measures = new Measures(this.#state, resourcesOf(world, shapes), shapes);
    this.#plan();
    if (this.#rules.plugins.some(plugin => measured.has(plugin.name))) this.#measureLoads();
  }

  /** The world's events. What comes at one instant: nodes first, then pods, then the sample. */
  #plan(): void {
    const { world } = this;
    const clock = this.#clock;
    const each = <T extends { readonly at: number }>(list: readonly T[], act: (item: T, index: number) => void) => {
      const next = (index: number): void => {
        const item = list[index];
        if (!item) return;
        clock.at(item.at, () => {
          act(item, index);
          next(index + 1);
        });
      };
      next(0);
    };
    each(world.changes, change => this.#change(change));
    each(world.arrivals, (arrival, index) => this.#come(arrival, index, 0, undefined));
    const count = Math.floor(world.until / world.sampleEvery);
    each(
      Array.from({ length: count }, (_, i) => ({ at: (i + 1) * world.sampleEvery })),
      ({ at }) => this.#ledger.series.push(this.#measures.sample(at, this.#lives.size - this.#running, this.#running)),
    );
  }

  /** What pods on each node use, every half minute, as a metrics server tells it. */
  #measureLoads(): void {
    const at = this.#clock.now();
    for (const node of this.#state.nodes) {
      let cpu = 0;
      let memory = 0;
      for (const pod of node.pods) {
        const { usage = 1 } = this.#lives.get(pod.metadata.uid)?.arrival ?? {};
        const { requests } = classOf(pod);
        cpu += usage * (requests.get('cpu') ?? 0);
        memory += usage * (requests.get('memory') ?? 0);
      }
      this.#loads.add(node.name, { at, cpu, memory });
    }
    this.#queue.notice({ type: 'NodeMetrics' });
    this.#clock.setTimer(metricsEveryMs, () => this.#measureLoads());
  }

  async play(): Promise<void> {
    const { signal, until } = this.world;
    const end = this.#clock.start + until * 1_000;
    for (let step = 1; ; step++) {
      this.#decideAll();
      // Permits are promises: let them get as far as they can before time goes on.
      for (let before = -1; this.#permits > 0 && before !== this.#ledger.decisions; ) {
        before = this.#ledger.decisions;
        await pause();
        this.#decideAll();
      }
      if (this.#failure) throw this.#failure;
      if (step % stepsBetweenPauses === 0) await pause();
      signal?.throwIfAborted();
      const next = Math.min(this.#clock.next, this.#clock.now() + this.#queue.untilDue());
      if (next > end) break;
      this.#clock.advanceTo(next);
    }
    this.#clock.advanceTo(end);
  }

  #decideAll(): void {
    const { stopwatch } = this.world;
    const before = stopwatch?.() ?? 0;
    for (let taken = this.#queue.take(); taken; taken = this.#queue.take()) this.#decide(taken.pod);
    this.#ledger.decidingMs += (stopwatch?.() ?? 0) - before;
  }

  #decide(pod: Pod): void {
    const { uid, name } = pod.metadata;
    const life = this.#lives.get(uid)!;
    this.#ledger.decisions += 1;
    try {
      const decision = schedule(pod, this.#state, this.#rules, { start: this.#start, detail: 'choice' });
      this.#start = decision.nextStart;
      if (decision.outcome === 'unschedulable') {
        this.#refuse(life, decision.refusedBy);
        const { preemption } = decision;
        if (decision.losesNomination) this.#releaseNomination(life);
        if (!preemption) return;
        life.pod = { ...pod, status: { ...pod.status, nominatedNodeName: preemption.node } };
        const kept = this.#state.nominationOf(uid);
        this.#state.nominate(uid, life.pod, preemption.node);
        this.#queue.add(life.pod);
        if (kept !== undefined && kept !== preemption.node)
          this.#queue.notice({ type: 'PodDelete', before: pod, node: kept });
        for (const victim of preemption.victims) this.#evict(this.#lives.get(victim.metadata.uid), 'preempted');
        return;
      }
      const refusal = commit(pod, decision.node, this.#rules);
      if (refusal) {
        this.#refuse(life, new Set([refusal.plugin]));
        return;
      }
      const kept = this.#state.nominationOf(uid);
      this.#state.assume(pod, decision.node);
      life.node = decision.node;
      if (kept !== undefined && kept !== decision.node)
        this.#queue.notice({ type: 'PodDelete', before: pod, node: kept });
      if (this.#hasPermit) this.#permit(life, pod);
      else this.#bound(life, pod);
    } catch (error) {
      throw new Error(
        `policy "${this.policy.name}", pod "${name}": ${error instanceof Error ? error.message : error}`,
        {
          cause: error,
        },
      );
    }
  }

  #refuse(life: Life, refusedBy: ReadonlySet<string>): void {
    this.#ledger.refusals += 1;
    life.node = undefined;
    this.#queue.refuse(life.pod.metadata.uid, refusedBy);
  }

  #releaseNomination(life: Life): void {
    const { pod } = life;
    const { nominatedNodeName: node, ...status } = pod.status;
    life.pod = { ...pod, status };
    this.#state.nominate(pod.metadata.uid, undefined);
    this.#queue.add(life.pod);
    this.#queue.notice({ type: 'PodDelete', before: pod, node: node! });
  }

  /** Permit: all of them approve, one refuses, or the time is over. */
  #permit(life: Life, pod: Pod): void {
    const node = life.node!;
    life.phase = 'permit';
    this.#permits += 1;
    const bound = new AbortController();
    const timer = this.#clock.setTimer(this.world.permitTimeout * 1_000, () => bound.abort());
    const ask = async (): Promise<NodeRefusal | undefined> => {
      for (const plugin of this.#rules.plugins) {
        const refusal = await plugin.permit?.(pod, node, bound.signal);
        if (refusal) return { ...refusal, plugin: plugin.name };
      }
      return undefined;
    };
    ask()
      .then(refusal => {
        // Evicted meanwhile: what it held was given back then.
        if (life.phase !== 'permit') return;
        if (!refusal) {
          this.#bound(life, pod);
          return;
        }
        life.phase = 'waits';
        this.#state.forget(pod.metadata.uid);
        rollback(pod, node, this.#rules);
        this.#queue.notice({ type: 'PodDelete', before: pod, node });
        this.#refuse(life, new Set([refusal.plugin]));
      })
      .catch(error => {
        this.#failure = error;
      })
      .finally(() => {
        timer.cancel();
        this.#permits -= 1;
      });
  }

  #bound(life: Life, pod: Pod): void {
    const { uid } = pod.metadata;
    const node = life.node!;
    const now = this.#clock.seconds;
    life.pod = pod;
    life.phase = 'runs';
    life.placedAt = now;
    pod.status.startTime = new Date(this.#clock.now()).toISOString();
    this.#queue.done(uid);
    for (const plugin of this.#rules.plugins) plugin.postBind?.(pod, node);
    this.#running += 1;
    this.#ledger.placements += 1;
    if (life.from !== undefined && life.from !== node) this.#ledger.moves += 1;
    this.#ledger.waited(life.arrival, now - life.since);
    const { seconds } = life.arrival;
    if (Number.isFinite(seconds))
      life.end = this.#clock.at(now + seconds, () => {
        this.#ledger.completed += 1;
        this.#leave(life);
      });
    this.#queue.notice({ type: 'PodAdd', after: pod, node });
  }

  #come(arrival: Arrival, index: number, number: number, from: string | undefined, since = this.#clock.seconds): void {
    const pod = podOf(arrival, index, number, this.#clock.now());
    const life: Life = {
      ...{ arrival, index, number, pod, since, from },
      phase: 'waits',
      node: undefined,
      placedAt: 0,
      end: undefined,
    };
    this.#lives.set(pod.metadata.uid, life);
    if (number === 0) {
      this.#ledger.came(arrival);
      if (arrival.deletedAt !== undefined) this.#clock.at(arrival.deletedAt, () => this.#delete(index));
    }
    if (arrival.deletedAt !== undefined) this.#latest.set(index, life);
    this.#queue.add(pod);
  }

  #evict(life: Life | undefined, cause: EvictionCause): void {
    if (!life || life.phase === 'waits' || life.phase === 'over') return;
    const { arrival, from, index, node, number, phase, pod, since } = life;
    this.#leave(life);
    if (phase === 'runs') {
      this.#ledger.evictions[cause] += 1;
      this.#come(arrival, index, number + 1, node);
    } else {
      // It held a place and did not run yet: it goes on waiting.
      rollback(pod, node!, this.#rules);
      this.#come(arrival, index, number + 1, from, since);
    }
  }

  /** The pod, or the replacement that there is by now, is deleted by its owner. */
  #delete(index: number): void {
    const life = this.#latest.get(index)!;
    const { arrival, node, phase, pod, since } = life;
    if (phase === 'over') return;
    this.#leave(life);
    if (phase === 'runs') this.#ledger.completed += 1;
    else this.#ledger.waited(arrival, this.#clock.seconds - since);
    if (phase === 'permit') rollback(pod, node!, this.#rules);
  }

  /** It is gone, and its room free. */
  #leave(life: Life): void {
    const { uid } = life.pod.metadata;
    const node = life.node ?? this.#state.nominationOf(uid);
    life.end?.cancel();
    if (life.phase === 'runs') {
      this.#running -= 1;
      this.#ledger.ran(life.arrival, this.#clock.seconds - life.placedAt);
    }
    life.phase = 'over';
    this.#lives.delete(uid);
    this.#state.removePod(uid);
    this.#queue.remove(uid);
    if (node !== undefined) this.#queue.notice({ type: 'PodDelete', before: life.pod, node });
  }

  // --- nodes ---

  #setNode(node: Node): void {
    const { name } = node.metadata;
    const before = this.#state.get(name)?.node;
    this.#state.setNode(node);
    const was = before !== undefined && isUsable(before);
    if (was !== isUsable(node))
      for (const plugin of this.#rules.plugins) (was ? plugin.nodeLeft : plugin.nodeJoined)?.call(plugin, name);
    for (const event of nodeEvents(before, node)) this.#queue.notice(event);
  }

  #change(change: NodeChange): void {
    if (change.what === 'set') {
      this.#setNode(change.node);
      return;
    }
    const { name } = change;
    const node = this.#state.get(name)?.node;
    if (!node) return;
    const empty = (cause: EvictionCause): void => {
      for (const pod of [...this.#state.get(name)!.pods]) this.#evict(this.#lives.get(pod.metadata.uid), cause);
    };
    switch (change.what) {
      case 'fail':
        this.#setNode(nodeIn(node, { ready: false, closed: false }));
        break;
      case 'lose':
        empty('failed');
        break;
      case 'repair':
      case 'return':
        this.#setNode(nodeIn(node, { ready: true, closed: false }));
        break;
      case 'drain':
        this.#setNode(nodeIn(node, { ready: false, closed: true }));
        empty('drained');
        break;
      case 'remove': {
        const usable = isUsable(node);
        empty('removed');
        this.#state.removeNode(name);
        if (usable) for (const plugin of this.#rules.plugins) plugin.nodeLeft?.(name);
        for (const event of nodeEvents(node, undefined)) this.#queue.notice(event);
      }
    }
  }

  report(): PolicyReport {
    const { sloWaiting, stopwatch, until, warmup } = this.world;
    let unplaced = 0;
    for (const life of this.#lives.values()) {
      if (life.phase === 'runs') this.#ledger.ran(life.arrival, until - life.placedAt);
      else {
        unplaced += 1;
        this.#ledger.waited(life.arrival, until - life.since);
      }
    }
    return this.#ledger.report({
      name: this.policy.name,
      warmup,
      sloWaiting,
      unplaced,
      timed: stopwatch !== undefined,
      finalLoads: this.#measures.loads(),
    });
  }
}

const pause = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
