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

const inRange = (address: Address, range: string): boolean => rangeOf(range).holds(address);

export function networkFunctions(environment: CelEnvironment): void {
  environment
    .registerType('net.IP', { ctor: Address, fields: {} })
    .registerType('net.CIDR', { ctor: Range, fields: {} })
    .registerType('kubernetes.URL', { ctor: Url, fields: {} })
    .registerFunction('ip(string): net.IP', addressOf)
    .registerFunction('isIP(string): bool', (text: string) => isIP(text) !== 0 && !text.includes('%'))
    .registerFunction('net.IP.family(): int', (address: Address) => BigInt(address.family))
    .registerFunction('net.IP.isLoopback(): bool', (address: Address) =>
      address.family === 4 ? inRange(address, '127.0.0.0/8') : inRange(address, '::1/128'),
    )
    .registerFunction('net.IP.isUnspecified(): bool', (address: Address) =>
      address.family === 4 ? inRange(address, '0.0.0.0/32') : inRange(address, '::/128'),
    )
    .registerFunction('string(net.IP): string', (address: Address) => address.text)
    .registerFunction('cidr(string): net.CIDR', rangeOf)
    .registerFunction('isCIDR(string): bool', (text: string) => cidrProblem(text) === undefined)
    .registerFunction('net.CIDR.containsIP(string): bool', (range: Range, text: string) => range.holds(addressOf(text)))
    .registerFunction('net.CIDR.containsIP(net.IP): bool', (range: Range, address: Address) => range.holds(address))
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
}
