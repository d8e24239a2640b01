/** Addresses and URLs: `ip('10.0.0.1').family()`, `cidr('10.0.0.0/8').containsIP('10.1.2.3')`, `url(...).getHost()`. Source: apiserver `cel/library` ip, cidr, urls. */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { cidrProblem } from '@orbitkit/core';
import type { CelEnvironment } from '../expression.js';

class Address {
  constructor(readonly text: string) {}
  get family(): 4 | 6 {
    return isIPv4(this.text) ? 4 : 6;
  }
}

const familyName = (address: Address): 'ipv4' | 'ipv6' => (address.family === 4 ? 'ipv4' : 'ipv6');

class Range {
  readonly address: Address;
  readonly bits: number;
  constructor(readonly text: string) {
    const slash = text.indexOf('/');
    this.address = new Address(text.slice(0, slash));
    this.bits = Number(text.slice(slash + 1));
  }
  holds(address: Address): boolean {
    if (address.family !== this.address.family) return false;
    const list = new BlockList();
    list.addSubnet(this.address.text, this.bits, familyName(this.address));
    return list.check(address.text, familyName(address));
  }
}

class Url {
  constructor(
    readonly url: URL | undefined,
    readonly path: string,
  ) {}
}

function addressOf(text: string): Address {
  if (isIP(text) === 0 || text.includes('%')) throw new Error(`IP Address ${JSON.stringify(text)} is not valid`);
  return new Address(text);
}

function rangeOf(text: string): Range {
  if (cidrProblem(text) !== undefined) throw new Error(`network address ${JSON.stringify(text)} is not valid`);
  return new Range(text);
}

