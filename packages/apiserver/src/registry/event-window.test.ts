import { describe, expect, it } from 'vitest';
import { EventWindow } from './event-window.js';
import { RecentForms, StoredObject } from './object-bytes.js';
import { CacheEvent } from './watch-events.js';

const forms = new RecentForms();
const event = (revision: bigint, time = 0, bytes = 40) => {
  const object = new StoredObject(Buffer.from(`{"metadata":{"name":"${'x'.repeat(bytes)}"}}`), revision, forms);
  return new CacheEvent('ADDED', 'a', '', 'a', object, undefined, time);
};
const revisions = (window: EventWindow, after: bigint) => window.after(after).map(each => each.revision);

describe('EventWindow', () => {
  it('has everything after `since`, and only what is asked for', () => {
    const window = new EventWindow(5n);
    for (const revision of [7n, 8n, 12n]) window.push(event(revision));
    expect(window.since).toBe(5n);
    expect(revisions(window, 5n)).toEqual([7n, 8n, 12n]);
    expect(revisions(window, 7n)).toEqual([8n, 12n]);
    expect(revisions(window, 9n)).toEqual([12n]);
    expect(revisions(window, 12n)).toEqual([]);
  });

  it('is bounded by count, and says from where on it is complete', () => {
    const window = new EventWindow(0n, { events: 3 });
    for (let revision = 1n; revision <= 3000n; revision++) window.push(event(revision));
    expect(window.length).toBe(3);
    expect(window.since).toBe(2997n);
    expect(revisions(window, 2997n)).toEqual([2998n, 2999n, 3000n]);
  });

  it('is bounded by bytes, but always keeps the newest', () => {
    const window = new EventWindow(0n, { bytes: 3_000 });
    for (let revision = 1n; revision <= 10n; revision++) window.push(event(revision, 0, 1_000));
    expect(window.length).toBe(2);
    window.push(event(11n, 0, 50_000));
    expect(revisions(window, window.since)).toEqual([11n]);
    expect(window.since).toBe(10n);
  });

  it('is bounded by age', () => {
    const window = new EventWindow(0n, { ageMs: 1_000 });
    window.push(event(1n, 0));
    window.push(event(2n, 900));
    window.push(event(3n, 1_500));
    expect(revisions(window, window.since)).toEqual([2n, 3n]);
  });
});
