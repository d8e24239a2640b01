import { expect, it } from 'vitest';
import { slowStart } from './slow-start.js';

it('doubles while all is well', async () => {
  const batches: number[] = [];
  let open = 0;
  const result = await slowStart(10, async () => {
    open++;
    await Promise.resolve();
    if (open > 0) {
      batches.push(open);
      open = 0;
    }
  });
  expect(result).toEqual({ succeeded: 10 });
  expect(batches).toEqual([1, 2, 4, 3]);
});

it('stops after the first batch with a failure and says how many succeeded', async () => {
  const called: number[] = [];
  const result = await slowStart(100, async index => {
    called.push(index);
    if (index === 2) throw new Error('refused');
  });
  expect(called).toEqual([0, 1, 2]);
  expect(result.succeeded).toBe(2);
  expect(String(result.error)).toMatch(/refused/);
  expect(await slowStart(0, async () => {})).toEqual({ succeeded: 0 });
});