function parseUrl(text: string): Url | undefined {
  if (text.startsWith('/')) return new Url(undefined, text.split(/[?#]/)[0]!);
  try {
    const url = new URL(text);
    return new Url(url, url.pathname);
  } catch {
    return undefined;
  }
}

function urlOf(text: string): Url {
  const url = parseUrl(text);
  if (url === undefined) throw new Error(`URL parse error: ${JSON.stringify(text)}`);
  return url;
}

function queryOf({ url }: Url): Map<string, string[]> {
  const query = new Map<string, string[]>();
  for (const [name, value] of url?.searchParams ?? []) query.set(name, [...(query.get(name) ?? []), value]);
  return query;
}

/** In the shortest form: lower case, zeros left out (RFC 5952). */
function canonicalOf({ family, text }: Address): string {
  return family === 4 ? text : new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

/** The prefix with nothing behind it. */
function masked(range: Range): Range {
  const parts = range.address.family === 4 ? bytesOfIPv4(range.address.text) : bytesOfIPv6(canonicalOf(range.address));
  const kept = parts.map((byte, i) => byte & (0xff << Math.min(8, Math.max(0, 8 * (i + 1) - range.bits))));
  const text =
    range.address.family === 4
      ? kept.join('.')
      : canonicalOf(
          new Address(kept.flatMap((byte, i) => (i % 2 ? [] : [((byte << 8) | kept[i + 1]!).toString(16)])).join(':')),
        );
  return new Range(`${text}/${range.bits}`);
}

const bytesOfIPv4 = (text: string): number[] => text.split('.').map(Number);

function bytesOfIPv6(text: string): number[] {
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map(each => Number.parseInt(each, 16));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const all = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  return all.flatMap(group => [group >> 8, group & 0xff]);
}

function containsRange(outer: Range, inner: Range): boolean {
  return outer.bits <= inner.bits && outer.holds(inner.address);
}

class IpNamespace {}

const special = {
  isLinkLocalMulticast: ['224.0.0.0/24', 'ff02::/16'],
  isLinkLocalUnicast: ['169.254.0.0/16', 'fe80::/10'],
  isLoopback: ['127.0.0.0/8', '::1/128'],
  isUnspecified: ['0.0.0.0/32', '::/128'],
} as const;

/** As Go has it: everything that is not special, private networks too. */
function isGlobalUnicast(address: Address): boolean {
  if (address.family === 4 && address.text === '255.255.255.255') return false;
  const others = [
    ...Object.values(special).filter(each => each !== special.isLinkLocalMulticast),
    ['224.0.0.0/4', 'ff00::/8'] as const,
  ];
  return !others.some(ranges => inRange(address, ranges[address.family === 4 ? 0 : 1]));
}

const inRange = (address: Address, range: string): boolean => rangeOf(range).holds(address);

export function networkFunctions(environment: CelEnvironment): void {
  environment
    .registerType('net.IP', { ctor: Address, fields: {} })
    .registerType('net.CIDR', { ctor: Range, fields: {} })
    .registerType('kubernetes.URL', { ctor: Url, fields: {} })
    .registerFunction('ip(string): net.IP', addressOf)
    .registerFunction('isIP(string): bool', (text: string) => isIP(text) !== 0 && !text.includes('%'))
    .registerFunction('net.IP.family(): int', (address: Address) => BigInt(address.family))
    .registerFunction('net.IP.isGlobalUnicast(): bool', isGlobalUnicast)
    .registerFunction('string(net.IP): string', (address: Address) => address.text)
    .registerOperator('net.IP == net.IP', (a: Address, b: Address) => canonicalOf(a) === canonicalOf(b))
    .registerType('IpNamespace', { ctor: IpNamespace, fields: {} })
    .registerConstant('ip', 'IpNamespace', new IpNamespace())
    .registerFunction(
      'IpNamespace.isCanonical(string): bool',
      (_: unknown, text: string) => canonicalOf(addressOf(text)) === text,
    )
    .registerFunction('cidr(string): net.CIDR', rangeOf)
    .registerFunction('isCIDR(string): bool', (text: string) => cidrProblem(text) === undefined)
    .registerFunction('net.CIDR.containsIP(string): bool', (range: Range, text: string) => range.holds(addressOf(text)))
    .registerFunction('net.CIDR.containsIP(net.IP): bool', (range: Range, address: Address) => range.holds(address))
    .registerFunction('net.CIDR.containsCIDR(string): bool', (range: Range, text: string) =>
      containsRange(range, rangeOf(text)),
    )
    .registerFunction('net.CIDR.containsCIDR(net.CIDR): bool', containsRange)
    .registerFunction('net.CIDR.masked(): net.CIDR', masked)
    .registerFunction('string(net.CIDR): string', (range: Range) => range.text)
    .registerOperator(
      'net.CIDR == net.CIDR',
      (a: Range, b: Range) => a.bits === b.bits && canonicalOf(a.address) === canonicalOf(b.address),
    )
    .registerFunction('net.CIDR.prefixLength(): int', (range: Range) => BigInt(range.bits))
    .registerFunction('net.CIDR.ip(): net.IP', (range: Range) => range.address)
    .registerFunction('url(string): kubernetes.URL', urlOf)
    .registerFunction('isURL(string): bool', (text: string) => parseUrl(text) !== undefined)
    .registerFunction('kubernetes.URL.getScheme(): string', ({ url }: Url) => url?.protocol.replace(/:$/, '') ?? '')
    .registerFunction('kubernetes.URL.getHost(): string', ({ url }: Url) => url?.host ?? '')
    .registerFunction(
      'kubernetes.URL.getHostname(): string',
      ({ url }: Url) => url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '',
    )
    .registerFunction('kubernetes.URL.getPort(): string', ({ url }: Url) => url?.port ?? '')
    .registerFunction('kubernetes.URL.getEscapedPath(): string', ({ path }: Url) => path)
    .registerFunction('kubernetes.URL.getQuery(): map<string, list<string>>', queryOf);
  for (const [name, ranges] of Object.entries(special)) {
    environment.registerFunction(`net.IP.${name}(): bool`, (address: Address) =>
      inRange(address, ranges[address.family === 4 ? 0 : 1]),
    );
  }
}
