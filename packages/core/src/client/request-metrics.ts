/**
 * Counts and times the requests of a transport under client-go's names:
 *
 * - `rest_client_requests_total{code,method,host}`; the code is `<error>` where no answer came.
 * - `rest_client_request_duration_seconds{verb,host}`: from the request to the head of its answer. As in client-go, watches and other streams are
 *   counted and not timed.
 *
 * A request costs two look-ups. Source of names, labels and buckets: client-go `tools/metrics`, k8s.io/component-base `metrics/prometheus/restclient`.
 */
import { type Clock, systemClock } from '../clock/clock.js';
import type { Metrics } from '../component/metrics.js';
import type { Transport } from './transport.js';

const buckets = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

/** Where the figures go, and under which host. */
export interface MeasuredTransportOptions {
  metrics: Metrics;
  /** The label `host`: `127.0.0.1:6443`. */
  host: string;
  clock?: Clock;
}

/** The transport, measured. `httpTransport` and `kubeconfigTransport` do it themselves when they are given `metrics`. */
export function measuredTransport(transport: Transport, options: MeasuredTransportOptions): Transport {
  const { metrics, host, clock = systemClock } = options;
  const total = metrics.counter(
    'rest_client_requests_total',
    'Number of HTTP requests, partitioned by status code, method, and host.',
    ['code', 'method', 'host'],
  );
  const seconds = metrics.histogram(
    'rest_client_request_duration_seconds',
    'Request latency in seconds. Broken down by verb, and host.',
    ['verb', 'host'],
    buckets,
  );
  const counter = kept((key: string) => {
    const [method = '', code = ''] = key.split(' ');
    return total.series({ code, method, host });
  });
  const timer = kept((verb: string) => seconds.series({ verb, host }));
  return {
    async request(request) {
      const { method, stream } = request;
      const began = clock.now();
      let code = '<error>';
      try {
        const answer = await transport.request(request);
        code = `${answer.status}`;
        return answer;
      } finally {
        counter(`${method} ${code}`).inc();
        if (!stream) timer(method).observe((clock.now() - began) / 1000);
      }
    },
    connect: (path, options) => transport.connect(path, options),
    close: () => transport.close(),
  };
}

/** What `make` made of a key, made once. */
function kept<T>(make: (key: string) => T): (key: string) => T {
  const known = new Map<string, T>();
  return key => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = make(key);
    known.set(key, made);
    return made;
  };
}
