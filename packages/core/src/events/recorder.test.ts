import { expect, it } from 'vitest';
import type { Client } from '../client/client.js';
import { manualClock } from '../clock/manual-clock.js';
import type { KubeObject } from '../meta/object.js';
import { eventRecorder } from './recorder.js';

function recorded() {
  const events = new Map<string, { message: string; count: number; reason: string }>();
  const client = {
    async create(_kind: unknown, event: any) {
      events.set(event.metadata.name, event);
      return event;
    },
    async patch(_kind: unknown, key: { name: string }, { patch }: any) {
      const next = { ...events.get(key.name), ...patch };
      events.set(key.name, next);
      return next;
    },
  } as unknown as Client;
  const clock = manualClock();
  return { clock, events, recorder: eventRecorder({ client, clock, component: 'test' }) };
}
const pod = (name: string) =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', uid: name } }) as unknown as KubeObject;

it('counts the same event instead of writing it again', async () => {
  const { events, recorder } = recorded();
  for (let i = 0; i < 5; i++) recorder.event(pod('a'), 'Normal', 'Pulled', 'the same');
  await recorder.flush();
  expect([...events.values()].map(({ message, count }) => [message, count])).toEqual([['the same', 5]]);
});

it('takes together what differs in its message alone, after ten of them', async () => {
  const { clock, events, recorder } = recorded();
  for (let i = 1; i <= 15; i++) recorder.event(pod('a'), 'Warning', 'Failed', `try ${i}`);
  recorder.event(pod('a'), 'Warning', 'Other', 'of its own');
  recorder.event(pod('b'), 'Warning', 'Failed', 'of another');
  await recorder.flush();
  const messages = [...events.values()].map(({ message, count }) => `${message} x${count}`);
  expect(messages).toHaveLength(13);
  expect(messages.slice(9)).toEqual([
    'try 10 x1',
    '(combined from similar events): try 15 x5',
    'of its own x1',
    'of another x1',
  ]);
  // A while later they are single events again.
  await clock.advance(3_600_000);
  recorder.event(pod('a'), 'Warning', 'Failed', 'try 16');
  await recorder.flush();
  expect([...events.values()].at(-1)).toMatchObject({ message: 'try 16', count: 1 });
});

it('lets no object write more than its share', async () => {
  const { clock, events, recorder } = recorded();
  for (let i = 1; i <= 40; i++) recorder.event(pod('a'), 'Normal', `Reason${i}`, 'text');
  await recorder.flush();
  expect([events.size, recorder.dropped]).toEqual([25, 15]);
  await clock.advance(300_000);
  recorder.event(pod('a'), 'Normal', 'Later', 'text');
  await recorder.flush();
  expect(events.size).toBe(26);
});
