/**
 * The memory under the texts of a cache. Objects stay in the chunks of memory in which they arrived from the network, uncopied. When less than
 * half of a chunk is still in the cache, what is left of it moves to memory of its own and the chunk is let go. So the
 * cache holds at most about twice the bytes of its objects, and each byte is copied seldom.
 *
 * Who still holds an object that left the cache holds its chunk; nothing is overwritten.
 */
import type { LazyRecord } from './lazy-object.js';

/** One chunk of memory and the objects of the cache that are in it. */
export interface ChunkUse {
  readonly memory: ArrayBufferLike;
  readonly size: number;
  /** Bytes of objects in the cache. */
  live: number;
  /** All that were ever kept here; those whose `use` is another have left. */
  records: LazyRecord[];
}

export class KeptBytes {
  /** Where objects arrive at the moment: it may be filled only in part. */
  #filling: ChunkUse | undefined;
  #held = 0;
  #live = 0;

  /** Bytes of memory that the cache keeps alive. */
  get held(): number {
    return this.#held;
  }

  /** Bytes of the objects in it. */
  get live(): number {
    return this.#live;
  }

  keep(record: LazyRecord): void {
    const memory = record.bytes.buffer;
    let use = this.#filling;
    if (use?.memory !== memory) {
      this.#filling = undefined;
      if (use) this.#tidy(use);
      use = this.#open(memory);
      this.#filling = use;
    }
    this.#add(use, record);
    this.#live += record.end - record.start;
  }

  release(record: LazyRecord): void {
    const { use } = record;
    if (!use) return;
    const length = record.end - record.start;
    record.use = undefined;
    use.live -= length;
    this.#live -= length;
    if (use !== this.#filling) this.#tidy(use);
  }

  #open(memory: ArrayBufferLike): ChunkUse {
    this.#held += memory.byteLength;
    return { memory, size: memory.byteLength, live: 0, records: [] };
  }

  #add(use: ChunkUse, record: LazyRecord): void {
    record.use = use;
    use.live += record.end - record.start;
    use.records.push(record);
  }

  #tidy(use: ChunkUse): void {
    if (use.live * 2 >= use.size || use.records.length === 0) return;
    this.#held -= use.size;
    const left = use.records.filter(record => record.use === use);
    use.records = [];
    if (left.length === 0) return;
    const bytes = Buffer.allocUnsafeSlow(use.live);
    const target = this.#open(bytes.buffer);
    let at = 0;
    for (const record of left) {
      const length = record.bytes.copy(bytes, at, record.start, record.end);
      record.bytes = bytes;
      record.start = at;
      at += length;
      record.end = at;
      this.#add(target, record);
    }
  }
}
