/**
 * Where an autoscaler's measures come from: a plain interface, so that a composer can put its own beside, or in the place of, the metrics APIs.
 *
 * All amounts are in thousandths of the metric's unit (`250` is `250m` of a core, `1000` is one byte or one request), as upstream's
 * `MilliValue`; sums of bytes stay exact up to 9 TB. A method throws when it has no answer, and the message ends up in the autoscaler's
 * condition. Source of the rules: kube-controller-manager `podautoscaler/metrics/client.go` (1.33).
 */
import type { autoscalingv2 } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

/** What one pod uses. */
export interface PodMeasure {
  readonly milli: number;
  /** When it was measured, in milliseconds since 1970. */
  readonly at: number;
  /** The time before `at` of which it is the mean. */
  readonly windowMs: number;
}

/** By the pod's name. A pod of which nothing is known is not there. */
export type PodMeasures = ReadonlyMap<string, PodMeasure>;
/** A metric's name, with the labels that its series must have. */
export type MetricIdentifier = DeepReadonly<autoscalingv2.MetricIdentifier>;

/** What an autoscaler asks. Every method rejects when there is no answer; the message is shown to people. */
export interface AutoscalerMetrics {
  /** What pods use of a resource: the sum of their containers, or of the one named. `selector`: `app=web`. */
  resource(request: {
    namespace: string;
    selector: string;
    resource: string;
    container?: string | undefined;
  }): Promise<PodMeasures>;
  /** A metric that each pod has. */
  pods(request: { namespace: string; selector: string; metric: MetricIdentifier }): Promise<PodMeasures>;
  /** A metric of one object, in thousandths. */
  object(request: {
    namespace: string;
    describedObject: DeepReadonly<autoscalingv2.CrossVersionObjectReference>;
    metric: MetricIdentifier;
  }): Promise<number>;
  /** The values of all series that the selector finds, in thousandths. */
  external(request: { namespace: string; metric: MetricIdentifier }): Promise<readonly number[]>;
}
