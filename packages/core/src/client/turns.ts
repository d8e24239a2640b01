/**
 * Long work in turns of at most about 8 ms, so that timers, sockets and other work of the process come in between. Time spent waiting does
 * not count: call `pause` before and `resume` after.
 */
const longestTurnMs = 8;

export interface Turns {
  /** Whether it is time to let others run. */
  readonly over: boolean;
  /** Lets them. */
  next(): Promise<void>;
  pause(): void;
  resume(): void;
}

export function turns(): Turns {
  let began = performance.now();
  let used = 0;
  return {
    get over() {
      return used + performance.now() - began > longestTurnMs;
    },
    async next() {
      await new Promise(resolve => setImmediate(resolve));
      used = 0;
      began = performance.now();
    },
    pause() {
      used += performance.now() - began;
    },
    resume() {
      began = performance.now();
    },
  };
}
