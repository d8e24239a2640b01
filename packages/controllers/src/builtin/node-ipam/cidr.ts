/** Blocks of addresses in CIDR notation, IPv4 and IPv6, and a set of equally large blocks to hand out. */

export interface Cidr {
  readonly family: 4 | 6;
  /** First address. */
  readonly base: bigint;
  readonly prefix: number;
}

const bitsOf = (family: 4 | 6): number => (family === 4 ? 32 : 128);
const sizeOf = ({ family, prefix }: Cidr): bigint => 1n << BigInt(bitsOf(family) - prefix);

/** @throws TypeError for anything that is not `address/prefix`. Bits below the prefix are cut off. */
export function parseCidr(text: string): Cidr {
  const [address = '', length = '', ...rest] = text.split('/');
  const family = address.includes(':') ? 6 : 4;
  const value = family === 6 ? parseIPv6(address) : parseIPv4(address);
  const prefix = Number(length);
  if (value === undefined || rest.length > 0 || !/^\d{1,3}$/.test(length) || prefix > bitsOf(family)) {
    throw new TypeError(`"${text}" is not a CIDR: write 10.244.0.0/16 or fd00:10:244::/56`);
  }
  const shift = BigInt(bitsOf(family) - prefix);
  return { family, base: (value >> shift) << shift, prefix };
}

export function formatCidr({ family, base, prefix }: Cidr): string {
  const address = family === 4 ? formatIPv4(base) : formatIPv6(base);
  return `${address}/${prefix}`;
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.base < b.base + sizeOf(b) && b.base < a.base + sizeOf(a);
}

function parseIPv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined;
  return parts.reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function formatIPv4(value: bigint): string {
  return [24n, 16n, 8n, 0n].map(shift => String((value >> shift) & 0xffn)).join('.');
}

function parseIPv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = (half: string | undefined) => (half ? half.split(':') : []);
  const head = groups(halves[0]);
  const tail = groups(halves[1]);
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  if (!all.every(group => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return all.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n);
}

function formatIPv6(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  // The longest run of zeros is written as `::`.
  const runs = [...groups.join(':').matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  if (!longest) return groups.join(':');
  const text = groups.join(':');
  const before = text.slice(0, longest.index);
  const after = text.slice(longest.index + longest[0].length).replace(/^:/, '');
  return `${before}::${after}`;
}

/** The blocks of one size within a range. What is taken elsewhere is marked as taken, whatever its size. */
export class CidrPool {
  readonly #range: Cidr;
  readonly #prefix: number;
  readonly #count: bigint;
  readonly #taken = new Set<bigint>();
  #next = 0n;

  /** @throws RangeError when the blocks would be larger than the range, or more than 2^20 of them. */
  constructor(range: Cidr, prefix: number) {
    if (prefix < range.prefix || prefix > bitsOf(range.family)) {
      throw new RangeError(`blocks of /${prefix} do not fit into ${formatCidr(range)}`);
    }
    if (prefix - range.prefix > 20)
      throw new RangeError(`${formatCidr(range)} has too many blocks of /${prefix}; take larger ones`);
    this.#range = range;
    this.#prefix = prefix;
    this.#count = 1n << BigInt(prefix - range.prefix);
  }

  /** The next free block, in turn, so that one given back rests for a while; undefined when all are taken. */
  allocate(): Cidr | undefined {
    for (let i = 0n; i < this.#count; i++) {
      const index = (this.#next + i) % this.#count;
      if (this.#taken.has(index)) continue;
      this.#taken.add(index);
      this.#next = (index + 1n) % this.#count;
      return this.#block(index);
    }
    return undefined;
  }

  occupy(cidr: Cidr): void {
    for (const index of this.#indexes(cidr)) this.#taken.add(index);
  }

  release(cidr: Cidr): void {
    for (const index of this.#indexes(cidr)) this.#taken.delete(index);
  }

  #block(index: bigint): Cidr {
    const { family, base } = this.#range;
    const size = 1n << BigInt(bitsOf(family) - this.#prefix);
    return { family, base: base + index * size, prefix: this.#prefix };
  }

  *#indexes(cidr: Cidr): Generator<bigint> {
    if (!overlaps(cidr, this.#range)) return;
    const size = 1n << BigInt(bitsOf(this.#range.family) - this.#prefix);
    const first = cidr.base <= this.#range.base ? 0n : (cidr.base - this.#range.base) / size;
    const last = (cidr.base + sizeOf(cidr) - 1n - this.#range.base) / size;
    for (let i = first; i <= last && i < this.#count; i++) yield i;
  }
}
