/**
 * Fan-out of runtime events to any number of readers.
 *
 * Events are hints, so a slow reader costs nothing but detail: its queue is bounded, and what overflows is coalesced into
 * one event without ids, which means "anything may have changed". No reader holds up another or the runtime.
 */
import type { RuntimeEvent } from './contract.js';

const queueLimit = 1_024;

export interface EventStream {
  emit(event: RuntimeEvent): void;
  /** Ends with the signal, or when the stream is closed. */
  subscribe(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
  /** Ends every reader. Twice is harmless. */
  close(): void;
}

interface Reader {
  queue: RuntimeEvent[];
  wake: (() => void) | undefined;
}

export function eventStream(): EventStream {
  const readers = new Set<Reader>();
  let closed = false;

  return {
    emit(event) {
      for (const reader of readers) {
        if (reader.queue.length >= queueLimit) reader.queue = [{}];
        else reader.queue.push(event);
        reader.wake?.();
      }
    },
    subscribe(signal) {
      const reader: Reader = { queue: [], wake: undefined };
      // Registered now, not at the first read: nothing that happens in between is missed.
      if (!closed && !signal.aborted) readers.add(reader);
      const onAbort = () => reader.wake?.();
      signal.addEventListener('abort', onAbort);
      const leave = () => {
        readers.delete(reader);
        signal.removeEventListener('abort', onAbort);
      };
      return (async function* () {
        try {
          while (!closed && !signal.aborted) {
            const next = reader.queue.shift();
            if (next) yield next;
            else
              await new Promise<void>(resolve => {
                reader.wake = resolve;
              });
          }
        } finally {
          leave();
        }
      })();
    },
    close() {
      closed = true;
      for (const reader of readers) reader.wake?.();
    },
  };
}
