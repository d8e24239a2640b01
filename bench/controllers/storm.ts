/**
 * A reconcile storm: ReplicaSets created all at once reach their replicas. `node bench/run.mjs controllers/storm.ts [SETS] [REPLICAS]`, by default
 * 10,000 of two pods each.
 *
 * One process: the API server with its memory store, the ReplicaSet controller, and simulated nodes: a controller that binds each pod and reports it
 * running and ready, as a scheduler and a node agent would, two writes a pod. Every request that reaches the API server is counted by verb and
 * resource and by who sent it.
 *
 * The least that the ReplicaSet controller can do for one set of N pods: create N pods and write the status once, N + 1 calls. Everybody's least,
 * besides: one call to create the set, two a pod to bind it and to report it. Events are told to people and are counted apart: one for each pod created.
 */

import { loadavg } from 'node:os';
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { controllerManager, replicaSets } from '@orbitkit/controllers';
import { playedPods } from '@orbitkit/controllers/testing';
import { type Client, compose, createClient, Pod, ReplicaSet, type Transport } from '@orbitkit/core';
import { informerFactory } from '@orbitkit/informer';

const sets = Number(process.argv[2] ?? 10_000);
const replicas = Number(process.argv[3] ?? 2);
const namespace = 'default';

const calls = new Map<string, number>();
/** `who` sends what goes through it. */
function counted(client: Client, who: string): Client {
  const { transport } = client;
  const counting: Transport = {
    async request(request) {
      const path = request.path.split('?')[0]!.replace(/^\/api(?:s\/[^/]+)?\/[^/]+\/(?:namespaces\/[^/]+\/)?/, '');
      const [resource, name, subresource] = path.split('/');
      const verb = request.stream ? 'WATCH' : request.method === 'GET' && !name ? 'LIST' : request.method;
      const answer = await transport.request(request);
      const outcome = answer.status >= 400 ? ` ${answer.status}` : '';
      const key = `${who}: ${verb} ${resource}${subresource ? `/${subresource}` : ''}${outcome}`;
      calls.set(key, (calls.get(key) ?? 0) + 1);
      return answer;
    },
    connect: (path, options) => transport.connect(path, options),
    close: () => transport.close(),
  };
  return createClient(counting);
}

const admin = { username: 'bench', groups: ['system:masters', 'system:authenticated'] };
const load = () => loadavg()[0]!.toFixed(1);
let mostMemory = 0;
const sampling = setInterval(() => {
  mostMemory = Math.max(mostMemory, process.memoryUsage.rss());
}, 50);

const server = apiServer({ store: memoryStore(), listen: false, insecureHttp: true });
await using serving = compose(server);
serving.run().catch(error => console.error(error));
await serving.ready;
const started = load();
const idleMemory = process.memoryUsage.rss();
const user = counted(server.clientFor(admin), 'user');
await using working = compose(
  { client: counted(server.clientFor(admin), 'controller') },
  controllerManager([replicaSets()], { name: 'replicasets' }),
);
await using simulated = compose(
  { client: counted(server.clientFor(admin), 'nodes') },
  controllerManager([playedPods()], { name: 'nodes' }),
);
for (const each of [working, simulated]) {
  each.run().catch(error => console.error(error));
  await each.ready;
}

/** Those whose status says that all is as asked for; seen from outside. */
const watching = new AbortController();
const observer = informerFactory({ client: server.clientFor(admin), lazy: false });
const done = new Set<string>();
let finished = () => {};
const all = new Promise<void>(resolve => {
  finished = resolve;
});
const note = (set: { metadata: { readonly name: string }; status: ReplicaSet['status'] }) => {
  if (set.status.readyReplicas !== replicas) return;
  done.add(set.metadata.name);
  if (done.size === sets) finished();
};
observer
  .informer(ReplicaSet)
  .addHandler({ onAdd: set => note(set as never), onUpdate: (_, set) => note(set as never) });
const observing = observer.run({ signal: watching.signal });
await observer.waitForSync();

const setOf = (i: number) => ({
  metadata: { name: `set-${i}`, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { set: `s${i}` } },
    template: { metadata: { labels: { set: `s${i}` } }, spec: { containers: [{ name: 'main', image: 'image' }] } },
  },
});

const began = performance.now();
const cpuBegan = process.cpuUsage();
const all64 = Array.from({ length: 64 }, async (_, worker) => {
  for (let i = worker; i < sets; i += 64) await user.create(ReplicaSet, setOf(i));
});
await Promise.all(all64);
const createdMs = performance.now() - began;
await Promise.race([
  all,
  new Promise<never>((_, reject) =>
    setTimeout(() => reject(new Error(`after 10 minutes ${done.size} of ${sets} are there`)), 600_000).unref(),
  ),
]);
const totalMs = performance.now() - began;
const cpu = process.cpuUsage(cpuBegan);
// Whatever is still being written.
let quiet = -1;
const total = () => [...calls.values()].reduce((a, b) => a + b, 0);
while (quiet !== total()) {
  quiet = total();
  await new Promise(resolve => setTimeout(resolve, 500));
}
clearInterval(sampling);
const pods = (await server.clientFor(admin).list(Pod, { namespace })).items.length;

const of = (who: string, kept: (key: string) => boolean = () => true) =>
  [...calls].filter(([key]) => key.startsWith(`${who}: `) && kept(key)).reduce((sum, [, count]) => sum + count, 0);
const notEvents = (key: string) => !/ events/.test(key);
const least = sets * (replicas + 1);
const leastOfAll = least + sets + 2 * sets * replicas;
const everything = of('user') + of('controller', notEvents) + of('nodes', notEvents);
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
const perSet = (count: number) => (count / sets).toFixed(2);
console.log(`${sets} ReplicaSets of ${replicas}, ${pods} pods; load average ${started} before, ${load()} after`);
console.log(
  `all created after ${seconds(createdMs)}, all ready after ${seconds(totalMs)}; processor ${seconds((cpu.user + cpu.system) / 1000)}`,
);
console.log(
  `calls of the controller a set, without events: ${perSet(of('controller', notEvents))}, least ${replicas + 1}: ${(of('controller', notEvents) / least).toFixed(3)}x`,
);
console.log(
  `calls of everybody a set, without events: ${perSet(everything)}, least ${perSet(leastOfAll)}: ${(everything / leastOfAll).toFixed(3)}x`,
);
console.log(
  `memory ${(idleMemory / 2 ** 20).toFixed(0)} MB before, ${(mostMemory / 2 ** 20).toFixed(0)} MB at the most`,
);
for (const [key, count] of [...calls].sort()) console.log(`  ${key}: ${count}`);
watching.abort();
await observing;
