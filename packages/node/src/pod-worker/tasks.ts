/**
 * What a pod worker has under way: at most one task for each name (a container's, or one of the pod's own), each with a signal of
 * its own. A task never rejects towards its caller: it settles, and the worker looks again.
 */
export interface Tasks {
  /** False when one of that name is under way: nothing was begun. A lasting task goes on when the others are given up. */
  run(name: string, task: (signal: AbortSignal) => Promise<void>, options?: { lasting?: boolean }): boolean;
  has(name: string): boolean;
  readonly names: ReadonlySet<string>;
  readonly size: number;
  /** Gives up what is under way; `all`: the lasting ones too. */
  abort(options?: { all?: boolean }): void;
  /** Resolves when none is left. */
  settled(): Promise<void>;
}

export function tasks(options: { onSettled(name: string): void; onError(name: string, error: unknown): void }): Tasks {
  const running = new Map<string, { abort: AbortController; lasting: boolean; done: Promise<void> }>();
  return {
    run(name, task, { lasting = false } = {}) {
      if (running.has(name)) return false;
      const abort = new AbortController();
      const done = (async () => {
        try {
          await task(abort.signal);
        } catch (error) {
          if (!abort.signal.aborted) options.onError(name, error);
        } finally {
          running.delete(name);
          options.onSettled(name);
        }
      })();
      // `await` yields at least once, so the task cannot have ended before it is entered here.
      running.set(name, { abort, lasting, done });
      return true;
    },
    has: name => running.has(name),
    get names() {
      return new Set(running.keys());
    },
    get size() {
      return running.size;
    },
    abort({ all = false } = {}) {
      for (const { abort, lasting } of running.values()) if (all || !lasting) abort.abort();
    },
    async settled() {
      while (running.size > 0) await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}
