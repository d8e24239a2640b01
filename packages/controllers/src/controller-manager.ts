/**
 * Runs controllers together: one set of informers, one client, an event recorder each. A controller that crashes is
 * started again with back-off while the others go on. The manager is ready when all of them are.
 *
 * - With `election` one of many managers works and the others stand by, ready. Nothing is watched before it leads, so queues do not fill. A leader
 *   that may have been followed writes nothing more: its client refuses. What it was doing has ended before it gives the lease back.
 * - With `clusters` the same controllers work on several clusters; a `ClusterSet` of them may change while they do.
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
  unrecoverable,
} from '@orbitkit/core';
import {
  type ElectedOptions,
  type InformerFactory,
  informerFactory,
  type Leadership,
  leaderElection,
} from '@orbitkit/informer';
import { boundClient } from './bound-client.js';
import { ClusterSet, LiveMap } from './cluster-set.js';
import type { ClusterContext, Controller } from './controller.js';
import { type ManagerEndpoints, serveEndpoints } from './manager-endpoints.js';

/** Everything has a default; times are in milliseconds. */
export interface ControllerManagerOptions {
  /** Default `controller-manager`. */
  name?: string;
  /** Its identity. Default: compose()'s for its name. */
  user?: UserInfo;
  /**
   * Each controller that names a `serviceAccount` acts as it, as under kube-controller-manager with `--use-service-account-credentials`: it may do
   * what its own role says (`system:controller:*`), and the audit log tells who did what. Caches, the lease and all other controllers stay
   * with the manager's `user`. Needs an API in the same composition. Default false.
   */
  serviceAccounts?: boolean;
  /** Freezes cached objects, so that a controller which changes one fails loudly. For tests. */
  freeze?: boolean;
  /** Only one of all managers with this lease works at a time; the lease has the manager's name unless `name` says otherwise. Default: no election. */
  election?: boolean | ElectedOptions;
  /** `/healthz`, `/readyz` and `/metrics` over plain HTTP. Default: none. */
  endpoints?: ManagerEndpoints;
  /**
   * Works on these clusters instead of on the one of its composition, which only keeps the lease. Names are in logs and in `request.cluster`. Those of a
   * `ClusterSet` come and go while it runs.
   */
  clusters?: Readonly<Record<string, Client>> | ClusterSet;
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
    if (typeof controller.run !== 'function')
      throw new Error('a controller does not say what to do: end it with .reconcile(…) or .reconcileKey(…)');
    if (names.has(controller.name)) {
      throw new Error(`two controllers are named "${controller.name}"; give one another name with .named()`);
    }
    names.add(controller.name);
  }
  const works: Works = { controllers, options, ...(clusters ? { clusters: clusterSetOf(clusters) } : {}) };
  return {
    name,
    ...(user ? { user } : {}),
    async run(context) {
      if (!endpoints) return runElected(context, works, name);
      const served = await serveEndpoints(endpoints, context);
      try {
        await runElected({ ...contextOf(context), ready: served.ready }, works, name);
      } finally {
        await served.close();
      }
    },
  };
}

/** What the manager was made of. */
interface Works {
  controllers: readonly Controller[];
  options: ControllerManagerOptions;
  clusters?: ClusterSet;
}

const clusterSetOf = (clusters: Readonly<Record<string, Client>> | ClusterSet): ClusterSet =>
  clusters instanceof ClusterSet ? clusters : new ClusterSet(clusters);

/** Its `client` is looked up only when it is asked for: a manager of other clusters needs none. */
const contextOf = (context: ComponentContext): ComponentContext =>
  Object.defineProperties({}, Object.getOwnPropertyDescriptors(context)) as ComponentContext;

async function runElected(context: ComponentContext, works: Works, name: string): Promise<void> {
  const { election } = works.options;
  if (!election) return runAll(context, works);
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
        await runAll(leading, works, leadership);
        if (!leadership.signal.aborted) throw new Error(`${name} ended although it was not asked to stop`);
      },
    });
  } finally {
    standby.cancel();
  }
}

