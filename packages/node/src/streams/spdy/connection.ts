/**
 * The server's side of one SPDY/3.1 connection, over any byte stream: streams that the client opens, each two ways.
 *
 * - There is no flow control (kubectl's library has none): while one stream's reader is behind by `unreadBytes`, the whole connection
 *   waits. A writer waits for the socket.
 * - Bounds: open streams, headers, control frames, unread bytes, unsent answers. What is over them is refused with RST_STREAM or ends the
 *   connection with GOAWAY; whatever bytes come, nothing is thrown.
 * - The end of the connection, from either side, ends every stream; `signal` aborts then.
 */
import type { Duplex } from 'node:stream';
import { type ChunkQueue, chunkQueue } from '../chunk-queue.js';
import {
  encodeData,
  encodeGoAway,
  encodePing,
  encodeReset,
  encodeSynReply,
  frameDecoder,
  goAwayReasons,
  resetReasons,
  type SpdyFrame,
  SpdyProtocolError,
} from './frames.js';
import { headerReader, headerWriter, type SpdyHeaders } from './header-block.js';

export interface SpdyStream {
  readonly id: number;
  readonly headers: SpdyHeaders;
  /** What the client sends, to its end. One reader; leaving early discards the rest. */
  readonly input: AsyncIterable<Buffer>;
  /** Nobody will read `input`: what comes is discarded. Without this or a reader the connection stops at the bound. */
  ignoreInput(): void;
  /**
   * A promise when the caller should wait: it resolves when there is room for more. Nothing is sent after `end`, a reset or the end
   * of the connection.
   */
  write(data: Uint8Array): Promise<void> | undefined;
  /** No more will be written. */
  end(): void;
  /** Gives both directions up. */
  reset(reason?: number): void;
  /** Aborted by the client's reset and by the end of the connection. */
  readonly signal: AbortSignal;
}

export interface SpdyConnection {
  /** Aborted when the connection is over, whoever ended it. */
  readonly signal: AbortSignal;
  /** Ends the connection after what was written. */
  close(): void;
}

export interface SpdyLimits {
  /** Open at one time. Default 512: 256 forwarded connections. */
  streams?: number;
  /** Unread by one stream's reader. Default 1 MiB. */
  unreadBytes?: number;
}

/** Answers to pings and resets that the client does not read. */
const mostUnsent = 8 * 1024 * 1024;
const farewellMs = 5_000;
const beatMs = 5_000;
/** A ping in so many beats; in each while a reader is behind: a socket that nobody reads tells its end only to who writes. */
const quietBeats = 6;

type Stream = SpdyStream & {
  readonly queue: ChunkQueue<Buffer>;
  readonly over: AbortController;
  /** Its reader is behind. */
  behind: boolean;
  theyEnded: boolean;
  weEnded: boolean;
};

