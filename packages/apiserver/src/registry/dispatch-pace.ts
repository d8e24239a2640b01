/**
 * When watchers are told of commits: at once as long as they are few, and of what follows in the same turn of the event loop together at its end.
 * Under load a turn has many commits, and each would cost each watcher a write and its client a read. Telling hundreds takes longer than the next commit
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
  /** Watchers have been told in this turn. */
  #turn: NodeJS.Immediate | undefined;
  /** There has been more to tell since. */
  #more = false;

  /** @param dispatch tells all there is to tell. @returns how many watchers heard of it. */
  constructor(private readonly dispatch: () => number) {}

  /** There is something to tell. */
  request(): void {
    if (this.#timer !== undefined) return;
    const waitMs = Math.min(mostMs, Math.floor(this.#told / watchersPerMs));
    if (waitMs > 0) this.#timer = setTimeout(() => this.flush(), waitMs);
    else if (this.#turn !== undefined) this.#more = true;
    else {
      this.flush();
      // Whom nobody hears need not pause.
      if (this.#told > 0) this.#turn = setImmediate(this.#endOfTurn);
    }
  }

  #endOfTurn = (): void => {
    this.#turn = undefined;
    if (this.#more) this.request();
  };

  /** Tells now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#more = false;
    this.#told = this.dispatch();
  }
}
