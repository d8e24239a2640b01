/**
 * Scales what has a scale (Deployments, ReplicaSets, StatefulSets, custom resources) to what its metrics ask for.
 *
 * Every `syncPeriodMs` an autoscaler reads its target's scale, asks the metrics, decides (desired-replicas, which is pure), writes the scale and
 * says in its status what it saw and did. The scale is written with the version that was read: who changed it in between is not overrun.
 *
 * Not promised: that the history for stabilisation outlives the process. One that starts anew takes the present size for its first
 * recommendation, so that nothing is scaled down before a whole window has passed.
 *
 * Source of the rules, reasons and constants: kube-controller-manager `pkg/controller/podautoscaler` (1.33).
 */
import {
  type Client,
  formatTime,
  HorizontalPodAutoscaler,
  isNotFound,
  type Json,
  jsonEqual,
  type KubeObject,
  type ParsedLabelSelector,
  Pod,
  parseLabelSelector,
  type ResourceRef,
  type Scale,
  setCondition,
} from '@orbitkit/core';
import { mutableCopy } from '@orbitkit/informer';
import type { Controller } from '../../controller.js';
import { controller, type ReconcileKeyRequest } from '../../controller-builder.js';
import type { PodView } from '../../pods/pod-state.js';
import type { Predicate } from '../../predicates.js';
import type { ReconcileResult } from '../../reconcile-loop.js';
import { messageOf } from '../../refusals.js';
import { apiMetrics } from './api-metrics.js';
import type { AutoscalerMetrics } from './autoscaler-metrics.js';
import { type AutoscalerDecision, asksMetrics, desiredReplicas, type SelectorProblem } from './desired-replicas.js';
import type { MetricReading, MetricSpec } from './metric-proposal.js';
import { type FindKind, kindFinder } from './scale-kinds.js';
import { type Pace, remembered, type ScalingMemory } from './scaling-rules.js';

/** Everything has upstream's default; times are in milliseconds. */
export interface HorizontalPodAutoscalersOptions {
  /** Autoscalers looked at at the same time. Default 5 (`--concurrent-horizontal-pod-autoscaler-syncs`). */
  concurrency?: number;
  /** How often each is looked at. Default 15 s (`--horizontal-pod-autoscaler-sync-period`). */
  syncPeriodMs?: number;
  /** Share of the target within which nothing changes. Default 0.1 (`--horizontal-pod-autoscaler-tolerance`). */
  tolerance?: number;
  /** Default 5 min (`--horizontal-pod-autoscaler-downscale-stabilization`); `behavior.scaleDown` says otherwise. */
  downscaleStabilizationMs?: number;
  /** Default 5 min (`--horizontal-pod-autoscaler-cpu-initialization-period`). */
  cpuInitializationMs?: number;
  /** Default 30 s (`--horizontal-pod-autoscaler-initial-readiness-delay`). */
  initialReadinessMs?: number;
  /** How far one step may go. Default: upstream's policies; `sinceLastScale` is another. */
  pace?: Pace;
  /** Where measures come from. Default: the metrics APIs of the API server, {@link apiMetrics}. */
  metrics?: (client: Client) => AutoscalerMetrics;
}

const name = 'horizontal-pod-autoscaler-controller';

/** The controller of HorizontalPodAutoscalers. */
export function horizontalPodAutoscalers(options: HorizontalPodAutoscalersOptions = {}): Controller {
  const { concurrency = 5 } = options;
  return {
    name,
    run(context) {
      // A run starts without history.
      const findKind = kindFinder(context.client);
      const metrics = (options.metrics ?? (client => apiMetrics(client, findKind)))(context.client);
      const scaler = new Autoscaler(options, metrics, findKind);
      return controller(HorizontalPodAutoscaler)
        .named(name)
        .concurrency(concurrency)
        .predicate(specChanged)
        .reads(Pod)
        .reconcileKey(request => scaler.reconcile(request))
        .run(context);
    },
  };
}

/** Autoscalers have no generation, and their status changes with each look. */
const specChanged: Predicate<HorizontalPodAutoscaler> = change =>
  change.type !== 'update' ||
  !jsonEqual(change.previous.spec as unknown as Json, change.object.spec as unknown as Json);

/** What goes wrong with the target itself: said in the status, and looked at again after the period. */
class TargetProblem extends Error {
  constructor(
    readonly reason: 'FailedGetScale' | 'FailedUpdateScale',
    message: string,
  ) {
    super(message);
  }
}

