/** Numbers by node slot in typed arrays: what the fast plugins read. Arrays are replaced when they grow; `layout` says so. */

export class Columns {
  capacity = 64;
  /** Changes when the arrays were replaced. */
  layout = 0;
  /** Changes when anything on the node does; never 0 for a node. */
  generation = new Float64Array(this.capacity);
  /** Changes when the node object does. */
  nodeGeneration = new Float64Array(this.capacity);
  podCount = new Int32Array(this.capacity);
  podLimit = new Float64Array(this.capacity);
  scoringCpu = new Float64Array(this.capacity);
  scoringMemory = new Float64Array(this.capacity);
  readonly #ids = new Map<string, number>();
  readonly names: string[] = [];
  /** By resource, then slot. */
  readonly allocatable: Float64Array[] = [];
  readonly requested: Float64Array[] = [];

  constructor() {
    for (const name of ['cpu', 'memory', 'ephemeral-storage']) this.resource(name);
  }

  /** The number of a resource; new names get a column. */
  resource(name: string): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.names.length;
      this.#ids.set(name, id);
      this.names.push(name);
      this.allocatable.push(new Float64Array(this.capacity));
      this.requested.push(new Float64Array(this.capacity));
    }
    return id;
  }

  grow(): void {
    this.capacity *= 2;
    this.layout += 1;
    const wider = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const array = new Float64Array(this.capacity);
      array.set(old);
      return array;
    };
    this.generation = wider(this.generation);
    this.nodeGeneration = wider(this.nodeGeneration);
    this.podLimit = wider(this.podLimit);
    this.scoringCpu = wider(this.scoringCpu);
    this.scoringMemory = wider(this.scoringMemory);
    const counts = new Int32Array(this.capacity);
    counts.set(this.podCount);
    this.podCount = counts;
    for (let id = 0; id < this.names.length; id++) {
      this.allocatable[id] = wider(this.allocatable[id]!);
      this.requested[id] = wider(this.requested[id]!);
    }
  }

  clear(slot: number): void {
    this.podLimit[slot] = 0;
    for (const column of this.allocatable) column[slot] = 0;
  }
}
