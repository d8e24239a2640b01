/** The recorder of events.k8s.io/v1 against a real API, which is strict about them. */
import { ConfigMap, Event, EventsV1Event, eventSeriesRecorder } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from './index.js';

it('a series is one event, in the newer and in the older API', async () => {
  await using plane = await createTestControlPlane();
  const { client } = plane;
  const about = await client.create(ConfigMap, { metadata: { name: 'a', namespace: 'default' } });
  const stop = new AbortController();
  const recorder = eventSeriesRecorder({ client, controller: 'example.com/it', instance: 'it-0', signal: stop.signal });
  try {
    for (const note of ['first', 'second', 'third'])
      recorder.event({ about, type: 'Warning', reason: 'Failed', action: 'Trying', note });
    await recorder.flush();
    expect(recorder.dropped).toBe(0);
    const { items } = await client.list(EventsV1Event, { namespace: 'default' });
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ note: 'first', reportingController: 'example.com/it', regarding: { name: 'a' } });
    // The third may have come before the second was told.
    expect(items[0]!.series?.count).toBeGreaterThanOrEqual(2);
    const older = await client.get(Event, items[0]!.metadata);
    expect(older).toMatchObject({
      message: 'first',
      involvedObject: { name: 'a' },
      series: { count: items[0]!.series!.count },
    });
  } finally {
    stop.abort();
  }
});
