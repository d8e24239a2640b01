import { manualClock } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { Expectations, expectationTimeoutMs } from './expectations.js';

it('is satisfied when everything expected was seen, each key by itself', () => {
  const expectations = new Expectations(manualClock());
  expect(expectations.satisfied('a')).toBe(true);
  expectations.expect('a', { creations: 2 });
  expectations.expect('b', { deletions: ['x', 'y'] });
  expectations.creationObserved('a');
  expect(expectations.satisfied('a')).toBe(false);
  expectations.creationObserved('a');
  expect(expectations.satisfied('a')).toBe(true);
  expectations.deletionObserved('b', 'x');
  expectations.deletionObserved('b', 'x');
  expectations.deletionObserved('b', 'unrelated');
  expect(expectations.satisfied('b')).toBe(false);
  expectations.deletionObserved('b', 'y');
  expect(expectations.satisfied('b')).toBe(true);
});

it('gives up after five minutes, and forgets with its object', async () => {
  const clock = manualClock();
  const expectations = new Expectations(clock);
  expectations.expect('a', { creations: 1 });
  await clock.advance(expectationTimeoutMs);
  expect(expectations.satisfied('a')).toBe(false);
  expect(expectations.remainingMs('a')).toBe(0);
  await clock.advance(1);
  expect(expectations.satisfied('a')).toBe(true);
  expectations.expect('a', { creations: 1 });
  expectations.forget('a');
  expect(expectations.satisfied('a')).toBe(true);
  expect(expectations.remainingMs('a')).toBeUndefined();
});

it('takes only what was added for a creation, and what is on its way out for a deletion', () => {
  const expectations = new Expectations(manualClock());
  const pod = (uid: string, deletionTimestamp?: string) => ({
    metadata: { uid, ...(deletionTimestamp ? { deletionTimestamp } : {}) },
  });
  expectations.expect('a', { creations: 1 });
  expectations.seen('a', pod('old'), 'updated');
  expectations.seen('a', pod('old'), 'deleted');
  expect(expectations.satisfied('a')).toBe(false);
  expectations.seen('a', pod('new'), 'added');
  expect(expectations.satisfied('a')).toBe(true);
  expectations.expect('b', { deletions: ['x', 'y', 'z'] });
  expectations.seen('b', pod('x', '2026-01-01T00:00:00Z'), 'added');
  expectations.seen('b', pod('y', '2026-01-01T00:00:00Z'), 'updated');
  expectations.seen('b', pod('z'), 'updated');
  expect(expectations.satisfied('b')).toBe(false);
  expectations.seen('b', pod('z'), 'deleted');
  expect(expectations.satisfied('b')).toBe(true);
});
