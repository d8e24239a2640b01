/**
 * Runs controllers together: one set of informers, one client, an event recorder each. A controller that crashes is
 * started again with back-off while the others go on. The manager is ready when all of them are.
 *
 * Nothing is shared between two managers, and a manager can be run again.
 */
import { setMaxListeners } from 'node:events';
import {
  backoff,
  type Client,
  type Component,
  type ComponentContext,
  createClient,
  eventRecorder,
  type TransportRequest,
  type UserInfo,
} from '@orbitkit/core';
import { informerFactory } from '@orbitkit/informer';
import type { Controller } from './controller.js';

export interface ControllerManagerOptions {
  /** Default `controller-manager`. */
  name?: string;
  /** Its identity. Default: compose()'s for its name. */
  user?: UserInfo;
  /** Freezes cached objects, so that a controller which changes one fails loudly. For tests. */
  freeze?: boolean;
}

/** A controller that crashed waits half a second, doubled up to 30 s; forgotten after 2 minutes. */
const restart = { initialMs: 500, maxMs: 30_000, jitter: 0.1, resetAfterMs: 120_000 } as const;

export function controllerManager(
  controllers: readonly Controller[],
  { name = 'controller-manager', user, freeze = false }: ControllerManagerOptions = {},
): Component {
  const names = new Set<string>();
  for (const controller of controllers) {
    if (names.has(controller.name)) {
      throw new Error(`two controllers are named "${controller.name}"; give one another name with .named()`);
    }
    names.add(controller.name);
  }
  return { name, ...(user ? { user } : {}), run: context => runAll(context, controllers, freeze) };
}

async function runAll(context: ComponentContext, controllers: readonly Controller[], freeze: boolean): Promise<void> {
  const { clock, log, metrics, signal } = context;
  // Every call in flight listens to it: many, by design.
  setMaxListeners(0, signal);
  const client = stoppable(context.client, signal);
  const informers = informerFactory({ client, clock, log, metrics, freeze });
  const running = informers.run({ signal });
  const waiting = new Set(controllers);
  if (waiting.size === 0) context.ready();
  await Promise.all([
    running,
    ...controllers.map(controller =>
      keepRunning(context, controller, () =>
        controller.run({
          signal,
          client,
          informers,
          clock,
          metrics,
          log: log.with({ controller: controller.name }),
          events: eventRecorder({ client, clock, signal, component: controller.name }),
          ready() {
            waiting.delete(controller);
            if (waiting.size === 0) context.ready();
          },
        }),
      ),
    ),
  ]);
}

async function keepRunning(
  { clock, log, signal }: ComponentContext,
  { name }: Controller,
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

/** A client whose calls end when the signal aborts, unless they bring a signal of their own. */
function stoppable(client: Client, signal: AbortSignal): Client {
  const { transport } = client;
  return createClient({
    request: (request: TransportRequest) => transport.request(request.signal ? request : { ...request, signal }),
    connect: (path, options) => transport.connect(path, options.signal ? options : { ...options, signal }),
    close: () => client.close(),
  });
}
