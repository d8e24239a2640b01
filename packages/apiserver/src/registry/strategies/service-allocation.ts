/**
 * Cluster addresses and node ports of services: each is held by one service (claims.ts), given from a range at random, or as it was
 * asked for. With two ranges services have an address of each family that they want (service-families.ts). What is given at random comes from
 * the upper part of a range while there is any, so that the lower one is free for those who ask for a certain one.
 * Source: core registry `service/storage` and `service/ipallocator`, `service/portallocator` (v0.33).
 *
 * An address outside the range is refused, unless the composition's policy accepts it (a network that really routes it), or puts
 * an address of the range in its place: `spec.clusterIP` then keeps what was written and the annotation names what answers.
 */
import { randomInt } from 'node:crypto';
import { type corev1, invalid, Service, StatusError } from '@orbitkit/core';
import { type AddressRange, addressRanges, canonicalAddress, familyOf } from '../address-range.js';
import { Claims, type Holder } from '../claims.js';
import type { ReadonlyObject } from '../object-bytes.js';
import { newestObject } from '../read.js';
import { objectPath } from '../storage-keys.js';
import type { Strategy } from '../strategy.js';
import type { WatchCache } from '../watch-cache.js';
import { isHeadless, settleFamilies } from './service-families.js';

/** The address of the range that answers for a fixed clusterIP outside it. */
export const substituteAddressAnnotation = 'orbitkit.dev/cluster-ip-substitute';

/** What becomes of a clusterIP that was written into a manifest and lies outside the range. */
export type ServiceAddressPolicy = (address: string, service: ReadonlyObject) => 'refuse' | 'accept' | 'substitute';

/** The ranges that addresses and ports of services are given from. */
export interface ServiceOptions {
  /**
   * Default 10.96.0.0/16. Its first address is given only to who asks for it: the API's own service. Two ranges, one of each family
   * (`10.96.0.0/16,fd00:10:96::/112`), make dual-stack services possible.
   */
  clusterIpRange?: string;
  /** Default 30000 to 32767. */
  nodePortRange?: { readonly from: number; readonly to: number };
  /** Default: refuse. */
  addressPolicy?: ServiceAddressPolicy;
}

type Spec = corev1.ServiceSpec;

/** Claims are looked through at most this often when a range is full. */
const sweepMs = 60_000;

/** Random draws before the range is walked. */
const draws = 32;

export const withAddress = (spec: Spec): boolean => spec.type !== 'ExternalName' && !isHeadless(spec);
export const withNodePorts = (spec: Spec): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);

const specOf = (object: ReadonlyObject): Spec => object['spec'] as Spec;
const holderOf = ({ metadata: { namespace = '', name, uid } }: ReadonlyObject): Holder => ({ namespace, name, uid });

/** How much of a range is left for those who ask for a certain address (KEP-3070) or port (KEP-3668). */
const staticAddresses = (size: number): number => (size < 16 ? 0 : Math.min(Math.max(16, Math.floor(size / 16)), 256));
const staticPorts = (size: number): number => (size < 16 ? 0 : Math.min(Math.max(16, Math.floor(size / 32)), 128));

function addressesOf(object: ReadonlyObject): string[] {
  const { clusterIP, clusterIPs = clusterIP ? [clusterIP] : [] } = specOf(object);
  const addresses = clusterIPs.filter(each => each !== '' && each !== 'None').map(canonicalAddress);
  const substitute = object.metadata.annotations?.[substituteAddressAnnotation];
  return substitute === undefined ? addresses : [...addresses, substitute];
}

const nodePortsOf = (object: ReadonlyObject): string[] => [
  ...new Set((specOf(object).ports ?? []).flatMap(port => (port.nodePort ? [String(port.nodePort)] : []))),
];

/** What one write takes from the claims; a dry run only looks. */
class Taking {
  readonly #taken: (() => Promise<void>)[] = [];

  constructor(
    readonly holder: Holder,
    readonly dryRun: boolean,
  ) {}

  async one(claims: Claims, thing: string): Promise<boolean> {
    if (this.dryRun) return !claims.isTaken(thing);
    if (!(await claims.claim(thing, this.holder))) return false;
    this.#taken.push(() => claims.release(thing, this.holder));
    return true;
  }

