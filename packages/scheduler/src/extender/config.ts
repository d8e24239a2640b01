/**
 * How an extender is configured: the fields of `extenders` in KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1), under their names, so that
 * an existing list can be pasted.
 */
import { isQualifiedName } from '@orbitkit/core';
import type { Spelling } from './wire.js';

/** One extender. Field names and defaults are kube-scheduler's. */
export interface ExtenderConfig {
  /** `http://extender.kube-system:8888/scheduler`; with `https:`, or `enableHTTPS`, over TLS. */
  urlPrefix: string;
  /** Appended to the prefix. A verb that is not given is not called. */
  filterVerb?: string;
  prioritizeVerb?: string;
  preemptVerb?: string;
  /** It binds the pods it is interested in, instead of this scheduler. At most one extender may. */
  bindVerb?: string;
  /** Of its scores (0…10), above 0 when `prioritizeVerb` is given. Default 1. */
  weight?: number;
  /** Default false. */
  enableHTTPS?: boolean;
  tlsConfig?: {
    /** Accepts any certificate. */
    insecure?: boolean;
    /** The name that the certificate must have. */
    serverName?: string;
    certFile?: string;
    keyFile?: string;
    /** Default: the system's authorities. (kube-scheduler accepts any certificate when none is given.) */
    caFile?: string;
    /** PEM in base64, as in the configuration file; they win over files. */
    certData?: string;
    keyData?: string;
    caData?: string;
  };
  /** `100ms`, `5s`, `1m`; or milliseconds. Default 5 s. */
  httpTimeout?: string | number;
  /** It knows the nodes itself: names alone are sent. */
  nodeCacheCapable?: boolean;
  /** It is asked only about pods that request or limit one of these. Default: about all. */
  managedResources?: readonly { name: string; ignoredByScheduler?: boolean }[];
  /** When it fails, the decision goes on without it. */
  ignorable?: boolean;
  /** What it reads. Go reads both; an older one in another language may want `legacy`. Answers are read in both. Default `current`. */
  spelling?: Spelling;
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const defaultTimeoutMs = 5_000;

/** Go's durations, as far as they make sense here. @throws Error */
export function timeoutMsOf({ httpTimeout: given }: ExtenderConfig, at = 'httpTimeout'): number {
  if (given === undefined || given === 0 || given === '0' || given === '0s') return defaultTimeoutMs;
  if (typeof given === 'number' && Number.isFinite(given) && given > 0) return given;
  const parts = typeof given === 'string' ? [...given.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)] : [];
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== given)
    throw new Error(`${at}: ${JSON.stringify(given)} is not a duration; write 100ms, 5s or 1m30s`);
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * units[unit!]!, 0);
}

/** @throws Error that says which field of which extender is wrong. */
export function checkExtenders(extenders: readonly ExtenderConfig[]): void {
  const known = new Set<string>();
  let binder = -1;
  extenders.forEach((each, i) => {
    const at = `extenders[${i}]`;
    let url: URL;
    try {
      url = new URL(each.urlPrefix);
    } catch {
      throw new Error(`${at}.urlPrefix: "${each.urlPrefix}" is not a URL`);
    }
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      throw new Error(`${at}.urlPrefix: "${each.urlPrefix}" is neither http nor https`);
    timeoutMsOf(each, `${at}.httpTimeout`);
    const { weight } = each;
    if (each.prioritizeVerb && weight !== undefined && !(Number.isFinite(weight) && weight > 0))
      throw new Error(`${at}.weight: ${weight}; an extender that prioritizes has a weight above 0`);
    if (each.bindVerb) {
      if (binder >= 0) throw new Error(`${at}.bindVerb: extenders[${binder}] binds already; only one can`);
      binder = i;
    }
    for (const { name } of each.managedResources ?? []) {
      if (!isQualifiedName(name)) throw new Error(`${at}.managedResources: "${name}" is not a resource name`);
      if (known.has(name)) throw new Error(`${at}.managedResources: "${name}" is managed by two extenders`);
      known.add(name);
    }
    const { filterVerb, prioritizeVerb, preemptVerb, bindVerb } = each;
    if (!filterVerb && !prioritizeVerb && !preemptVerb && !bindVerb)
      throw new Error(`${at}: it is asked nothing; give filterVerb, prioritizeVerb, preemptVerb or bindVerb`);
  });
}

/** Resources that NodeResourcesFit leaves to extenders. */
export const ignoredResourcesOf = (extenders: readonly ExtenderConfig[]): ReadonlySet<string> =>
  new Set(
    extenders.flatMap(each =>
      (each.managedResources ?? []).filter(({ ignoredByScheduler }) => ignoredByScheduler).map(({ name }) => name),
    ),
  );
