/** The MiniK8s distribution: the whole cluster is this composition. Nodes take turns, as in the systems that it is named after. */
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
import {
  type CatalogueEntry,
  type NetworkRanges,
  networkRanges,
  node,
  processRuntime,
  serviceProxy,
} from '@orbitkit/node';
import { miniK8sPlugins, scheduler } from '@orbitkit/scheduler';

export interface MiniK8sOptions {
  dataDir: string;
  /** Default 3. */
  nodes?: number;
  /** Default 127.0.0.1:6443; port 0 takes any free one. */
  listen?: { host?: string; port?: number };
  /** How required anti-affinity is read: Kubernetes' way (default), or softly as the older systems did. */
  antiAffinity?: 'required' | 'soft';
  /** Images of your own for the process runtime. */
  catalogue?: Readonly<Record<string, CatalogueEntry>>;
  /** Range of service addresses. Default: one that is free on this machine. */
  serviceCIDR?: string;
}

export interface MiniK8s {
  components: Component[];
  server: ApiServer;
  ranges: NetworkRanges;
}

/** Older manifests ask for node ports from 1024 on. */
const nodePorts = { nodePortRange: { from: 1_024, to: 32_767 } };

export async function miniK8s(options: MiniK8sOptions): Promise<MiniK8s> {
  const { dataDir, nodes = 3, catalogue = {} } = options;
  const runtimeOf = (name: string) => processRuntime({ dataDir: join(dataDir, 'nodes', name), catalogue });
  const { mode } = runtimeOf('n1');
  const ranges = await networkRanges({ stateFile: join(dataDir, 'network.json'), mode });
  const server = apiServer({
    store: embeddedStore({ dir: join(dataDir, 'store') }),
    dataDir,
    kubeconfig: join(dataDir, 'kubeconfig'),
    serviceCIDR: options.serviceCIDR ?? ranges.serviceCIDR,
    resources: { services: nodePorts },
    ...(options.listen ? { listen: options.listen } : {}),
  });
  const names = Array.from({ length: nodes }, (_, index) => `n${index + 1}`);
  return {
    server,
    ranges,
    components: [
      server,
      scheduler({ plugins: miniK8sPlugins({ antiAffinity: options.antiAffinity ?? 'required' }) }),
      controllerManager([
        replicaSets(),
        deployments(),
        endpoints(),
        endpointSlices(),
        namespaces(),
        serviceAccounts(),
        garbageCollector(),
        podGarbageCollector(),
        nodeIpam({ clusterCIDR: ranges.podCIDR }),
        nodeLifecycle(),
      ]),
      serviceProxy({ nodeName: 'n1' }),
      ...names.map(name =>
        node({
          name,
          dataDir: join(dataDir, 'nodes', name),
          runtime: runtimeOf(name),
          listen: { clusterCA: () => server.certificateAuthority() },
          stopPodsOnShutdown: true,
        }),
      ),
    ],
  };
}
