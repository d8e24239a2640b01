import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  AutoscalingV1HorizontalPodAutoscaler as AutoscalerV1,
  builtinKinds,
  EventsV1Event,
  HorizontalPodAutoscaler,
} from '../generated/kinds.js';
import { columnsOf } from '../table.js';

const sample = (name: string): any =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../../../testdata/${name}.json`, import.meta.url)), 'utf8'));
const prefix = 'autoscaling.alpha.kubernetes.io/';
const v2 = (spec: object, status: object = {}, annotations?: object): any => ({
  kind: 'HorizontalPodAutoscaler',
  apiVersion: 'autoscaling/v2',
  metadata: { name: 'x', namespace: 'default', ...(annotations ? { annotations } : {}) },
  spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 3, ...spec },
  status: { desiredReplicas: 1, ...status },
});
const cpu = (averageUtilization: number) => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
});
const memory = {
  type: 'Resource',
  resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
};
const { fromStorage, toStorage } = AutoscalerV1.storage!;

test('the kinds that are stored as others, and as which', () => {
  const stored = builtinKinds
    .filter(kind => kind.storage)
    .map(kind => [kind.group, kind.version, kind.storage!.kind.schema.name]);
  expect(stored).toEqual([
    ['events.k8s.io', 'v1', 'core/v1.Event'],
    ['autoscaling', 'v1', 'autoscaling/v2.HorizontalPodAutoscaler'],
  ]);
});

describe('autoscaling/v1', () => {
  test('CPU utilisation has a field of its own; the rest is annotated as Kubernetes does it', () => {
    const behavior = {
      scaleUp: { stabilizationWindowSeconds: 0, policies: [{ type: 'Pods', value: 4, periodSeconds: 15 }] },
    };
    const conditions = [{ type: 'AbleToScale', status: 'True' }];
    const currentMetrics = [
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 12, averageValue: '5m' } } },
    ];
    const made: any = fromStorage(v2({ metrics: [memory, cpu(70)], behavior }, { conditions, currentMetrics }));
    expect(made.apiVersion).toBe('autoscaling/v1');
    expect(made.spec).toEqual({
      scaleTargetRef: { kind: 'Deployment', name: 'd' },
      maxReplicas: 3,
      targetCPUUtilizationPercentage: 70,
    });
    expect(made.status).toEqual({ currentReplicas: 0, desiredReplicas: 1, currentCPUUtilizationPercentage: 12 });
    const annotations = Object.fromEntries(
      Object.entries(made.metadata.annotations).map(([name, text]) => [
        name.slice(prefix.length),
        JSON.parse(text as string),
      ]),
    );
    expect(annotations).toEqual({
      metrics: [{ type: 'Resource', resource: { name: 'memory', targetAverageValue: '1Gi' } }],
      'current-metrics': [
        { type: 'Resource', resource: { name: 'cpu', currentAverageUtilization: 12, currentAverageValue: '5m' } },
      ],
      conditions,
      behavior: {
        ScaleUp: { StabilizationWindowSeconds: 0, Policies: [{ Type: 'Pods', Value: 4, PeriodSeconds: 15 }] },
      },
    });
  });

  test('what a client of v1 changes is changed, and nothing else', () => {
    const stored = v2({ metrics: [cpu(70), memory] });
    const seen: any = fromStorage(stored);
    seen.spec.targetCPUUtilizationPercentage = 50;
    expect((toStorage(seen) as any).spec.metrics).toEqual([cpu(50), memory]);
    const without: any = fromStorage(stored);
    delete without.spec.targetCPUUtilizationPercentage;
    expect((toStorage(without) as any).spec.metrics).toEqual([memory]);
  });

  test('annotations of other servers are read; unreadable ones say nothing', () => {
    const given = (annotations: object): any =>
      toStorage({
        ...v2({ targetCPUUtilizationPercentage: 60 }, {}, annotations),
        apiVersion: 'autoscaling/v1',
      });
    const foreign = given({
      [`${prefix}metrics`]:
        '[{"type":"Object","object":{"target":{"kind":"S","name":"s"},"metricName":"m","targetValue":"0","averageValue":"3"}}]',
      [`${prefix}behavior`]: '{"ScaleUp":null,"ScaleDown":{"SelectPolicy":"Min"}}',
    });
    expect(foreign.metadata.annotations).toBeUndefined();
    expect(foreign.spec.behavior).toEqual({ scaleDown: { selectPolicy: 'Min' } });
    expect(foreign.spec.metrics).toEqual([
      {
        type: 'Object',
        object: {
          describedObject: { kind: 'S', name: 's' },
          metric: { name: 'm' },
          target: { type: 'AverageValue', averageValue: '3' },
        },
      },
      cpu(60),
    ]);
    const broken = given({ [`${prefix}metrics`]: '{"x":1}', [`${prefix}behavior`]: '[', mine: '1' });
    expect(broken.spec.metrics).toEqual([cpu(60)]);
    expect(broken.metadata.annotations).toEqual({ mine: '1' });
  });

  test('parts of an object convert, and nothing is added', () => {
    expect(
      toStorage({ apiVersion: 'autoscaling/v1', kind: 'HorizontalPodAutoscaler', spec: { maxReplicas: 9 } } as any),
    ).toEqual({
      apiVersion: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      spec: { maxReplicas: 9 },
    });
  });

  test('the published sample', () => {
    const { object } = AutoscalerV1.decode(sample('autoscaling.v1.HorizontalPodAutoscaler'));
    const stored: any = toStorage(structuredClone(object));
    expect(HorizontalPodAutoscaler.decode(structuredClone(stored)).unknownFields).toEqual([]);
    const back: any = fromStorage(stored);
    delete back.metadata.annotations[`${prefix}current-metrics`];
    expect(back).toEqual(object);
  });

  test('its table is that of v2', () => {
    const seen: any = fromStorage(v2({ metrics: [memory, cpu(70)], minReplicas: 1 }));
    const cells = Object.fromEntries(columnsOf(AutoscalerV1).map(column => [column.name, column.cell(seen, 0)]));
    expect(cells).toMatchObject({
      Reference: 'Deployment/d',
      Targets: 'memory: <unknown>/1Gi, cpu: <unknown>/70%',
      MinPods: '1',
      MaxPods: 3,
    });
  });
});

describe('events.k8s.io/v1', () => {
  const event: any = {
    kind: 'Event',
    apiVersion: 'events.k8s.io/v1',
    metadata: { name: 'x', namespace: 'default' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'example.com/c',
    reportingInstance: 'c-1',
    action: 'Testing',
    reason: 'R',
    regarding: { kind: 'Pod', name: 'p' },
    note: 'a note',
    type: 'Normal',
  };
  test('names differ, values do not', () => {
    const stored: any = EventsV1Event.storage!.toStorage({ ...event });
    expect(stored).toMatchObject({
      apiVersion: 'v1',
      involvedObject: { kind: 'Pod', name: 'p' },
      message: 'a note',
      reportingComponent: 'example.com/c',
    });
    expect(EventsV1Event.storage!.fromStorage(stored)).toEqual(event);
  });
  test('the table is that of core events', () => {
    const cells = Object.fromEntries(
      columnsOf(EventsV1Event).map(column => [column.name, column.cell(event, Date.parse('2026-01-01T00:01:00Z'))]),
    );
    expect(cells).toMatchObject({
      'Last Seen': '60s',
      Object: 'pod/p',
      Message: 'a note',
      Source: 'example.com/c, c-1',
      Count: 1,
    });
  });
});
