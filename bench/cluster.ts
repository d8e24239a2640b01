/**
 * What a person feels of a cluster: create → bound, a killed container running again, a deleted replica replaced, a Deployment of twenty
 * until all are ready. Everything is in one process over the embedded store (three nodes, the process runtime as an ordinary
 * user), once with the API in process and once with every component on HTTPS. Times end with the arrival of a watch event at an
 * observer of the same way. One thing happens at a time; the next waits until the cluster is settled.
 *
 *     node bench/run.mjs cluster.ts
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Deployment, Pod } from '@orbitkit/core';
import { observePods, type PodObserver } from './cluster/pod-observer.js';
import { type RunningCluster, runCluster, type Way } from './cluster/run-cluster.js';
import { ranAsOrdinaryUser } from './ordinary-user.js';
import { beside, machine, median, milliseconds } from './samples.js';

const namespace = 'default';
const goals = { bound: 100, replaced: 350 };
const counts = { bound: 100, replaced: 30, replicas: 20 };

const isRunning = (pod: Pod): boolean => pod.status.phase === 'Running';
const isReady = (pod: Pod): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;

const echo = (name: string, replicas: number) => ({
  metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        terminationGracePeriodSeconds: 2,
        containers: [
          {
            name: 'echo',
            image: 'orbitkit/echo:1',
            ports: [{ containerPort: 8_080 }],
            readinessProbe: { httpGet: { path: '/healthz', port: 8_080 }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
});

/** As many pods as wanted, each ready, none on its way out. */
async function settled({ pods, next }: PodObserver, wanted: number): Promise<void> {
  const calm = () => pods.size === wanted && [...pods.values()].every(isReady);
  if (!calm()) await next(`${wanted} ready pods and no others`, calm, 60_000);
}

async function createToBound({ client }: RunningCluster, observer: PodObserver): Promise<number[]> {
  const samples: number[] = [];
  for (let index = 0; index < counts.bound; index++) {
    const name = `single-${index}`;
    const concerns = (pod: Pod) => pod.metadata.name === name;
    const bound = observer.next(`${name} bound`, ({ object }) => concerns(object) && Boolean(object.spec.nodeName));
    const running = observer.next(`${name} running`, ({ object }) => concerns(object) && isRunning(object));
    const gone = observer.next(`${name} gone`, ({ type, object }) => type === 'DELETED' && concerns(object), 60_000);
    const began = performance.now();
    await client.create(Pod, {
      metadata: { name, namespace },
      spec: { containers: [{ name: 'c', image: 'pause' }] },
    });
    samples.push((await bound) - began);
    await running;
    await client.delete(Pod, { namespace, name }, { gracePeriodSeconds: 0 });
    await gone;
  }
  return samples;
}

async function deploymentUntilReady({ client }: RunningCluster, observer: PodObserver): Promise<number> {
  const { pods } = observer;
  const ready = observer.next(
    `${counts.replicas} replicas ready`,
    () => [...pods.values()].filter(isReady).length === counts.replicas,
    120_000,
  );
  const began = performance.now();
  await client.create(Deployment, echo('many', counts.replicas));
  return (await ready) - began;
}

/** Processes that carry this pod's name in their environment: its containers. */
function processesOf(podName: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(pid => {
      if (!pid) return false;
      try {
        return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`ORBIT_POD=${podName}`);
      } catch {
        return false; // another user's, or gone meanwhile
      }
    });
}

/** The first kill of each pod: later ones of the same container would meet the restart back-off. */
async function killedUntilRunning(observer: PodObserver): Promise<number[]> {
  const samples: number[] = [];
  for (const name of [...observer.pods.keys()]) {
    const processes = processesOf(name);
    if (processes.length === 0) throw new Error(`no process of ${name} was found`);
    const again = observer.next(`${name} running again`, ({ object }) => {
      const [container] = object.status.containerStatuses ?? [];
      return object.metadata.name === name && container?.restartCount === 1 && Boolean(container.state?.running);
    });
    const began = performance.now();
    for (const pid of processes) process.kill(pid, 'SIGKILL');
    samples.push((await again) - began);
    await settled(observer, observer.pods.size);
  }
  return samples;
}

async function deletedUntilReplaced({ client }: RunningCluster, observer: PodObserver): Promise<number[]> {
  const samples: number[] = [];
  const wanted = observer.pods.size;
  for (let index = 0; index < counts.replaced; index++) {
    const known = new Set(observer.pods.keys());
    const [name] = known as Iterable<string>;
    const replaced = observer.next(
      `a replacement of ${name}`,
      ({ object }) => !known.has(object.metadata.name) && isRunning(object),
    );
    const began = performance.now();
    await client.delete(Pod, { namespace, name: name! });
    samples.push((await replaced) - began);
    await settled(observer, wanted);
  }
  return samples;
}

async function measure(way: Way): Promise<void> {
  const cluster = await runCluster(way, 3);
  try {
    const { client } = cluster;
    const observer = await observePods(client, namespace);
    console.log(`${way}: 3 nodes, process runtime ${process.geteuid?.() === 0 ? 'as root' : 'without root'}`);
    const bound = await createToBound(cluster, observer);
    console.log(
      `  pod created → bound                    ${milliseconds(bound)}; ${beside(median(bound), goals.bound, 'ms')}`,
    );
    const seconds = (await deploymentUntilReady(cluster, observer)) / 1_000;
    console.log(
      `  Deployment of ${counts.replicas} replicas → all ready   ${seconds.toFixed(2)} s (each probed over HTTP every second)`,
    );
    await settled(observer, counts.replicas);
    const killed = await killedUntilRunning(observer);
    console.log(
      `  container killed -9 → running again    ${milliseconds(killed)}; ${beside(median(killed), goals.replaced, 'ms')}`,
    );
    await client.patch(Deployment, { namespace, name: 'many' }, { type: 'merge', patch: { spec: { replicas: 3 } } });
    await settled(observer, 3);
    const replaced = await deletedUntilReplaced(cluster, observer);
    console.log(
      `  replica deleted → replacement running  ${milliseconds(replaced)}; ${beside(median(replaced), goals.replaced, 'ms')}`,
    );
    await observer.close();
  } finally {
    await cluster.stop();
  }
}

if (!ranAsOrdinaryUser()) {
  console.log(machine());
  for (const way of ['in process', 'over HTTPS'] as const) await measure(way);
}