/** @param onStream is told of each stream once it was answered with SYN_REPLY; throwing resets the stream. */
export function spdyConnection(
  socket: Duplex,
  onStream: (stream: SpdyStream) => void,
  limits: SpdyLimits = {},
): SpdyConnection {
  const { streams: mostStreams = 512, unreadBytes = 1024 * 1024 } = limits;
  const over = new AbortController();
  const streams = new Map<number, Stream>();
  const headers = headerReader();
  const block = headerWriter();
  let lastStreamId = 0;
  let closing = false;
  /** Streams whose readers are behind. */
  let behind = 0;
  let caughtUp: (() => void) | undefined;
  let room: Promise<void> | undefined;

  const open = () => !over.signal.aborted && !socket.destroyed && !socket.writableEnded;
  function send(...parts: Buffer[]): boolean {
    if (!open()) return true;
    if (parts.length === 1) return socket.write(parts[0]);
    socket.cork();
    const flowing = parts.map(part => socket.write(part)).at(-1)!;
    socket.uncork();
    return flowing;
  }
  /** An answer that nobody waits for. */
  function answer(frame: Buffer): void {
    send(frame);
    if (socket.writableLength > mostUnsent) throw new SpdyProtocolError('the client does not read');
  }
  const hasRoom = (): Promise<void> => {
    if (!open() || !socket.writableNeedDrain) return Promise.resolve();
    room ??= new Promise<void>(resolve => {
      const settle = () => {
        socket.off('drain', settle);
        over.signal.removeEventListener('abort', settle);
        room = undefined;
        resolve();
      };
      socket.on('drain', settle);
      over.signal.addEventListener('abort', settle, { once: true });
    });
    return room;
  };

  function forgetWhenDone(stream: Stream): void {
    if (stream.theyEnded && stream.weEnded) streams.delete(stream.id);
  }
  function setBehind(stream: Stream, is: boolean): void {
    if (stream.behind === is) return;
    stream.behind = is;
    behind += is ? 1 : -1;
    if (behind === 0) caughtUp?.();
  }
  function ignoreInput(stream: Stream): void {
    stream.queue.end();
    setBehind(stream, false);
  }
  function drop(stream: Stream, why: Error): void {
    streams.delete(stream.id);
    stream.theyEnded = stream.weEnded = true;
    ignoreInput(stream);
    stream.over.abort(why);
  }

  function newStream(id: number, own: SpdyHeaders, weEnded: boolean): Stream {
    const queue = chunkQueue<Buffer>({
      sizeOf: chunk => chunk.length,
      highWater: unreadBytes,
      pause: () => setBehind(stream, true),
      resume: () => setBehind(stream, false),
    });
    const stream: Stream = {
      id,
      headers: own,
      queue,
      input: queue,
      behind: false,
      over: new AbortController(),
      theyEnded: false,
      weEnded,
      get signal() {
        return stream.over.signal;
      },
      ignoreInput: () => ignoreInput(stream),
      write(data) {
        if (stream.weEnded || data.length === 0) return undefined;
        return send(...encodeData(id, data)) ? undefined : hasRoom();
      },
      end() {
        if (stream.weEnded) return;
        stream.weEnded = true;
        send(...encodeData(id, Buffer.alloc(0), true));
        forgetWhenDone(stream);
      },
      reset(reason = resetReasons.cancel) {
        if (!streams.has(id)) return;
        send(encodeReset(id, reason));
        drop(stream, new Error('the stream was reset'));
      },
    };
    return stream;
  }

  function receive(stream: Stream, payload: Buffer, fin: boolean): void {
    // A copy: the piece is a view of a larger buffer, which unread bytes would hold.
    if (payload.length > 0) stream.queue.push(payload.length < 4_096 ? Buffer.from(payload) : payload);
    if (!fin) return;
    stream.theyEnded = true;
    stream.queue.end();
    forgetWhenDone(stream);
  }

  async function begin(frame: SpdyFrame & { type: 'syn-stream' }): Promise<void> {
    const { streamId: id, fin } = frame;
    const own = await headers.read(frame.block);
    if (id % 2 === 0 || id <= lastStreamId)
      throw new SpdyProtocolError(`stream ${id} cannot be opened after ${lastStreamId}: ids are odd and grow`);
    lastStreamId = id;
    if (closing || streams.size >= mostStreams) return answer(encodeReset(id, resetReasons.refusedStream));
    const stream = newStream(id, own, frame.unidirectional);
    streams.set(id, stream);
    answer(encodeSynReply(id, block(new Map())));
    try {
      onStream(stream);
    } catch {
      stream.reset(resetReasons.protocolError);
    }
    if (fin) receive(stream, Buffer.alloc(0), true);
  }

  /** A promise only where something must be waited for. */
  function take(frame: SpdyFrame): Promise<unknown> | undefined {
    switch (frame.type) {
      case 'syn-stream':
        return begin(frame);
      // Read for the compressor's sake: the context goes on with every block.
      case 'syn-reply':
        return headers.read(frame.block);
      case 'headers':
        return headers.read(frame.block).then(() => {
          const stream = streams.get(frame.streamId);
          if (frame.fin && stream) receive(stream, Buffer.alloc(0), true);
        });
      case 'data': {
        const stream = streams.get(frame.streamId);
        if (stream && !stream.theyEnded) receive(stream, frame.payload, frame.fin);
        else if (!stream && frame.streamId > lastStreamId)
          throw new SpdyProtocolError(`data for stream ${frame.streamId}, which was not opened`);
        return undefined;
      }
      case 'rst-stream': {
        const stream = streams.get(frame.streamId);
        if (stream) drop(stream, new Error('the client reset the stream'));
        return undefined;
      }
      case 'ping':
        // Even ids answer the server's own pings.
        if (frame.id % 2 === 1) answer(encodePing(frame.id));
        return undefined;
      default:
        return undefined;
    }
  }

  async function read(): Promise<void> {
    const decode = frameDecoder();
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      for (const frame of decode(chunk as Buffer)) {
        const waiting = take(frame);
        if (waiting) await waiting;
      }
      if (over.signal.aborted) return;
      if (behind > 0) {
        await new Promise<void>(resolve => {
          caughtUp = resolve;
        });
      }
    }
  }

  function finish(why: Error): void {
    if (over.signal.aborted) return;
    clearInterval(beat);
    over.abort(why);
    for (const stream of [...streams.values()]) drop(stream, why);
    caughtUp?.();
    headers.close();
  }

  let beats = 0;
  const beat = setInterval(() => {
    beats += 1;
    // A server's pings have even ids.
    if (behind > 0 || beats % quietBeats === 0) send(encodePing((2 * beats) % 0x7fff_fffe));
  }, beatMs);
  beat.unref();
  socket.on('error', () => socket.destroy());
  socket.once('close', () => finish(new Error('the client closed the connection')));
  read().then(
    () => {
      finish(new Error('the client closed the connection'));
      socket.destroy();
    },
    error => {
      if (error instanceof SpdyProtocolError && open()) {
        socket.end(encodeGoAway(lastStreamId, goAwayReasons.protocolError));
        // Said, but not waited for: a peer that breaks the protocol may not read either.
        setImmediate(() => socket.destroy());
      } else socket.destroy();
      finish(error instanceof Error ? error : new Error(String(error)));
    },
  );

  return {
    signal: over.signal,
    close() {
      if (closing || !open()) return;
      closing = true;
      for (const stream of streams.values()) {
        stream.weEnded = true;
        ignoreInput(stream);
      }
      socket.end(encodeGoAway(lastStreamId, goAwayReasons.ok));
      const timer = setTimeout(() => socket.destroy(), farewellMs);
      over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
    },
  };
}
