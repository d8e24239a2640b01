import {
  AutoscalingV1HorizontalPodAutoscaler as AutoscalerV1,
  Event,
  EventsV1Event,
  HorizontalPodAutoscaler,
  type Kind,
} from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Fixture, fixture } from './resources-fixture.js';

let cluster: Fixture;
beforeEach(async () => {
  cluster = await fixture();
});
afterEach(() => cluster[Symbol.asyncDispose]());

const key = (name: string) => ({ name, namespace: 'default' });
const refusal = (write: Promise<unknown>) =>
  write.then(
    () => undefined,
    error => error,
  );
const v1 = (name: string, spec: object = {}, more: object = {}) => ({
  apiVersion: 'autoscaling/v1',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name, ...more },
  spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 5, ...spec },
});
const memory = {
  type: 'Resource',
  resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } },
};
const v2 = (name: string, spec: object = {}) => ({ ...v1(name, spec), apiVersion: 'autoscaling/v2' });
const cpuOf = (object: any) =>
  object.spec.metrics.find((metric: any) => metric.resource?.name === 'cpu')?.resource.target.averageUtilization;
const metricsAnnotation = 'autoscaling.alpha.kubernetes.io/metrics';

describe('one object, two versions', () => {
  it('is written in one and read in both, under one key, uid and revision', async () => {
    const made = await cluster.create(AutoscalerV1, v1('h', { targetCPUUtilizationPercentage: 50 }));
    expect(made).toMatchObject({
      apiVersion: 'autoscaling/v1',
      kind: 'HorizontalPodAutoscaler',
      spec: { minReplicas: 1, maxReplicas: 5, targetCPUUtilizationPercentage: 50 },
    });
    const stored = await cluster.get(HorizontalPodAutoscaler, key('h'));
    expect(stored).toMatchObject({ apiVersion: 'autoscaling/v2', metadata: made.metadata });
    expect(cpuOf(stored)).toBe(50);
    expect((await cluster.store.list('/registry/autoscaling/')).entries.map(({ key }) => key)).toEqual([
      '/registry/autoscaling/horizontalpodautoscalers/default/h',
    ]);
    expect(await refusal(cluster.create(HorizontalPodAutoscaler, v2('h')))).toMatchObject({ code: 409 });
    expect(await refusal(cluster.create(AutoscalerV1, v1('h')))).toMatchObject({ code: 409 });
  });

  it('an update in v1 keeps what only v2 can say', async () => {
    await cluster.create(HorizontalPodAutoscaler, v2('h', { metrics: [memory] }));
    const seen: any = await cluster.get(AutoscalerV1, key('h'));
    expect(JSON.parse(seen.metadata.annotations[metricsAnnotation])).toEqual([
      { type: 'Resource', resource: { name: 'memory', targetAverageValue: '1Gi' } },
    ]);
    // Read and written back: nothing has changed.
    const same = await cluster.update(AutoscalerV1, seen);
    expect(same.metadata.resourceVersion).toBe(seen.metadata.resourceVersion);
    await cluster.update(AutoscalerV1, { ...seen, spec: { ...seen.spec, maxReplicas: 9 } });
    const stored: any = await cluster.get(HorizontalPodAutoscaler, key('h'));
    expect(stored.spec).toMatchObject({ maxReplicas: 9, metrics: [memory] });
    expect(stored.metadata.annotations).toBeUndefined();
  });

  it('a patch is one of the version that it is sent to', async () => {
    await cluster.create(HorizontalPodAutoscaler, v2('h', { metrics: [memory] }));
    const merged: any = await cluster.patch(AutoscalerV1, key('h'), { spec: { targetCPUUtilizationPercentage: 33 } });
    expect(merged.spec.targetCPUUtilizationPercentage).toBe(33);
    const replace = { op: 'replace', path: '/spec/targetCPUUtilizationPercentage', value: 44 };
    await cluster.patch(AutoscalerV1, key('h'), [replace], 'json');
    await cluster.patch(AutoscalerV1, key('h'), { spec: { maxReplicas: 7 } }, 'strategic');
    const stored: any = await cluster.get(HorizontalPodAutoscaler, key('h'));
    expect([cpuOf(stored), stored.spec.maxReplicas, stored.spec.metrics[0]]).toEqual([44, 7, memory]);
  });

  it('unknown fields are judged in the version of the request', async () => {
    const patch = cluster.patch(AutoscalerV1, key('h'), { spec: { metrics: [] } }, 'merge', {
      fieldValidation: 'Strict',
    });
    expect(await refusal(patch)).toMatchObject({ code: 404 });
    await cluster.create(AutoscalerV1, v1('h'));
    const strict = { fieldValidation: 'Strict' } as const;
    expect(await refusal(cluster.create(AutoscalerV1, v1('i', { metrics: [] }), strict))).toMatchObject({
      code: 400,
      message: expect.stringContaining('unknown field "spec.metrics"'),
    });
    expect(
      await refusal(cluster.patch(AutoscalerV1, key('h'), { spec: { metrics: [] } }, 'merge', strict)),
    ).toMatchObject({
      code: 400,
      message: expect.stringContaining('unknown field "spec.metrics"'),
    });
    await cluster.create(AutoscalerV1, v1('j', { metrics: [] }));
    expect(cluster.warnings).toEqual(['unknown field "spec.metrics"']);
  });

  it('rules are those of the stored form', async () => {
    expect(await refusal(cluster.create(AutoscalerV1, v1('h', { maxReplicas: 0 })))).toMatchObject({
      code: 422,
      reason: 'Invalid',
      details: { kind: 'HorizontalPodAutoscaler', group: 'autoscaling' },
    });
  });

  it('lists and watches show each its own version of the same events', async () => {
    const [first, second] = [await cluster.watch(AutoscalerV1), await cluster.watch(HorizontalPodAutoscaler)];
    await cluster.create(AutoscalerV1, v1('h', { targetCPUUtilizationPercentage: 10 }));
    await cluster.delete(HorizontalPodAutoscaler, key('h'));
    for (const [watch, apiVersion] of [
      [first, 'autoscaling/v1'],
      [second, 'autoscaling/v2'],
    ] as const) {
      const [added, deleted] = [await watch.next(), await watch.next()];
      expect([added!.type, deleted!.type]).toEqual(['ADDED', 'DELETED']);
      const line = JSON.parse(added!.frame.toString());
      expect(line.object).toMatchObject({ apiVersion, metadata: { name: 'h' } });
      expect(line.object.metadata.resourceVersion).toBe(String(added!.object.revision));
      await watch.close();
    }
    await cluster.create(HorizontalPodAutoscaler, v2('i'));
    expect((await cluster.list(AutoscalerV1)).map(each => each.apiVersion)).toEqual(['autoscaling/v1']);
  });

  it('a conversion is made once for all who read that version', async () => {
    await cluster.create(HorizontalPodAutoscaler, v2('h'));
    const read = () =>
      cluster.resources.get(cluster.context, AutoscalerV1 as Kind<any>, key('h'), { resourceVersion: '0' });
    expect((await read()).bytes).toBe((await read()).bytes);
  });

  it('bookmarks and the end of initial events are of the version too', async () => {
    await cluster.create(AutoscalerV1, v1('h'));
    const watch = await cluster.watch(AutoscalerV1, {
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: true,
    });
    expect((await watch.next())!.type).toBe('ADDED');
    const end = JSON.parse((await watch.next())!.frame.toString());
    expect(end).toMatchObject({
      type: 'BOOKMARK',
      object: { apiVersion: 'autoscaling/v1', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
    await watch.close();
  });

  it('status, and a dry run', async () => {
    const created: any = await cluster.create(AutoscalerV1, v1('h', { targetCPUUtilizationPercentage: 50 }));
    const { object } = await cluster.resources.updateSubresource(
      cluster.context,
      AutoscalerV1 as Kind<any>,
      key('h'),
      'status',
      {
        value: { ...created, status: { currentReplicas: 2, desiredReplicas: 3, currentCPUUtilizationPercentage: 70 } },
      },
    );
    expect(object.object()['status']).toMatchObject({ currentCPUUtilizationPercentage: 70 });
    const stored: any = await cluster.get(HorizontalPodAutoscaler, key('h'));
    expect(stored.status).toMatchObject({
      desiredReplicas: 3,
      currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 70 } } }],
    });
    const dry: any = await cluster.create(AutoscalerV1, v1('dry'), { dryRun: true });
    expect(dry).toMatchObject({ apiVersion: 'autoscaling/v1', spec: { targetCPUUtilizationPercentage: 80 } });
    expect(await cluster.list(AutoscalerV1)).toHaveLength(1);
  });

  it('server-side apply speaks of the stored version', async () => {
    const apply = (value: object, fieldManager: string, force = false) =>
      cluster.resources.patch(
        cluster.context,
        AutoscalerV1 as Kind<any>,
        key('h'),
        { contentType: 'application/apply-patch+yaml', value },
        { fieldManager, force },
      );
    const { created, object } = await apply(v1('h', { targetCPUUtilizationPercentage: 50 }), 'a');
    expect(created).toBe(true);
    expect(object.object().apiVersion).toBe('autoscaling/v1');
    const [entry] = (await cluster.get(HorizontalPodAutoscaler, key('h'))).metadata.managedFields!;
    expect(entry).toMatchObject({ manager: 'a', operation: 'Apply', apiVersion: 'autoscaling/v2' });
    expect(await refusal(apply(v1('h', { targetCPUUtilizationPercentage: 60 }), 'b'))).toMatchObject({ code: 409 });
    await apply(v1('h', { targetCPUUtilizationPercentage: 60 }), 'b', true);
    expect(cpuOf(await cluster.get(HorizontalPodAutoscaler, key('h')))).toBe(60);
  });

  it('deleting a collection answers in the version that asked', async () => {
    await cluster.create(HorizontalPodAutoscaler, v2('h'));
    const { items } = await cluster.resources.deleteCollection(
      cluster.context,
      AutoscalerV1 as Kind<any>,
      {},
      { namespace: 'default' },
    );
    expect(items.map(item => item.object().apiVersion)).toEqual(['autoscaling/v1']);
    expect(await cluster.list(HorizontalPodAutoscaler)).toEqual([]);
  });
});

