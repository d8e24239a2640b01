/**
 * Keeps one component running: starts it, tells when it is ready, starts it again after a crash with back-off, stops it
 * within a bound. A `run` that returns although nobody asked it to stop counts as a crash.
 */
import { setMaxListeners } from 'node:events';
import { backoff } from '../clock/backoff.js';
import type { Clock } from '../clock/clock.js';
import type { Random } from '../clock/random.js';
import type { Component, ComponentContext } from './component.js';
import type { Logger } from './log.js';
import { isUnrecoverable } from './unrecoverable.js';

/** Where a component is in its life; `restarting` is the wait after a crash, `failed` a crash that no restart mends. */
export type ComponentState = 'waiting' | 'starting' | 'ready' | 'restarting' | 'stopping' | 'stopped' | 'failed';

/** What is known of a component at the moment. */
export interface ComponentStatus {
  readonly name: string;
  readonly state: ComponentState;
  /** How often it was started again after a crash. */
  readonly restarts: number;
  readonly lastError?: Error;
}

/** Half a second at first, since others wait for a crashed API server; forgotten after 2 healthy minutes. */
const componentRestartBackoff = {
  initialMs: 500,
  maxMs: 30_000,
  factor: 2,
  jitter: 0.1,
  resetAfterMs: 120_000,
} as const;

export interface Supervision {
  readonly status: ComponentStatus;
  /** Resolves when it was ready for the first time; rejects when it ended before. */
  readonly ready: Promise<void>;
  /** Settles when it is stopped; rejects with an error that no restart mends. */
  readonly ended: Promise<void>;
  /** Asks it to stop. False when it did not within the bound. */
  stop(timeoutMs: number): Promise<boolean>;
}

export interface SuperviseOptions {
  component: Component;
  clock: Clock;
  random?: Random;
  log: Logger;
  /** What the component gets, but for its signal and `ready`. */
  context: Omit<ComponentContext, 'signal' | 'ready'>;
  /** Called after every end of the component, before it is started again. */
  onEnd(): void;
  onChange(status: ComponentStatus): void;
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

export function supervise(options: SuperviseOptions): Supervision {
  const { component, clock, log } = options;
  const stopping = new AbortController();
  let state: ComponentState = 'waiting';
  let restarts = 0;
  let lastError: Error | undefined;
  let resolveReady!: () => void;
  let rejectReady!: (error: Error) => void;
  const ready = new Promise<void>((resolve, reject) => {
    resolveReady = resolve;
    rejectReady = reject;
  });
  ready.catch(() => undefined);

  const status = (): ComponentStatus => ({
    name: component.name,
    state,
    restarts,
    ...(lastError ? { lastError } : {}),
  });
  function enter(next: ComponentState): void {
    state = next;
    options.onChange(status());
  }

  /** One life of the component. Resolves with what ended it, or undefined after a stop. */
  async function live(): Promise<Error | undefined> {
    const life = new AbortController();
    // Everything that a component waits for hangs on this one signal; that is no leak to warn of.
    setMaxListeners(0, life.signal);
    const end = () => life.abort(stopping.signal.reason);
    stopping.signal.addEventListener('abort', end, { once: true });
    let over = false;
    try {
      const { clock, log, metrics, provideClient, clientFor } = options.context;
      await component.run({
        signal: life.signal,
        clock,
        log,
        metrics,
        provideClient,
        ...(clientFor ? { clientFor } : {}),
        get client() {
          return options.context.client;
        },
        ready() {
          if (over || life.signal.aborted || state !== 'starting') return;
          enter('ready');
          resolveReady();
        },
      });
      return stopping.signal.aborted
        ? undefined
        : new Error(`${component.name} ended although it was not asked to stop`);
    } catch (error) {
      return stopping.signal.aborted ? undefined : asError(error);
    } finally {
      over = true;
      stopping.signal.removeEventListener('abort', end);
      // What the component left running of this life must not go on beside the next one.
      life.abort(new Error(`${component.name} ended`));
      options.onEnd();
    }
  }

  async function keepAlive(): Promise<void> {
    const random = options.random ? { random: options.random } : {};
    const { resetAfterMs, ...growth } = componentRestartBackoff;
    const waits = backoff({ ...growth, clock, ...random });
    for (;;) {
      enter('starting');
      const startedAt = clock.now();
      const error = await live();
      if (!error) return enter('stopped');
      lastError = error;
      if (isUnrecoverable(error)) {
        enter('failed');
        throw error;
      }
      if (clock.now() - startedAt >= resetAfterMs) waits.reset();
      const waitMs = Math.round(waits.next());
      restarts += 1;
      enter('restarting');
      log.error('component crashed; it will be started again', { error, waitMs, restarts });
      try {
        await clock.sleep(waitMs, stopping.signal);
      } catch {
        return enter('stopped');
      }
    }
  }

  const ended = keepAlive();
  ended.then(
    () => rejectReady(lastError ?? new Error(`${component.name} was stopped before it was ready`)),
    rejectReady,
  );
  ended.catch(() => undefined);

  return {
    get status() {
      return status();
    },
    ready,
    ended,
    async stop(timeoutMs) {
      if (state === 'stopped' || state === 'failed') return true;
      const inTime = new AbortController();
      stopping.abort(new Error('stop'));
      if (state === 'starting' || state === 'ready') enter('stopping');
      const bound = clock.sleep(timeoutMs, inTime.signal).then(
        () => false,
        () => true,
      );
      const stopped = await Promise.race([
        ended.then(
          () => true,
          () => true,
        ),
        bound,
      ]);
      inTime.abort();
      return stopped;
    },
  };
}
