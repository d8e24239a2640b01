/**
 * A link: one long-lived stream to a peer, over which calls with ids go out in batches and replies come back in any order.
 *
 * - A call has a deadline; what is not answered by then is `DeadlineExceeded`.
 * - When the stream breaks, every call under way is answered `Lost`: the outcome is unknown, the caller decides.
 * - At most `limit` calls are under way; one more is `Overloaded` at once.
 * - The stream is opened again by itself on the next call.
 */
import type { Clock } from '@orbitkit/core';
import type { Calls, Create, Created, ErrorCode, Replies } from './schema.js';

export interface LinkOptions {
  clock: Clock;
  /** Opens the stream. */
  open(): DuplexStream;
  /** Capacity notices of a node. */
  onCapacity?(capacity: NonNullable<Replies['capacity']>): void;
  /** The stream broke (or could not be opened). */
  onDown?(): void;
  limit?: number;
}

export interface DuplexStream {
  write(message: Calls<Create>): boolean;
  end(): void;
  cancel(): void;
  on(event: 'data', listener: (message: Replies) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
}

export interface Link {
  call(create: Create): Promise<Created>;
  /** Opens the stream without a call, to hear notices. */
  open(): void;
  readonly inFlight: number;
  close(): void;
}

export const failed = (create: { key: string }, errorCode: ErrorCode, error: string): Created => ({
  key: create.key,
  id: '',
  node: '',
  address: '',
  errorCode,
  error,
  hops: [],
});

export function link(options: LinkOptions): Link {
  const limit = options.limit ?? 10_000;
  const waiting = new Map<number, { create: Create; resolve(created: Created): void; timer: { cancel(): void } }>();
  let nextId = 1;
  let stream: DuplexStream | undefined;
  let gathered: Calls<Create>['calls'] = [];
  let closed = false;

  function settle(id: number, created: Created): void {
    const call = waiting.get(id);
    if (!call) return;
    waiting.delete(id);
    call.timer.cancel();
    call.resolve(created);
  }

  function down(of: DuplexStream, why: string): void {
    if (stream !== of) return;
    stream = undefined;
    gathered = [];
    for (const [id, { create }] of [...waiting]) settle(id, failed(create, 'Lost', why));
    options.onDown?.();
  }

  function ensure(): DuplexStream {
    if (stream) return stream;
    const opened = options.open();
    stream = opened;
    opened.on('data', message => {
      if (message.capacity) options.onCapacity?.(message.capacity);
      for (const { id, created } of message.replies) settle(id, created);
    });
    opened.on('error', error => down(opened, `the connection broke: ${error.message}`));
    opened.on('end', () => down(opened, 'the peer closed the connection'));
    return opened;
  }

  function flush(): void {
    const calls = gathered;
    gathered = [];
    if (calls.length > 0 && !closed) ensure().write({ calls });
  }

  return {
    call(create) {
      if (closed) return Promise.resolve(failed(create, 'Unavailable', 'the link is closed'));
      if (waiting.size >= limit)
        return Promise.resolve(failed(create, 'Overloaded', `${limit} calls are under way to this peer`));
      const left = create.deadline - options.clock.now();
      if (left <= 0) return Promise.resolve(failed(create, 'DeadlineExceeded', 'the deadline has passed'));
      return new Promise(resolve => {
        const id = nextId;
        nextId = nextId === 0xffffffff ? 1 : nextId + 1;
        const timer = options.clock.setTimer(left, () =>
          settle(id, failed(create, 'DeadlineExceeded', 'no answer before the deadline')),
        );
        waiting.set(id, { create, resolve, timer });
        if (gathered.length === 0) setImmediate(flush);
        gathered.push({ id, create });
      });
    },
    open: () => void ensure(),
    get inFlight() {
      return waiting.size;
    },
    close() {
      if (closed) return;
      closed = true;
      const open = stream;
      if (open) {
        down(open, 'the link was closed');
        open.cancel();
      }
    },
  };
}

/** The other end: answers calls of one stream, replies gathered per turn of the event loop. */
export function answer(
  call: any,
  handle: (create: Create) => Promise<Created>,
  notices?: (send: (capacity: NonNullable<Replies['capacity']>) => void) => () => void,
): void {
  let gathered: Replies['replies'] = [];
  let capacity: Replies['capacity'];
  let scheduled = false;
  let open = true;
  const flush = () => {
    scheduled = false;
    if (!open) return;
    const message: Replies = { replies: gathered, ...(capacity ? { capacity } : {}) };
    gathered = [];
    capacity = undefined;
    call.write(message);
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(flush);
  };
  const stop = notices?.(next => {
    capacity = next;
    schedule();
  });
  const end = () => {
    open = false;
    stop?.();
  };
  call.on('data', (message: Calls<Create>) => {
    for (const { id, create } of message.calls) {
      handle(create).then(
        created => {
          gathered.push({ id, created });
          schedule();
        },
        error => {
          gathered.push({
            id,
            created: failed(create, 'Unavailable', error instanceof Error ? error.message : String(error)),
          });
          schedule();
        },
      );
    }
  });
  call.on('error', end);
  call.on('cancelled', end);
  call.on('end', () => {
    end();
    call.end();
  });
}
