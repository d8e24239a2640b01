import { expect, it } from 'vitest';
import type { ControllerContext } from './controller.js';
import { together } from './together.js';

const contextOf = (signal: AbortSignal) => ({ signal }) as ControllerContext;
const untilAborted = ({ signal }: ControllerContext, ended: string[], name: string) =>
  new Promise<void>(resolve =>
    signal.addEventListener('abort', () => {
      ended.push(name);
      resolve();
    }),
  );

it('when one part fails the others are stopped first, then it is reported', async () => {
  const ended: string[] = [];
  const run = together(
    contextOf(new AbortController().signal),
    context => untilAborted(context, ended, 'one'),
    async () => {
      throw new Error('bug');
    },
    context => untilAborted(context, ended, 'three'),
  );
  await expect(run).rejects.toThrow('bug');
  expect(ended).toEqual(['one', 'three']);
});

it('ends quietly with the context', async () => {
  const stop = new AbortController();
  const ended: string[] = [];
  const run = together(contextOf(stop.signal), context => untilAborted(context, ended, 'one'));
  stop.abort(new Error('stop'));
  await run;
  expect(ended).toEqual(['one']);
});
