/**
 * IPv4 ranges in CIDR notation, and giving addresses out of one.
 *
 * An allocator never hands out the network address, the first address (a gateway's, where there is one) or the last
 * (broadcast). It goes round: an address just given back is the last to be given again, so that a peer which still talks
 * to the old owner does not reach the new one. IPv6 is not supported and says so.
 */

export interface AddressRange {
  readonly cidr: string;
  /** The lowest address as a number. */
  readonly base: number;
  readonly prefixLength: number;
  readonly size: number;
}

/** @throws RangeError for anything but an IPv4 CIDR whose host bits are zero or not: they are cut off. */
export function parseRange(cidr: string): AddressRange {
  const match = /^([\d.]+)\/(\d{1,2})$/.exec(cidr);
  const prefixLength = Number(match?.[2] ?? Number.NaN);
  if (!match || !(prefixLength >= 0 && prefixLength <= 32)) {
    throw new RangeError(`"${cidr}" is not an IPv4 range; write it like 10.244.1.0/24`);
  }
  const size = 2 ** (32 - prefixLength);
  const address = parseAddress(match[1]!);
  const base = address - (address % size);
  return { cidr: `${formatAddress(base)}/${prefixLength}`, base, prefixLength, size };
}

/** @throws RangeError */
export function parseAddress(text: string): number {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every(part => /^\d{1,3}$/.test(part) && Number(part) <= 255)) {
    throw new RangeError(`"${text}" is not an IPv4 address`);
  }
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(address / 2 ** shift) % 256).join('.');
}

export function rangeContains(range: AddressRange, address: string): boolean {
  const value = parseAddress(address);
  return value >= range.base && value < range.base + range.size;
}

export function isLoopback(address: string): boolean {
  return address.startsWith('127.');
}

export interface AddressAllocator {
  readonly range: AddressRange;
  /** @throws RangeError when every address is taken. */
  take(): string;
  /** Marks an address as taken, for what was found running. False when it already was, or lies outside. */
  reserve(address: string): boolean;
  release(address: string): void;
}

export function addressAllocator(range: AddressRange): AddressAllocator {
  const taken = new Set<number>();
  const first = range.base + Math.min(2, range.size - 1);
  const last = range.base + Math.max(range.size - 2, first - range.base);
  let next = first;
  return {
    range,
    take() {
      for (let tried = first; tried <= last; tried += 1) {
        const candidate = next;
        next = next >= last ? first : next + 1;
        if (!taken.has(candidate)) {
          taken.add(candidate);
          return formatAddress(candidate);
        }
      }
      throw new RangeError(`every address of ${range.cidr} is in use (${taken.size}); give the node a larger podCIDR`);
    },
    reserve(address) {
      const value = parseAddress(address);
      if (value < range.base || value >= range.base + range.size || taken.has(value)) return false;
      taken.add(value);
      return true;
    },
    release(address) {
      taken.delete(parseAddress(address));
    },
  };
}
