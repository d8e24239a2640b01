/**
 * The bytes of a watch as typed events, one array for what arrived together.
 *
 * Lines are found on bytes, and each is decoded once; a line that spans chunks is joined when it is complete, never piece
 * by piece. A long chunk is handed out in parts, so that parsing does not hold the event loop for longer than 8 ms.
 *
 * An ERROR event, a line that is no event, a line beyond the bound and an end inside a line are thrown as StatusError.
 */
import { StatusError } from '../errors/status-error.js';
import type { WatchEvent } from './client.js';

/** Objects are at most 3 MB on a real server (etcd: 1.5 MB); a Table row carries little more. */
const longestLine = 32 * 1024 * 1024;
const longestTurnMs = 8;
const newline = 10;

export async function* watchEvents<T>(body: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent<T>[], void> {
  let rest: Buffer[] = [];
  let restLength = 0;
  for await (const chunk of body) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let batch: WatchEvent<T>[] = [];
    let start = 0;
    let turnStarted = performance.now();
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      let line: string;
      if (restLength === 0) line = bytes.toString('utf8', start, end);
      else {
        line = Buffer.concat([...rest, bytes.subarray(start, end)]).toString('utf8');
        rest = [];
        restLength = 0;
      }
      start = end + 1;
      if (line.length === 0) continue;
      let event: WatchEvent<T>;
      try {
        event = eventOf<T>(line);
      } catch (error) {
        // What came before the error is good and must not be lost with it.
        if (batch.length > 0) yield batch;
        throw error;
      }
      batch.push(event);
      if (performance.now() - turnStarted > longestTurnMs) {
        yield batch;
        batch = [];
        await new Promise(resolve => setImmediate(resolve));
        turnStarted = performance.now();
      }
    }
    if (start < bytes.length) {
      rest.push(bytes.subarray(start));
      restLength += bytes.length - start;
      if (restLength > longestLine)
        throw new StatusError('InternalError', `a watch event is longer than ${longestLine} bytes`);
    }
    if (batch.length > 0) yield batch;
  }
  if (restLength > 0) throw new StatusError('ServiceUnavailable', 'the watch was cut in the middle of an event');
}

function eventOf<T>(line: string): WatchEvent<T> {
  let event: { type?: unknown; object?: any };
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw new StatusError('InternalError', `a line of the watch is not JSON: ${line.slice(0, 200)}`, { cause });
  }
  const { type, object } = event;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object };
    case 'BOOKMARK':
      return {
        type,
        resourceVersion: object?.metadata?.resourceVersion ?? '',
        initialEventsEnd: object?.metadata?.annotations?.['k8s.io/initial-events-end'] === 'true',
      };
    case 'ERROR':
      throw StatusError.fromStatus(object ?? {}, object?.code ?? 500);
    default:
      throw new StatusError('InternalError', `a line of the watch has an unknown type: ${line.slice(0, 200)}`);
  }
}
