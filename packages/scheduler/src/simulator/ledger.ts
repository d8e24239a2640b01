/** The account of one run: who waited how long, who was served, who lost a node; and the report made of it. */
import { classOf } from '../snapshot/pod-class.js';
import { averageOf } from './measures.js';
import { type EvictionCause, jainIndex, type PolicyReport, percentile, type Sample, waitingTimesOf } from './report.js';
import { type Arrival, podOf } from './workload.js';

interface Group {
  pods: number;
  waits: number;
  waited: number;
  /** Thousandths of a core times seconds. */
  served: number;
  asked: number;
}

export class Ledger {
  placements = 0;
  completed = 0;
  moves = 0;
  decisions = 0;
  refusals = 0;
  decidingMs = 0;
  readonly evictions: Record<EvictionCause, number> = { preempted: 0, failed: 0, drained: 0, removed: 0 };
  readonly series: Sample[] = [];
  readonly #groups = new Map<string, Group>();
  readonly #weights = new Map<Arrival['template'], number>();
  readonly #waits: number[] = [];

  came(arrival: Arrival): void {
    this.#groupOf(arrival).pods += 1;
  }
  waited(arrival: Arrival, seconds: number): void {
    const group = this.#groupOf(arrival);
    this.#waits.push(seconds);
    group.waits += 1;
    group.waited += seconds;
    group.asked += seconds * this.#weightOf(arrival);
  }
  ran(arrival: Arrival, seconds: number): void {
    const group = this.#groupOf(arrival);
    const amount = seconds * this.#weightOf(arrival);
    group.served += amount;
    group.asked += amount;
  }

  report(of: {
    name: string;
    warmup: number;
    sloWaiting: number;
    unplaced: number;
    timed: boolean;
    finalLoads: readonly number[];
  }): PolicyReport {
    const { decidingMs, decisions, series } = this;
    const waits = this.#waits.sort((a, b) => a - b);
    const missed = waits.filter(seconds => seconds > of.sloWaiting).length;
    const groups = [...this.#groups].sort(([a], [b]) => (a < b ? -1 : 1));
    const share = ({ served, asked }: Group): number => (asked === 0 ? 1 : served / asked);
    const seconds = decidingMs / 1_000;
    return {
      name: of.name,
      ...averageOf(series.filter(({ at }) => at > of.warmup)),
      waiting: waitingTimesOf(waits),
      fairness: {
        index: jainIndex(groups.map(([, group]) => share(group))),
        groups: Object.fromEntries(
          groups.map(([name, group]) => [
            name,
            { pods: group.pods, meanWaiting: group.waits ? group.waited / group.waits : 0, served: share(group) },
          ]),
        ),
      },
      placements: this.placements,
      completed: this.completed,
      unplaced: of.unplaced,
      evictions: this.evictions,
      moves: this.moves,
      slo: { bound: of.sloWaiting, missed, share: waits.length === 0 ? 0 : missed / waits.length },
      decisions,
      refusals: this.refusals,
      ...(of.timed ? { speed: { seconds, decisionsPerSecond: seconds > 0 ? decisions / seconds : 0 } } : {}),
      series,
      waitingCurve: Array.from({ length: 101 }, (_, i) => percentile(waits, i / 100)),
      finalLoads: of.finalLoads,
    };
  }

  #groupOf({ group: name }: Arrival): Group {
    let group = this.#groups.get(name);
    if (!group) {
      group = { pods: 0, waits: 0, waited: 0, served: 0, asked: 0 };
      this.#groups.set(name, group);
    }
    return group;
  }
  /** A pod that asks for no CPU counts as a thousandth of a core. */
  #weightOf(arrival: Arrival): number {
    const { template } = arrival;
    let weight = this.#weights.get(template);
    if (weight === undefined) {
      weight = classOf(podOf(arrival, 0, 0, 0)).requests.get('cpu') || 1;
      this.#weights.set(template, weight);
    }
    return weight;
  }
}
