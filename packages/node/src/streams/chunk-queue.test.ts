import { describe, expect, it } from 'vitest';
import { chunkQueue } from './chunk-queue.js';

function setup(highWater = 10) {
  const calls: string[] = [];
  const queue = chunkQueue<string>({
    sizeOf: chunk => chunk.length,
    highWater,
    pause: () => calls.push('pause'),
    resume: () => calls.push('resume'),
  });
  return { queue, calls };
}

describe('chunkQueue', () => {
  it('hands on in order, and ends after the last', async () => {
    const { queue } = setup();
    queue.push('a');
    queue.push('b');
    queue.end();
    queue.push('late');
    const seen: string[] = [];
    for await (const chunk of queue) seen.push(chunk);
    expect(seen).toEqual(['a', 'b']);
  });

  it('waits for what comes', async () => {
    const { queue } = setup();
    const reader = queue[Symbol.asyncIterator]();
    const next = reader.next();
    queue.push('a');
    expect(await next).toEqual({ done: false, value: 'a' });
    const last = reader.next();
    queue.end();
    expect((await last).done).toBe(true);
  });

  it('asks to pause above the mark and to go on below half of it, once each', async () => {
    const { queue, calls } = setup(10);
    for (let i = 0; i < 5; i++) queue.push('12345');
    expect(calls).toEqual(['pause']);
    const reader = queue[Symbol.asyncIterator]();
    for (let i = 0; i < 4; i++) await reader.next();
    expect(calls).toEqual(['pause']);
    await reader.next();
    expect(calls).toEqual(['pause', 'resume']);
  });

  it('a reader that leaves keeps nobody waiting', async () => {
    const { queue, calls } = setup(1);
    queue.push('many');
    queue.push('bytes');
    for await (const _chunk of queue) break;
    expect(calls.at(-1)).toBe('resume');
    expect(queue.ended).toBe(true);
  });
});
