/**
 * What `orbit up` and the role commands run, put together from the packages. The address ranges of a cluster are chosen
 * once and kept in its data directory, so that every process of it, and every start, agrees.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ApiServer, apiServer, embeddedStore } from '@orbitkit/apiserver';
import {
  controllerManager,
  deployments,
  endpointSlices,
  endpoints,
  garbageCollector,
  namespaces,
  nodeIpam,
  nodeLifecycle,
  podGarbageCollector,
  replicaSets,
  serviceAccounts,
} from '@orbitkit/controllers';
import type { Component } from '@orbitkit/core';
import { networkRanges, node, processRuntime, type Runtime, serviceProxy } from '@orbitkit/node';
import { defaultPlugins, miniK8sPlugins, scheduler } from '@orbitkit/scheduler';
import { CommandError } from './terminal.js';
import { defaultTiming, type NodeTiming } from './timing.js';

export type RuntimeName = 'process' | 'docker';
export type ProfileName = 'default' | 'minik8s';

export interface ClusterFacts {
  serviceCIDR: string;
  clusterCIDR: string;
  /** Bits of each node's share of `clusterCIDR`. */
  nodeMaskSize: number;
}

/** Reads the ranges of the cluster in this directory, or chooses and keeps them. */
export async function clusterFacts(dataDir: string, runtime: RuntimeName): Promise<ClusterFacts> {
  const file = join(dataDir, 'cluster.json');
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new CommandError(`${file}: ${(error as Error).message}`);
  }
  const facts = await networkRanges({ loopback: runtime === 'process' && process.geteuid?.() !== 0 });
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return facts;
}

export interface ApiServerSettings {
  dataDir: string;
  listen: { host: string; port: number };
  facts: ClusterFacts;
}

export const apiServerOf = ({ dataDir, listen, facts }: ApiServerSettings): ApiServer =>
  apiServer({
    store: embeddedStore({ dir: join(dataDir, 'store') }),
    listen,
    dataDir,
    serviceCIDR: facts.serviceCIDR,
    kubeconfig: join(dataDir, 'kubeconfig'),
  });

export function schedulerOf(profile: ProfileName): Component {
  return scheduler({ plugins: profile === 'minik8s' ? miniK8sPlugins() : defaultPlugins() });
}

export const controllersOf = (facts: ClusterFacts, timing: NodeTiming = defaultTiming): Component =>
  controllerManager([
    replicaSets(),
    deployments(),
    endpoints(),
    endpointSlices(),
    namespaces(),
    serviceAccounts(),
    garbageCollector(),
    podGarbageCollector(),
    nodeIpam({ clusterCIDR: facts.clusterCIDR, nodeMaskSize: facts.nodeMaskSize }),
    nodeLifecycle({
      gracePeriodMs: timing.gracePeriodSeconds * 1_000,
      ...(timing.evictionSeconds === defaultTiming.evictionSeconds
        ? {}
        : { evictionMs: timing.evictionSeconds * 1_000 }),
    }),
  ]);

export interface NodeSettings {
  name: string;
  dataDir: string;
  runtime: RuntimeName;
  /** PEM of the authority that signs the API server's client certificate. */
  clusterCA: () => Promise<string> | string;
  stopPodsOnShutdown: boolean;
}

async function runtimeOf(name: RuntimeName, dataDir: string): Promise<Runtime> {
  if (name === 'process') return processRuntime({ dataDir });
  // dockerode is loaded only by those who use it.
  const { dockerRuntime } = await import('@orbitkit/node/docker');
  return dockerRuntime({ dataDir });
}

export async function nodeOf(settings: NodeSettings): Promise<Component> {
  return node({
    name: settings.name,
    dataDir: settings.dataDir,
    runtime: await runtimeOf(settings.runtime, settings.dataDir),
    listen: { clusterCA: settings.clusterCA },
    stopPodsOnShutdown: settings.stopPodsOnShutdown,
  });
}

/** One for the machine: all nodes of a cluster on it share their services' addresses. */
export const proxyOf = (nodeName: string): Component => serviceProxy({ nodeName });
