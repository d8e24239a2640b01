/** Objects that the end-to-end tests create, as short as they can be, and what they wait for. */
import { get } from 'node:http';
import { type corev1, type Deployment, type Draft, Pod, Service } from '@orbitkit/core';
import { eventually, type TestCluster } from './cluster.js';

const namespace = 'default';

/** Ends at once when it is told to: a shell at the head of a container would wait for its children. */
const graceSeconds = 2;

export const echoContainer = (more: Partial<corev1.Container> = {}): corev1.Container => ({
  name: 'echo',
  image: 'orbitkit/echo:1',
  ports: [{ containerPort: 8080 }],
  ...more,
});

export const shellContainer = (script: string, more: Partial<corev1.Container> = {}): corev1.Container => ({
  name: 'main',
  image: 'busybox',
  command: ['sh', '-c', script],
  ...more,
});

export const podOf = (
  name: string,
  container: corev1.Container,
  more: Partial<corev1.PodSpec> = {},
  labels: Record<string, string> = {},
): Draft<Pod> => ({
  metadata: { name, namespace, labels },
  spec: { containers: [container], terminationGracePeriodSeconds: graceSeconds, ...more },
});

export const echoDeployment = (
  name: string,
  replicas: number,
  container: Partial<corev1.Container> = {},
): Draft<Deployment> => ({
  metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [echoContainer(container)], terminationGracePeriodSeconds: graceSeconds },
    },
  },
});

export const serviceOf = (name: string, app = name): Draft<Service> => ({
  metadata: { name, namespace },
  spec: { selector: { app }, ports: [{ port: 8080 }] },
});

export const isReady = (pod: Pod): boolean =>
  !pod.metadata.deletionTimestamp &&
  (pod.status?.conditions ?? []).some(condition => condition.type === 'Ready' && condition.status === 'True');

export async function podsOf({ client }: TestCluster, app: string): Promise<Pod[]> {
  return (await client.list(Pod, { namespace, labelSelector: `app=${app}` })).items;
}

export async function readyPods(cluster: TestCluster, app: string, count: number, timeoutMs?: number): Promise<Pod[]> {
  return eventually(
    `${count} ready pods of ${app}`,
    async () => {
      const pods = await podsOf(cluster, app);
      const ready = pods.filter(isReady);
      if (ready.length !== count || pods.length !== count) {
        const states = pods.map(
          pod =>
            `${pod.metadata.name} ${pod.status?.phase} ${JSON.stringify(pod.status?.conditions?.filter(c => c.status !== 'True'))}`,
        );
        throw new Error(`${ready.length} of ${pods.length} are ready\n${states.join('\n')}`);
      }
      return ready;
    },
    timeoutMs,
  );
}

export const namesOf = (pods: readonly Pod[]): string[] => pods.map(pod => pod.metadata.name).sort();

export async function ended({ client }: TestCluster, name: string, timeoutMs?: number): Promise<Pod> {
  return eventually(
    `pod ${name} has ended`,
    async () => {
      const pod = await client.get(Pod, { namespace, name });
      if (!['Succeeded', 'Failed'].includes(pod.status?.phase ?? '')) throw new Error(JSON.stringify(pod.status));
      return pod;
    },
    timeoutMs,
  );
}

export async function running({ client }: TestCluster, name: string, timeoutMs?: number): Promise<Pod> {
  return eventually(
    `pod ${name} is ready`,
    async () => {
      const pod = await client.get(Pod, { namespace, name });
      if (!isReady(pod)) throw new Error(JSON.stringify(pod.status));
      return pod;
    },
    timeoutMs,
  );
}

/** One request on a connection of its own; the text of the answer. */
export const ask = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: 5_000 }, response => {
      let text = '';
      response.on('data', chunk => {
        text += chunk;
      });
      response.on('end', () => resolve(text.trim()));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`${url} did not answer`)));
    request.on('error', reject);
  });

/** How often each answered. */
export function tally(answers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
}

export async function serviceUrl({ client }: TestCluster, name: string): Promise<string> {
  const { spec } = await client.get(Service, { namespace, name });
  return `http://${spec?.clusterIP}:${spec?.ports?.[0]?.port}/`;
}

/** Until the service answers with every one of these, and with no other, twice over. */
export async function serviceReaches(url: string, names: readonly string[], timeoutMs?: number): Promise<void> {
  await eventually(
    `${url} reaches ${names.join(', ')}`,
    async () => {
      const seen = new Set<string>();
      for (let request = 0; request < names.length * 2; request += 1) seen.add(await ask(url));
      const answered = [...seen].sort();
      if (answered.join() !== [...names].sort().join()) throw new Error(`reaches ${answered.join(', ')}`);
    },
    timeoutMs,
  );
}