interface Remembered {
  uid: string;
  selector?: ParsedLabelSelector;
  memory?: ScalingMemory;
}

class Autoscaler {
  /** By key. */
  readonly #known = new Map<string, Remembered>();

  constructor(
    private readonly options: HorizontalPodAutoscalersOptions,
    private readonly metrics: AutoscalerMetrics,
    private readonly findKind: FindKind,
  ) {}

  async reconcile(request: ReconcileKeyRequest): Promise<ReconcileResult> {
    const { key, read, log } = request;
    const cached = read(HorizontalPodAutoscaler).get(key);
    if (!cached || cached.metadata.deletionTimestamp) {
      this.#known.delete(key);
      return undefined;
    }
    const autoscaler = mutableCopy<HorizontalPodAutoscaler>(cached);
    const { uid } = autoscaler.metadata;
    const known = this.#known.get(key)?.uid === uid ? this.#known.get(key)! : { uid };
    this.#known.set(key, known);
    const before = JSON.stringify(autoscaler.status ?? {});
    let failure: unknown;
    try {
      await this.#scale(request, autoscaler, known);
    } catch (error) {
      failure = error;
    }
    if (failure === undefined || failure instanceof TargetProblem) {
      const { generation } = autoscaler.metadata;
      if (generation !== undefined) autoscaler.status.observedGeneration = generation;
      if (JSON.stringify(autoscaler.status) !== before) await this.#writeStatus(request, autoscaler);
      if (failure) log.debug('an autoscaler cannot reach its target', { error: failure });
      return { requeueAfter: this.options.syncPeriodMs ?? 15_000 };
    }
    throw failure;
  }

