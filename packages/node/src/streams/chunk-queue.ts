/**
 * Chunks from someone who pushes to someone who pulls, bounded: above `highWater` the pusher is asked to pause, below half of it to
 * go on. One reader; ending and failing come after what was pushed before.
 */
export interface ChunkQueue<T> extends AsyncIterable<T> {
  push(chunk: T): void;
  end(): void;
  readonly ended: boolean;
}

export interface ChunkQueueOptions<T> {
  sizeOf(chunk: T): number;
  highWater: number;
  pause(): void;
  resume(): void;
}

export function chunkQueue<T>({ sizeOf, highWater, pause, resume }: ChunkQueueOptions<T>): ChunkQueue<T> {
  const chunks: T[] = [];
  let size = 0;
  let paused = false;
  let ended = false;
  let wake: (() => void) | undefined;

  return {
    push(chunk) {
      if (ended) return;
      chunks.push(chunk);
      size += sizeOf(chunk);
      if (!paused && size > highWater) {
        paused = true;
        pause();
      }
      wake?.();
    },
    end() {
      ended = true;
      wake?.();
    },
    get ended() {
      return ended;
    },
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          const chunk = chunks.shift();
          if (chunk !== undefined) {
            size -= sizeOf(chunk);
            if (paused && size < highWater / 2) {
              paused = false;
              resume();
            }
            yield chunk;
          } else if (ended) return;
          else
            await new Promise<void>(resolve => {
              wake = resolve;
            });
        }
      } finally {
        // The reader left: what still comes is dropped, and nobody is kept waiting.
        ended = true;
        chunks.length = 0;
        if (paused) resume();
      }
    },
  };
}
