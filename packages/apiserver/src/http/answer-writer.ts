/**
 * Puts an answer's body into a response of either version of HTTP: whole, or piece by piece as the client takes it.
 *
 * One write a piece; the next piece is asked for only when the response can take more. A client that takes nothing for `stalledMs` is
 * cut off, which is what bounds the memory that a watcher without a reader can hold.
 */
/** What takes the pieces: a response of HTTP/1.1, a stream of HTTP/2, or the socket below (chunked-sink.ts). */
export interface Sink {
  readonly destroyed: boolean;
  /** What was written and not taken yet. */
  readonly writableLength: number;
  write(piece: Uint8Array): boolean;
  end(): unknown;
  once(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
}

export async function writePieces(
  response: Sink,
  body: AsyncIterable<Uint8Array>,
  stalledMs: number,
  cutOff: () => void,
): Promise<void> {
  for await (const piece of body) {
    if (response.destroyed) break;
    // What the kernel took at once need not be waited for, however much it was.
    if (piece.length > 0 && !response.write(piece) && response.writableLength > 0)
      await drained(response, stalledMs, cutOff);
  }
  response.end();
}

/** Resolves when the response can take more or is gone. */
function drained(response: Sink, stalledMs: number, cutOff: () => void): Promise<void> {
  return new Promise(resolve => {
    const settle = () => {
      clearTimeout(timer);
      response.off('drain', settle);
      response.off('close', settle);
      resolve();
    };
    const timer = setTimeout(cutOff, stalledMs);
    response.once('drain', settle);
    response.once('close', settle);
  });
}
