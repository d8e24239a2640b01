/**
 * Cluster addresses and node ports of services: each is held by one service (claims.ts), given from a range at random, or as it was
 * asked for. Source: core registry `service/storage` allocation (v0.33).
 *
 * An address outside the range is refused, unless the composition's policy accepts it (a network that really routes it), or puts
 * an address of the range in its place: `spec.clusterIP` then keeps what was written and the annotation names what answers.
 */
import { randomInt } from 'node:crypto';
import { type corev1, invalid, Service, StatusError } from '@orbitkit/core';
import { type AddressRange, addressRange } from '../address-range.js';
import { Claims, type Holder } from '../claims.js';
import type { ReadonlyObject } from '../object-bytes.js';
import { newestObject } from '../read.js';
import { objectPath } from '../storage-keys.js';
import type { Strategy } from '../strategy.js';
import type { WatchCache } from '../watch-cache.js';

/** The address of the range that answers for a fixed clusterIP outside it. */
export const substituteAddressAnnotation = 'orbitkit.dev/cluster-ip-substitute';

/** What becomes of a clusterIP that was written into a manifest and lies outside the range. */
export type ServiceAddressPolicy = (address: string, service: ReadonlyObject) => 'refuse' | 'accept' | 'substitute';

export interface ServiceOptions {
  /** Default 10.96.0.0/16. Its first address is given only to who asks for it: the API's own service. */
  clusterIpRange?: string;
  /** Default 30000 to 32767. */
  nodePortRange?: { readonly from: number; readonly to: number };
  /** Default: refuse. */
  addressPolicy?: ServiceAddressPolicy;
}

type Spec = corev1.ServiceSpec;

/** Random draws before the range is walked. */
const draws = 32;

export const withAddress = (spec: Spec): boolean =>
  spec.type !== 'ExternalName' && spec.clusterIP !== 'None' && spec.clusterIPs?.[0] !== 'None';
export const withNodePorts = (spec: Spec): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);

const specOf = (object: ReadonlyObject): Spec => object['spec'] as Spec;
const holderOf = ({ metadata: { namespace = '', name, uid } }: ReadonlyObject): Holder => ({ namespace, name, uid });
const isIPv4 = (text: string): boolean => /^\d{1,3}(\.\d{1,3}){3}$/.test(text);

function addressesOf(object: ReadonlyObject): string[] {
  const { clusterIP, clusterIPs = clusterIP ? [clusterIP] : [] } = specOf(object);
  const addresses = clusterIPs.filter(each => each !== '' && each !== 'None');
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

  /** Any of `size` things that is free, or undefined. */
  async any(claims: Claims, size: number, at: (index: number) => string): Promise<string | undefined> {
    const start = randomInt(size);
    for (let i = 0; i < draws + size; i++) {
      const thing = at(i < draws ? randomInt(size) : (start + i) % size);
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
  const range = addressRange(options.clusterIpRange ?? '10.96.0.0/16');
  const ports = options.nodePortRange ?? { from: 30000, to: 32767 };
  const policy = options.addressPolicy ?? (() => 'refuse');
  const addressClaims = new Claims({ cache, plural: 'clusterips', now, holds: holds(cache, addressesOf) });
  const portClaims = new Claims({ cache, plural: 'nodeports', now, holds: holds(cache, nodePortsOf) });
  let repaired: Promise<void> | undefined;

  /** Services that were stored without claims (by hand, from a snapshot) get theirs, once. */
  async function repair(): Promise<void> {
    for (const stored of [...cache.resource('core/services').objects.values()]) {
      const object = stored.object();
      const holder = holderOf(object);
      for (const each of addressesOf(object)) if (!addressClaims.isTaken(each)) await addressClaims.claim(each, holder);
      for (const each of nodePortsOf(object)) if (!portClaims.isTaken(each)) await portClaims.claim(each, holder);
    }
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
        await takeAddress(taking, object, old);
        const substitute = object.metadata.annotations?.[substituteAddressAnnotation];
        if (old === undefined && substitute !== undefined) {
          warn(
            `spec.clusterIP: ${specOf(object).clusterIP} lies outside ${range.text}; the service answers on ${substitute}`,
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

  async function takeAddress(taking: Taking, object: Parameters<typeof specOf>[0], old: ReadonlyObject | undefined) {
    const spec = specOf(object);
    if (!withAddress(spec)) {
      if (spec.type !== 'ExternalName') settleAddress(spec, 'None');
      return;
    }
    if (old !== undefined && addressesOf(old).length > 0) return;
    const asked = spec.clusterIP || spec.clusterIPs?.[0];
    if (!asked) {
      const given = await taking.any(addressClaims, range.size - 1, index => range.at(index + 1));
      if (given !== undefined) return settleAddress(spec, given);
      throw new StatusError(
        'InternalError',
        `Internal error occurred: failed to allocate a serviceIP: the range ${range.text} is full`,
      );
    }
    // What is no IPv4 address is for validation to judge.
    if (!isIPv4(asked)) return;
    const wrong = (why: string) => taking.refuse('spec.clusterIPs', [asked], `failed to allocate IP ${asked}: ${why}`);
    if (!range.contains(asked)) await settleOutside(taking, object, asked, range, wrong);
    if (!(await taking.one(addressClaims, asked))) wrong('provided IP is already allocated');
    settleAddress(spec, asked);
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
    const substitute = await taking.any(addressClaims, size - 1, index => at(index + 1));
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
      const given = await taking.any(portClaims, ports.to - ports.from + 1, at => String(ports.from + at));
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

/** One family, the one of the address; both fields of addresses say the same. */
function settleAddress(spec: Spec, address: string): void {
  spec.clusterIP = address;
  if (!spec.clusterIPs?.length) spec.clusterIPs = [address];
  spec.ipFamilies ??= ['IPv4'];
  spec.ipFamilyPolicy ??= 'SingleStack';
}