describe('events of both groups are the same', () => {
  const core = {
    metadata: { name: 'c' },
    involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
    reason: 'R',
    message: 'hello',
    type: 'Normal',
    source: { component: 'me' },
  };
  const newer = {
    metadata: { name: 'n' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'example.com/c',
    reportingInstance: 'i',
    action: 'a',
    reason: 'R',
    type: 'Warning',
    note: 'from the newer group',
    regarding: { kind: 'Pod', name: 'p', namespace: 'default' },
  };
  it('what one group writes the other reads, and selectors find both', async () => {
    await cluster.create(Event, core);
    await cluster.create(EventsV1Event, newer);
    expect(await cluster.list(EventsV1Event)).toMatchObject([
      { apiVersion: 'events.k8s.io/v1', note: 'hello', deprecatedSource: { component: 'me' } },
      { note: 'from the newer group' },
    ]);
    const fieldSelector = 'involvedObject.kind=Pod,involvedObject.name=p';
    expect((await cluster.list(Event, { fieldSelector })).map((event: any) => event.message)).toEqual([
      'hello',
      'from the newer group',
    ]);
    expect(await cluster.list(Event, { fieldSelector: 'type=Warning' })).toHaveLength(1);
  });
  it('the newer group is stricter about what it is given', async () => {
    const { action: _action, ...incomplete } = newer;
    expect(await refusal(cluster.create(EventsV1Event, incomplete))).toMatchObject({
      code: 422,
      message: expect.stringContaining('action: Required value'),
    });
    await cluster.create(Event, core);
    const seen: any = await cluster.get(EventsV1Event, key('c'));
    expect(await cluster.update(EventsV1Event, { ...seen, note: 'other' })).toMatchObject({ note: 'other' });
  });
});
