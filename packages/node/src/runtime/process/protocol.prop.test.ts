import { Duplex, PassThrough } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameChannel } from './protocol.js';

/** What a channel writes. */
async function bytesOf(frames: readonly object[]): Promise<Buffer> {
  const written: Buffer[] = [];
  const stream = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      written.push(chunk);
      done();
    },
  });
  const channel = frameChannel(stream, { onFrame() {}, onClose() {} });
  for (const frame of frames) channel.send(frame);
  return Buffer.concat(written);
}

async function read(chunks: readonly Buffer[]): Promise<{ frames: unknown[]; error: Error | undefined }> {
  const stream = new PassThrough();
  const frames: unknown[] = [];
  const closed = new Promise<Error | undefined>(resolve => {
    frameChannel(stream, { onFrame: frame => void frames.push(frame), onClose: resolve });
  });
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  return { error: await closed, frames };
}

describe('frames', () => {
  it('come out as they went in, however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
        async (frames, cuts) => {
          const bytes = await bytesOf(frames);
          const chunks: Buffer[] = [];
          for (let from = 0, turn = 0; from < bytes.length; turn += 1) {
            const size = cuts[turn % cuts.length]!;
            chunks.push(bytes.subarray(from, from + size));
            from += size;
          }
          const result = await read(chunks);
          expect(result.error).toBeUndefined();
          expect(result.frames).toEqual(JSON.parse(JSON.stringify(frames)));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('end the connection when they are too large or no JSON', async () => {
    const large = Buffer.alloc(4);
    large.writeUInt32BE(2 ** 31);
    expect((await read([large])).error?.message).toMatch(/over the limit/);
    expect((await read([Buffer.from([0, 0, 0, 2, 0x7b, 0x7b])])).error).toBeInstanceOf(SyntaxError);
  });
});
