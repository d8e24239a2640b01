import { getEventListeners } from 'node:events';
import { manualClock } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { boundedSignal } from './bounded-signal.js';

describe('boundedSignal', () => {
  it('aborts when its time is over, and says what took so long', async () => {
    const clock = manualClock();
    const { signal } = boundedSignal(clock, new AbortController().signal, 2_000, 'binding default/p');
    await clock.advance(1_999);
    expect(signal.aborted).toBe(false);
    await clock.advance(1);
    expect(signal.reason.message).toBe('binding default/p did not end within 2 s');
  });

  it('aborts with the other signal and its reason, also when that has happened already', () => {
    const outer = new AbortController();
    const before = boundedSignal(manualClock(), outer.signal, 1_000, 'it').signal;
    outer.abort('over');
    expect(before.reason).toBe('over');
    expect(boundedSignal(manualClock(), outer.signal, 1_000, 'it').signal.reason).toBe('over');
  });

  it('holds nothing when it is done', async () => {
    const clock = manualClock();
    const outer = new AbortController();
    const bounded = boundedSignal(clock, outer.signal, 1_000, 'it');
    bounded.done();
    bounded.done();
    expect(getEventListeners(outer.signal, 'abort')).toHaveLength(0);
    await clock.advance(2_000);
    expect(bounded.signal.aborted).toBe(false);
  });
});
