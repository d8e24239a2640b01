/**
 * Kill tests: whatever moment a controller's process dies at, the one that follows must end up with the same cluster.
 *
 * ```ts
 * const { kills } = await killEverywhere({
 *   controllers: () => [replicaSets()],
 *   others: () => [playedPods()],
 *   kinds: [ReplicaSet, Pod],
 *   async scenario({ client, until }) {
 *     await client.create(ReplicaSet, web);
 *     await until(async () => (await client.get(ReplicaSet, web.metadata)).status.readyReplicas === 3);
 *   },
 * });
 * ```
 *
 * The scenario is played once undisturbed, which gives the end state to reach. Then it is played again and again, each time in a cluster of its own,
 * and the controllers' process dies at its first, second, third … API call or wait until the scenario ends before the process does. The dead one's
 * calls never reach the server; another, with controllers made anew, follows at once. At the end the cluster must be as it was without a death,
 * but for what no two runs have in common (see end-state) and what `normalise` leaves out.
 *
 * Dying right after a call is dying right before the next. Not covered: the death of the API server, and two managers at the same time, which
 * leader election rules out.
 */
import {
  type Client,
  compose,
  createClient,
  type DynamicObject,
  type ManualClock,
  manualClock,
  type ResourceRef,
  silentLogger,
} from '@orbitkit/core';
import type { Controller } from '../../controller.js';
import { controllerManager } from '../../controller-manager.js';
import { createTestControlPlane, type TestControlPlaneOptions } from '../control-plane.js';
import { endState } from './end-state.js';
import { type MortalLife, mortalLife } from './mortal-transport.js';

/** What a scenario plays in: it is the user, not the controller. */
export interface KillWorld {
  readonly client: Client;
  /** Drives everything; it starts at the present second, since the server stamps objects with the system's time. */
  readonly clock: ManualClock;
  /** Waits until `check` is true, letting time pass. It throws after the patience of the options. */
  until(check: () => Promise<unknown>): Promise<void>;
}

/** The scenario, and who dies in it. */
export interface KillEverywhereOptions {
  /** Those that die. Called for each life: nothing may survive in memory. */
  controllers: () => readonly Controller[];
  /** Those that live on, e.g. who plays the nodes. Default: none. */
  others?: () => readonly Controller[];
  /** Plays the users' part; resolves when the end is reached, as far as the scenario can tell. What still goes on is waited for. */
  scenario: (world: KillWorld) => Promise<void>;
  /** Of which all objects are compared at the end. */
  kinds: readonly ResourceRef<any>[];
  /** Leaves out of an object (its own copy) what may differ; undefined leaves out the object. */
  normalise?: (object: DynamicObject) => DynamicObject | undefined;
  /** How much time passes between two looks of `until`. Default 1 s. */
  stepMs?: number;
  /** It fails when the scenario has more steps than this. Default 500. */
  maxKills?: number;
  /** How long a run may take to reach its end, of the system's time. Default 10 s. */
  patienceMs?: number;
  server?: TestControlPlaneOptions['server'];
}

/** How a run of all deaths went. */
export interface KillReport {
  /** How often a process died. */
  readonly kills: number;
  /** The step at which each died: `POST /api/v1/namespaces/default/pods`, `wait`. */
  readonly steps: readonly string[];
}

/** Looks at the end, between which a little time passes, that must all show the same before a run counts as ended. */
const quietLooks = 5;

/** @throws Error that names the step at which the process died, and shows what differs. */
export async function killEverywhere(options: KillEverywhereOptions): Promise<KillReport> {
  const { maxKills = 500 } = options;
  const expected = await play(options, undefined, undefined);
  const steps: string[] = [];
  for (let diesAt = 1; ; diesAt++) {
    if (diesAt > maxKills) throw new Error(`the scenario has more than ${maxKills} steps: make it smaller`);
    const { life } = await play(options, diesAt, expected.state);
    if (life.steps.length < diesAt) return { kills: steps.length, steps };
    steps.push(life.steps[diesAt - 1]!);
  }
}

interface Played {
  state: readonly string[];
  life: MortalLife;
}

