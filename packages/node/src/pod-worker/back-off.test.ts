import { describe, expect, it } from 'vitest';
import { backOffs } from './back-off.js';

function setup() {
  let now = 1_000_000;
  const waits = backOffs({ initialMs: 10_000, maxMs: 300_000, now: () => now });
  return {
    waits,
    get now() {
      return now;
    },
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe('backOffs', () => {
  it('waits nothing at first, then doubles to the limit', () => {
    const lab = setup();
    const seen: number[] = [];
    for (let i = 0; i < 8; i++) {
      seen.push(lab.waits.remaining('a', lab.now) / 1000);
      lab.pass(lab.waits.remaining('a', lab.now));
      lab.waits.next('a', lab.now);
    }
    expect(seen).toEqual([0, 10, 20, 40, 80, 160, 300, 300]);
  });

  it('counts the wait from the failure, and down', () => {
    const lab = setup();
    lab.waits.next('a', lab.now);
    const failedAt = lab.now;
    lab.pass(4_000);
    expect(lab.waits.remaining('a', failedAt)).toBe(6_000);
    lab.pass(60_000);
    expect(lab.waits.remaining('a', failedAt)).toBe(0);
  });

  it('forgets after twice the limit of quiet, and when told to', () => {
    const lab = setup();
    for (let i = 0; i < 5; i++) lab.waits.next('a', lab.now);
    lab.pass(600_001);
    expect(lab.waits.remaining('a', lab.now)).toBe(0);
    lab.waits.next('a', lab.now);
    expect(lab.waits.current('a')).toBe(10_000);
    lab.waits.forget('a');
    expect(lab.waits.current('a')).toBe(0);
  });

  it('keys do not share', () => {
    const lab = setup();
    lab.waits.next('a', lab.now);
    expect(lab.waits.remaining('b', lab.now)).toBe(0);
  });
});
