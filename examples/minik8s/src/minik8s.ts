/** The MiniK8s distribution: the whole cluster is this composition. Nodes take turns, as in the systems that it is named after. */
import { join } from 'node:path';
import { type ApiServer, apiServer, embeddedStore, type SystemObject } from '@orbitkit/apiserver';
import { controllerManager, localPathClass, standardControllers } from '@orbitkit/controllers';
import { type Component, type Kind, StorageClass } from '@orbitkit/core';
import {
  type CatalogueEntry,
  type NetworkRanges,
  networkRanges,
  node,
  processRuntime,
  type Runtime,
  serviceProxy,
} from '@orbitkit/node';
import { miniK8sPlugins, scheduler } from '@orbitkit/scheduler';
import { miniK8sImages } from './catalogue.js';
import { fixedAddresses } from './fixed-addresses.js';

export interface MiniK8sOptions {
  dataDir: string;
  /** Default 3. */
  nodes?: number;
  /** Default 127.0.0.1:6443; port 0 takes any free one. */
  listen?: { host?: string; port?: number };
  /** Default `process`. `docker` takes the daemon of `$DOCKER_HOST`; its pods reach services only where this runs as root. */
  runtime?: 'process' | 'docker';
  /** How required anti-affinity is read: Kubernetes' way (default), or softly as the older systems did. */
  antiAffinity?: 'required' | 'soft';
  /** Images of your own for the process runtime, beside those of older manifests. */
  catalogue?: Readonly<Record<string, CatalogueEntry>>;
  /** Range of service addresses. Default: one that is free on this machine. */
  serviceCIDR?: string;
}

export interface MiniK8s {
  components: Component[];
  server: ApiServer;
  ranges: NetworkRanges;
  /** `root`: pods and services have addresses of their own. `rootless`: all lies in 127/8. */
  mode: 'root' | 'rootless';
}

/** Older manifests ask for node ports from 1024 on. */
const nodePortRange = { from: 1_024, to: 32_767 };

/** The default class of claims: directories of the node where their first pod runs, in `<dataDir>/nodes/<node>/local-volumes`. */
const localPath: SystemObject = {
  kind: StorageClass as unknown as Kind,
  object: localPathClass() as unknown as SystemObject['object'],
};

/** The components in their order, not started yet. @throws RuntimeError when a Docker daemon is wanted that does not answer. */
export async function miniK8s(options: MiniK8sOptions): Promise<MiniK8s> {
  const { dataDir, nodes = 3, runtime = 'process' } = options;
  const names = Array.from({ length: nodes }, (_, index) => `n${index + 1}`);
  const directory = (name: string) => join(dataDir, 'nodes', name);
  const { runtimeOf, mode } = await (runtime === 'docker' ? onDocker(directory) : onProcesses(directory, options));
  const ranges = await networkRanges({ stateFile: join(dataDir, 'network.json'), mode });
  const serviceCIDR = options.serviceCIDR ?? ranges.serviceCIDR;
  const server = apiServer({
    store: embeddedStore({ dir: join(dataDir, 'store') }),
    dataDir,
    kubeconfig: join(dataDir, 'kubeconfig'),
    serviceCIDR,
    resources: {
      systemObjects: [localPath],
      services: { nodePortRange, addressPolicy: fixedAddresses(mode, ranges.podCIDR) },
    },
    ...(options.listen ? { listen: options.listen } : {}),
  });
  return {
    server,
    ranges,
    mode,
    components: [
      server,
      scheduler({ plugins: miniK8sPlugins({ antiAffinity: options.antiAffinity ?? 'required' }) }),
      controllerManager(standardControllers({ clusterCIDR: ranges.podCIDR })),
      // Docker's pods are on one bridge: without masquerading their answers to each other would pass the machine by.
      serviceProxy({ nodeName: names[0]!, mode, serviceCIDR, masqueradeAll: runtime === 'docker' }),
      ...names.map((name, index) =>
        node({
          name,
          dataDir: directory(name),
          runtime: runtimeOf(name),
          listen: { clusterCA: () => server.certificateAuthority() },
          stopPodsOnShutdown: true,
          ...hostPortsOf(index, nodes, runtime),
        }),
      ),
    ],
  };
}

/**
 * Nodes of one machine may want the same host port: each has its own address of loopback for them. The first one's are on the machine's
 * other addresses too, except with Docker, which opens all of them or one.
 */
function hostPortsOf(index: number, nodes: number, runtime: MiniK8sOptions['runtime']): { hostPortIP?: string } {
  if (nodes === 1 || (index === 0 && runtime !== 'docker')) return {};
  return { hostPortIP: `127.0.0.${index + 1}` };
}

interface Runtimes {
  runtimeOf(node: string): Runtime;
  mode: MiniK8s['mode'];
}

function onProcesses(directory: (node: string) => string, options: MiniK8sOptions): Runtimes {
  const catalogue = { ...miniK8sImages(), ...options.catalogue };
  const runtimeOf = (name: string) => processRuntime({ dataDir: directory(name), catalogue });
  return { runtimeOf, mode: runtimeOf('probe').mode };
}

async function onDocker(directory: (node: string) => string): Promise<Runtimes> {
  // dockerode is loaded only by those who use it.
  const { dockerRuntime } = await import('@orbitkit/node/docker');
  // A daemon that is not there is told now, with its socket; an agent would wait for it.
  const probe = dockerRuntime({ dataDir: directory('probe') });
  await probe.version().finally(() => probe.close());
  return {
    runtimeOf: name => dockerRuntime({ dataDir: directory(name) }),
    mode: process.geteuid?.() === 0 ? 'root' : 'rootless',
  };
}
