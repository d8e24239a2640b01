/**
 * The refusals of a decision by node name. Many nodes mostly give few different ones: each is kept once, a node has its number. The map is made when
 * somebody reads it: most only want the counts.
 */
import type { NodeRefusal, NodeRefusals } from '../framework/plugin.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import type { Snapshot } from '../snapshot/snapshot.js';

/** Different refusals, numbered as they come. */
export class RefusalTable {
  readonly kinds: NodeRefusal[] = [];
  readonly #numbers = new Map<NodeRefusal, number>();

  numberOf(refusal: NodeRefusal): number {
    let number = this.#numbers.get(refusal);
    if (number === undefined) {
      number = this.kinds.length;
      this.#numbers.set(refusal, number);
      this.kinds.push(refusal);
    }
    return number;
  }
}

export class Refusals implements NodeRefusals {
  #byName: Map<string, NodeRefusal> | undefined;
  readonly #kinds: readonly NodeRefusal[];
  readonly #slots: Int32Array;
  /** By place in `slots`: the number of its refusal. */
  readonly #which: Uint32Array;
  #count = 0;

  /** Of `limit` nodes at the most. */
  constructor(
    private readonly snapshot: Snapshot,
    limit: number,
    private readonly table = new RefusalTable(),
  ) {
    this.#kinds = table.kinds;
    this.#slots = new Int32Array(limit);
    this.#which = new Uint32Array(limit);
  }

  add(slot: number, refusal: NodeRefusal): void {
    this.addNumber(slot, this.table.numberOf(refusal));
  }
  addNumber(slot: number, number: number): void {
    this.#slots[this.#count] = slot;
    this.#which[this.#count++] = number;
  }

  *resolvable(): Iterable<NodeInfo> {
    for (let i = 0; i < this.#count; i++)
      if (!this.#kinds[this.#which[i]!]!.unresolvable) yield this.snapshot.at(this.#slots[i]!);
  }

  /** In the order that they were met. */
  counted(): Map<NodeRefusal, number> {
    const counts = new Uint32Array(this.#kinds.length);
    const met: number[] = [];
    for (let i = 0; i < this.#count; i++) if (counts[this.#which[i]!]!++ === 0) met.push(this.#which[i]!);
    return new Map(met.map(number => [this.#kinds[number]!, counts[number]!]));
  }

  #entries(): [string, NodeRefusal][] {
    return Array.from({ length: this.#count }, (_, i) => [
      this.snapshot.at(this.#slots[i]!).name,
      this.#kinds[this.#which[i]!]!,
    ]);
  }

  get #map(): Map<string, NodeRefusal> {
    this.#byName ??= new Map(this.#entries());
    return this.#byName;
  }
  get size(): number {
    return this.#count;
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
