/**
 * Streams of HTTP/1.1 in chunks that are framed once, however many responses they go to: the very same buffer is written to the socket of
 * each, in one system call. `ServerResponse` frames each chunk anew, as four pieces; with a thousand watchers that costs more than the bytes.
 *
 * Only for a response whose headers are sent and which nobody else writes to; its end is the response's own. Source of the form: RFC 9112 7.1.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Sink } from './answer-writer.js';

const lineEnd = Buffer.from('\r\n');

/** Watchers of the same get the same piece one right after the other. */
let framed: { readonly piece: Uint8Array; readonly chunk: Buffer } | undefined;

function chunkOf(piece: Uint8Array): Buffer {
  if (framed?.piece !== piece) {
    const head = Buffer.from(`${piece.length.toString(16)}\r\n`, 'latin1');
    framed = { piece, chunk: Buffer.concat([head, piece, lineEnd]) };
  }
  return framed.chunk;
}

/** The response itself when it is not chunked, or is not the one that its socket is at. */
export function chunkedSink(response: ServerResponse): Sink {
  const { socket } = response;
  const alone = socket !== null && response.headersSent && response.writableLength === socket.writableLength;
  return alone && response.chunkedEncoding ? new ChunkedSink(response, socket) : response;
}

class ChunkedSink implements Sink {
  constructor(
    private readonly response: ServerResponse,
    private readonly socket: Socket,
  ) {}

  get destroyed(): boolean {
    return this.response.destroyed || this.socket.destroyed;
  }
  get writableLength(): number {
    return this.socket.writableLength;
  }
  write(piece: Uint8Array): boolean {
    return this.socket.write(chunkOf(piece));
  }
  end(): void {
    this.response.end();
  }
  once(event: 'drain' | 'close', listener: () => void): void {
    this.socket.once(event, listener);
  }
  off(event: 'drain' | 'close', listener: () => void): void {
    this.socket.off(event, listener);
  }
}
