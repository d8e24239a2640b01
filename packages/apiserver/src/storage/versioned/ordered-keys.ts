/**
 * A sorted set of keys in the order of their UTF-8 bytes: chunks of sorted arrays, so that adding, removing and ranking
 * cost a binary search and a short `splice`, also with some hundred thousand keys.
 *
 * JavaScript compares UTF-16 units; that is UTF-8 order until a key has a character beyond U+FFFF. From the first such key on,
 * the slower exact comparison is used (the order of the keys already there is the same under both).
 */
const chunkLimit = 512;
const surrogate = /[\ud800-\udfff]/;

/** Moves surrogates above the rest of the 16-bit range, which is where UTF-8 sorts the characters that they stand for. */
const rank16 = (unit: number): number => (unit < 0xd800 ? unit : unit >= 0xe000 ? unit - 0x800 : unit + 0x2000);

function beforeInUtf8(a: string, b: string): boolean {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank16(x) < rank16(y);
  }
  return a.length < b.length;
}
const beforeInUnits = (a: string, b: string): boolean => a < b;

interface Position {
  chunk: number;
  offset: number;
}

export class OrderedKeys {
  #chunks: string[][] = [];
  #size = 0;
  #before = beforeInUnits;

  get size(): number {
    return this.#size;
  }

  /** `a` sorts before `b`. */
  before(a: string, b: string): boolean {
    if (this.#before === beforeInUnits && (surrogate.test(a) || surrogate.test(b))) return beforeInUtf8(a, b);
    return this.#before(a, b);
  }

  add(key: string): boolean {
    if (this.#before === beforeInUnits && surrogate.test(key)) this.#before = beforeInUtf8;
    const before = this.#before;
    // Keys often arrive in order (replay, lists): look at the end first.
    const last = this.#chunks[this.#chunks.length - 1];
    if (last === undefined) {
      this.#chunks.push([key]);
    } else if (before(last[last.length - 1]!, key)) {
      if (last.length < chunkLimit) last.push(key);
      else this.#chunks.push([key]);
    } else {
      const { chunk, offset } = this.#first(candidate => !before(candidate, key));
      const keys = this.#chunks[chunk]!;
      if (keys[offset] === key) return false;
      keys.splice(offset, 0, key);
      if (keys.length > chunkLimit) this.#chunks.splice(chunk + 1, 0, keys.splice(chunkLimit >> 1));
    }
    this.#size++;
    return true;
  }

  delete(key: string): boolean {
    const { chunk, offset } = this.#first(candidate => !this.before(candidate, key));
    const keys = this.#chunks[chunk];
    if (keys?.[offset] !== key) return false;
    keys.splice(offset, 1);
    if (keys.length === 0) this.#chunks.splice(chunk, 1);
    this.#size--;
    return true;
  }

  /** The keys that begin with `prefix` and sort after `after`, in order. The set must not change meanwhile. */
  *range(prefix: string, after?: string): Generator<string, void, void> {
    let { chunk, offset } = this.#start(prefix, after);
    for (; chunk < this.#chunks.length; chunk++, offset = 0) {
      const keys = this.#chunks[chunk]!;
      for (; offset < keys.length; offset++) {
        const key = keys[offset]!;
        if (!key.startsWith(prefix)) return;
        yield key;
      }
    }
  }

  /** How many keys `range(prefix, after)` has; no walk over the keys. */
  count(prefix: string, after?: string): number {
    const end =
      prefix === ''
        ? this.#size
        : this.#index(this.#first(key => !this.before(key, prefix) && !key.startsWith(prefix)));
    return Math.max(0, end - this.#index(this.#start(prefix, after)));
  }

  #start(prefix: string, after: string | undefined): Position {
    if (after !== undefined && !this.before(after, prefix)) return this.#first(key => this.before(after, key));
    return prefix === '' ? { chunk: 0, offset: 0 } : this.#first(key => !this.before(key, prefix));
  }

  #index({ chunk, offset }: Position): number {
    let index = offset;
    for (let i = 0; i < chunk; i++) index += this.#chunks[i]!.length;
    return index;
  }

  /** The first key for which `reached` holds; `reached` is false for a head of the order and true for the rest. */
  #first(reached: (key: string) => boolean): Position {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const keys = this.#chunks[middle]!;
      if (reached(keys[keys.length - 1]!)) high = middle;
      else low = middle + 1;
    }
    const chunk = low;
    const keys = this.#chunks[chunk];
    if (keys === undefined) return { chunk, offset: 0 };
    low = 0;
    high = keys.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (reached(keys[middle]!)) high = middle;
      else low = middle + 1;
    }
    return { chunk, offset: low };
  }
}
