/**
 * The bytes of a watch as typed events, one array for what arrived together.
 *
 * Lines are found on bytes, and each is decoded once; a line that spans chunks is joined when it is complete, never piece
 * by piece. With a `decode` of the caller's, an object is not parsed here at all: the caller gets its bytes, where they arrived.
 *
 * Reading, together with what the reader does with the events, holds the event loop for about 8 ms at a time: then whatever else is
 * ready runs first. Only one event that takes longer by itself makes that longer.
 *
 * An ERROR event, a line that is no event, a line beyond the bound and an end inside a line are thrown as StatusError.
 */
import { StatusError } from '../errors/status-error.js';
import type { ObjectDecoder, WatchEvent } from './client.js';
import { turns } from './turns.js';

/** Objects are at most 3 MB on a real server (etcd: 1.5 MB); a Table row carries little more. */
const longestLine = 32 * 1024 * 1024;
const newline = 10;

/**
 * Reads the body of a watch. Ends with the body.
 * @param decode Default: JSON.parse.
 * @throws StatusError of an ERROR event (410 Expired among them), or when a line is no event.
 */
export async function* watchEvents<T>(
  body: AsyncIterable<Uint8Array>,
  decode?: ObjectDecoder<T>,
): AsyncGenerator<WatchEvent<T>[], void> {
  let rest: Buffer[] = [];
  let restLength = 0;
  const turn = turns();
  for await (const chunk of body) {
    turn.resume();
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let batch: WatchEvent<T>[] = [];
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      let line = bytes;
      let lineStart = start;
      let lineEnd = end;
      if (restLength > 0) {
        line = joined(rest, restLength, bytes.subarray(start, end));
        lineStart = 0;
        lineEnd = line.length;
        rest = [];
        restLength = 0;
      }
      start = end + 1;
      if (lineEnd === lineStart) continue;
      let event: WatchEvent<T>;
      try {
        event = eventOf<T>(line, lineStart, lineEnd, decode);
      } catch (error) {
        // What came before the error is good and must not be lost with it.
        if (batch.length > 0) yield batch;
        throw error;
      }
      batch.push(event);
      if (turn.over) {
        yield batch;
        batch = [];
        await turn.next();
      }
    }
    if (start < bytes.length) {
      rest.push(bytes.subarray(start));
      restLength += bytes.length - start;
      if (restLength > longestLine)
        throw new StatusError('InternalError', `a watch event is longer than ${longestLine} bytes`);
    }
    if (batch.length > 0) yield batch;
    if (turn.over) await turn.next();
    turn.pause();
  }
  if (restLength > 0) throw new StatusError('ServiceUnavailable', 'the watch was cut in the middle of an event');
}

/** In memory of its own, which lives no longer than whoever keeps the line. */
function joined(parts: readonly Buffer[], length: number, last: Buffer): Buffer {
  const line = Buffer.allocUnsafeSlow(length + last.length);
  let at = 0;
  for (const part of parts) at += part.copy(line, at);
  last.copy(line, at);
  return line;
}

/** How every Go server begins the line of a change. */
const changes = (['ADDED', 'MODIFIED', 'DELETED'] as const).map(type => ({
  type,
  prefix: Buffer.from(`{"type":"${type}","object":`),
}));
const closeBrace = 0x7d;
/** Where the three differ from each other. */
const typeAt = '{"type":"'.length;

function eventOf<T>(line: Buffer, start: number, end: number, decode: ObjectDecoder<T> | undefined): WatchEvent<T> {
  if (decode && line[end - 1] === closeBrace) {
    for (const { type, prefix } of changes) {
      if (line[start + typeAt] !== prefix[typeAt]) continue;
      const object = start + prefix.length;
      if (object < end && beginsWith(line, start, prefix))
        return { type, object: decoded(line, object, end - 1, decode) };
    }
  }
  return parsedEvent<T>(line.toString('utf8', start, end), decode);
}

function beginsWith(line: Buffer, start: number, prefix: Buffer): boolean {
  for (let i = 0; i < prefix.length; i++) if (line[start + i] !== prefix[i]) return false;
  return true;
}

function decoded<T>(line: Buffer, start: number, end: number, decode: ObjectDecoder<T>): T {
  try {
    return decode(line, start, end);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw notJson(line.toString('utf8', start, Math.min(end, start + 200)), cause);
  }
}

const notJson = (text: string, cause: unknown): StatusError =>
  new StatusError('InternalError', `a line of the watch is not JSON: ${text.slice(0, 200)}`, { cause });

function parsedEvent<T>(line: string, decode: ObjectDecoder<T> | undefined): WatchEvent<T> {
  let event: { type?: unknown; object?: any };
  try {
    event = JSON.parse(line);
  } catch (cause) {
    throw notJson(line, cause);
  }
  const { type, object } = event;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED': {
      if (!decode) return { type, object };
      const bytes = Buffer.from(JSON.stringify(object ?? null));
      return { type, object: decoded(bytes, 0, bytes.length, decode) };
    }
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
