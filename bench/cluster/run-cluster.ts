/**
 * A whole cluster in this process: API server over the embedded store, scheduler, controllers, nodes with the process runtime. The
 * components reach the API in process, or each over HTTPS connections of its own, so that the wire is the only difference.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiServer, embeddedStore } from '@orbitkit/apiserver';
import { controllerManager, standardControllers } from '@orbitkit/controllers';
import {
  type Client,
  type ClientSource,
  compose,
  createClient,
  kubeconfigTransport,
  loadKubeconfig,
  logger,
} from '@orbitkit/core';
import { networkRanges, node, processRuntime, serviceProxy } from '@orbitkit/node';
import { defaultPlugins, scheduler } from '@orbitkit/scheduler';

export type Way = 'in process' | 'over HTTPS';

export interface RunningCluster {
  /** The administrator's, over the same way as the components'. */
  readonly client: Client;
  stop(): Promise<void>;
}

export async function runCluster(way: Way, nodes: number): Promise<RunningCluster> {
  const dataDir = await mkdtemp(join(tmpdir(), 'orbitkit-bench-cluster-'));
  const nodeDir = (name: string) => join(dataDir, 'nodes', name);
  const { mode } = processRuntime({ dataDir: nodeDir('n1') });
  const ranges = await networkRanges({ stateFile: join(dataDir, 'network.json'), mode });
  const kubeconfig = join(dataDir, 'kubeconfig');
  const server = apiServer({
    store: embeddedStore({ dir: join(dataDir, 'store') }),
    listen: { port: 0 },
    dataDir,
    kubeconfig,
    serviceCIDR: ranges.serviceCIDR,
  });
  const log = logger({ level: 'error' });
  const stopping = new AbortController();
  const api = compose({ log }, server);
  const apiRun = api.run();
  const clients: Client[] = [];
  let restRun: Promise<void> | undefined;

  async function stop(): Promise<void> {
    stopping.abort(new Error('the benchmark is over'));
    try {
      await restRun;
    } finally {
      await Promise.all(clients.map(client => client.close()));
      await api[Symbol.asyncDispose]();
      await apiRun;
      await ranges.release();
      await rm(dataDir, { recursive: true, force: true });
    }
  }

  try {
    await Promise.race([api.ready, apiRun]);
    const config = await loadKubeconfig(kubeconfig);
    const source: ClientSource = user => {
      const client = way === 'in process' ? server.clientFor(user) : createClient(kubeconfigTransport(config));
      clients.push(client);
      return client;
    };
    const rest = compose(
      { log, client: source },
      scheduler({ plugins: defaultPlugins() }),
      controllerManager(standardControllers({ clusterCIDR: ranges.podCIDR })),
      serviceProxy({ nodeName: 'n1' }),
      ...Array.from({ length: nodes }, (_, index) => `n${index + 1}`).map(name =>
        node({
          name,
          dataDir: nodeDir(name),
          runtime: processRuntime({ dataDir: nodeDir(name) }),
          listen: { clusterCA: () => server.certificateAuthority() },
          stopPodsOnShutdown: true,
        }),
      ),
    );
    restRun = rest.run({ signal: stopping.signal });
    await Promise.race([rest.ready, restRun]);
    return { client: source({ username: 'bench', groups: ['system:masters'] }), stop };
  } catch (error) {
    await stop().catch(failure => console.error(failure));
    throw error;
  }
}
