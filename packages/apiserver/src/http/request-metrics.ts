/** Counts of requests under the names that dashboards for kube-apiserver know. */
import type { Metrics } from '@orbitkit/core';
import type { RequestInfo } from './request-info.js';

export interface RequestMetrics {
  /** A stream began; the returned function says that it ended. Calling it twice is harmless. */
  opened(info: RequestInfo): () => void;
  finished(method: string, info: RequestInfo | undefined, code: number, durationMs: number): void;
  /** A counter of the events that go out to one kind of watch. */
  watched(info: RequestInfo): (events: number) => void;
}

function scopeOf(info: RequestInfo): string {
  if (!info.isResource) return '';
  if (info.name !== undefined) return 'resource';
  return info.namespace !== undefined ? 'namespace' : 'cluster';
}

const verbs: Readonly<Record<string, string>> = {
  get: 'GET',
  list: 'LIST',
  watch: 'WATCH',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETECOLLECTION',
  connect: 'CONNECT',
};
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

export function requestMetrics(metrics: Metrics): RequestMetrics {
  const resourceLabels = ['verb', 'group', 'version', 'resource', 'subresource', 'scope'];
  const total = metrics.counter('apiserver_request_total', 'Requests by verb, resource and HTTP code.', [
    ...resourceLabels,
    'code',
  ]);
  const duration = metrics.histogram(
    'apiserver_request_duration_seconds',
    'Seconds until the headers of the answer, streams excepted.',
    resourceLabels,
  );
  const longRunning = metrics.gauge(
    'apiserver_longrunning_requests',
    'Open streams: watches, logs, exec.',
    resourceLabels,
  );
  const watchEvents = metrics.counter('apiserver_watch_events_total', 'Events sent to watchers.', [
    'group',
    'version',
    'resource',
  ]);

  const labelsOf = (info: RequestInfo) => ({
    verb: verbs[info.verb] ?? info.verb.toUpperCase(),
    group: info.group,
    version: info.version,
    resource: info.resource,
    subresource: info.subresource ?? '',
    scope: scopeOf(info),
  });

  /** One kind of request: its series, looked up once. Bounded by what may be a label. */
  interface RequestSeries {
    readonly labels: Record<string, string>;
    readonly seconds: { observe(value: number): void };
    readonly byCode: Map<number, { inc(by?: number): void }>;
  }
  const known = new Map<string, RequestSeries>();
  function seriesOf(key: string, labels: () => Record<string, string>): RequestSeries {
    let series = known.get(key);
    if (series === undefined) {
      const made = labels();
      series = { labels: made, seconds: duration.series(made), byCode: new Map() };
      known.set(key, series);
    }
    return series;
  }
  const keyOf = ({ verb, group, version, resource, subresource, name, namespace, isResource }: RequestInfo) =>
    `${verb} ${group} ${version} ${resource} ${subresource ?? ''} ${isResource}${name !== undefined}${namespace !== undefined}`;
  const watchedBy = new Map<string, (events: number) => void>();

  return {
    opened(info) {
      const labels = labelsOf(info);
      longRunning.inc(labels);
      let open = true;
      return () => {
        if (open) longRunning.dec(labels);
        open = false;
      };
    },
    finished(method, info, code, durationMs) {
      const series = info
        ? seriesOf(keyOf(info), () => labelsOf(info))
        : seriesOf(methods.has(method) ? method : 'OTHER', () => ({
            verb: methods.has(method) ? method : 'OTHER',
            group: '',
            version: '',
            resource: '',
            subresource: '',
            scope: '',
          }));
      let count = series.byCode.get(code);
      if (count === undefined) {
        count = total.series({ ...series.labels, code: String(code) });
        series.byCode.set(code, count);
      }
      count.inc();
      if (info === undefined || (info.verb !== 'watch' && code !== 101)) series.seconds.observe(durationMs / 1000);
    },
    watched(info) {
      const key = `${info.group} ${info.version} ${info.resource}`;
      let count = watchedBy.get(key);
      if (count === undefined) {
        const series = watchEvents.series({ group: info.group, version: info.version, resource: info.resource });
        count = events => series.inc(events);
        watchedBy.set(key, count);
      }
      return count;
    },
  };
}