async function play(
  options: KillEverywhereOptions,
  diesAt: number | undefined,
  expected: readonly string[] | undefined,
): Promise<Played> {
  const { controllers, others, scenario, kinds, normalise = each => each, server } = options;
  const { stepMs = 1_000, patienceMs = 10_000 } = options;
  const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
  await using plane = await createTestControlPlane({
    ...(others ? { controllers: others() } : {}),
    housekeeping: false,
    clock,
    ...(server ? { server } : {}),
  });
  const { client } = plane;
  const first = mortalLife(client.transport, clock, diesAt);
  const lives = [first];
  const running: ReturnType<typeof live>[] = [];
  let problem: unknown;
  let ended = false;
  /** While a process starts, which takes real time, the clock stands: its limits for that are the clock's. */
  let starting: Promise<void> | undefined;
  const begin = (life: MortalLife) => {
    const composition = live(life, controllers());
    running.push(composition);
    const ready = composition.ready
      .catch(() => {})
      .then(() => {
        if (starting === ready) starting = undefined;
      });
    starting = ready;
  };
  const tick = async () => {
    if (starting) await Promise.race([starting, pause(longestStartMs)]);
    await clock.advance(stepMs);
  };
  first.death.addEventListener('abort', async () => {
    // A write of the dead that arrives after its successor has looked makes what no controller can tell from a second one.
    await first.settled();
    if (ended) return;
    const next = mortalLife(client.transport, clock);
    lives.push(next);
    begin(next);
  });
  begin(first);
  const world: KillWorld = {
    client,
    clock,
    until: check => until(check, tick, patienceMs),
  };
  const look = () => endState(client, kinds, object => normalise(structuredClone(object)));
  try {
    await scenario(world);
    let state = await look();
    if (expected === undefined) {
      for (let quiet = 0; quiet < quietLooks; ) {
        await tick();
        await pause();
        const now = await look();
        quiet = same(now, state) ? quiet + 1 : 0;
        state = now;
      }
    } else {
      await until(
        async () => {
          state = await look();
          return same(state, expected);
        },
        tick,
        patienceMs,
      ).catch(() => {});
      if (!same(state, expected)) throw new Error(`the end is another one:\n${difference(expected, state)}`);
    }
    return { state, life: first };
  } catch (error) {
    problem = error;
    const killed = first.death.aborted ? `killed at step ${diesAt}, ${first.steps[diesAt! - 1]}` : 'not killed';
    throw new Error(`${killed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  } finally {
    ended = true;
    for (const life of lives) life.end();
    const stopped = await Promise.allSettled(running.map(each => each[Symbol.asyncDispose]()));
    const failed = stopped.find(each => each.status === 'rejected');
    // biome-ignore lint/correctness/noUnsafeFinally: only when nothing else went wrong
    if (failed && problem === undefined) throw failed.reason;
  }
}

/** A manager with this life's API and clock; it stops when the life ends. */
function live(life: MortalLife, controllers: readonly Controller[]) {
  const client = createClient(life.transport);
  const manager = controllerManager(controllers, { freeze: true, stopTimeoutMs: 1_000 });
  const composition = compose({ client, clock: life.clock, log: silentLogger }, manager);
  const stopping = new AbortController();
  life.death.addEventListener('abort', () => stopping.abort(), { once: true });
  const run = composition.run({ signal: stopping.signal });
  run.catch(() => {});
  return composition;
}

/** Informers hear of a write in real time; nothing else here takes any. */
const pause = (ms = 1) => new Promise<void>(resolve => setTimeout(resolve, ms));
/** A process that waits for the clock in order to get ready is not waited for. */
const longestStartMs = 2_000;

async function until(check: () => Promise<unknown>, tick: () => Promise<void>, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown = new Error('the check said no');
  for (;;) {
    try {
      if (await check()) return;
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`not within ${timeoutMs / 1000} s: ${last instanceof Error ? last.message : String(last)}`, {
        cause: last,
      });
    }
    await pause();
    await tick();
  }
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, index) => text === b[index]);

function difference(expected: readonly string[], found: readonly string[]): string {
  const without = (all: readonly string[], others: readonly string[]) => {
    const left = [...others];
    return all.filter(text => {
      const at = left.indexOf(text);
      if (at >= 0) left.splice(at, 1);
      return at < 0;
    });
  };
  const show = (sign: string, texts: readonly string[]) =>
    texts.map(text => text.replace(/^/gm, `${sign} `)).join('\n');
  return `${show('-', without(expected, found))}\n${show('+', without(found, expected))}`;
}
