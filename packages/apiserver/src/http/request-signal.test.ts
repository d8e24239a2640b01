import { expect, it } from 'vitest';
import { RequestSignal } from './request-signal.js';

/** The signal of a request that does so with it, and is over. */
function used(work: (signal: AbortSignal) => void, end: (request: RequestSignal) => void = () => {}): AbortSignal {
  const request = new RequestSignal();
  const { signal } = request;
  work(signal);
  end(request);
  request.release();
  return signal;
}

it('hands a signal on when its request is over', () => {
  const first = used(() => {});
  expect(used(() => {})).toBe(first);
  const listener = () => {};
  const tidy = used(signal => {
    signal.addEventListener('abort', listener);
    signal.removeEventListener('abort', listener);
  });
  expect(tidy).toBe(first);
});

it('hands none on that was aborted, or on which a listener was left', () => {
  const aborted = used(
    () => {},
    request => request.abort(new Error('gone')),
  );
  expect(aborted.aborted).toBe(true);
  const heard: string[] = [];
  const left = used(signal => signal.addEventListener('abort', () => heard.push('an earlier request')));
  const next = new RequestSignal();
  expect([aborted, left]).not.toContain(next.signal);
  next.abort(new Error('gone'));
  expect(next.signal.aborted).toBe(true);
  expect(left.aborted).toBe(false);
  expect(heard).toEqual([]);
});
