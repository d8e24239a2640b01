/**
 * The operator as a program: `node dist/main.js [--kubeconfig FILE] [--context NAME] [--metrics HOST:PORT] [--no-election]`. It finds its cluster as kubectl
 * does, and in a pod by its service account; puts its definition there, and works until SIGTERM.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { controllerManager } from '@orbitkit/controllers';
import {
  type Client,
  CustomResourceDefinition,
  compose,
  createClient,
  findCluster,
  httpTransport,
  inClusterConfig,
  isConditionTrue,
  kubeconfigTransport,
  logger,
  systemClock,
} from '@orbitkit/core';
import { websiteDefinition } from './website.js';
import { type Registry, websites } from './website-controller.js';

const { values } = parseArgs({
  options: {
    kubeconfig: { type: 'string' },
    context: { type: 'string' },
    metrics: { type: 'string', default: '127.0.0.1:0' },
    'no-election': { type: 'boolean', default: false },
  },
});

const log = logger({ level: 'info' });
const registry: Registry = {
  publish: async (name, url) => log.info('published', { website: name, url }),
  withdraw: async name => log.info('withdrawn', { website: name }),
};

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)));

async function connect(): Promise<Client> {
  const { kubeconfig, context } = values;
  if (!kubeconfig && process.env['KUBERNETES_SERVICE_HOST'])
    return createClient(httpTransport((await inClusterConfig()).transport));
  const { config } = await findCluster({
    stateDirectory: process.env['ORBIT_HOME'] ?? join(homedir(), '.orbit'),
    ...(kubeconfig ? { kubeconfig } : {}),
  });
  return createClient(kubeconfigTransport(config, context ? { context } : {}));
}

const client = await connect().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
try {
  const { signal } = stop;
  await client.apply(CustomResourceDefinition, websiteDefinition, { fieldManager: 'website', force: true, signal });
  for (let served = false; !served; ) {
    const { status } = await client.get(
      CustomResourceDefinition,
      { name: websiteDefinition.metadata.name! },
      { signal },
    );
    served = isConditionTrue(status?.conditions, 'Established');
    if (!served) await systemClock.sleep(200, signal);
  }
  const [host, port] = values.metrics.split(':');
  const manager = controllerManager([websites(registry)], {
    name: 'website',
    election: values['no-election'] ? false : { namespace: 'kube-system' },
    endpoints: { host: host!, port: Number(port) },
  });
  const operator = compose({ client, log }, manager);
  const running = operator.run({ signal });
  await Promise.race([operator.ready, running]);
  if (!signal.aborted) process.stdout.write('website operator is ready\n');
  await running;
} catch (error) {
  if (!stop.signal.aborted) throw error;
} finally {
  await client.close();
}
