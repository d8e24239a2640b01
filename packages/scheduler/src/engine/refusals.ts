/** The refusals of a decision by node name. The map is made when somebody reads it: most only want the counts. */
import type { NodeRefusal, NodeRefusals } from '../framework/plugin.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import type { Snapshot } from '../snapshot/snapshot.js';

export class Refusals implements NodeRefusals {
  #byName: Map<string, NodeRefusal> | undefined;

  constructor(
    private readonly snapshot: Snapshot,
    private readonly slots: readonly number[],
    private readonly given: readonly NodeRefusal[],
  ) {}

  *resolvable(): Iterable<NodeInfo> {
    const { given, slots, snapshot } = this;
    for (let i = 0; i < given.length; i++) if (!given[i]!.unresolvable) yield snapshot.at(slots[i]!);
  }

  /** Equal refusals are mostly one object. */
  counted(): Map<NodeRefusal, number> {
    const counts = new Map<NodeRefusal, number>();
    let last: NodeRefusal | undefined;
    let run = 0;
    for (const refusal of this.given) {
      if (refusal !== last) {
        if (last) counts.set(last, (counts.get(last) ?? 0) + run);
        last = refusal;
        run = 0;
      }
      run += 1;
    }
    if (last) counts.set(last, (counts.get(last) ?? 0) + run);
    return counts;
  }

  get #map(): Map<string, NodeRefusal> {
    this.#byName ??= new Map(this.given.map((refusal, i) => [this.snapshot.at(this.slots[i]!).name, refusal]));
    return this.#byName;
  }
  get size(): number {
    return this.given.length;
  }
  get(name: string): NodeRefusal | undefined {
    return this.#map.get(name);
  }
  has(name: string): boolean {
    return this.#map.has(name);
  }
  forEach(visit: (value: NodeRefusal, key: string, map: ReadonlyMap<string, NodeRefusal>) => void): void {
    for (const [name, refusal] of this.#map) visit(refusal, name, this);
  }
  entries(): MapIterator<[string, NodeRefusal]> {
    return this.#map.entries();
  }
  keys(): MapIterator<string> {
    return this.#map.keys();
  }
  values(): MapIterator<NodeRefusal> {
    return this.#map.values();
  }
  [Symbol.iterator](): MapIterator<[string, NodeRefusal]> {
    return this.#map.entries();
  }
}