  /** Any of `size` things that is free, the first `kept` of them last; undefined when none is. */
  async any(claims: Claims, size: number, kept: number, at: (index: number) => string): Promise<string | undefined> {
    const lower = Math.min(kept, size - 1);
    return (
      (await this.#anyOf(claims, lower, size - lower, at)) ??
      (lower > 0 ? await this.#anyOf(claims, 0, lower, at) : undefined)
    );
  }

  async #anyOf(
    claims: Claims,
    from: number,
    count: number,
    at: (index: number) => string,
  ): Promise<string | undefined> {
    const start = randomInt(count);
    for (let i = 0; i < draws + count; i++) {
      const thing = at(from + (i < draws ? randomInt(count) : (start + i) % count));
      if (!claims.isTaken(thing) && (await this.one(claims, thing))) return thing;
    }
    return undefined;
  }

  async giveBack(): Promise<void> {
    for (const undo of this.#taken.splice(0).reverse()) await undo();
  }

  refuse(field: string, value: unknown, why: string): never {
    throw invalid(Service, this.holder.name, [
      { field, type: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${why}` },
    ]);
  }
}

export function serviceAllocation(
  cache: WatchCache,
  now: () => number,
  options: ServiceOptions,
): Required<Pick<Strategy, 'reserve' | 'released'>> {
  const ranges = addressRanges(options.clusterIpRange ?? '10.96.0.0/16');
  const families = ranges.map(each => each.family);
  const ports = options.nodePortRange ?? { from: 30000, to: 32767 };
  const policy = options.addressPolicy ?? (() => 'refuse');
  const addressClaims = new Claims({ cache, plural: 'clusterips', now, holds: holds(cache, addressesOf) });
  const portClaims = new Claims({ cache, plural: 'nodeports', now, holds: holds(cache, nodePortsOf) });
  let repaired: Promise<void> | undefined;

  /**
   * Services that were stored without claims (by hand, from a snapshot) get theirs, and claims without services are given back: once, when this
   * server first writes a service, and again when there seems to be nothing left to give.
   */
  async function repair(): Promise<void> {
    for (const stored of [...cache.resource('core/services').objects.values()]) {
      const object = stored.object();
      const holder = holderOf(object);
      for (const each of addressesOf(object)) if (!addressClaims.isTaken(each)) await addressClaims.claim(each, holder);
      for (const each of nodePortsOf(object)) if (!portClaims.isTaken(each)) await portClaims.claim(each, holder);
    }
    await sweep(true);
  }

  let sweptAt = 0;
  /** @returns whether something became free. */
  async function sweep(always = false): Promise<boolean> {
    if (!always && now() - sweptAt < sweepMs) return false;
    sweptAt = now();
    return (await addressClaims.releaseOrphans()) + (await portClaims.releaseOrphans()) > 0;
  }

  return {
    async reserve(object, old, { dryRun, warn }) {
      repaired ??= repair().catch(error => {
        repaired = undefined;
        throw error;
      });
      await repaired;
      const taking = new Taking(holderOf(object), dryRun);
      try {
        await takeAddresses(taking, object, old);
        const substitute = object.metadata.annotations?.[substituteAddressAnnotation];
        if (old === undefined && substitute !== undefined) {
          warn(
            `spec.clusterIP: ${specOf(object).clusterIP} lies outside ${ranges[0].text}; the service answers on ${substitute}`,
          );
        }
        await takeNodePorts(taking, specOf(object), old === undefined ? [] : nodePortsOf(old));
      } catch (error) {
        await taking.giveBack();
        throw error;
      }
      return {
        release: () => taking.giveBack(),
        async committed() {
          if (old === undefined) return;
          const { holder } = taking;
          const [addresses, nodePorts] = [addressesOf(object), nodePortsOf(object)];
          for (const each of addressesOf(old)) if (!addresses.includes(each)) await addressClaims.release(each, holder);
          for (const each of nodePortsOf(old)) if (!nodePorts.includes(each)) await portClaims.release(each, holder);
        },
      };
    },

    async released(object) {
      const holder = holderOf(object);
      for (const each of addressesOf(object)) await addressClaims.release(each, holder);
      for (const each of nodePortsOf(object)) await portClaims.release(each, holder);
    },
  };

  async function takeAddresses(taking: Taking, object: Parameters<typeof specOf>[0], old: ReadonlyObject | undefined) {
    const spec = specOf(object);
    if (spec.type === 'ExternalName') return;
    const wanted = settleFamilies(spec, families, (field, value, why) => taking.refuse(field, value, why));
    if (isHeadless(spec)) {
      spec.clusterIP = 'None';
      if (!spec.clusterIPs?.length) spec.clusterIPs = ['None'];
      return;
    }
    const { clusterIPs: before = [] } = old === undefined || !withAddress(specOf(old)) ? {} : specOf(old);
    const asked = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : [];
    const addresses: string[] = [];
    for (const [index, family] of wanted.entries()) {
      // What was given stays; whether it may be changed is for validation to judge, and so is what is no address.
      const kept = asked[index] ?? before[index];
      if (kept !== undefined && (index < before.length || familyOf(kept) === undefined)) addresses.push(kept);
      else addresses.push(await addressOf(taking, object, kept, ranges.find(each => each.family === family)!));
    }
    spec.clusterIPs = [...addresses, ...asked.slice(wanted.length)];
    spec.clusterIP = spec.clusterIP || addresses[0]!;
  }

  /** @param asked Undefined: any. */
  async function addressOf(
    taking: Taking,
    object: ReadonlyObject,
    asked: string | undefined,
    range: AddressRange,
  ): Promise<string> {
    const { size, text, at } = range;
    if (asked === undefined) {
      const draw = () => taking.any(addressClaims, size - 1, staticAddresses(size), index => at(index + 1));
      const given = (await draw()) ?? ((await sweep()) ? await draw() : undefined);
      if (given !== undefined) return given;
      throw new StatusError(
        'InternalError',
        `Internal error occurred: failed to allocate a serviceIP: the range ${text} is full`,
      );
    }
    const wrong = (why: string) => taking.refuse('spec.clusterIPs', [asked], `failed to allocate IP ${asked}: ${why}`);
    if (!range.contains(asked)) await settleOutside(taking, object, asked, range, wrong);
    if (!(await taking.one(addressClaims, canonicalAddress(asked)))) wrong('provided IP is already allocated');
    return asked;
  }

  async function settleOutside(
    taking: Taking,
    object: ReadonlyObject,
    asked: string,
    { text, size, at }: AddressRange,
    wrong: (why: string) => never,
  ): Promise<void> {
    const answer = policy(asked, object);
    if (answer === 'refuse') {
      wrong(`the provided IP (${asked}) is not in the valid range. The range of valid IPs is ${text}`);
    }
    if (answer !== 'substitute') return;
    const substitute = await taking.any(addressClaims, size - 1, staticAddresses(size), index => at(index + 1));
    if (substitute === undefined) wrong(`no address of ${text} is free to stand for it`);
    object.metadata.annotations = { ...object.metadata.annotations, [substituteAddressAnnotation]: substitute! };
  }

  async function takeNodePorts(taking: Taking, spec: Spec, had: readonly string[]): Promise<void> {
    if (!withNodePorts(spec)) return;
    const mine = new Set(had);
    const list = spec.ports ?? [];
    // What is asked for comes first, so that no port is drawn that a later line asks for.
    for (const [index, port] of list.entries()) {
      if (!port.nodePort || mine.has(String(port.nodePort))) continue;
      const wrong = (why: string) => taking.refuse(`spec.ports[${index}].nodePort`, port.nodePort, why);
      if (port.nodePort < ports.from || port.nodePort > ports.to) {
        wrong(`provided port is not in the valid range. The range of valid ports is ${ports.from}-${ports.to}`);
      }
      if (!(await taking.one(portClaims, String(port.nodePort)))) wrong('provided port is already allocated');
      mine.add(String(port.nodePort));
    }
    for (const [index, port] of list.entries()) {
      if (port.nodePort) continue;
      const size = ports.to - ports.from + 1;
      const draw = () => taking.any(portClaims, size, staticPorts(size), at => String(ports.from + at));
      const given = (await draw()) ?? ((await sweep()) ? await draw() : undefined);
      if (given === undefined) {
        taking.refuse(
          `spec.ports[${index}].nodePort`,
          0,
          `failed to allocate a nodePort: the range ${ports.from}-${ports.to} is full`,
        );
      }
      port.nodePort = Number(given);
    }
  }
}

/** Whether the holder of a claim is there, and has it. */
const holds =
  (cache: WatchCache, things: (object: ReadonlyObject) => readonly string[]) =>
  async (holder: Holder, thing: string): Promise<boolean> => {
    const found = await newestObject(cache, Service, objectPath(holder), new AbortController().signal);
    const object = found?.object();
    return object?.metadata.uid === holder.uid && things(object).includes(thing);
  };