async function runAll(
  context: ComponentContext,
  { controllers, options, clusters: chosen }: Works,
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
  const bind = (client: Client, until = signal): Client =>
    boundClient(throughClient(client), { signal: until, ...mayWrite });
  /** What has to end before the manager has; with its name, of a controller. */
  const running = new Map<Promise<void>, string | undefined>();
  let fail!: (error: unknown) => void;
  const failure = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const begin = (run: Promise<void>, name?: string): void => {
    running.set(run, name);
    run.catch(fail).finally(() => running.delete(run));
  };
  const clusters = new LiveMap<Cluster>();
  const join = (name: string, client: Client): Cluster => {
    const ending = new AbortController();
    const until = ending.signal;
    setMaxListeners(0, until);
    const end = () => {
      signal.removeEventListener('abort', end);
      ending.abort(signal.reason);
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    const bound = bind(client, until);
    const informers = informerFactory({ client: bound, clock, log, metrics, freeze });
    begin(informers.run({ signal: until }));
    const cluster = { client: bound, informers, signal: until, remove: end };
    clusters.set(name, cluster);
    return cluster;
  };
  /** The client of a controller with an identity of its own. */
  const ownClient = ({ name, serviceAccount }: Controller): Client | undefined => {
    if (!options.serviceAccounts || serviceAccount === undefined || chosen) return undefined;
    if (context.clientFor) return bind(context.clientFor(serviceAccountUser(serviceAccount)));
    throw unrecoverable(new Error(`${name}: a service account of its own needs an API server in the same composition`));
  };
  const waiting = new Set<Life>();
  const isReady = (life: Life): void => {
    if (waiting.delete(life) && waiting.size === 0 && !signal.aborted) context.ready();
  };
  const live = (life: Life): void => {
    const { name, controller } = life;
    const own = ownClient(controller);
    const toldOf = ({ client: shared, informers, signal: until }: Cluster): ClusterContext => {
      const client = own ?? shared;
      const events = eventRecorder({ client, clock, signal: until, component: controller.name });
      return { client, informers, events, signal: until };
    };
    const run = async (): Promise<void> => {
      const told = new LiveMap<ClusterContext>();
      for (const [cluster, connected] of life.clusters) told.set(cluster, toldOf(connected));
      const endChanges = life.clusters.onChange((cluster, connected) =>
        connected ? told.set(cluster, toldOf(connected)) : told.delete(cluster),
      );
      try {
        const here = {
          signal: life.signal,
          clock,
          metrics,
          log: log.with({ controller: name }),
          ...(chosen && controller.acrossClusters ? { clusters: told, onClusterChange: told.onChange.bind(told) } : {}),
          ...(leadership ? { leadership } : {}),
          ready: () => isReady(life),
        };
        // Not spread: of a manager without a cluster at the moment, what it has not is looked up when it is asked for.
        await controller.run(Object.assign(firstOf(told), here));
      } finally {
        endChanges();
      }
    };
    const ended = keepRunning({ clock, log, signal: life.signal }, name, run);
    begin(
      ended.finally(() => isReady(life)),
      name,
    );
  };
  const across = ({ acrossClusters }: Controller): boolean => !chosen || acrossClusters === true;
  const livesIn = (name: string, cluster: Cluster): Life[] =>
    controllers
      .filter(controller => !across(controller))
      .map(controller => ({
        name: `${controller.name} of ${name}`,
        controller,
        clusters: new LiveMap<Cluster>().set(name, cluster),
        signal: cluster.signal,
      }));

  for (const [name, client] of chosen ?? [['', context.client] as const]) join(name, client);
  const lives = [
    ...controllers.filter(across).map(controller => ({ name: controller.name, controller, clusters, signal })),
    ...[...clusters].flatMap(([name, cluster]) => livesIn(name, cluster)),
  ];
  for (const life of lives) waiting.add(life);
  if (waiting.size === 0) context.ready();
  for (const life of lives) live(life);
  const endChanges = chosen?.onChange((name, client) => {
    if (client) {
      log.info('a cluster was added', { cluster: name });
      for (const life of livesIn(name, join(name, client))) live(life);
      return;
    }
    log.info('a cluster was removed', { cluster: name });
    const cluster = clusters.get(name);
    clusters.delete(name);
    cluster?.remove();
  });
  const everythingEnded = async (): Promise<void> => {
    await Promise.race([failure, aborted(signal)]);
    while (running.size > 0) await Promise.all(running.keys());
  };
  try {
    const hanging = () => [...running.values()].filter(name => name !== undefined);
    await endedInTime(everythingEnded(), context, stopTimeoutMs, hanging);
  } finally {
    endChanges?.();
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Client, caches and events of the first cluster, of those that are there now or else when they are asked for. */
function firstOf(clusters: ReadonlyMap<string, ClusterContext>): Omit<ClusterContext, 'signal'> {
  const [first] = clusters.values();
  if (first) return { ...first };
  const later = (): ClusterContext => {
    const [found] = clusters.values();
    if (found) return found;
    throw new Error('the manager has no cluster at the moment: use `clusters` of the context');
  };
  return {
    get client() {
      return later().client;
    },
    get informers() {
      return later().informers;
    },
    get events() {
      return later().events;
    },
  };
}

/** As its token would say. */
const serviceAccountUser = (name: string): UserInfo => ({
  username: `system:serviceaccount:kube-system:${name}`,
  groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
});

interface Cluster {
  client: Client;
  informers: InformerFactory;
  signal: AbortSignal;
  remove(): void;
}

/** One run of a controller: on all clusters, or on one. */
interface Life {
  name: string;
  controller: Controller;
  clusters: LiveMap<Cluster>;
  signal: AbortSignal;
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
  { clock, log, signal }: Pick<ComponentContext, 'clock' | 'log' | 'signal'>,
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
