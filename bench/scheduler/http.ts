/**
 * Created → bound → observed: pods posted over HTTP by a client of its own process, decided by the live scheduler beside the API server, seen bound by
 * the client's watch. The server's store is the memory one, as upstream's scheduler_perf has its API server and etcd in one process without kubelets.
 */
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { compose, createClient, httpTransport, Namespace, Node, Pod, silentLogger } from '@orbitkit/core';
import { defaultPlugins, scheduler } from '@orbitkit/scheduler';
import { nodes } from './workloads.js';

interface Order {
  port: number;
  pods: number;
}

const inFlight = 64;

async function load({ port, pods }: Order): Promise<{ seconds: number }> {
  const transport = httpTransport({ server: `http://127.0.0.1:${port}` });
  const client = createClient(transport);
  const stop = new AbortController();
  const start = await client.list(Pod, { namespace: 'perf' });
  let bound = 0;
  const all = (async () => {
    const seen = new Set<string>();
    const options = {
      namespace: 'perf',
      signal: stop.signal,
      ...(start.metadata.resourceVersion ? { resourceVersion: start.metadata.resourceVersion } : {}),
    };
    for await (const batch of client.watchBatches(Pod, options)) {
      for (const event of batch) {
        if (event.type === 'BOOKMARK') continue;
        const object = event.object as Pod;
        if (!object.spec.nodeName || seen.has(object.metadata.name)) continue;
        seen.add(object.metadata.name);
        bound = seen.size;
      }
      if (bound === pods) return;
    }
  })();
  const began = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < pods; i = next++) {
      await client.create(Pod, {
        metadata: { name: `p${i}`, namespace: 'perf' },
        spec: {
          containers: [{ name: 'main', image: 'pause', resources: { requests: { cpu: '100m', memory: '500Mi' } } }],
        },
      });
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  await all;
  const seconds = (performance.now() - began) / 1_000;
  stop.abort();
  return { seconds };
}

/** The other process. */
export function loadOnOrder(): void {
  process.once('message', order => {
    void load(order as Order).then(
      answer => {
        process.send!(answer);
        process.disconnect();
      },
      error => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}

export async function httpReport(nodeCount = 5_000, pods = 10_000): Promise<void> {
  const controller = new AbortController();
  const dataDir = await mkdtemp(join(tmpdir(), 'orbitkit-bench-scheduler-'));
  const server = apiServer({
    store: memoryStore(),
    listen: { port: 0 },
    insecureHttp: true,
    dataDir,
    flowControl: false,
  });
  const composition = compose({ log: silentLogger }, server, scheduler({ plugins: defaultPlugins() }));
  const running = composition.run({ signal: controller.signal });
  try {
    await composition.ready;
    const client = server.clientFor({ username: 'bench', groups: ['system:masters'] });
    await client.create(Namespace, { metadata: { name: 'perf' } });
    for (const { metadata, spec, status } of nodes(nodeCount)) {
      const made = await client.create(Node, { metadata: { name: metadata.name, labels: metadata.labels! }, spec });
      await client.updateStatus(Node, { ...made, status });
    }
    const before = process.cpuUsage();
    const { seconds } = await loadFrom({ port: server.endpoint!.port, pods });
    const { user, system } = process.cpuUsage(before);
    const rate = Math.round(pods / seconds).toLocaleString('en');
    const micros = Math.round((user + system) / pods);
    console.log(
      `${nodeCount} nodes, ${pods} pods: ${rate} pods/s created, bound and observed over HTTP; server and scheduler ${micros} us of processor time a pod; upstream's threshold 680 pods/s`,
    );
  } finally {
    controller.abort();
    await running;
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function loadFrom(order: Order): Promise<{ seconds: number }> {
  const child = fork(process.argv[1]!, ['load'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  try {
    return await new Promise((resolve, reject) => {
      child.once('message', answer => resolve(answer as { seconds: number }));
      child.once('exit', code => reject(new Error(`the load ended with ${code}`)));
      child.send(order);
    });
  } finally {
    child.kill();
  }
}
