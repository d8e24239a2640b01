import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, FrameError, frameDecoder, opcodes } from './websocket-frames.js';

/** A frame as a server sends it: without mask. */
function serverFrame(opcode: number, payload: Uint8Array, final = true): Buffer {
  const masked = encodeFrame(opcode, payload, Buffer.alloc(4));
  const maskAt = masked.length - payload.length - 4;
  const frame = Buffer.concat([masked.subarray(0, maskAt), masked.subarray(maskAt + 4)]);
  frame[0] = (final ? 0x80 : 0) | opcode;
  frame[1] = frame[1]! & 0x7f;
  return frame;
}

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.constantFrom(0, 125, 126, 127, 65_535, 65_536).map(length => new Uint8Array(length).fill(7)),
);
const frames = fc.array(
  fc.record({ opcode: fc.constantFrom(...Object.values(opcodes)), payload, final: fc.boolean() }),
  { maxLength: 4 },
);

describe('properties of frames', () => {
  it('come out as they went in, however the bytes are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1 }), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(({ opcode, payload: body, final }) => serverFrame(opcode, body, final)));
        const decode = frameDecoder(100_000);
        const received = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = cuts[turn % cuts.length]!;
          received.push(...decode(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(received.map(each => [each.opcode, each.final, each.payload.toString('hex')])).toEqual(
          sent.map(each => [each.opcode, each.final, Buffer.from(each.payload).toString('hex')]),
        );
      }),
      { numRuns: 200 },
    );
  });

  it('are masked when they are sent', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ minLength: 4, maxLength: 4 }), (body, mask) => {
        const frame = encodeFrame(opcodes.binary, body, mask);
        expect(frame[1]! & 0x80).toBe(0x80);
        const start = frame.length - body.length;
        expect([...frame.subarray(start - 4, start)]).toEqual([...mask]);
        expect([...frame.subarray(start)].map((byte, index) => byte ^ mask[index & 3]!)).toEqual([...body]);
      }),
      { numRuns: 200 },
    );
  });
});

describe('frames that break the protocol', () => {
  it('are refused: reserved bits, masks of a server, lengths over the bound', () => {
    expect(() => frameDecoder(100)(Buffer.of(0xc2, 0))).toThrow(FrameError);
    expect(() => frameDecoder(100)(encodeFrame(opcodes.binary, Buffer.from('x')))).toThrow('a server must not mask');
    expect(() => frameDecoder(100)(serverFrame(opcodes.binary, new Uint8Array(101)).subarray(0, 4))).toThrow(
      'over the bound of 100',
    );
  });
});
