/**
 * Runs controllers together: one set of informers, one client, an event recorder each. A controller that crashes is
 * started again with back-off while the others go on. The manager is ready when all of them are.
 *
 * - With `election` one of many managers works and the others stand by, ready. Nothing is watched before it leads, so queues do not fill. A leader
 *   that may have been followed writes nothing more: its client refuses. What it was doing has ended before it gives the lease back.
 * - With `clusters` the same controllers work on several clusters.
 * - Told to stop, it aborts its calls and waits for the reconciliations in flight, `stopTimeoutMs` long; then it names those that hang.
 *
 * Nothing is shared between two managers, and a manager can be run again.
 */
import { setMaxListeners } from 'node:events';
import {
  backoff,
  type Client,
  type Component,
  type ComponentContext,
  eventRecorder,
  StatusError,
  type UserInfo,
} from '@orbitkit/core';
import {
  type ElectedOptions,
  type InformerFactory,
  informerFactory,
  type Leadership,
  leaderElection,
} from '@orbitkit/informer';
import { boundClient } from './bound-client.js';
import type { ClusterContext, Controller } from './controller.js';
import { type ManagerEndpoints, serveEndpoints } from './manager-endpoints.js';

export interface ControllerManagerOptions {
  /** Default `controller-manager`. */
  name?: string;
  /** Its identity. Default: compose()'s for its name. */
  user?: UserInfo;
  /** Freezes cached objects, so that a controller which changes one fails loudly. For tests. */
  freeze?: boolean;
  /** Only one of all managers with this lease works at a time; the lease has the manager's name unless `name` says otherwise. Default: no election. */
  election?: boolean | ElectedOptions;
  /** `/healthz`, `/readyz` and `/metrics` over plain HTTP. Default: none. */
  endpoints?: ManagerEndpoints;
  /** Works on these clusters instead of on the one of its composition, which only keeps the lease. Names are in logs and in `request.cluster`. */
  clusters?: Readonly<Record<string, Client>>;
  /** How long a stop waits for what is in flight. Default 30 s (controller-runtime's graceful shutdown). */
  stopTimeoutMs?: number;
  /** What the controllers' calls go through, e.g. to inject faults in tests. */
  throughClient?: (client: Client) => Client;
}

/** A controller that crashed waits half a second, doubled up to 30 s; forgotten after 2 minutes. */
const restart = { initialMs: 500, maxMs: 30_000, jitter: 0.1, resetAfterMs: 120_000 } as const;

export function controllerManager(
  controllers: readonly Controller[],
  options: ControllerManagerOptions = {},
): Component {
  const { name = 'controller-manager', user, endpoints, clusters } = options;
  const names = new Set<string>();
  for (const controller of controllers) {
    if (names.has(controller.name)) {
      throw new Error(`two controllers are named "${controller.name}"; give one another name with .named()`);
    }
    names.add(controller.name);
  }
  for (const cluster of Object.keys(clusters ?? {})) {
    if (!/^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$/.test(cluster))
      throw new Error(`cluster "${cluster}": a name of letters, digits, "-", "." and "_" is required`);
  }
  return {
    name,
    ...(user ? { user } : {}),
    async run(context) {
      if (!endpoints) return runElected(context, controllers, options, name);
      const served = await serveEndpoints(endpoints, context);
      try {
        await runElected({ ...contextOf(context), ready: served.ready }, controllers, options, name);
      } finally {
        await served.close();
      }
    },
  };
}

/** Its `client` is looked up only when it is asked for: a manager of other clusters needs none. */
const contextOf = (context: ComponentContext): ComponentContext =>
  Object.defineProperties({}, Object.getOwnPropertyDescriptors(context)) as ComponentContext;

async function runElected(
  context: ComponentContext,
  controllers: readonly Controller[],
  options: ControllerManagerOptions,
  name: string,
): Promise<void> {
  const { election } = options;
  if (!election) return runAll(context, controllers, options);
  const { clock, log, metrics, signal } = context;
  const given = election === true ? {} : election;
  const candidate = leaderElection({ name, ...given, client: context.client, clock, log, metrics });
  // Who leads says itself when it is ready; who stands by is what others count on.
  const standby = clock.setTimer(given.retryPeriodMs ?? 2_000, () => {
    if (!candidate.leading) context.ready();
  });
  try {
    await candidate.run({
      signal,
      async lead(leadership) {
        const leading = Object.defineProperty(contextOf(context), 'signal', { value: leadership.signal });
        await runAll(leading, controllers, options, leadership);
        if (!leadership.signal.aborted) throw new Error(`${name} ended although it was not asked to stop`);
      },
    });
  } finally {
    standby.cancel();
  }
}

