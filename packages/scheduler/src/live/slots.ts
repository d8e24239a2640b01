/** A number of places. Who finds none waits in line. */
export class Slots {
  #free: number;
  #line: (() => void)[] = [];
  #watchers: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>(resolve => this.#line.push(resolve));
  }

  give(): void {
    const next = this.#line.shift();
    if (next) {
      next();
      return;
    }
    this.#free += 1;
    for (const watcher of this.#watchers.splice(0)) watcher();
  }

  /** Resolves when a place is free; takes none. */
  async free(): Promise<void> {
    while (this.#free <= 0) await new Promise<void>(resolve => this.#watchers.push(resolve));
  }
}
