/**
 * An informer fills its cache with 50,000 pods, then hears of 20,000 changes: beside the informer of `@kubernetes/client-node`, from one server of
 * prepared bytes. Server and informers are processes of their own; three rounds, in turn.
 *
 *     node bench/run.mjs informer/main.ts [PODS EVENTS ROUNDS]
 *
 * Synced: every object was announced; the code is loaded and one small request was made before. Events per second: from the first that was announced to the last. Processor time: user and
 * system, of the whole process, garbage collection included. Longest block: the longest time in which the event loop of the informer's process served nobody.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { machine, median } from '../samples.js';
import { consumers, type Running } from './consumers.js';
import { fakeServer } from './fake-server.js';

interface Result {
  syncedMs: number;
  syncedCpuMs: number;
  eventsPerSecond: number;
  eventCpuMicros: number;
  peakMb: number;
  afterGcMb: number;
  blockMs: number;
}

const peer = 'client-node 1.4';
const delayResolutionMs = 2;
const cpuMicros = (since: NodeJS.CpuUsage | undefined): number => {
  const { user, system } = process.cpuUsage(since);
  return user + system;
};
const mb = (bytes: number) => bytes / 1024 / 1024;

async function consume(name: string, server: string, pods: number, events: number): Promise<void> {
  const delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
  let began = 0;
  let added = 0;
  let changed = 0;
  let firstAt = 0;
  let running: Running | undefined;
  let used: NodeJS.CpuUsage | undefined;
  const result: Partial<Result> = {};
  const heard = {
    added() {
      if (++added !== pods) return;
      result.syncedMs = performance.now() - began;
      result.syncedCpuMs = cpuMicros(used) / 1_000;
      // The list of client-node is announced before it has opened its watch.
      setTimeout(() => process.send!('synced'), 1_000);
    },
    changed() {
      if (++changed === 1) {
        firstAt = performance.now();
        used = process.cpuUsage();
      }
      if (changed !== events) return;
      result.eventsPerSecond = events / ((performance.now() - firstAt) / 1_000);
      result.eventCpuMicros = cpuMicros(used) / events;
      setTimeout(() => {
        delay.disable();
        result.blockMs = delay.max / 1e6 - delayResolutionMs;
        result.peakMb = process.resourceUsage().maxRSS / 1024;
        global.gc!();
        result.afterGcMb = mb(process.memoryUsage().rss);
        const size = running?.size();
        if (size !== pods) throw new Error(`${name}: ${size} of ${pods} objects are in the cache`);
        process.send!(result, () => process.exit(0));
      }, 200);
    },
  };
  const start = await consumers[name]!(server, heard);
  used = process.cpuUsage();
  delay.enable();
  began = performance.now();
  running = start();
}

const self = fileURLToPath(import.meta.url);
const child = (words: string[]): ChildProcess => fork(self, words, { execArgv: ['--expose-gc'] });

async function measure(name: string, server: string, scale: string[]): Promise<Result> {
  const process = child(['consume', name, server, ...scale]);
  const failed = once(process, 'exit').then(([code]) => {
    throw new Error(`${name}: its process ended with ${code}`);
  });
  failed.catch(() => {});
  await Promise.race([once(process, 'message'), failed]);
  await fetch(`${server}/events`, { method: 'POST' });
  const [result] = (await Promise.race([once(process, 'message'), failed])) as [Result];
  await failed.catch(() => {});
  return result;
}

async function main(pods: string, events: string, rounds: number): Promise<void> {
  console.log(machine());
  const scale = [pods, events];
  const server = child(['serve', ...scale]);
  try {
    const [port] = await once(server, 'message');
    const results = new Map(Object.keys(consumers).map(name => [name, [] as Result[]]));
    for (let round = 0; round < rounds; round++) {
      for (const [name, list] of results) list.push(await measure(name, `http://127.0.0.1:${port}`, scale));
    }
    const of = (name: string, what: keyof Result) => median(results.get(name)!.map(result => result[what]));
    console.log(
      `${pods} pods, then ${events} events; medians of ${rounds} rounds, interleaved; in brackets beside ${peer}`,
    );
    for (const name of results.keys()) {
      const show = (what: keyof Result, digits: number, unit: string) =>
        `${of(name, what).toFixed(digits)}${unit} (${(of(name, what) / of(peer, what)).toPrecision(2)})`;
      console.log(
        [
          name.padEnd(20),
          `synced ${show('syncedMs', 0, ' ms')}`,
          `CPU until then ${show('syncedCpuMs', 0, ' ms')}`,
          `${show('eventsPerSecond', 0, ' events/s')}`,
          `CPU per event ${show('eventCpuMicros', 0, ' us')}`,
          `peak ${show('peakMb', 0, ' MB')}`,
          `after gc ${show('afterGcMb', 0, ' MB')}`,
          `longest block ${show('blockMs', 1, ' ms')}`,
        ].join(' | '),
      );
    }
    console.log(`${machine()} (after)`);
  } finally {
    server.kill();
  }
}

const [role, ...words] = process.argv.slice(2);
if (role === 'serve') process.send!(await fakeServer({ pods: Number(words[0]), events: Number(words[1]) }));
else if (role === 'consume') await consume(words[0]!, words[1]!, Number(words[2]), Number(words[3]));
else await main(role ?? '50000', words[0] ?? '20000', Number(words[1] ?? 3));
