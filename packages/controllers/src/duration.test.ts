import { expect, it } from 'vitest';
import { milliseconds } from './duration.js';

it.each([
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['90s', 90_000],
  ['500ms', 500],
  ['1.5s', 1_500],
  [250, 250],
])('%s', (text, ms) => {
  expect(milliseconds(text)).toBe(ms);
});

it.each(['', '5', 'm', '5 m', '5m!', 'x5m', '5d'])('refuses %j with what to write', text => {
  expect(() => milliseconds(text)).toThrow(/is not a duration: write 90s/);
});
