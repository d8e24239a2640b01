/** Makes a controller's cache of one kind lag as long as a test wants. For tests of this package; not exported. */
import type { ResourceRef } from '@orbitkit/core';
import { informerFactory } from '@orbitkit/informer';
import type { Controller } from '../controller.js';

export class Gate {
  #closed: Promise<void> | undefined;
  #open = () => {};

  close(): void {
    this.#closed ??= new Promise(resolve => {
      this.#open = resolve;
    });
  }

  open(): void {
    this.#closed = undefined;
    this.#open();
  }

  async pass(signal: AbortSignal): Promise<void> {
    while (this.#closed && !signal.aborted) {
      await Promise.race([
        this.#closed,
        new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true })),
      ]);
    }
  }
}

/** The controller with informers of its own, whose watch of `kind` stands still while the gate is closed. */
export function lagging(inner: Controller, kind: ResourceRef<any>, gate: Gate): Controller {
  return {
    name: inner.name,
    async run(context) {
      const { client, clock, log, signal } = context;
      const delayed: typeof client = {
        ...client,
        async *watchBatches(watched, options) {
          for await (const batch of client.watchBatches(watched, options)) {
            if (watched.plural === kind.plural) await gate.pass(signal);
            yield batch;
          }
        },
      };
      const informers = informerFactory({ client: delayed, clock, log });
      await Promise.all([informers.run({ signal }), inner.run({ ...context, informers })]);
    },
  };
}
