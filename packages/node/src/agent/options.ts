/**
 * What a node agent can be told, with the reason of each default. Intervals are upstream's (kubelet, virtual-kubelet):
 * lease 40 s renewed at a quarter of it, node status checked every 10 s and reported at least every 5 minutes, runtime
 * relisted every second, crashing containers and failing pulls backed off from 10 s to 300 s.
 */
import os from 'node:os';
import path from 'node:path';
import type { corev1 } from '@orbitkit/core';
import type { Runtime } from '../runtime/contract.js';

/** How often the node says that it lives. */
export interface HeartbeatOptions {
  /** How long others may believe that the node lives without hearing from it. Default 40 s. */
  leaseDurationSeconds?: number;
  /** Default 10 s, a quarter of the lease. */
  leaseRenewMs?: number;
  /** How often the node's own status is computed and, if it changed, written. Default 10 s. */
  statusCheckMs?: number;
  /** How often it is written though nothing changed. Default 5 min: the lease is the heartbeat. */
  statusReportMs?: number;
}

/** Waits that double from the first to the longest. Milliseconds. */
export interface BackOffOptions {
  /** Default 10 s. */
  initialMs?: number;
  /** Default 300 s. */
  maxMs?: number;
}

/** The agent's server for logs, exec, attach, port-forward and statistics: HTTPS, asked by the API server alone. */
export interface ListenOptions {
  /** Default: the node's address. */
  host?: string;
  /** Default 0: any free one; the Node object says which. */
  port?: number;
  /** PEM of the authority that signs the API server's client certificate. A function is asked once, when the agent starts. */
  clusterCA: string | (() => Promise<string> | string);
  /** Common names that may call. Default: `kube-apiserver-kubelet-client`. */
  clientNames?: readonly string[];
}

/** Only the name and the runtime have no default. Intervals are in milliseconds. */
export interface NodeOptions {
  /** Name of the Node object: a DNS subdomain. */
  name: string;
  runtime: Runtime;
  /** Where volumes, logs and the agent's key live, 0700. Default `.orbit/nodes/<name>` in the working directory. */
  dataDir?: string;
  /** The node's InternalIP. Default 127.0.0.1: one machine. */
  address?: string;
  /** Default: the machine's host name. */
  hostname?: string;
  labels?: Readonly<Record<string, string>>;
  annotations?: Readonly<Record<string, string>>;
  /** Set when the Node object is created; later they belong to whoever manages the node. */
  taints?: readonly corev1.Taint[];
  /** False (the default) serves no streams: logs and exec of this node's pods are then answered with an error. */
  listen?: ListenOptions | false;
  /** Range from which the runtime takes pod addresses. Default: the Node object's `spec.podCIDR`. */
  podCIDR?: string;
  /**
   * Where host ports without a hostIP of their own are opened. Default: every address of the machine, which several nodes on
   * one machine share; with an address each (127.0.0.2, …) they have the same host port at one time.
   */
  hostPortIP?: string;
  /** Default 110, as upstream. */
  maxPods?: number;
  /** What the node offers. Default: the machine's processors and memory. */
  capacity?: Readonly<Record<string, string>>;
  heartbeat?: HeartbeatOptions;
  /** How often the runtime is asked what runs, besides its events. Default 1 s. */
  relistMs?: number;
  /** Crashing containers; doubled each time, forgotten after twice `maxMs` of quiet. */
  restartBackOff?: BackOffOptions;
  /** Failing image pulls, likewise. */
  imageBackOff?: BackOffOptions;
  /** Pulls at one time. Default 4: enough to hide one slow registry, few enough for a small machine. */
  parallelPulls?: number;
  /** After a missing ConfigMap, Secret or volume source: how soon to look again. Default 2 s. */
  configRetryMs?: number;
  /** How often configMap, secret and downwardAPI volumes are brought up to date. Default 30 s. */
  volumeSyncMs?: number;
  /** Name servers that pods with dnsPolicy ClusterFirst get. Default: none, the machine's own. */
  clusterDNS?: readonly string[];
  /** Default `cluster.local`. */
  clusterDomain?: string;
  /** True: stopping the agent stops the node's pods (`orbit up` on SIGTERM). Default false: they run on, to be adopted. */
  stopPodsOnShutdown?: boolean;
  /** Bound on stopping them. Default 30 s. */
  shutdownGraceMs?: number;
}

