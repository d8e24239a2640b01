/**
 * Puts an answer's body into a response of either version of HTTP: whole, or piece by piece as the client takes it.
 *
 * One write a piece; the next piece is asked for only when the response can take more. A client that takes nothing for `stalledMs` is
 * cut off, which is what bounds the memory that a watcher without a reader can hold.
 */
import type { Writable } from 'node:stream';

export async function writePieces(
  response: Writable,
  body: AsyncIterable<Uint8Array>,
  stalledMs: number,
  cutOff: () => void,
): Promise<void> {
  for await (const piece of body) {
    if (response.destroyed) break;
    if (piece.length > 0 && !response.write(piece)) await drained(response, stalledMs, cutOff);
  }
  response.end();
}

/** Resolves when the response can take more or is gone. */
function drained(response: Writable, stalledMs: number, cutOff: () => void): Promise<void> {
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
