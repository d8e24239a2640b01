import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { headerCompressor } from '../testing/spdy-client.js';
import { type SpdyStream, spdyConnection } from './connection.js';
import { encodeData, encodePing, encodeReset, encodeSynStream, frameDecoder, type SpdyFrame } from './frames.js';
import { decodeHeaders, encodeHeaders, headerReader, headerWriter } from './header-block.js';

const headersArbitrary = fc
  .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z-]{1,20}$/), fc.stringMatching(/^[ -~]{0,40}$/)), {
    maxLength: 10,
    selector: ([name]) => name,
  })
  .map(entries => new Map(entries));

/** Cuts bytes in pieces at the given places. */
function* pieces(bytes: Buffer, cuts: readonly number[]): Generator<Buffer> {
  let from = 0;
  for (const cut of [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b)) {
    if (cut > from) yield bytes.subarray(from, cut);
    from = cut;
  }
  if (from < bytes.length) yield bytes.subarray(from);
}

/** Frames with the pieces of each data frame joined. */
function joined(frames: Iterable<SpdyFrame>): SpdyFrame[] {
  const all: SpdyFrame[] = [];
  for (const frame of frames) {
    const last = all.at(-1);
    if (frame.type === 'data' && last?.type === 'data' && last.streamId === frame.streamId && !last.fin) {
      all[all.length - 1] = { ...frame, payload: Buffer.concat([last.payload, frame.payload]) };
    } else all.push(frame.type === 'data' ? { ...frame, payload: Buffer.from(frame.payload) } : frame);
  }
  return all;
}

const frameArbitrary = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 0x7fff_ffff }), fc.uint8Array({ maxLength: 200 }))
    .map(([id, data]) => Buffer.concat(encodeData(id, data, true))),
  fc.integer({ min: 0, max: 0xffff_ffff }).map(encodePing),
  fc
    .tuple(fc.integer({ min: 1, max: 0x7fff_ffff }), fc.integer({ min: 1, max: 11 }))
    .map(([id, why]) => encodeReset(id, why)),
  fc
    .tuple(fc.integer({ min: 1, max: 0x7fff_ffff }), fc.uint8Array({ maxLength: 100 }))
    .map(([id, block]) => encodeSynStream(id, Buffer.from(block))),
);

it('frames are the same however the bytes are cut, a byte at a time included', () => {
  fc.assert(
    fc.property(fc.array(frameArbitrary, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 30 }), (frames, cuts) => {
      const bytes = Buffer.concat(frames);
      const whole = joined([...frameDecoder()(bytes)]);
      const cut = frameDecoder();
      expect(joined([...pieces(bytes, cuts)].flatMap(piece => [...cut(piece)]))).toEqual(whole);
      const single = frameDecoder();
      expect(joined([...bytes].flatMap(byte => [...single(Buffer.of(byte))]))).toEqual(whole);
    }),
    { numRuns: 200 },
  );
});

it('header blocks come back whole, through a real compressor and through the stored form', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(headersArbitrary, { minLength: 1, maxLength: 5 }), async blocks => {
      const compress = headerCompressor();
      const store = headerWriter();
      const [one, two] = [headerReader(), headerReader()];
      for (const headers of blocks) {
        expect(decodeHeaders(encodeHeaders(headers))).toEqual(headers);
        expect(await one.read(await compress(headers))).toEqual(headers);
        expect(await two.read(store(headers))).toEqual(headers);
      }
      one.close();
      two.close();
    }),
    { numRuns: 100 },
  );
});

it('any bytes end a connection or are ignored: nothing is thrown, nothing is left open', async () => {
  const compress = headerCompressor();
  const opening = encodeSynStream(1, await compress(new Map([['streamtype', 'data']])));
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(
        fc.oneof(
          frameArbitrary,
          fc.uint8Array({ maxLength: 64 }).map(bytes => Buffer.from(bytes)),
        ),
        { maxLength: 10 },
      ),
      fc.array(fc.nat(), { maxLength: 20 }),
      async (opened, parts, cuts) => {
        const socket = new PassThrough();
        // What is read is what the test writes; what the server writes goes nowhere.
        socket.write = ((...args: Parameters<typeof socket.write>) => {
          const done = args.at(-1);
          if (typeof done === 'function') (done as () => void)();
          return true;
        }) as typeof socket.write;
        const streams: SpdyStream[] = [];
        const connection = spdyConnection(socket, stream => void streams.push(stream), { streams: 4 });
        for (const piece of pieces(Buffer.concat(opened ? [opening, ...parts] : parts), cuts)) socket.push(piece);
        socket.push(null);
        if (!connection.signal.aborted)
          await new Promise(resolve => connection.signal.addEventListener('abort', resolve, { once: true }));
        expect(socket.destroyed || socket.writableEnded).toBe(true);
        for (const stream of streams) for await (const _ of stream.input);
      },
    ),
    { numRuns: 300 },
  );
});

it('a block that inflates beyond the bound is refused before it is held', async () => {
  const compress = headerCompressor();
  const bomb = await compress(new Map([['a', 'x'.repeat(10_000_000)]]));
  expect(bomb.length).toBeLessThan(64 * 1024);
  const reader = headerReader();
  await expect(reader.read(bomb)).rejects.toThrow('longer than 65536 bytes');
  await expect(reader.read(bomb)).rejects.toThrow('longer than 65536 bytes');
});
