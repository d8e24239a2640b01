/** Ranges of addresses to give out: `10.96.0.0/16`, `fd00:10:96::/112`, without their first and last address. */
import { isIPv4, isIPv6 } from 'node:net';

export type IPFamily = 'IPv4' | 'IPv6';

export interface AddressRange {
  readonly text: string;
  readonly family: IPFamily;
  /** Addresses that can be given. */
  readonly size: number;
  /** The first address that can be given: the API's own service has it. */
  readonly first: string;
  contains(address: string): boolean;
  /** `index` from 0 to `size - 1`. */
  at(index: number): string;
}

/** Undefined for what is no address. */
export const familyOf = (address: string): IPFamily | undefined =>
  isIPv4(address) ? 'IPv4' : isIPv6(address) && !address.includes('%') ? 'IPv6' : undefined;

/** The one way to write an address (RFC 5952), so that it is claimed under one name. */
export const canonicalAddress = (address: string): string =>
  isIPv6(address) ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address;

function numberOf(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail] = canonicalAddress(address).split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const all = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
}

function textOf(value: bigint, family: IPFamily): string {
  const [parts, bits] = family === 'IPv4' ? [4, 8n] : [8, 16n];
  const list = Array.from({ length: parts }, (_, i) => (value >> (bits * BigInt(parts - 1 - i))) & ((1n << bits) - 1n));
  return family === 'IPv4' ? list.join('.') : canonicalAddress(list.map(each => each.toString(16)).join(':'));
}

/** kube-apiserver keeps a bitmap of what is given, and takes no range of IPv6 with more than 20 bits. */
const mostBits = 20;

/** @throws Error when the text is no range with room for two addresses. */
export function addressRange(text: string): AddressRange {
  const slash = text.indexOf('/');
  const family = familyOf(text.slice(0, slash));
  const width = family === 'IPv6' ? 128 : 32;
  const bits = /^\d{1,3}$/.test(text.slice(slash + 1)) ? width - Number(text.slice(slash + 1)) : -1;
  if (slash < 0 || family === undefined || bits < 2 || bits > width || (family === 'IPv6' && bits > mostBits)) {
    throw new Error(
      `"${text}" is not a range of addresses with at least two to give: write one such as 10.96.0.0/16 or fd00:10:96::/112 (of IPv6 at most /${128 - mostBits})`,
    );
  }
  const total = 1n << BigInt(bits);
  const base = (numberOf(text.slice(0, slash)) / total) * total;
  return {
    text,
    family,
    size: Number(total - 2n),
    first: textOf(base + 1n, family),
    contains(address) {
      if (familyOf(address) !== family) return false;
      const value = numberOf(address);
      return value > base && value < base + total - 1n;
    },
    at: index => textOf(base + 1n + BigInt(index), family),
  };
}

/** One range, or one of each family: `10.96.0.0/16,fd00:10:96::/112`. The first is that of services that do not say. @throws Error */
export function addressRanges(text: string): [AddressRange, ...AddressRange[]] {
  const ranges = text.split(',').map(each => addressRange(each.trim()));
  if (ranges.length > 2 || (ranges.length === 2 && ranges[0]!.family === ranges[1]!.family))
    throw new Error(`"${text}" must be one range of addresses, or two, one of IPv4 and one of IPv6`);
  return ranges as [AddressRange, ...AddressRange[]];
}
