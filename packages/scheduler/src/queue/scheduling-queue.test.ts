import { manualClock } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { profile } from '../framework/profile.js';
import { schedulingGates } from '../plugins/scheduling-gates.js';
import { testPod } from '../testing/fixtures.js';
import { schedulingQueue } from './scheduling-queue.js';

const never = new AbortController().signal;

function setUp() {
  const clock = manualClock(0);
  const rules = profile({
    plugins: [schedulingGates(), { name: 'Fit', events: ['PodDelete'] }, { name: 'Taint', events: ['NodeTaint'] }],
  });
  return { clock, queue: schedulingQueue({ profile: rules, clock }) };
}

describe('schedulingQueue', () => {
  it('gives higher priority first, then first come', async () => {
    const { queue } = setUp();
    queue.add(testPod('a'));
    queue.add(testPod('b', { spec: { priority: 10 } }));
    queue.add(testPod('c'));
    const order = [];
    for (let i = 0; i < 3; i++) order.push((await queue.pop(never))!.pod.metadata.name);
    expect(order).toEqual(['b', 'a', 'c']);
  });

  it('lets a refused pod rest until an event that concerns its refuser, and then backs off', async () => {
    const { clock, queue } = setUp();
    const pod = testPod('p');
    queue.add(pod);
    await queue.pop(never);
    queue.refuse(pod.metadata.uid, new Set(['Fit']));
    expect(queue.sizes).toMatchObject({ unschedulable: 1, active: 0 });
    queue.notice('NodeTaint');
    expect(queue.sizes).toMatchObject({ unschedulable: 1 });
    queue.notice('PodDelete');
    expect(queue.sizes).toMatchObject({ unschedulable: 0, backoff: 1 });
    const popped = queue.pop(never);
    await clock.advance(1_000);
    expect((await popped)!.attempts).toBe(2);
  });

  it('counts an event that came while the pod was being decided', async () => {
    const { queue } = setUp();
    const pod = testPod('p');
    queue.add(pod);
    await queue.pop(never);
    queue.notice('PodDelete');
    queue.refuse(pod.metadata.uid, new Set(['Fit']));
    expect(queue.sizes).toMatchObject({ backoff: 1, unschedulable: 0 });
  });

  it('tries again after five minutes without any event', async () => {
    const { clock, queue } = setUp();
    const pod = testPod('p');
    queue.add(pod);
    await queue.pop(never);
    queue.refuse(pod.metadata.uid, new Set(['Fit']));
    const popped = queue.pop(never);
    await clock.advance(299_000);
    expect(queue.sizes.unschedulable).toBe(1);
    await clock.advance(1_000);
    expect((await popped)!.pod.metadata.name).toBe('p');
  });

  it('doubles the back-off up to ten seconds', async () => {
    const { clock, queue } = setUp();
    const pod = testPod('p');
    queue.add(pod);
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      const start = clock.now();
      const popped = queue.pop(never);
      let done = false;
      void popped.then(() => {
        done = true;
      });
      while (!done) await clock.advance(500);
      waits.push(clock.now() - start);
      queue.retry(pod.metadata.uid);
    }
    expect(waits.slice(1)).toEqual([1_000, 2_000, 4_000, 8_000, 10_000]);
  });

  it('keeps gated pods aside until the gate is gone, and forgets removed ones', async () => {
    const { queue } = setUp();
    const pod = testPod('p', { spec: { schedulingGates: [{ name: 'quota' }] } });
    queue.add(pod);
    expect(queue.sizes).toMatchObject({ gated: 1, active: 0 });
    queue.add({ ...pod, spec: { ...pod.spec, schedulingGates: [] } });
    expect(queue.sizes).toMatchObject({ gated: 0, active: 1 });
    queue.remove(pod.metadata.uid);
    expect(queue.sizes).toMatchObject({ active: 0 });
  });

  it('a nomination is no reason to try again, its loss is', async () => {
    const { clock, queue } = setUp();
    const pod = testPod('p');
    queue.add(pod);
    await queue.pop(never);
    queue.refuse(pod.metadata.uid, new Set(['Fit']));
    const nominated = { ...pod, status: { ...pod.status, nominatedNodeName: 'n' } };
    queue.add(nominated);
    expect(queue.sizes).toMatchObject({ unschedulable: 1, backoff: 0 });
    queue.notice('NodeTaint');
    expect(queue.sizes).toMatchObject({ unschedulable: 1, backoff: 0 });
    queue.add(pod);
    expect(queue.sizes).toMatchObject({ unschedulable: 0, backoff: 1 });
    await clock.advance(1_000);
    expect(queue.take()!.pod).toBe(pod);
  });

  it('ends a waiting pop when the signal aborts', async () => {
    const { queue } = setUp();
    const controller = new AbortController();
    const popped = queue.pop(controller.signal);
    controller.abort();
    expect(await popped).toBeUndefined();
  });
});
