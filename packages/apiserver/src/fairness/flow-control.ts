/**
 * Fair queueing of requests in the manner of Kubernetes' API Priority and Fairness: nobody, however greedy, keeps others waiting.
 *
 * A request is classified by the flow schemas, takes seats of its priority level (one; a list one for every hundred objects, at most ten),
 * and may have to wait for them; then it runs and gives them back when its answer is made (a long list: when it has been sent). Exempt
 * levels never wait. Watches hold a seat until they have begun; other streams (exec, logs, proxies) take none. Refusals are 429 with
 * `Retry-After`, and come a second late (upstream's come at once): one thread that answers is not to be kept busy with refusals. All follows the FlowSchema and PriorityLevelConfiguration objects as they are.
 *
 * The number of seats fits one process with one thread that answers: enough that a commit of the store has many writers to gather, few
 * enough that the event loop does not become the queue. Waiting is bounded by a quarter of the request's time (upstream's rule).
 */
import { type Clock, type flowcontrolv1, type Metrics, StatusError, type UserInfo } from '@orbitkit/core';
import type { ApiRequest } from '../http/exchange.js';
import type { RequestInfo } from '../http/request-info.js';
import type { WatchCache } from '../registry/watch-cache.js';
import { bootstrapLevels, bootstrapSchemas } from './bootstrap-configuration.js';
import { type FlowMetrics, type FlowSeries, flowMetrics } from './flow-metrics.js';
import { distinguisherOf, FlowSchemas, type Schema } from './flow-schemas.js';
import { type Held, type LevelSettings, PriorityLevel, type Refusal, Seats } from './priority-level.js';
import { flowHash } from './shuffle-sharding.js';

export interface FlowControlOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Seats of all priority levels together. Default 128. */
  readonly seats?: number | undefined;
  /** Longest wait for a seat. Default 15 s. */
  readonly waitLimitMs?: number | undefined;
  /** How many objects a list (or the start of a watch) has to go through. Default: unknown, which counts as few. */
  readonly objectsOf?: (info: RequestInfo, request: ApiRequest) => number;
}

/** A request that was let in. */
export interface Admission {
  /** The answer is made. Twice is harmless. */
  end(): void;
  readonly schemaUid: string;
  readonly levelUid: string;
}

export interface FlowControl {
  /** A promise only when the request has to wait. @throws StatusError TooManyRequests */
  admit(request: ApiRequest, info: RequestInfo, user: UserInfo): Admission | Promise<Admission>;
  /** From now on the configuration is what the cache has. */
  follow(cache: WatchCache): void;
}

const flowcontrolGroup = 'flowcontrol.apiserver.k8s.io';
const objectsPerSeat = 100;
const maxSeats = 10;
/** How long a refusal is held back, and for how many requests. */
const refusalMs = 1_000;
const mostHesitating = 10_000;
const unlimitedStreams = new Set(['exec', 'attach', 'portforward', 'proxy', 'log']);

interface Flow {
  readonly schema: Schema;
  readonly level: PriorityLevel;
  readonly series: FlowSeries;
}

