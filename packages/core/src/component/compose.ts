/**
 * `compose()` makes one running thing of components: an API server, a scheduler, controllers, node agents.
 *
 * - Components start in the order in which they are listed; each waits until the one before it said `ready()`.
 * - What crashes is started again with back-off; the others go on. An error that no restart mends ends the composition.
 * - They stop in reverse order, each within a bound; what hangs is named in the error.
 * - A component's client follows the API server of the composition through its restarts, or is the one given from outside.
 *
 * Nothing starts before `run()`. One composition runs once.
 */
import type { Client } from '../client/client.js';
import { type Clock, systemClock } from '../clock/clock.js';
import type { Random } from '../clock/random.js';
import { type ClientSource, clientSlot } from './client-slot.js';
import type { Component, ComponentContext, UserInfo } from './component.js';
import type { Logger } from './log.js';
import { silentLogger } from './logger.js';
import type { Metrics } from './metrics.js';
import { metrics as newMetrics } from './prometheus.js';
import { type ComponentStatus, type Supervision, supervise } from './supervise.js';

/** What the components of a composition share, and the bounds of its start and stop. Milliseconds. */
export interface ComposeOptions {
  clock?: Clock;
  random?: Random;
  /** Default: silent. */
  log?: Logger;
  /** Default: a registry of this composition's own. */
  metrics?: Metrics;
  /** Bound on each component's stop. Default 30 s (controller-runtime's graceful shutdown). */
  stopTimeoutMs?: number;
  /** Bound on each component's first `ready()`. Default 60 s. */
  startTimeoutMs?: number;
  /** An API from outside, e.g. of a real Kubernetes. A component that provides one takes its place. */
  client?: Client | ClientSource;
}

/** A list of components that runs as one. Disposing stops it. */
export interface Composition extends AsyncDisposable {
  /**
   * Starts everything, and resolves when everything has stopped after the signal's abort.
   * @throws Error when a component is not ready in time, cannot run at all, or does not stop in time.
   */
  run(options?: { signal?: AbortSignal }): Promise<void>;
  /** Resolves when all components have been ready; rejects when the start failed or was cancelled. */
  readonly ready: Promise<void>;
  /** In the order of the list. */
  readonly components: readonly ComponentStatus[];
  readonly metrics: Metrics;
}

/** The identity of a component that names none: code of the same process, trusted as the server itself. */
export function defaultUser(name: string): UserInfo {
  return { username: `system:${name}`, groups: ['system:masters', 'system:authenticated'] };
}

const isComponent = (value: ComposeOptions | Component): value is Component =>
  typeof (value as Component).run === 'function';

