/**
 * The frames of RFC 6455, as a client speaks them: what is sent is masked, what arrives is not.
 *
 * Written here because the WebSocket of Node 20 and of undici hide the server's answer to a refused handshake, which says
 * why an exec was refused. No extensions are offered, so every reserved bit is an error.
 */
import { randomBytes } from 'node:crypto';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  opcode: number;
  final: boolean;
  payload: Buffer;
}

export class FrameError extends Error {}

/** One masked frame. */
export function encodeFrame(opcode: number, payload: Uint8Array, mask: Uint8Array = randomBytes(4)): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 0x1_0000 ? 2 : 8;
  const frame = Buffer.allocUnsafe(2 + extended + 4 + length);
  frame[0] = 0x80 | opcode;
  if (extended === 0) frame[1] = 0x80 | length;
  else if (extended === 2) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  const start = 2 + extended + 4;
  frame.set(mask, start - 4);
  for (let i = 0; i < length; i++) frame[start + i] = payload[i]! ^ mask[i & 3]!;
  return frame;
}

/** Takes bytes as they arrive and returns the frames that are complete. @throws FrameError on what breaks the protocol. */
export function frameDecoder(longestPayload: number): (bytes: Buffer) => Frame[] {
  let parts: Buffer[] = [];
  let buffered = 0;
  /** Bytes that the frame in hand needs before it is worth looking again. */
  let needed = 2;

  function headOf(bytes: Buffer): { start: number; length: number } | undefined {
    const short = bytes[1]! & 0x7f;
    const start = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < start) {
      needed = start;
      return undefined;
    }
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
    return { start, length };
  }

  return bytes => {
    parts.push(bytes);
    buffered += bytes.length;
    const frames: Frame[] = [];
    while (buffered >= needed) {
      const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts, buffered);
      parts = [all];
      const first = all[0]!;
      if ((first & 0x70) !== 0) throw new FrameError('a reserved bit is set');
      if ((all[1]! & 0x80) !== 0) throw new FrameError('a server must not mask its frames');
      const head = headOf(all);
      if (!head) continue;
      if (head.length > longestPayload)
        throw new FrameError(`a frame of ${head.length} bytes is over the bound of ${longestPayload}`);
      needed = head.start + head.length;
      if (all.length < needed) continue;
      frames.push({ opcode: first & 0x0f, final: (first & 0x80) !== 0, payload: all.subarray(head.start, needed) });
      parts = [all.subarray(needed)];
      buffered -= needed;
      needed = 2;
    }
    return frames;
  };
}