export function flowControl(options: FlowControlOptions): FlowControl {
  const { clock, waitLimitMs = 15_000, objectsOf = () => 0 } = options;
  const counters: FlowMetrics = flowMetrics(options.metrics);
  const seats = new Seats(options.seats ?? 128);
  const levels = new Map<string, PriorityLevel>();
  const flows = new Map<string, Flow>();
  let schemas: FlowSchemas;

  /** By name; before the cache has them, what a cluster has from the start. */
  const levelSpecs = new Map<string, { uid: string; spec: flowcontrolv1.PriorityLevelConfigurationSpec }>();
  const schemaSpecs = new Map<string, { uid: string; spec: flowcontrolv1.FlowSchemaSpec }>();
  let stale = true;
  /** Requests whose refusal is held back. */
  let hesitating = 0;

  function configure(): void {
    stale = false;
    const specs = new Map(bootstrapLevels.map(({ name, spec }) => [name, { uid: '', spec }]));
    for (const [name, level] of levelSpecs) specs.set(name, level);
    for (const [name, { uid, spec }] of specs) {
      const settings = settingsOf(name, uid, spec);
      const level = levels.get(name);
      if (level === undefined) levels.set(name, new PriorityLevel(settings, seats));
      else level.configure(settings);
    }
    // A level that is gone serves out who waits in it.
    for (const [name, level] of levels) if (!specs.has(name) && level.waiting === 0) levels.delete(name);
    seats.divide([...levels.values()]);
    for (const level of levels.values()) counters.limits(level.settings.name, level.nominal);
    const mandatory = bootstrapSchemas.filter(schema => schemaSpecs.size === 0 || schema.mandatory);
    const all = new Map(mandatory.map(({ name, spec }) => [name, { name, uid: '', spec }]));
    for (const [name, { uid, spec }] of schemaSpecs) all.set(name, { name, uid, spec });
    schemas = new FlowSchemas(all.values());
    flows.clear();
  }

  function flowOf(user: UserInfo, info: RequestInfo): Flow {
    if (stale) configure();
    const schema = schemas.match(user, info) ?? {
      name: 'catch-all',
      uid: '',
      level: 'catch-all',
      by: 'ByUser' as const,
    };
    let flow = flows.get(schema.name);
    if (flow === undefined) {
      // A schema without its level falls to the catch-all.
      const level = levels.get(schema.level) ?? levels.get('catch-all')!;
      flow = { schema, level, series: counters.of(level.settings.name, schema.name) };
      flows.set(schema.name, flow);
    }
    return flow;
  }

  function weightOf(request: ApiRequest, info: RequestInfo): number {
    if (info.verb !== 'list' && info.verb !== 'watch' && info.verb !== 'deletecollection') return 1;
    return Math.min(maxSeats, Math.ceil(objectsOf(info, request) / objectsPerSeat));
  }

  function admission({ schema, level, series }: Flow, held: Held | undefined): Admission {
    const startedAt = performance.now();
    const taken = held?.seats ?? 1;
    series.began(taken);
    let open = true;
    return {
      schemaUid: schema.uid,
      levelUid: level.settings.uid,
      end() {
        if (!open) return;
        open = false;
        const seconds = (performance.now() - startedAt) / 1_000;
        series.ended(taken, seconds);
        if (held === undefined) return;
        level.end(held, seconds);
        // What this level gives back may also be lent.
        level.dispatch();
        for (const other of levels.values()) if (other.waiting > 0) other.dispatch();
      },
    };
  }

  function wait(flow: Flow, request: ApiRequest, hash: number, wanted: number): Promise<Admission> {
    const { level, series } = flow;
    const { signal } = request;
    const began = performance.now();
    return new Promise((resolve, reject) => {
      const settle = () => {
        timer.cancel();
        signal.removeEventListener('abort', onAbort);
        series.waited((performance.now() - began) / 1_000);
      };
      const refuse = (reason: Refusal) => {
        series.refused(reason);
        reject(tooManyRequests(reason));
      };
      const waiter = level.enqueue(hash, wanted, held => {
        settle();
        series.left();
        resolve(admission(flow, held));
      });
      if (typeof waiter === 'string') return hesitate(waiter, refuse);
      series.entered();
      const giveUp = (reason: Refusal) => {
        settle();
        series.left();
        level.leave(waiter);
        refuse(reason);
      };
      const onAbort = () => giveUp('cancelled');
      const timer = clock.setTimer(waitLimitMs, () => giveUp('time-out'));
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      level.dispatch();

      /** A refusal comes after a while: who does not heed it asks again at once, and answering that is all the server would do. */
      function hesitate(reason: Refusal, then: (reason: Refusal) => void): void {
        if (hesitating >= mostHesitating || signal.aborted) {
          then(reason);
          return;
        }
        hesitating++;
        const end = () => {
          hesitating--;
          pause.cancel();
          signal.removeEventListener('abort', end);
          then(reason);
        };
        const pause = clock.setTimer(refusalMs, end);
        signal.addEventListener('abort', end, { once: true });
      }
    });
  }

  return {
    admit(request, info, user) {
      const flow = flowOf(user, info);
      const { level } = flow;
      if (level.settings.exempt || (info.subresource !== undefined && unlimitedStreams.has(info.subresource)))
        return admission(flow, undefined);
      const wanted = level.weigh(weightOf(request, info));
      const held = level.take(wanted);
      if (held !== undefined) {
        flow.series.waited(0);
        return admission(flow, held);
      }
      return wait(flow, request, flowHash(`${flow.schema.name}\n${distinguisherOf(flow.schema, user, info)}`), wanted);
    },

    follow(cache) {
      const into = <Spec>(specs: Map<string, { uid: string; spec: Spec }>) => ({
        changed(path: string, object: { object(): object } | undefined) {
          stale = true;
          if (object === undefined) return void specs.delete(path);
          const { metadata, spec } = object.object() as { metadata: { uid?: string }; spec: Spec };
          specs.set(path, { uid: metadata.uid ?? '', spec });
        },
        reset() {
          stale = true;
          specs.clear();
        },
      });
      cache.observe(`${flowcontrolGroup}/prioritylevelconfigurations`, into(levelSpecs));
      cache.observe(`${flowcontrolGroup}/flowschemas`, into(schemaSpecs));
    },
  };
}

function settingsOf(
  name: string,
  uid: string,
  { type, limited, exempt }: flowcontrolv1.PriorityLevelConfigurationSpec,
): LevelSettings {
  const queuing = limited?.limitResponse?.type === 'Queue' ? limited.limitResponse.queuing : undefined;
  const own = type === 'Exempt' ? exempt : limited;
  return {
    name,
    uid,
    exempt: type === 'Exempt',
    shares: own?.nominalConcurrencyShares ?? (type === 'Exempt' ? 0 : 30),
    lendablePercent: own?.lendablePercent ?? 0,
    borrowingLimitPercent: limited?.borrowingLimitPercent,
    queuing: queuing && {
      queues: Math.max(1, queuing.queues ?? 64),
      handSize: queuing.handSize ?? 8,
      queueLengthLimit: queuing.queueLengthLimit ?? 50,
    },
  };
}

const reasons: Readonly<Record<Refusal, string>> = {
  'queue-full': 'too many requests of this user are waiting already',
  'concurrency-limit': 'the server is busy with other requests of this priority',
  'time-out': 'no seat became free in time',
  cancelled: 'the client went away',
};

const tooManyRequests = (reason: Refusal): StatusError =>
  new StatusError('TooManyRequests', `too many requests, please try again later: ${reasons[reason]}`, {
    details: { retryAfterSeconds: 1 },
  });
