import { expect, it } from 'vitest';
import type { Client } from '../client/client.js';
import { manualClock } from '../clock/manual-clock.js';
import { notFound } from '../errors/status-error.js';
import { EventsV1Event } from '../kinds/generated/kinds.js';
import type { KubeObject } from '../meta/object.js';
import { eventSeriesRecorder } from './series-recorder.js';

const minute = 60_000;

function recorded(signal?: AbortSignal, more: { byNote?: boolean } = {}) {
  const events = new Map<string, any>();
  let calls = 0;
  const client = {
    async create(_kind: unknown, event: any) {
      calls += 1;
      events.set(event.metadata.name, structuredClone(event));
      return structuredClone({ ...event, metadata: { ...event.metadata, resourceVersion: `${calls}` } });
    },
    async patch(_kind: unknown, { name }: { name: string }, { patch }: any) {
      calls += 1;
      if (!events.has(name)) throw notFound(EventsV1Event, name);
      const next = { ...events.get(name), ...patch };
      events.set(name, next);
      return structuredClone(next);
    },
  } as unknown as Client;
  const clock = manualClock();
  const recorder = eventSeriesRecorder({
    ...{ client, clock, controller: 'example.com/test', instance: 'test-0' },
    ...(signal ? { signal } : {}),
    ...more,
  });
  return { clock, events, recorder, calls: () => calls };
}
const pod = (name: string) =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop', uid: name } }) as unknown as KubeObject;
const failed = (note: string, more: object = {}) => ({
  ...{ about: pod('a'), type: 'Warning' as const, reason: 'FailedScheduling', action: 'Scheduling', note },
  ...more,
});

it('writes what the newer API asks for', async () => {
  const { events, recorder, clock } = recorded();
  recorder.event(failed('no room', { related: pod('b') }));
  await recorder.flush();
  const [event] = events.values();
  expect(event).toMatchObject({
    ...{ type: 'Warning', reason: 'FailedScheduling', action: 'Scheduling', note: 'no room' },
    ...{ reportingController: 'example.com/test', reportingInstance: 'test-0' },
    regarding: { apiVersion: 'v1', kind: 'Pod', name: 'a', namespace: 'shop', uid: 'a' },
    related: { name: 'b' },
    metadata: { namespace: 'shop' },
  });
  expect(event.eventTime).toMatch(/\.\d{6}Z$/);
  expect(event.series).toBeUndefined();
  expect(Date.parse(event.eventTime)).toBe(clock.now());
});

it('another note is another event, where notes are what is read', async () => {
  const { events, recorder } = recorded(undefined, { byNote: true });
  for (const note of ['no room', 'no room', 'tainted']) recorder.event(failed(note));
  await recorder.flush();
  expect([...events.values()].map(({ note, series }) => [note, series?.count])).toEqual([
    ['no room', 2],
    ['tainted', undefined],
  ]);
});

it('tells the second of a series at once, the rest after 30 minutes, and the last when none came for 6', async () => {
  const { clock, events, recorder, calls } = recorded();
  const come = async (count: number) => {
    for (let i = 0; i < count; i++) recorder.event(failed(`try ${i}`));
    await recorder.flush();
  };
  const series = () => [...events.values()].map(({ series, note }) => [note, series?.count]);
  await come(2);
  expect(series()).toEqual([['try 0', 2]]);
  await come(8);
  expect([series(), calls()]).toEqual([[['try 0', 2]], 2]);
  // One comes every five minutes: it is never finished, and told after half an hour.
  for (let i = 0; i < 7; i++) {
    await clock.advance(5 * minute);
    await come(1);
  }
  await clock.advance(minute);
  await recorder.flush();
  const told = series()[0]![1] as number;
  expect(told).toBeGreaterThan(10);
  expect(calls()).toBe(3);
  await come(3);
  await clock.advance(12 * minute);
  await recorder.flush();
  expect([series(), calls()]).toEqual([[['try 0', 20]], 4]);
  // What comes then is an event of its own.
  await come(1);
  expect(series()).toEqual([
    ['try 0', 20],
    ['try 0', undefined],
  ]);
});

it('keeps apart what differs in reason, action, object or related object', async () => {
  const { events, recorder } = recorded();
  recorder.event(failed('x'));
  for (const more of [{ reason: 'Other' }, { action: 'Other' }, { about: pod('z') }, { related: pod('r') }])
    recorder.event(failed('x', more));
  recorder.event(failed('x', { type: 'Normal' }));
  await recorder.flush();
  expect(events.size).toBe(6);
  expect([...events.values()].some(({ series }) => series)).toBe(false);
});

it('writes a series anew whose event is gone', async () => {
  const { events, recorder } = recorded();
  recorder.event(failed('x'));
  await recorder.flush();
  events.clear();
  recorder.event(failed('x'));
  await recorder.flush();
  expect([...events.values()].map(({ series }) => series.count)).toEqual([2]);
  expect(recorder.dropped).toBe(0);
});

it('leaves no timer when it is ended, and writes nothing more', async () => {
  const stop = new AbortController();
  const { clock, events, recorder } = recorded(stop.signal);
  recorder.event(failed('x'));
  await recorder.flush();
  expect(clock.pending).toBe(1);
  stop.abort();
  expect(clock.pending).toBe(0);
  recorder.event(failed('y', { reason: 'Other' }));
  await recorder.flush();
  expect(events.size).toBe(1);
});
