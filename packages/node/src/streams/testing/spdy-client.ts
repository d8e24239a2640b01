/**
 * The client's side of SPDY/3.1 for tests, with header blocks compressed as kubectl's library does: one deflate context, the dictionary,
 * a sync flush after each block.
 */
import type { Duplex } from 'node:stream';
import { constants, createDeflate } from 'node:zlib';
import { headerDictionary } from '../spdy/dictionary.js';
import { encodeData, encodePing, encodeReset, encodeSynStream, frameDecoder, type SpdyFrame } from '../spdy/frames.js';
import { encodeHeaders, headerReader, type SpdyHeaders } from '../spdy/header-block.js';

/** Blocks as Go's `zlib.NewWriterLevelDict(w, BestCompression, dict)` with a Flush after each makes them. */
export function headerCompressor(): (headers: SpdyHeaders) => Promise<Buffer> {
  const deflate = createDeflate({ dictionary: headerDictionary, level: 9, flush: constants.Z_SYNC_FLUSH });
  let parts: Buffer[] = [];
  deflate.on('data', part => parts.push(part));
  return headers =>
    new Promise((resolve, reject) => {
      deflate.write(encodeHeaders(headers), error => {
        if (error) return reject(error);
        const block = Buffer.concat(parts);
        parts = [];
        resolve(block);
      });
    });
}

export interface ClientStream {
  readonly id: number;
  write(data: Uint8Array | string): Promise<void>;
  end(): void;
  reset(): void;
  /** What came so far. */
  received(): Buffer;
  /** Resolves when the server has ended its direction, or the connection is over. */
  readonly ended: Promise<void>;
  readonly replied: Promise<void>;
  /** The reason of RST_STREAM. */
  resetBy(): number | undefined;
}

export interface SpdyClient {
  open(headers: Record<string, string>, options?: { fin?: boolean }): Promise<ClientStream>;
  /** Resolves when the echo has come. */
  ping(): Promise<void>;
  readonly frames: readonly SpdyFrame['type'][];
  readonly closed: Promise<void>;
  close(): void;
}

type Entry = ClientStream & { take(frame: SpdyFrame): void };

export function spdyClient(socket: Duplex): SpdyClient {
  const compress = headerCompressor();
  const reader = headerReader();
  const streams = new Map<number, Entry>();
  const frames: SpdyFrame['type'][] = [];
  const pings = new Map<number, () => void>();
  let nextId = 1;
  let nextPing = 1;
  let over: () => void = () => undefined;
  const closed = new Promise<void>(resolve => {
    over = resolve;
  });
  const write = (...parts: Buffer[]) =>
    new Promise<void>(resolve => {
      let flowing = true;
      for (const part of parts) flowing = socket.write(part);
      if (flowing || socket.destroyed) return resolve();
      const settle = () => {
        socket.off('drain', settle);
        socket.off('close', settle);
        resolve();
      };
      socket.on('drain', settle);
      socket.on('close', settle);
    });

  function entry(id: number): Entry {
    const parts: Buffer[] = [];
    let reply: () => void = () => undefined;
    let finish: () => void = () => undefined;
    let reason: number | undefined;
    const replied = new Promise<void>(resolve => {
      reply = resolve;
    });
    const ended = new Promise<void>(resolve => {
      finish = resolve;
    });
    void closed.then(finish);
    return {
      id,
      replied,
      ended,
      write: data => write(...encodeData(id, typeof data === 'string' ? Buffer.from(data) : data)),
      end: () => void write(...encodeData(id, Buffer.alloc(0), true)),
      reset: () => void write(encodeReset(id, 5)),
      received: () => Buffer.concat(parts),
      resetBy: () => reason,
      take(frame) {
        if (frame.type === 'syn-reply') reply();
        if (frame.type === 'data') parts.push(Buffer.from(frame.payload));
        if (frame.type === 'rst-stream') reason = frame.reason;
        if (frame.type === 'rst-stream' || ('fin' in frame && frame.fin)) finish();
      },
    };
  }

  void (async () => {
    const decode = frameDecoder();
    try {
      for await (const chunk of socket) {
        for (const frame of decode(chunk as Buffer)) {
          frames.push(frame.type);
          if (frame.type === 'ping') pings.get(frame.id)?.();
          if (frame.type === 'syn-reply') await reader.read(frame.block);
          if ('streamId' in frame) streams.get(frame.streamId)?.take(frame);
        }
      }
    } catch {
      // Told by `closed`.
    }
    reader.close();
    over();
  })();

  return {
    frames,
    closed,
    async open(headers, { fin = false } = {}) {
      const id = nextId;
      nextId += 2;
      const stream = entry(id);
      streams.set(id, stream);
      await write(encodeSynStream(id, await compress(new Map(Object.entries(headers))), fin));
      return stream;
    },
    ping() {
      const id = nextPing;
      nextPing += 2;
      return new Promise(resolve => {
        pings.set(id, resolve);
        void write(encodePing(id));
      });
    },
    close: () => void socket.destroy(),
  };
}
