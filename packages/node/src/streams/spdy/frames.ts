/**
 * SPDY/3.1 frames as bytes: what Kubernetes' exec, attach and port-forward need of them.
 *
 * Data is handed out as it arrives, never collected, so a data frame may be as long as its 24 bits allow; control frames are
 * bounded. Header blocks stay compressed here (`header-block.ts`). Source: the SPDY/3.1 draft, section 2.2 and 2.6.
 */
const frameTypes = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

/** Of RST_STREAM. */
export const resetReasons = {
  protocolError: 1,
  invalidStream: 2,
  refusedStream: 3,
  cancel: 5,
  internalError: 6,
} as const;
/** Of GOAWAY. */
export const goAwayReasons = { ok: 0, protocolError: 1 } as const;

export type SpdyFrame =
  | { type: 'syn-stream'; streamId: number; fin: boolean; unidirectional: boolean; block: Buffer }
  | { type: 'syn-reply'; streamId: number; fin: boolean; block: Buffer }
  | { type: 'headers'; streamId: number; fin: boolean; block: Buffer }
  /** A piece of a data frame; `fin` with its last piece. */
  | { type: 'data'; streamId: number; fin: boolean; payload: Buffer }
  | { type: 'rst-stream'; streamId: number; reason: number }
  | { type: 'ping'; id: number }
  | { type: 'go-away' }
  /** SETTINGS, WINDOW_UPDATE and what is unknown: nothing follows from them here. */
  | { type: 'ignored' };

/** The peer broke the protocol; the connection cannot go on. */
export class SpdyProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SpdyProtocolError';
  }
}

const headBytes = 8;
const version = 3;
const finFlag = 1;
const unidirectionalFlag = 2;
const idMask = 0x7fff_ffff;
/** Headers of streams are tens of bytes; Go's http2 allows 16 KiB a frame by default. */
const longestControlFrame = 64 * 1024;
/** Longest data frame that is sent: streams take turns in steps of this. */
const dataStep = 32 * 1024;

/** Takes bytes as they come and yields what is complete. @throws SpdyProtocolError */
export function frameDecoder(): (bytes: Buffer) => Generator<SpdyFrame, void> {
  let head: Buffer = Buffer.alloc(0);
  let control: { type: number; flags: number; length: number; parts: Buffer[]; size: number } | undefined;
  let data: { streamId: number; fin: boolean; left: number } | undefined;

  return function* decode(bytes) {
    let at = 0;
    while (at < bytes.length) {
      if (data) {
        const payload = bytes.subarray(at, at + data.left);
        at += payload.length;
        data.left -= payload.length;
        const { streamId, fin, left } = data;
        if (left === 0) data = undefined;
        yield { type: 'data', streamId, fin: fin && left === 0, payload };
        continue;
      }
      if (control) {
        const part = bytes.subarray(at, at + control.length - control.size);
        at += part.length;
        control.parts.push(part);
        control.size += part.length;
        if (control.size < control.length) return;
        const { type, flags, parts } = control;
        control = undefined;
        yield controlFrame(type, flags, parts.length === 1 ? parts[0]! : Buffer.concat(parts));
        continue;
      }
      const part = bytes.subarray(at, at + headBytes - head.length);
      at += part.length;
      head = head.length === 0 ? part : Buffer.concat([head, part]);
      if (head.length < headBytes) {
        // Kept beyond the caller's buffer.
        head = Buffer.from(head);
        return;
      }
      const first = head.readUInt32BE(0);
      const flags = head[4]!;
      const length = head.readUIntBE(5, 3);
      head = Buffer.alloc(0);
      if (first >>> 31 === 0) {
        const fin = (flags & finFlag) !== 0;
        if (length > 0) data = { streamId: first, fin, left: length };
        else yield { type: 'data', streamId: first, fin, payload: Buffer.alloc(0) };
        continue;
      }
      if (((first >>> 16) & 0x7fff) !== version)
        throw new SpdyProtocolError(`a control frame is of SPDY version ${(first >>> 16) & 0x7fff}, not ${version}`);
      if (length > longestControlFrame)
        throw new SpdyProtocolError(`a control frame of ${length} bytes is over the bound of ${longestControlFrame}`);
      if (length === 0) yield controlFrame(first & 0xffff, flags, Buffer.alloc(0));
      else control = { type: first & 0xffff, flags, length, parts: [], size: 0 };
    }
  };
}

function controlFrame(type: number, flags: number, body: Buffer): SpdyFrame {
  const need = (bytes: number) => {
    if (body.length < bytes)
      throw new SpdyProtocolError(`a control frame of type ${type} is too short (${body.length})`);
  };
  const fin = (flags & finFlag) !== 0;
  const id = () => body.readUInt32BE(0) & idMask;
  switch (type) {
    case frameTypes.synStream:
      need(10);
      return {
        type: 'syn-stream',
        streamId: id(),
        fin,
        unidirectional: (flags & unidirectionalFlag) !== 0,
        block: body.subarray(10),
      };
    case frameTypes.synReply:
      need(4);
      return { type: 'syn-reply', streamId: id(), fin, block: body.subarray(4) };
    case frameTypes.headers:
      need(4);
      return { type: 'headers', streamId: id(), fin, block: body.subarray(4) };
    case frameTypes.rstStream:
      need(8);
      return { type: 'rst-stream', streamId: id(), reason: body.readUInt32BE(4) };
    case frameTypes.ping:
      need(4);
      return { type: 'ping', id: body.readUInt32BE(0) };
    case frameTypes.goAway:
      return { type: 'go-away' };
    default:
      return { type: 'ignored' };
  }
}

function control(type: number, flags: number, ...parts: Buffer[]): Buffer {
  const head = Buffer.allocUnsafe(headBytes);
  head.writeUInt32BE((0x8000_0000 + version * 0x1_0000 + type) >>> 0, 0);
  head[4] = flags;
  head.writeUIntBE(
    parts.reduce((sum, part) => sum + part.length, 0),
    5,
    3,
  );
  return Buffer.concat([head, ...parts]);
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.allocUnsafe(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * index);
  return bytes;
}

export const encodeSynStream = (streamId: number, block: Buffer, fin = false): Buffer =>
  control(frameTypes.synStream, fin ? finFlag : 0, words(streamId, 0), Buffer.alloc(2), block);
export const encodeSynReply = (streamId: number, block: Buffer): Buffer =>
  control(frameTypes.synReply, 0, words(streamId), block);
export const encodeReset = (streamId: number, reason: number): Buffer =>
  control(frameTypes.rstStream, 0, words(streamId, reason));
export const encodePing = (id: number): Buffer => control(frameTypes.ping, 0, words(id));
export const encodeGoAway = (lastStreamId: number, reason: number): Buffer =>
  control(frameTypes.goAway, 0, words(lastStreamId, reason));

/** As many frames as the data needs; one empty one for none. */
export function encodeData(streamId: number, data: Uint8Array, fin = false): Buffer[] {
  const frames: Buffer[] = [];
  for (let from = 0; from === 0 || from < data.length; from += dataStep) {
    const payload = data.subarray(from, from + dataStep);
    const last = from + dataStep >= data.length;
    const head = Buffer.allocUnsafe(headBytes);
    head.writeUInt32BE(streamId, 0);
    head[4] = fin && last ? finFlag : 0;
    head.writeUIntBE(payload.length, 5, 3);
    frames.push(head);
    if (payload.length > 0) frames.push(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
  }
  return frames;
}
