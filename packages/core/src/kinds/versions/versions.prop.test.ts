import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  AutoscalingV1HorizontalPodAutoscaler as AutoscalerV1,
  Event,
  EventsV1Event,
  HorizontalPodAutoscaler,
} from '../generated/kinds.js';

const copy = (value: any): any => JSON.parse(JSON.stringify(value));

const amount = fc.constantFrom('1', '500m', '2Gi', '10');
const count = fc.integer({ min: 1, max: 100 });
const selector = fc.option(fc.constant({ matchLabels: { a: 'b' } }), { nil: undefined });
const identifier = fc.record({ name: fc.constantFrom('qps', 'depth'), selector });
const reference = fc.record({ kind: fc.constant('Service'), name: fc.constantFrom('a', 'b') });
const share = fc.oneof(
  fc.record({ type: fc.constant('Utilization'), averageUtilization: count }),
  fc.record({ type: fc.constant('AverageValue'), averageValue: amount }),
);
const value = fc.oneof(
  fc.record({ type: fc.constant('Value'), value: amount }),
  fc.record({ type: fc.constant('AverageValue'), averageValue: amount }),
);
const metric = fc.oneof(
  fc.record({
    type: fc.constant('Resource'),
    resource: fc.record({ name: fc.constantFrom('cpu', 'memory'), target: share }),
  }),
  fc.record({
    type: fc.constant('ContainerResource'),
    containerResource: fc.record({ name: fc.constant('cpu'), container: fc.constant('c'), target: share }),
  }),
  fc.record({
    type: fc.constant('Pods'),
    pods: fc.record({
      metric: identifier,
      target: fc.record({ type: fc.constant('AverageValue'), averageValue: amount }),
    }),
  }),
  fc.record({
    type: fc.constant('Object'),
    object: fc.record({ describedObject: reference, metric: identifier, target: value }),
  }),
  fc.record({ type: fc.constant('External'), external: fc.record({ metric: identifier, target: value }) }),
);
const current = fc.record(
  { value: amount, averageValue: amount, averageUtilization: count },
  { requiredKeys: ['averageValue'] },
);
const metricStatus = fc.oneof(
  fc.record({
    type: fc.constant('Resource'),
    resource: fc.record({ name: fc.constantFrom('cpu', 'memory'), current }),
  }),
  fc.record({ type: fc.constant('Pods'), pods: fc.record({ metric: identifier, current }) }),
  fc.record({
    type: fc.constant('Object'),
    object: fc.record({ describedObject: reference, metric: identifier, current }),
  }),
);
const scaling = fc.record(
  {
    stabilizationWindowSeconds: count,
    selectPolicy: fc.constantFrom('Max', 'Min', 'Disabled'),
    policies: fc.array(fc.record({ type: fc.constantFrom('Pods', 'Percent'), value: count, periodSeconds: count }), {
      minLength: 1,
      maxLength: 2,
    }),
    tolerance: fc.constant('100m'),
  },
  { requiredKeys: [] },
);
const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const autoscaler = fc
  .record({
    annotations: optional(fc.constant({ mine: 'yes' })),
    metrics: optional(fc.array(metric, { minLength: 1, maxLength: 4 })),
    behavior: optional(fc.record({ scaleUp: scaling, scaleDown: scaling }, { requiredKeys: [] })),
    currentMetrics: optional(fc.array(metricStatus, { minLength: 1, maxLength: 3 })),
    conditions: optional(
      fc.constant([{ type: 'AbleToScale', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }]),
    ),
  })
  .map(({ annotations, metrics, behavior, currentMetrics, conditions }) =>
    copy({
      kind: 'HorizontalPodAutoscaler',
      apiVersion: 'autoscaling/v2',
      metadata: { name: 'x', namespace: 'default', annotations },
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, minReplicas: 1, maxReplicas: 5, metrics, behavior },
      status: { currentReplicas: 1, desiredReplicas: 2, currentMetrics, conditions },
    }),
  );

test('an autoscaler of v2 comes through v1 unharmed', () => {
  fc.assert(
    fc.property(autoscaler, stored => {
      const before = copy(stored);
      const seen = AutoscalerV1.storage!.fromStorage(stored);
      expect(stored).toEqual(before);
      expect(AutoscalerV1.decode(copy(seen)).unknownFields).toEqual([]);
      const back = copy(AutoscalerV1.storage!.toStorage(AutoscalerV1.decode(copy(seen)).object));
      // Decoding fills in what Go always writes.
      expect(HorizontalPodAutoscaler.decode(back).object).toEqual(HorizontalPodAutoscaler.decode(before).object);
    }),
    { numRuns: 300 },
  );
});

const text = fc.constantFrom('a', 'some text');
const event = fc
  .record({
    reason: optional(text),
    message: optional(text),
    count: optional(count),
    type: fc.constantFrom('Normal', 'Warning'),
    source: optional(fc.record({ component: text })),
    firstTimestamp: optional(fc.constant('2026-01-01T00:00:00Z')),
    eventTime: optional(fc.constant('2026-01-01T00:00:00.000001Z')),
    reportingComponent: text,
    reportingInstance: text,
    series: optional(fc.record({ count, lastObservedTime: fc.constant('2026-01-01T00:00:00.000001Z') })),
  })
  .map(more =>
    copy({
      kind: 'Event',
      apiVersion: 'v1',
      metadata: { name: 'x', namespace: 'default' },
      involvedObject: { kind: 'Pod', name: 'p' },
      ...more,
    }),
  );

test('an event of the core group comes through events.k8s.io unharmed', () => {
  fc.assert(
    fc.property(event, stored => {
      const seen = EventsV1Event.storage!.fromStorage(stored);
      const { object, unknownFields } = EventsV1Event.decode(copy(seen));
      expect(unknownFields).toEqual([]);
      const back = copy(EventsV1Event.storage!.toStorage(object));
      expect(Event.decode(back).object).toEqual(Event.decode(copy(stored)).object);
    }),
    { numRuns: 200 },
  );
});