/** The options with every default filled in. */
export interface Settings {
  readonly name: string;
  readonly dataDir: string;
  readonly address: string;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly taints: readonly corev1.Taint[];
  readonly listen: ListenOptions | false;
  readonly podCIDR?: string;
  readonly hostPortIP?: string;
  readonly maxPods: number;
  readonly capacity: Readonly<Record<string, string>>;
  readonly heartbeat: Required<HeartbeatOptions>;
  readonly relistMs: number;
  readonly restartBackOff: Required<BackOffOptions>;
  readonly imageBackOff: Required<BackOffOptions>;
  readonly parallelPulls: number;
  readonly configRetryMs: number;
  readonly volumeSyncMs: number;
  readonly clusterDNS: readonly string[];
  readonly clusterDomain: string;
  readonly stopPodsOnShutdown: boolean;
  readonly shutdownGraceMs: number;
}

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** @throws Error that names the option when a value cannot be right. */
export function settingsOf(options: NodeOptions): Settings {
  if (!subdomain.test(options.name) || options.name.length > 253) {
    throw new Error(
      `node: name ${JSON.stringify(options.name)} is not a DNS subdomain (lower case letters, digits, "-" and ".")`,
    );
  }
  const positive = (field: string, value: number): number => {
    if (!(value > 0)) throw new Error(`node ${options.name}: ${field} must be above zero, not ${value}`);
    return value;
  };
  const heartbeat = options.heartbeat ?? {};
  const leaseDurationSeconds = positive('heartbeat.leaseDurationSeconds', heartbeat.leaseDurationSeconds ?? 40);
  const backOff = (field: string, given: BackOffOptions = {}): Required<BackOffOptions> => ({
    initialMs: positive(`${field}.initialMs`, given.initialMs ?? 10_000),
    maxMs: positive(`${field}.maxMs`, given.maxMs ?? 300_000),
  });
  return {
    name: options.name,
    dataDir: path.resolve(options.dataDir ?? path.join('.orbit', 'nodes', options.name)),
    address: options.address ?? '127.0.0.1',
    hostname: options.hostname ?? os.hostname(),
    labels: options.labels ?? {},
    annotations: options.annotations ?? {},
    taints: options.taints ?? [],
    listen: options.listen ?? false,
    ...(options.podCIDR === undefined ? {} : { podCIDR: options.podCIDR }),
    ...(options.hostPortIP === undefined ? {} : { hostPortIP: options.hostPortIP }),
    maxPods: positive('maxPods', options.maxPods ?? 110),
    capacity: {
      cpu: String(os.availableParallelism()),
      memory: `${Math.floor(os.totalmem() / 1024)}Ki`,
      pods: String(options.maxPods ?? 110),
      ...options.capacity,
    },
    heartbeat: {
      leaseDurationSeconds,
      leaseRenewMs: positive('heartbeat.leaseRenewMs', heartbeat.leaseRenewMs ?? leaseDurationSeconds * 250),
      statusCheckMs: positive('heartbeat.statusCheckMs', heartbeat.statusCheckMs ?? 10_000),
      statusReportMs: positive('heartbeat.statusReportMs', heartbeat.statusReportMs ?? 300_000),
    },
    relistMs: positive('relistMs', options.relistMs ?? 1_000),
    restartBackOff: backOff('restartBackOff', options.restartBackOff),
    imageBackOff: backOff('imageBackOff', options.imageBackOff),
    parallelPulls: positive('parallelPulls', options.parallelPulls ?? 4),
    configRetryMs: positive('configRetryMs', options.configRetryMs ?? 2_000),
    volumeSyncMs: positive('volumeSyncMs', options.volumeSyncMs ?? 30_000),
    clusterDNS: options.clusterDNS ?? [],
    clusterDomain: options.clusterDomain ?? 'cluster.local',
    stopPodsOnShutdown: options.stopPodsOnShutdown ?? false,
    shutdownGraceMs: positive('shutdownGraceMs', options.shutdownGraceMs ?? 30_000),
  };
}
