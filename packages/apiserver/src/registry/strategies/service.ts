/**
 * Services: cluster addresses and node ports are given from ranges, each to one service; what is asked for explicitly is given
 * if it is free. Source: core registry `service/storage` allocation (v0.33).
 *
 * An address outside the range is refused, unless the composition's policy accepts it (a network that really routes it), or puts
 * an address of the range in its place: `spec.clusterIP` then keeps what was written and the annotation names what answers.
 */
import { randomInt } from 'node:crypto';
import { type corev1, type FieldError, invalid, Service, StatusError } from '@orbitkit/core';
import { addressRange } from '../address-range.js';
import { Claims, type Holder } from '../claims.js';
import type { ReadonlyObject } from '../object-bytes.js';
import { newestObject } from '../read.js';
import { sameJson } from '../same-json.js';
import { objectPath } from '../storage-keys.js';
import type { Reservation, Strategy } from '../strategy.js';
import type { WatchCache } from '../watch-cache.js';

/** The address of the range that answers for a fixed clusterIP outside it. */
export const substituteAddressAnnotation = 'orbitkit.dev/cluster-ip-substitute';

/** What becomes of a clusterIP that was written into a manifest and lies outside the range. */
export type ServiceAddressPolicy = (address: string, service: ReadonlyObject) => 'refuse' | 'accept' | 'substitute';

export interface ServiceOptions {
  /** Default 10.96.0.0/16. */
  clusterIpRange?: string;
  /** Default 30000 to 32767. */
  nodePortRange?: { readonly from: number; readonly to: number };
  /** Default: refuse. */
  addressPolicy?: ServiceAddressPolicy;
}

type Spec = corev1.ServiceSpec;

const randomTries = 32;

const withAddress = (spec: Spec): boolean =>
  spec.type !== 'ExternalName' && spec.clusterIP !== 'None' && spec.clusterIPs?.[0] !== 'None';
const withNodePorts = (spec: Spec): boolean =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
const addressesOf = (object: ReadonlyObject): string[] => {
  const spec = object['spec'] as Spec;
  const addresses = (spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])).filter(
    each => each !== '' && each !== 'None',
  );
  const substitute = object.metadata.annotations?.[substituteAddressAnnotation];
  return substitute === undefined ? addresses : [...addresses, substitute];
};
const nodePortsOf = (object: ReadonlyObject): number[] => [
  ...new Set(((object['spec'] as Spec).ports ?? []).flatMap(port => (port.nodePort ? [port.nodePort] : []))),
];
const holderOf = ({ metadata: { namespace = '', name, uid } }: ReadonlyObject): Holder => ({ namespace, name, uid });

