import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { watchEvents } from './watch-stream.js';

const decode = (json: Buffer, start: number, end: number) => JSON.parse(json.toString('utf8', start, end));
async function* chunksOf(bytes: Buffer, sizes: number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
async function read(body: AsyncIterable<Uint8Array>, decoder?: typeof decode): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const batch of watchEvents<any>(body, decoder)) events.push(...batch);
  return events;
}

describe('watchEvents', () => {
  it('reads the same events, with a decoder or without, however the bytes are cut, also inside characters', async () => {
    const object = fc.record({ metadata: fc.record({ name: fc.string({ unit: 'grapheme' }) }), spec: fc.jsonValue() });
    const event = fc.record({ type: fc.constantFrom('ADDED', 'MODIFIED', 'DELETED'), object });
    const form = fc.constantFrom(
      (each: { type: string; object: unknown }) => JSON.stringify(each),
      (each: { type: string; object: unknown }) => JSON.stringify({ object: each.object, type: each.type }),
      (each: { type: string; object: unknown }) => `${JSON.stringify(each)}\r`,
      (each: { type: string; object: unknown }) =>
        `{"type" : "${each.type}", "object": ${JSON.stringify(each.object)} }`,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(event, form)),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        fc.boolean(),
        async (events, sizes, decoded) => {
          const lines = events.map(([each, write]) => `${write(each)}\n`);
          const got = await read(chunksOf(Buffer.from(lines.join('')), sizes), decoded ? decode : undefined);
          expect(got).toEqual(events.map(([each]) => JSON.parse(JSON.stringify(each))));
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([undefined, decode])('hands out what came before a bad line, then says what was wrong', async decoder => {
    const good = '{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n';
    const bad = [
      ['{"type":"ADDED","object":{"metadata":}}\n', /is not JSON/],
      ['{"type":"ODD","object":{}}\n', /unknown type/],
      ['{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n', /too old/],
      ['{"type":"ADDED","object":{"met', /cut in the middle/],
    ] as const;
    for (const [line, message] of bad) {
      const events: unknown[] = [];
      const reading = (async () => {
        for await (const batch of watchEvents(chunksOf(Buffer.from(good + line), [1000]), decoder))
          events.push(...batch);
      })();
      await expect(reading).rejects.toThrow(message);
      expect(events).toHaveLength(1);
    }
  });

  it('lets the event loop go while it reads a long stream that is all there', async () => {
    const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: { data: 'x'.repeat(3_000) } })}\n`);
    const chunk = Buffer.concat(Array.from({ length: 20 }, () => line));
    async function* body() {
      for (let i = 0; i < 1_000; i++) yield chunk;
    }
    let turns = 0;
    let going = true;
    const count = () => {
      turns++;
      if (going) setImmediate(count);
    };
    setImmediate(count);
    let events = 0;
    const began = performance.now();
    for await (const batch of watchEvents(body())) events += batch.length;
    const took = performance.now() - began;
    going = false;
    expect(events).toBe(20_000);
    // One turn in 8 ms would be exact; a machine that stalls makes turns longer, not fewer than this.
    expect(turns).toBeGreaterThan(Math.min(3, took / 100));
  });
});
