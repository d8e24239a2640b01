/**
 * When the watchers of a resource are told of its commits: at once as long as they are few. Telling hundreds takes longer than the next commit
 * does, so waiting a little for that one makes one write for each watcher of what would have been two, and writing is what fan-out costs.
 *
 * Real time, whatever clock the server has: what is waited for is the process itself.
 */
/** A millisecond for so many watchers; fewer are told at once. A write to each takes some 25 ms for a thousand. */
const watchersPerMs = 250;
const mostMs = 5;

export class DispatchPace {
  #told = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param dispatch tells all there is to tell. @returns how many watchers heard of it. */
  constructor(private readonly dispatch: () => number) {}

  /** There is something to tell. */
  request(): void {
    if (this.#timer !== undefined) return;
    const waitMs = Math.min(mostMs, Math.floor(this.#told / watchersPerMs));
    if (waitMs === 0) this.flush();
    else this.#timer = setTimeout(() => this.flush(), waitMs);
  }

  /** Tells now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#told = this.dispatch();
  }
}
