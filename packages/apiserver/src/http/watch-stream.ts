/**
 * Watches as streams of bytes: one piece for each batch that the resources deliver, which is usually one commit of the store. In
 * the plain form the pieces are the very buffers that all watchers of the same events share; Table and PartialObjectMetadata forms are
 * made per event.
 *
 * ERROR events are a Status in every form. Column definitions come with the first Table only, `null` afterwards (observed).
 * Whoever reads slowly makes the resources' bounded queue of this watch overflow, which ends the stream; the client lists again.
 */
import type { Kind } from '@orbitkit/core';
import type { WatchBatch, WatchEvent } from '../registry/contract.js';
import type { AnswerForm } from './media-type.js';
import { notAcceptable } from './media-type.js';
import { partialMetadata } from './partial-metadata.js';
import { type IncludeObject, type TableShape, tableOfBookmark, tableOfObject } from './table.js';

export interface WatchStreamOptions {
  readonly kind: Kind;
  readonly form: AnswerForm;
  readonly include: IncludeObject;
  readonly now: () => number;
  /** Told of every batch: how many events went out. */
  readonly delivered: (events: number) => void;
}

const frameEnd = Buffer.from('}\n');
const frame = (type: string, object: Buffer) =>
  Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, frameEnd]);

function eventForm(options: WatchStreamOptions): (event: WatchEvent) => Buffer {
  const { form, kind, include, now } = options;
  if (form.as === 'PartialObjectMetadata') {
    return event =>
      event.type === 'ERROR' ? event.frame : frame(event.type, partialMetadata(event.object, form.version));
  }
  const shape: TableShape = { kind, version: form.as === 'Table' ? form.version : 'v1', include };
  let first = true;
  return event => {
    if (event.type === 'ERROR') return event.frame;
    const columns = first;
    first = false;
    const table =
      event.type === 'BOOKMARK'
        ? tableOfBookmark(shape, event.object, columns)
        : tableOfObject(shape, event.object, now(), columns);
    return frame(event.type, table);
  };
}

/** @throws StatusError NotAcceptable for YAML, which has no stream form here. */
export function watchStream(batches: AsyncIterable<WatchBatch>, options: WatchStreamOptions): AsyncIterable<Buffer> {
  if (options.form.encoding !== 'json') throw notAcceptable(['application/json', 'application/json;stream=watch']);
  return pieces(batches, options);
}

/** Written out, not a generator: each batch passes here once for every watcher. */
function pieces(batches: AsyncIterable<WatchBatch>, options: WatchStreamOptions): AsyncIterable<Buffer> {
  const formOf = options.form.as === 'object' ? undefined : eventForm(options);
  return {
    [Symbol.asyncIterator]() {
      const source = batches[Symbol.asyncIterator]();
      return {
        async next() {
          const { done, value: batch } = await source.next();
          if (done) return { done: true, value: undefined };
          options.delivered(batch.events.length);
          return {
            done: false,
            value: formOf === undefined ? batch.bytes : Buffer.concat(batch.events.map(formOf)),
          };
        },
        async return() {
          await source.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