async function runAll(
  context: ComponentContext,
  controllers: readonly Controller[],
  options: ControllerManagerOptions,
  leadership?: Leadership,
): Promise<void> {
  const { clock, log, metrics, signal } = context;
  const { freeze = false, throughClient = each => each, stopTimeoutMs = 30_000 } = options;
  // Every call in flight listens to it: many, by design.
  setMaxListeners(0, signal);
  const mayWrite = leadership && {
    mayWrite() {
      if (leadership.held()) return;
      throw new StatusError('Conflict', `the leadership of term ${leadership.term} is over; another may have followed`);
    },
  };
  const connect = (client: Client): Cluster => {
    const bound = boundClient(throughClient(client), { signal, ...mayWrite });
    return { client: bound, informers: informerFactory({ client: bound, clock, log, metrics, freeze }) };
  };
  const clusters = options.clusters
    ? new Map(Object.entries(options.clusters).map(([name, client]) => [name, connect(client)]))
    : new Map([['', connect(context.client)]]);
  const several = options.clusters !== undefined;
  const lives = controllers.flatMap(controller => livesOf(controller, clusters, several));
  const waiting = new Set(lives);
  if (waiting.size === 0) context.ready();
  const running = Array.from(clusters.values(), ({ informers }) => informers.run({ signal }));
  const inFlight = new Set(lives.map(({ name }) => name));
  const ended = Promise.all([
    ...running,
    ...lives.map(life =>
      keepRunning(context, life.name, () => {
        const told = new Map(
          Array.from(life.clusters, ([cluster, { client, informers }]): [string, ClusterContext] => [
            cluster,
            { client, informers, events: eventRecorder({ client, clock, signal, component: life.controller.name }) },
          ]),
        );
        const [first] = told.values();
        return life.controller.run({
          ...first!,
          signal,
          clock,
          metrics,
          log: log.with({ controller: life.name }),
          ...(several && life.controller.acrossClusters ? { clusters: told } : {}),
          ...(leadership ? { leadership } : {}),
          ready() {
            waiting.delete(life);
            if (waiting.size === 0) context.ready();
          },
        });
      }).finally(() => inFlight.delete(life.name)),
    ),
  ]);
  await endedInTime(ended, context, stopTimeoutMs, () => [...inFlight]);
}

interface Cluster {
  client: Client;
  informers: InformerFactory;
}

/** One run of a controller: on all clusters, or on one. */
interface Life {
  name: string;
  controller: Controller;
  clusters: ReadonlyMap<string, Cluster>;
}

function livesOf(controller: Controller, clusters: ReadonlyMap<string, Cluster>, several: boolean): Life[] {
  if (!several || controller.acrossClusters) return [{ name: controller.name, controller, clusters }];
  return Array.from(clusters, ([name, cluster]) => ({
    name: `${controller.name} of ${name}`,
    controller,
    clusters: new Map([[name, cluster]]),
  }));
}

/** @throws Error when it does not end so long after the signal; it names what hangs. */
async function endedInTime(
  ended: Promise<unknown>,
  { clock, signal }: ComponentContext,
  stopTimeoutMs: number,
  hanging: () => string[],
): Promise<void> {
  let bound: { cancel(): void } | undefined;
  const overdue = new Promise<never>((_, reject) => {
    const begin = () => {
      bound = clock.setTimer(stopTimeoutMs, () =>
        reject(new Error(`${hanging().join(', ')} did not stop within ${stopTimeoutMs / 1000} s`)),
      );
    };
    if (signal.aborted) begin();
    else signal.addEventListener('abort', begin, { once: true });
  });
  try {
    await Promise.race([ended, overdue]);
  } finally {
    bound?.cancel();
    ended.catch(() => {});
    overdue.catch(() => {});
  }
}

async function keepRunning(
  { clock, log, signal }: ComponentContext,
  name: string,
  run: () => Promise<void>,
): Promise<void> {
  const waits = backoff({ ...restart, clock });
  while (!signal.aborted) {
    let error: unknown = new Error('it ended although it was not asked to stop');
    try {
      await run();
    } catch (thrown) {
      error = thrown;
    }
    if (signal.aborted) return;
    const waitMs = Math.round(waits.next());
    log.error('controller crashed; it will be started again', { controller: name, error, waitMs });
    await clock.sleep(waitMs, signal).catch(() => {});
  }
}
