/** What `/healthz`, `/livez` and `/readyz` look at, under kube-apiserver's names where it has them. */
import type { HealthEndpoint } from '../http/health.js';

/** @param ready Whether the cache follows the store and the system's objects exist. @param stopping Aborted when the server stops. */
export function healthEndpoints(ready: () => boolean, stopping: AbortSignal): HealthEndpoint[] {
  const ping = { name: 'ping', check: () => undefined };
  const cache = {
    name: 'watch-cache',
    check: () =>
      ready() ? undefined : 'the watch cache does not follow the store, or the objects of the system are missing',
  };
  const shutdown = { name: 'shutdown', check: () => (stopping.aborted ? 'the server is stopping' : undefined) };
  return [
    { name: 'healthz', checks: [ping, cache] },
    { name: 'livez', checks: [ping] },
    { name: 'readyz', checks: [ping, cache, shutdown] },
  ];
}
