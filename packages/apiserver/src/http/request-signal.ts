/**
 * The abort signal of one request, made when somebody first asks for it.
 *
 * Making a signal costs Node 20 about 4 µs, a tenth of what a small request costs, and almost every request ends without it having been
 * aborted. A controller that was not aborted is therefore handed to a later request once its own is over and nothing works for it any
 * more; one that was aborted never is, nor one on which somebody has left a listener.
 */
import { getEventListeners } from 'node:events';

interface Spare {
  readonly controller: AbortController;
  uses: number;
}

const spares: Spare[] = [];
const mostSpares = 256;
const mostUses = 500;

export class RequestSignal {
  #spare: Spare | undefined;
  #aborted = false;
  #reason: unknown;

  get aborted(): boolean {
    return this.#aborted;
  }

  get signal(): AbortSignal {
    if (this.#spare === undefined) {
      this.#spare = this.#aborted ? undefined : spares.pop();
      this.#spare ??= { controller: new AbortController(), uses: 0 };
      if (this.#aborted) this.#spare.controller.abort(this.#reason);
    }
    return this.#spare.controller.signal;
  }

  /** The second time does nothing. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    this.#spare?.controller.abort(reason);
  }

  /** The request is over, and nobody who has the signal still works for it: it may serve another request. */
  release(): void {
    const spare = this.#spare;
    if (spare === undefined || this.#aborted) return;
    this.#spare = undefined;
    if (++spare.uses >= mostUses || spares.length >= mostSpares) return;
    if (getEventListeners(spare.controller.signal, 'abort').length === 0) spares.push(spare);
  }
}