export function serviceStrategy(cache: WatchCache, now: () => number, options: ServiceOptions = {}): Strategy {
  const range = addressRange(options.clusterIpRange ?? '10.96.0.0/16');
  const ports = options.nodePortRange ?? { from: 30000, to: 32767 };
  const policy = options.addressPolicy ?? (() => 'refuse');
  const holds =
    (what: (object: ReadonlyObject) => readonly (string | number)[]) => async (holder: Holder, thing: string) => {
      const found = await newestObject(cache, Service, objectPath(holder), new AbortController().signal);
      const object = found?.object();
      return object?.metadata.uid === holder.uid && what(object).map(String).includes(thing);
    };
  const addressClaims = new Claims({ cache, plural: 'clusterips', now, holds: holds(addressesOf) });
  const portClaims = new Claims({ cache, plural: 'nodeports', now, holds: holds(nodePortsOf) });
  let repaired: Promise<void> | undefined;

  /** Services that were stored without claims (by hand, from a snapshot) get theirs, once. */
  async function repair(): Promise<void> {
    for (const stored of [...cache.resource('core/services').objects.values()]) {
      const object = stored.object();
      const holder = holderOf(object);
      for (const address of addressesOf(object))
        if (!addressClaims.isTaken(address)) await addressClaims.claim(address, holder);
      for (const port of nodePortsOf(object))
        if (!portClaims.isTaken(String(port))) await portClaims.claim(String(port), holder);
    }
  }

  /** Any free one of `size`, or undefined. */
  async function takeAny(
    claims: Claims,
    size: number,
    at: (index: number) => string,
    holder: Holder | undefined,
  ): Promise<string | undefined> {
    const start = randomInt(size);
    for (let tries = 0; tries < randomTries + size; tries++) {
      const thing = at(tries < randomTries ? randomInt(size) : (start + tries) % size);
      if (thing === range.first || claims.isTaken(thing)) continue;
      if (holder === undefined || (await claims.claim(thing, holder))) return thing;
    }
    return undefined;
  }

  return {
    generation: false,
    prepareUpdate(object, old) {
      const spec = object['spec'] as Spec;
      const before = old['spec'] as Spec;
      keepAllocated(spec, before);
      dropForType(spec, before);
      const substitute = old.metadata.annotations?.[substituteAddressAnnotation];
      if (substitute !== undefined && withAddress(spec)) {
        object.metadata.annotations = { ...object.metadata.annotations, [substituteAddressAnnotation]: substitute };
      }
    },

    async reserve(object, old, { dryRun, warn }): Promise<Reservation | undefined> {
      const spec = object['spec'] as Spec;
      const holder = holderOf(object);
      const taken: (() => Promise<void>)[] = [];
      const giveBack = async () => {
        for (const undo of taken.reverse()) await undo();
      };
      const refuse = async (error: FieldError): Promise<never> => {
        await giveBack();
        throw invalid(Service, holder.name, [error]);
      };
      repaired ??= repair().catch(error => {
        repaired = undefined;
        throw error;
      });
      await repaired;
      await reserveAddress();
      await reservePorts();
      return { release: giveBack, committed: releaseFormer };

      async function reserveAddress(): Promise<void> {
        if (!withAddress(spec)) {
          if (spec.type !== 'ExternalName') settleFamilies(spec, 'None');
          return;
        }
        const had = old === undefined ? undefined : addressesOf(old)[0];
        if (had !== undefined) return;
        const asked = spec.clusterIP || spec.clusterIPs?.[0];
        if (asked) await takeAsked(asked);
        else {
          const given = await takeAny(addressClaims, range.size, range.at, dryRun ? undefined : holder);
          if (given === undefined) {
            await giveBack();
            throw new StatusError(
              'InternalError',
              `Internal error occurred: failed to allocate a serviceIP: the range ${range.text} is full`,
            );
          }
          if (!dryRun) taken.push(() => addressClaims.release(given, holder));
          settleFamilies(spec, given);
        }
      }

      async function takeAsked(asked: string): Promise<void> {
        const wrong = (why: string) =>
          refuse({
            field: 'spec.clusterIPs',
            type: 'FieldValueInvalid',
            message: `Invalid value: ${JSON.stringify([asked])}: failed to allocate IP ${asked}: ${why}`,
          });
        if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(asked)) return;
        if (!range.contains(asked)) {
          const answer = policy(asked, object);
          if (answer === 'refuse') {
            await wrong(
              `the provided IP (${asked}) is not in the valid range. The range of valid IPs is ${range.text}`,
            );
          }
          if (answer === 'substitute') {
            const substitute = await takeAny(addressClaims, range.size, range.at, dryRun ? undefined : holder);
            if (substitute === undefined) return wrong(`no address of ${range.text} is free to stand for it`);
            if (!dryRun) taken.push(() => addressClaims.release(substitute, holder));
            object.metadata.annotations = { ...object.metadata.annotations, [substituteAddressAnnotation]: substitute };
            warn(`spec.clusterIP: ${asked} lies outside ${range.text}; the service answers on ${substitute}`);
          }
        }
        if (dryRun ? addressClaims.isTaken(asked) : !(await addressClaims.claim(asked, holder))) {
          await wrong('provided IP is already allocated');
        }
        if (!dryRun) taken.push(() => addressClaims.release(asked, holder));
        settleFamilies(spec, asked);
      }

      async function reservePorts(): Promise<void> {
        if (!withNodePorts(spec)) {
          return;
        }
        const had = new Set(old === undefined ? [] : nodePortsOf(old));
        const mine = new Set<number>();
        for (const [index, port] of (spec.ports ?? []).entries()) {
          if (!port.nodePort) continue;
          const wrong = (why: string) =>
            refuse({
              field: `spec.ports[${index}].nodePort`,
              type: 'FieldValueInvalid',
              message: `Invalid value: ${port.nodePort}: ${why}`,
            });
          const text = String(port.nodePort);
          if (!had.has(port.nodePort) && !mine.has(port.nodePort)) {
            if (port.nodePort < ports.from || port.nodePort > ports.to) {
              await wrong(
                `provided port is not in the valid range. The range of valid ports is ${ports.from}-${ports.to}`,
              );
            }
            if (dryRun ? portClaims.isTaken(text) : !(await portClaims.claim(text, holder)))
              await wrong('provided port is already allocated');
            if (!dryRun) taken.push(() => portClaims.release(text, holder));
          }
          mine.add(port.nodePort);
        }
        for (const [index, port] of (spec.ports ?? []).entries()) {
          if (port.nodePort) continue;
          const given = await takeAny(
            portClaims,
            ports.to - ports.from + 1,
            i => String(ports.from + i),
            dryRun ? undefined : holder,
          );
          if (given === undefined) {
            return refuse({
              field: `spec.ports[${index}].nodePort`,
              type: 'FieldValueInvalid',
              message: `Invalid value: 0: failed to allocate a nodePort: the range ${ports.from}-${ports.to} is full`,
            });
          }
          if (!dryRun) taken.push(() => portClaims.release(given, holder));
          port.nodePort = Number(given);
        }
      }

      async function releaseFormer(): Promise<void> {
        if (old === undefined) return;
        const addresses = addressesOf(object);
        for (const each of addressesOf(old)) if (!addresses.includes(each)) await addressClaims.release(each, holder);
        const stay = nodePortsOf(object);
        for (const each of nodePortsOf(old)) if (!stay.includes(each)) await portClaims.release(String(each), holder);
      }
    },

    async released(object) {
      const holder = holderOf(object);
      for (const address of addressesOf(object)) await addressClaims.release(address, holder);
      for (const port of nodePortsOf(object)) await portClaims.release(String(port), holder);
    },
  };
}

