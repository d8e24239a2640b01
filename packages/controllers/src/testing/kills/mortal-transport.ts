/**
 * The API and the clock of a process that may die at any moment: the n-th call or wait is its last. That call never reaches the server, and
 * neither does any later one; what was in flight may have arrived, and its answer is never seen. Watches and events are not counted: they are
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
    transport: {
      async request(request) {
        lives();
        if (isStep(request)) step(`${request.method} ${request.path}`);
        if (signal.aborted) throw gone();
        const both = request.signal ? AbortSignal.any([request.signal, signal]) : signal;
        const response = await inner.request({ ...request, signal: both });
        if (signal.aborted) throw gone();
        return response;
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

function isStep({ method, path }: TransportRequest): boolean {
  const [resource = '', query = ''] = path.split('?');
  if (method === 'GET' && /(^|&)watch=(1|true)/.test(query)) return false;
  return !/\/events(\/[^/]+)?$/.test(resource);
}
