/** A range of IPv4 addresses to give out: `10.96.0.0/16` without its first and last address. */
export interface AddressRange {
  readonly text: string;
  /** Addresses that can be given. */
  readonly size: number;
  /** The first address that can be given: the API's own service has it. */
  readonly first: string;
  contains(address: string): boolean;
  /** `index` from 0 to `size - 1`. */
  at(index: number): string;
}

const toNumber = (address: string): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const toText = (value: number): string =>
  [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.');

/** @throws Error when the text is not an IPv4 range with room for two addresses. */
export function addressRange(text: string): AddressRange {
  const match = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(text);
  const bits = Number(match?.[2]);
  if (!match || bits > 30 || match[1]!.split('.').some(part => Number(part) > 255)) {
    throw new Error(
      `"${text}" is not a range of IPv4 addresses with at least two to give: write one such as 10.96.0.0/16`,
    );
  }
  const total = 2 ** (32 - bits);
  const base = Math.floor(toNumber(match[1]!) / total) * total;
  return {
    text,
    size: total - 2,
    first: toText(base + 1),
    contains(address) {
      if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) return false;
      const value = toNumber(address);
      return value > base && value < base + total - 1;
    },
    at: index => toText(base + 1 + index),
  };
}