/** A writer who does not know what was given may leave it out (apiserver `patchAllocatedValues`). */
function keepAllocated(spec: Spec, before: Spec): void {
  if (spec.type !== 'ExternalName' && before.type !== 'ExternalName') {
    if (!spec.clusterIP) {
      spec.clusterIP = before.clusterIP;
      if (!spec.clusterIPs?.length) spec.clusterIPs = before.clusterIPs;
    }
    spec.clusterIPs ??= spec.clusterIP ? [spec.clusterIP] : undefined;
    spec.ipFamilies ??= before.ipFamilies;
    spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
  }
  if (!withNodePorts(spec) || !withNodePorts(before)) return;
  for (const port of spec.ports ?? []) {
    port.nodePort ||= before.ports?.find(each => each.port === port.port && each.protocol === port.protocol)?.nodePort;
  }
}

/** What the former type needed and the new one does not goes, unless it was set anew (apiserver `dropTypeDependentFields`). */
function dropForType(spec: Spec, before: Spec): void {
  const same = (field: keyof Spec): boolean => sameJson(spec[field], before[field]);
  if (withAddress(before) && spec.type === 'ExternalName' && same('clusterIP') && same('clusterIPs')) {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy'] as const)
      delete spec[field];
  }
  if (withNodePorts(before) && !withNodePorts(spec)) {
    const former = new Set(before.ports?.map(port => port.nodePort));
    for (const port of spec.ports ?? []) if (former.has(port.nodePort)) delete port.nodePort;
  }
  const external = ({ type, externalIPs }: Spec): boolean =>
    type === 'NodePort' || type === 'LoadBalancer' || (type === 'ClusterIP' && (externalIPs?.length ?? 0) > 0);
  if (external(before) && !external(spec) && same('externalTrafficPolicy')) delete spec.externalTrafficPolicy;
  if (before.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    for (const field of ['healthCheckNodePort', 'allocateLoadBalancerNodePorts', 'loadBalancerClass'] as const) {
      if (same(field)) delete spec[field];
    }
  }
}

/** One family, the one of the address; both fields of addresses say the same. */
function settleFamilies(spec: Spec, address: string): void {
  spec.clusterIP = address;
  spec.clusterIPs ??= [address];
  if (spec.clusterIPs.length === 0) spec.clusterIPs = [address];
  spec.ipFamilies ??= ['IPv4'];
  spec.ipFamilyPolicy ??= 'SingleStack';
}
