/**
 * What `orbit up` and the role commands run, put together from the packages. The address ranges of a cluster are chosen
 * once and kept in its data directory, so that every process of it, and every start, agrees.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ApiServer, type ApiServerOptions, apiServer, type SystemObject } from '@orbitkit/apiserver';
import { controllerManager, localPathClass, standardControllers } from '@orbitkit/controllers';
import { builtinKinds, type Component, type Kind, StorageClass, systemClock } from '@orbitkit/core';
import { type NetworkRanges, networkRanges, node, processRuntime, type Runtime, serviceProxy } from '@orbitkit/node';
import { defaultPlugins, miniK8sPlugins, type Plugin, type Profile, profile, scheduler } from '@orbitkit/scheduler';
import { decisionRelay } from '@orbitkit/scheduler/decisions';
import { weightedPlugins } from './plugin-files.js';
import type { PluginFlags } from './plugin-flags.js';
import { CommandError } from './terminal.js';
import { defaultTiming, type NodeTiming } from './timing.js';
import { type ClusterTrust, controllerManagerUser } from './trust.js';

export type RuntimeName = 'process' | 'docker';
export type ProfileName = 'default' | 'minik8s';

const rangesFile = (dataDir: string): string => join(dataDir, 'network.json');

/** Root gives pods addresses of their own; without it everything lies in 127/8. The runtime knows what this machine allows. */
function networkMode(runtime: RuntimeName, dataDir: string): 'root' | 'rootless' {
  return runtime === 'process' ? processRuntime({ dataDir }).mode : process.geteuid?.() === 0 ? 'root' : 'rootless';
}

/** The ranges of the cluster in this directory, chosen at its first start. Held until released, so that no other cluster takes them. */
export async function clusterRanges(dataDir: string, runtime: RuntimeName): Promise<NetworkRanges> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'EEXIST' ? 'it is a file, not a directory' : error.message;
    throw new CommandError(`--data-dir ${dataDir}: ${why}`);
  });
  return networkRanges({ stateFile: rangesFile(dataDir), mode: networkMode(runtime, dataDir) });
}

/** What another process of this cluster chose. @throws CommandError when it has not run yet. */
export async function chosenRanges(dataDir: string): Promise<{ podCIDR: string; serviceCIDR: string }> {
  try {
    return JSON.parse(await readFile(rangesFile(dataDir), 'utf8'));
  } catch (error) {
    throw new CommandError(
      `${rangesFile(dataDir)}: ${(error as Error).message}; start "orbit apiserver" on this directory first, or name the range with --cluster-cidr`,
    );
  }
}

export interface ApiServerSettings {
  dataDir: string;
  listen: { host: string; port: number };
  /** Where pods find this server, when that is not where it listens. */
  advertiseAddress?: string | undefined;
  serviceCIDR: string;
  /** See store-options.ts. */
  store: Pick<ApiServerOptions, 'store' | 'encryption'>;
  /** See access-flags.ts. */
  access?: Pick<ApiServerOptions, 'auditLog' | 'oidc' | 'serviceAccounts' | 'frontProxy'>;
  /** Of the process: what waits here ends with it. */
  signal: AbortSignal;
}

/** The default class: directories of the nodes. Made at each start when it is missing. */
const localPath: SystemObject = {
  kind: StorageClass as unknown as Kind,
  object: localPathClass() as unknown as SystemObject['object'],
};

export const apiServerOf = ({
  dataDir,
  listen,
  advertiseAddress,
  serviceCIDR,
  store,
  access,
  signal,
}: ApiServerSettings): ApiServer => {
  const decisions = decisionRelay({ clock: systemClock, signal });
  return apiServer({
    ...store,
    ...access,
    kinds: [...builtinKinds, ...decisions.kinds],
    listen,
    ...(advertiseAddress === undefined ? {} : { advertiseAddress }),
    dataDir,
    serviceCIDR,
    resources: { systemObjects: [localPath, ...decisions.systemObjects], virtual: decisions.virtual },
    kubeconfig: join(dataDir, 'kubeconfig'),
  });
};

/** The rules of a named profile, with plugins of one's own. */
export function rulesOf(name: ProfileName, own: readonly Plugin[] = [], flags: PluginFlags = {}): Profile {
  const plugins = name === 'minik8s' ? miniK8sPlugins() : defaultPlugins();
  return profile({ plugins: weightedPlugins(plugins, own, flags) });
}

export const schedulerOf = (rules: Profile): Component => scheduler({ profiles: [rules], tellDecisions: true });

export const controllersOf = (clusterCIDR: string, timing: NodeTiming, trust: ClusterTrust): Component =>
  controllerManager(
    standardControllers({
      clusterCIDR,
      ...trust,
      nodeLifecycle: {
        gracePeriodMs: timing.gracePeriodSeconds * 1_000,
        monitorPeriodMs: Math.min(5_000, timing.gracePeriodSeconds * 250),
        ...(timing.evictionSeconds === defaultTiming.evictionSeconds
          ? {}
          : { tolerationSeconds: timing.evictionSeconds }),
      },
    }),
    { user: controllerManagerUser, serviceAccounts: true },
  );

export interface NodeSettings {
  name: string;
  dataDir: string;
  runtime: RuntimeName;
  /** PEM of the authority that signs the API server's client certificate. */
  clusterCA: () => Promise<string> | string;
  stopPodsOnShutdown: boolean;
  heartbeatSeconds: number;
}

async function runtimeOf(name: RuntimeName, dataDir: string): Promise<Runtime> {
  if (name === 'process') return processRuntime({ dataDir });
  // dockerode is loaded only by those who use it.
  const { dockerRuntime } = await import('@orbitkit/node/docker');
  return dockerRuntime({ dataDir });
}

/**
 * A person who starts a cluster on a daemon that is not there learns it at once. (An agent whose daemon goes away later waits for it.)
 * @throws CommandError that names the socket; bounded by the runtime.
 */
export async function requireRuntime(name: RuntimeName, dataDir: string): Promise<void> {
  if (name === 'process') return;
  const runtime = await runtimeOf(name, dataDir);
  try {
    await runtime.version();
  } catch (error) {
    throw new CommandError(`--runtime ${name}: ${(error as Error).message}`);
  } finally {
    await runtime.close();
  }
}

export async function nodeOf(settings: NodeSettings): Promise<Component> {
  return node({
    name: settings.name,
    dataDir: settings.dataDir,
    runtime: await runtimeOf(settings.runtime, settings.dataDir),
    listen: { clusterCA: settings.clusterCA },
    stopPodsOnShutdown: settings.stopPodsOnShutdown,
    heartbeat: {
      leaseDurationSeconds: Math.max(1, Math.round(settings.heartbeatSeconds * 4)),
      leaseRenewMs: settings.heartbeatSeconds * 1_000,
      statusCheckMs: settings.heartbeatSeconds * 1_000,
    },
  });
}

/** One for the machine: all nodes of a cluster on it share their services' addresses. */
export const proxyOf = (nodeName: string): Component => serviceProxy({ nodeName });
