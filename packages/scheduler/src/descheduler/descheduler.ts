/**
 * The live descheduler, which nobody has who does not ask for it: from time to time it plans (plan.ts) and asks the API to evict what should move, one by one.
 *
 * It deletes nothing itself: the Eviction subresource keeps disruption budgets, and a pod that a budget holds stays until a later round. Whoever owns the pods
 * makes them anew, and the scheduler places them. Bound by uid: a pod made anew under its name is not evicted in the other's place.
 */
import { type Component, eventRecorder, isConflict, isNotFound, isStatusError, Pod } from '@orbitkit/core';
import { watchCluster } from '../live/cluster-watch.js';
import { atLeast } from '../option-checks.js';
import { ClusterState } from '../snapshot/cluster-state.js';
import { type PlannedEviction, type PlanOptions, planEvictions } from './plan.js';

/** How often it plans, and within which limits. */
export interface DeschedulerOptions extends Omit<PlanOptions, 'now'> {
  /** Between the end of a round and the next. Default 5 minutes, the upstream chart's. */
  intervalMs?: number;
  /** Plan and log only. Default false. */
  dryRun?: boolean;
  /** Name of the component. Default `descheduler`. */
  name?: string;
}

/** A component that also tells what it planned. */
export interface DeschedulerComponent extends Component {
  /** What the last round planned; undefined before the first. */
  readonly lastPlan: readonly PlannedEviction[] | undefined;
}

/** @throws Error that names the option: no strategy, a limit below 0, an interval that is not above 0. */
export function descheduler(options: DeschedulerOptions): DeschedulerComponent {
  const { intervalMs = 300_000, dryRun = false, name = 'descheduler', ...rules } = options;
  if (!options.strategies?.length) throw new Error('strategies: give at least one');
  options.strategies.forEach((each, i) => {
    if (typeof each?.plan !== 'function')
      throw new Error(`strategies[${i}]: no strategy; give what lowNodeUtilization() and the like return`);
  });
  for (const limit of ['maxEvictions', 'maxEvictionsPerNode', 'maxEvictionsPerNamespace'] as const)
    atLeast(limit, options[limit], 0);
  if (!(intervalMs > 0)) throw new Error(`intervalMs: ${intervalMs} is not above 0`);
  let lastPlan: readonly PlannedEviction[] | undefined;
  return {
    name,
    get lastPlan() {
      return lastPlan;
    },
    async run(context) {
      const { client, clock, log, metrics, signal } = context;
      const state = new ClusterState();
      const nothing = (): void => {};
      const listener = { pending: nothing, settled: nothing, notice: nothing, joined: nothing, left: nothing };
      const cluster = watchCluster({ client, clock, log, signal, state, listener });
      const recorder = eventRecorder({ client, component: name, clock, signal });
      const evicted = metrics.counter('descheduler_pods_evicted_total', 'Evictions asked for', ['strategy', 'result']);

      async function evict({ pod, node, strategy, reason }: PlannedEviction): Promise<void> {
        const { name: podName, namespace, uid } = pod.metadata;
        const about = { pod: `${namespace}/${podName}`, node, strategy, reason };
        if (dryRun) {
          evicted.inc({ strategy, result: 'dry-run' });
          log.info('would evict', about);
          return;
        }
        try {
          const body = {
            apiVersion: 'policy/v1',
            kind: 'Eviction',
            metadata: { name: podName, namespace },
            deleteOptions: { preconditions: { uid } },
          };
          await client.createSubresource(Pod, pod.metadata, 'eviction', body, { signal });
          evicted.inc({ strategy, result: 'success' });
          log.info('evicted', about);
          recorder.event(pod, 'Normal', 'Descheduled', `pod evicted from ${node} by ${strategy}: ${reason}`);
        } catch (error) {
          // Gone already, or another pod of that name.
          if (signal.aborted || isNotFound(error) || isConflict(error)) return;
          const held = isStatusError(error) && error.code === 429;
          evicted.inc({ strategy, result: held ? 'held' : 'error' });
          log.warn(held ? 'a disruption budget keeps a pod' : 'cannot evict a pod', { ...about, error });
        }
      }

      try {
        await cluster.synced();
        context.ready();
        while (!signal.aborted) {
          lastPlan = planEvictions(state, { ...rules, now: clock.now() });
          for (const each of lastPlan) {
            if (signal.aborted) break;
            await evict(each);
          }
          await clock.sleep(intervalMs, signal);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        await cluster.ended;
        await recorder.flush();
      }
    },
  };
}