  async #writeStatus({ client, key }: ReconcileKeyRequest, autoscaler: HorizontalPodAutoscaler): Promise<void> {
    try {
      await client.updateStatus(HorizontalPodAutoscaler, autoscaler);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#known.delete(key);
    }
  }

  async #scale(request: ReconcileKeyRequest, autoscaler: HorizontalPodAutoscaler, known: Remembered): Promise<void> {
    const { client, clock, events, log } = request;
    const { spec } = autoscaler;
    autoscaler.status ??= { desiredReplicas: 0 };
    const { status } = autoscaler;
    const unable = (reason: TargetProblem['reason'], what: string, said: string) => {
      const message = `the HPA controller was unable to ${what}: ${said}`;
      const condition = { type: 'AbleToScale', status: 'False', reason, message };
      status.conditions = setCondition(status.conditions, condition, clock.now());
      return new TargetProblem(reason, message);
    };

    let kind: ResourceRef<KubeObject>;
    let scale: Scale;
    const key = { name: spec.scaleTargetRef.name, namespace: autoscaler.metadata.namespace };
    try {
      kind = await this.findKind(spec.scaleTargetRef);
      scale = await client.getSubresource<Scale>(kind, key, 'scale');
    } catch (error) {
      if (request.signal.aborted) throw error;
      events.event(autoscaler, 'Warning', 'FailedGetScale', messageOf(error));
      throw unable('FailedGetScale', "get the target's current scale", messageOf(error));
    }
    const current = scale.spec?.replicas ?? 0;
    const now = clock.now();
    const decision = await this.#decide(request, autoscaler, known, scale);
    known.memory = decision.memory;
    status.conditions = decision.conditions;
    for (const { reason, message } of decision.warnings) events.event(autoscaler, 'Warning', reason, message);
    const seen = () => {
      status.currentReplicas = current;
      if (decision.currentMetrics) status.currentMetrics = decision.currentMetrics;
      else delete status.currentMetrics;
    };
    if (decision.failure !== undefined) log.debug('a metric could not be computed', { error: decision.failure });

    if (decision.replicas !== current) {
      const { replicas, reason } = decision;
      try {
        await client.updateSubresource(kind, key, 'scale', { ...scale, spec: { ...scale.spec, replicas } });
      } catch (error) {
        if (request.signal.aborted) throw error;
        const said = messageOf(error);
        const text = `New size: ${replicas}; reason: ${reason}; error: ${said}`;
        events.event(autoscaler, 'Warning', 'FailedRescale', text);
        seen();
        throw unable('FailedUpdateScale', 'update the target scale', said);
      }
      const done = `the HPA controller was able to update the target scale to ${replicas}`;
      const condition = { type: 'AbleToScale', status: 'True', reason: 'SucceededRescale', message: done };
      status.conditions = setCondition(status.conditions, condition, now);
      events.event(autoscaler, 'Normal', 'SuccessfulRescale', `New size: ${replicas}; reason: ${reason}`);
      log.info('rescaled', { target: `${kind.kind}/${key.name}`, from: current, to: replicas, reason });
      known.memory = remembered(decision.memory, spec.behavior, current, replicas, clock.now());
      status.lastScaleTime = formatTime(clock.now());
    }
    seen();
    if (decision.decided) status.desiredReplicas = decision.replicas;
  }

  async #decide(
    { read, clock, key }: ReconcileKeyRequest,
    { spec, status, metadata }: HorizontalPodAutoscaler,
    known: Remembered,
    scale: Scale,
  ): Promise<AutoscalerDecision> {
    const replicas = scale.spec?.replicas ?? 0;
    const text = scale.status?.selector ?? '';
    let pods: readonly PodView[] = [];
    let readings: readonly MetricReading[] | SelectorProblem = [];
    if (asksMetrics(spec, replicas)) {
      const selected = this.#select(key, known, text, read(Pod).list(metadata.namespace));
      if ('reason' in selected) readings = selected;
      else {
        pods = selected;
        const metrics = spec.metrics ?? [];
        readings = await Promise.all(metrics.map(metric => this.#read(metric, metadata.namespace, text)));
      }
    }
    const { tolerance, downscaleStabilizationMs, cpuInitializationMs, initialReadinessMs, pace } = this.options;
    return desiredReplicas({
      spec,
      conditions: status.conditions,
      replicas,
      observed: scale.status?.replicas ?? 0,
      pods,
      readings,
      memory: known.memory,
      now: clock.now(),
      tolerance: tolerance ?? 0.1,
      downscaleStabilizationMs: downscaleStabilizationMs ?? 300_000,
      cpuInitializationMs: cpuInitializationMs ?? 300_000,
      initialReadinessMs: initialReadinessMs ?? 30_000,
      pace,
    });
  }

  /** The pods of the target. Two autoscalers over one pod would fight, so both refuse. */
  #select(key: string, known: Remembered, text: string, all: readonly PodView[]): readonly PodView[] | SelectorProblem {
    delete known.selector;
    if (text === '') {
      return { reason: 'InvalidSelector', message: "the HPA target's scale is missing a selector" };
    }
    let selector: ParsedLabelSelector;
    try {
      selector = parseLabelSelector(text);
    } catch (error) {
      const message = `couldn't convert selector into a corresponding internal selector object: ${messageOf(error)}`;
      return { reason: 'InvalidSelector', message };
    }
    known.selector = selector;
    const pods = all.filter(pod => selector.matches(pod.metadata.labels));
    const namespace = key.slice(0, key.indexOf('/') + 1);
    const rivals = [...this.#known]
      .filter(([other]) => other !== key && other.startsWith(namespace))
      .filter(([, each]) => each.selector && pods.some(pod => each.selector!.matches(pod.metadata.labels)))
      .map(([other]) => other);
    if (rivals.length === 0) return pods;
    const message = `pods by selector ${text} are controlled by multiple HPAs: [${[key, ...rivals].sort().join(' ')}]`;
    return { reason: 'AmbiguousSelector', message };
  }

  async #read(metric: MetricSpec, namespace: string, selector: string): Promise<MetricReading> {
    const { metrics } = this;
    try {
      switch (metric.type) {
        case 'Resource':
          return { measures: await metrics.resource({ namespace, selector, resource: metric.resource!.name }) };
        case 'ContainerResource': {
          const { name: resource, container } = metric.containerResource!;
          return { measures: await metrics.resource({ namespace, selector, resource, container }) };
        }
        case 'Pods':
          return { measures: await metrics.pods({ namespace, selector, metric: metric.pods!.metric }) };
        case 'Object':
          return { value: await metrics.object({ namespace, ...metric.object! }) };
        case 'External': {
          const values = await metrics.external({ namespace, metric: metric.external!.metric });
          return { value: values.reduce((sum, value) => sum + value, 0) };
        }
        default:
          throw new Error(`unknown metric source type "${metric.type}"`);
      }
    } catch (error) {
      const { name: named } = metric.resource ?? metric.containerResource ?? { name: undefined };
      const what = named === undefined ? 'metric' : `metrics for resource ${named}`;
      return { error: new Error(`unable to get ${what}: ${messageOf(error)}`, { cause: error }) };
    }
  }
}
