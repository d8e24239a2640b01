/**
 * The API and the clock of a process that may die at any moment: the n-th call or wait is its last. That call never reaches the server, and
 * neither does any later one; what was in flight arrives, and its answer is never seen. Watches and events are not counted: they are
 * not steps of a reconciliation.
 */
import type { Clock, Transport, TransportRequest } from '@orbitkit/core';

export interface MortalLife {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Aborted at the moment of death. */
  readonly death: AbortSignal;
  /** What was counted so far, in order: `PUT /api/v1/…`, `wait`. The last one of a dead life did not happen. */
  readonly steps: readonly string[];
  /** Calls that were made after death, and refused. */
  readonly refused: number;
  /** Resolves when the server has dealt with what was in flight. */
  settled(): Promise<void>;
  /** Dies without a cause of its own: the end of its test. */
  end(): void;
}

/** @param diesAt The step at which it dies, counted from 1. Default: it never does. */
export function mortalLife(inner: Transport, clock: Clock, diesAt = Number.POSITIVE_INFINITY): MortalLife {
  const dying = new AbortController();
  const { signal } = dying;
  const steps: string[] = [];
  let refused = 0;
  const gone = () => new Error('this process was killed');
  const step = (what: string) => {
    steps.push(what);
    if (steps.length >= diesAt) dying.abort(gone());
  };
  const inFlight = new Set<Promise<unknown>>();
  const died = new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(gone()), { once: true }),
  );
  died.catch(() => {});
  const lives = () => {
    if (!signal.aborted) return;
    refused += 1;
    throw gone();
  };
  return {
    death: signal,
    steps,
    get refused() {
      return refused;
    },
    end: () => dying.abort(gone()),
    async settled() {
      while (inFlight.size > 0) await Promise.allSettled(inFlight);
    },
    transport: {
      async request(request) {
        lives();
        if (isStep(request)) step(`${request.method} ${request.path}`);
        if (signal.aborted) throw gone();
        if (isWatch(request)) {
          const both = request.signal ? AbortSignal.any([request.signal, signal]) : signal;
          return inner.request({ ...request, signal: both });
        }
        const given = new AbortController();
        // The dead take nothing back.
        const giveUp = () => signal.aborted || given.abort(request.signal!.reason);
        request.signal?.addEventListener('abort', giveUp, { once: true });
        if (request.signal?.aborted) giveUp();
        const answer = inner.request({ ...request, signal: given.signal }).finally(() => {
          inFlight.delete(answer);
          request.signal?.removeEventListener('abort', giveUp);
        });
        inFlight.add(answer);
        return Promise.race([answer, died]);
      },
      async connect(path, options) {
        lives();
        return inner.connect(path, options);
      },
      close: async () => {},
    },
    clock: {
      now: () => clock.now(),
      sleep(ms, own) {
        if (!signal.aborted) step('wait');
        return clock.sleep(ms, own ? AbortSignal.any([own, signal]) : signal);
      },
      setTimer: (ms, run) => clock.setTimer(ms, () => signal.aborted || run()),
    },
  };
}

const resourceAndQuery = ({ path }: TransportRequest): [string, string] => {
  const [resource = '', query = ''] = path.split('?');
  return [resource, query];
};

const isWatch = (request: TransportRequest): boolean =>
  request.method === 'GET' && /(^|&)watch=(1|true)/.test(resourceAndQuery(request)[1]);

const isStep = (request: TransportRequest): boolean =>
  !isWatch(request) && !/\/events(\/[^/]+)?$/.test(resourceAndQuery(request)[0]);