/** Puts components in order; options come first, when there are any. @throws Error when two components have one name. */
export function compose(...components: Component[]): Composition;
export function compose(options: ComposeOptions, ...components: Component[]): Composition;
export function compose(...parameters: (ComposeOptions | Component)[]): Composition {
  const [first] = parameters;
  const options: ComposeOptions = first === undefined || isComponent(first) ? {} : first;
  const components = parameters.filter(isComponent);
  const { clock = systemClock, log = silentLogger, stopTimeoutMs = 30_000, startTimeoutMs = 60_000 } = options;
  const names = new Set<string>();
  for (const { name } of components) {
    if (names.has(name)) throw new Error(`two components are named "${name}"; names are unique within a composition`);
    names.add(name);
  }

  let sharedMetrics = options.metrics;
  const metrics = (): Metrics => {
    sharedMetrics ??= newMetrics();
    return sharedMetrics;
  };
  const slot = clientSlot(options.client);
  const running: Supervision[] = [];
  const stop = new AbortController();
  let finished: Promise<void> | undefined;
  let resolveReady!: () => void;
  let rejectReady!: (error: unknown) => void;
  const ready = new Promise<void>((resolve, reject) => {
    resolveReady = resolve;
    rejectReady = reject;
  });
  ready.catch(() => undefined);

  function start(component: Component): Supervision {
    const user = component.user ?? defaultUser(component.name);
    const client = slot.clientFor(user);
    const restarts = metrics().counter('orbitkit_component_restarts_total', 'Restarts of a component after a crash.', [
      'component',
    ]);
    const up = metrics().gauge('orbitkit_component_ready', '1 while the component is ready.', ['component']);
    const needsApi = (): void => {
      if (slot.provided) return;
      throw new Error(
        `${component.name} needs an API: list a component that provides one before it, or give compose() a client`,
      );
    };
    let withdraw: (() => void) | undefined;
    let counted = 0;
    const context: Omit<ComponentContext, 'signal' | 'ready'> = {
      clock,
      log: log.with({ component: component.name }),
      metrics: metrics(),
      get client() {
        needsApi();
        return client;
      },
      clientFor(another) {
        needsApi();
        return slot.clientFor(another);
      },
      provideClient(clientFor) {
        withdraw = slot.provide(clientFor);
      },
    };
    return supervise({
      component,
      clock,
      ...(options.random ? { random: options.random } : {}),
      log: context.log,
      context,
      onEnd: () => withdraw?.(),
      onChange: status => {
        up.set(status.state === 'ready' ? 1 : 0, { component: component.name });
        if (status.restarts > counted) restarts.inc({ component: component.name }, status.restarts - counted);
        counted = status.restarts;
      },
    });
  }

  /** What rejects when a component can run no more; nothing else ends it before the stop. */
  const failures = (): Promise<never>[] =>
    running.map(({ ended }) => ended.then(() => new Promise<never>(() => undefined)));

  /** Resolves when it is ready, rejects when the bound passes, when it cannot run, or when all is being stopped. */
  async function startAndWait(component: Component): Promise<void> {
    const supervision = start(component);
    running.push(supervision);
    const bound = new AbortController();
    const cancel = () => bound.abort(stop.signal.reason);
    stop.signal.addEventListener('abort', cancel, { once: true });
    try {
      await Promise.race([
        supervision.ready,
        clock.sleep(startTimeoutMs, bound.signal).then(() => {
          const { lastError } = supervision.status;
          const why = lastError ? `; its last error: ${lastError.message}` : '';
          throw new Error(`${component.name} was not ready within ${startTimeoutMs / 1000} s${why}`, {
            cause: lastError,
          });
        }),
        ...failures(),
      ]);
    } finally {
      stop.signal.removeEventListener('abort', cancel);
      bound.abort();
    }
  }

  async function stopAll(): Promise<Error | undefined> {
    const hanging: string[] = [];
    for (const supervision of [...running].reverse()) {
      const { name } = supervision.status;
      if (await supervision.stop(stopTimeoutMs)) continue;
      hanging.push(name);
      log.error('component did not stop in time', { component: name, stopTimeoutMs });
    }
    if (hanging.length === 0) return undefined;
    return new Error(`${hanging.join(', ')} did not stop within ${stopTimeoutMs / 1000} s`);
  }

  /** Resolves after an abort, rejects with the first error that no restart mends. */
  async function untilStopped(): Promise<void> {
    const aborted = new Promise<void>(resolve => {
      if (stop.signal.aborted) resolve();
      else stop.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([aborted, ...failures()]);
  }

  async function runAll(): Promise<void> {
    let failure: unknown;
    try {
      for (const component of components) {
        if (stop.signal.aborted) break;
        await startAndWait(component);
        log.debug('component is ready', { component: component.name });
      }
      if (stop.signal.aborted) rejectReady(new Error('stopped before everything was ready'));
      else resolveReady();
      await untilStopped();
    } catch (error) {
      if (!stop.signal.aborted) failure = error;
      rejectReady(error);
    }
    const hanging = await stopAll();
    if (failure !== undefined) throw failure;
    if (hanging) throw hanging;
  }

  return {
    run({ signal } = {}) {
      if (finished) return Promise.reject(new Error('a composition runs once; compose again'));
      const onAbort = () => stop.abort(signal?.reason);
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
      finished = runAll().finally(() => signal?.removeEventListener('abort', onAbort));
      finished.catch(() => undefined);
      return finished;
    },
    ready,
    get components() {
      return components.map(
        ({ name }, index): ComponentStatus => running[index]?.status ?? { name, state: 'waiting', restarts: 0 },
      );
    },
    get metrics() {
      return metrics();
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('disposed'));
      await finished?.catch(error => log.error('the composition ended with an error', { error }));
    },
  };
}
