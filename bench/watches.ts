/**
 * 1,000 watches over HTTPS from another process, each on a connection of its own: what they cost the API server while nothing happens, and
 * what a change of one object costs that all of them are to hear of. Idle: the processor time of the server process over the time, beside the same
 * server before they came. Then ten changes, one after the other: each must arrive in all 1,000.
 *
 *     node bench/run.mjs watches.ts [SECONDS]      default 20; more than 60 takes in the bookmarks of every minute
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { apiServer, embeddedStore } from '@orbitkit/apiserver';
import {
  ConfigMap,
  compose,
  createClient,
  kubeconfigTransport,
  loadKubeconfig,
  logger,
  type Transport,
  watchEvents,
} from '@orbitkit/core';
import { type ServerProcess, serveAsProcess, serverProcess } from './apiserver/server-process.js';
import { beside, machine, median } from './samples.js';

const watches = 1_000;
const changes = 10;
const goalPercent = 5;
const namespace = 'default';

interface Address {
  kubeconfig: string;
}

async function orbitkit(): Promise<{ address: Address; close(): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'orbitkit-bench-watches-'));
  const kubeconfig = join(dataDir, 'kubeconfig');
  const server = apiServer({
    store: embeddedStore({ dir: join(dataDir, 'store') }),
    listen: { port: 0 },
    dataDir,
    kubeconfig,
  });
  const api = compose({ log: logger({ level: 'error' }) }, server);
  const running = api.run();
  await Promise.race([api.ready, running]);
  return {
    address: { kubeconfig },
    async close() {
      await api[Symbol.asyncDispose]();
      await running;
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Share of one core, in percent. */
async function idleShare(server: ServerProcess<Address>, seconds: number): Promise<number> {
  const [cpu, began] = [await server.cpuMicros(), performance.now()];
  await sleep(seconds * 1_000);
  return (((await server.cpuMicros()) - cpu) / 1_000 / (performance.now() - began)) * 100;
}

/** Which change (`data.turn`) each watch has last seen, and when. */
interface Seen {
  turns: Int32Array;
  at: Float64Array;
  ended: number;
  changed: () => void;
}

/** Resolves when the server has answered with the headers of the stream. */
async function openWatch(transport: Transport, path: string, index: number, seen: Seen): Promise<void> {
  const answer = await transport.request({ method: 'GET', path, stream: true });
  if (answer.status !== 200) throw new Error(`a watch was answered with ${answer.status}`);
  const follow = async () => {
    for await (const batch of watchEvents<ConfigMap>(answer.body)) {
      for (const event of batch) {
        if (event.type !== 'MODIFIED') continue;
        seen.turns[index] = Number(event.object.data?.['turn']);
        seen.at[index] = performance.now();
        seen.changed();
      }
    }
  };
  const end = () => {
    seen.ended += 1;
    seen.changed();
  };
  follow().then(end, end);
}

/** @returns milliseconds from the request of the change until the first and until the last watch has it. */
async function change(turn: number, seen: Seen, act: () => Promise<unknown>): Promise<{ first: number; last: number }> {
  let left = 0;
  const all = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      left = seen.turns.filter(each => each !== turn).length;
      reject(
        new Error(
          `change ${turn}: ${left} of ${watches} watches did not hear of it within 30 s, ${seen.ended} have ended`,
        ),
      );
    }, 30_000);
    let heard = 0;
    seen.changed = () => {
      heard += 1;
      if (heard < watches || seen.turns.some(each => each !== turn)) return;
      clearTimeout(timer);
      resolve();
    };
  });
  const began = performance.now();
  await Promise.all([all, act()]);
  return { first: Math.min(...seen.at) - began, last: Math.max(...seen.at) - began };
}

async function main(seconds: number): Promise<void> {
  console.log(machine());
  const server = await serverProcess<Address>('orbitkit');
  const transport = kubeconfigTransport(await loadKubeconfig(server.address.kubeconfig));
  const client = createClient(transport);
  try {
    const object = await client.create(ConfigMap, {
      metadata: { name: 'watched', namespace, labels: { app: 'bench' } },
      data: { turn: '0', text: 'x'.repeat(1_500) },
    });
    await idleShare(server, 3); // what the start leaves behind
    const alone = await idleShare(server, Math.min(seconds, 20));
    const memory = await server.memory();

    const seen: Seen = {
      turns: new Int32Array(watches),
      at: new Float64Array(watches),
      ended: 0,
      changed: () => undefined,
    };
    const query = `watch=true&allowWatchBookmarks=true&labelSelector=app%3Dbench&resourceVersion=${object.metadata.resourceVersion}`;
    const path = `/api/v1/namespaces/${namespace}/configmaps?${query}`;
    const opening = performance.now();
    for (let index = 0; index < watches; index += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, n) => openWatch(transport, path, index + n, seen)));
    }
    console.log(
      `${watches} watches over HTTPS opened in ${((performance.now() - opening) / 1_000).toFixed(1)} s, ${(((await server.memory()) - memory) / watches / 1024).toFixed(0)} KB of server memory each`,
    );
    await idleShare(server, 3);
    const idle = await idleShare(server, seconds);
    console.log(
      `idle for ${seconds} s: ${idle.toFixed(2)} % of one core (the server without them ${alone.toFixed(2)} %); ${beside(idle, goalPercent, '% of one core')}`,
    );

    const lasts: number[] = [];
    const firsts: number[] = [];
    const cpu = await server.cpuMicros();
    for (let turn = 1; turn <= changes; turn++) {
      const patch = { type: 'merge', patch: { data: { turn: `${turn}` } } } as const;
      const { first, last } = await change(turn, seen, () =>
        client.patch(ConfigMap, { namespace, name: 'watched' }, patch),
      );
      firsts.push(first);
      lasts.push(last);
      if (turn === 1)
        console.log(
          `one change: ${watches} of ${watches} watches received it, the first after ${first.toFixed(0)} ms, the last after ${last.toFixed(0)} ms`,
        );
    }
    const perDelivery = ((await server.cpuMicros()) - cpu) / changes / watches;
    console.log(
      `${changes} changes: each received by all ${watches}; median first ${median(firsts).toFixed(0)} ms, median last ${median(lasts).toFixed(0)} ms (the client decrypts and parses ${watches} copies in one process); ${perDelivery.toFixed(1)} us of server CPU a delivery, with TLS`,
    );
    if (seen.ended > 0) throw new Error(`${seen.ended} watches ended meanwhile`);
  } finally {
    await client.close();
    await server.stop();
  }
}

const [first, second] = process.argv.slice(2);
if (first === 'serve' && second === 'orbitkit') await serveAsProcess(orbitkit);
else await main(Number(first ?? 20));
