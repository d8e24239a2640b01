/**
 * The API of a composition as its components see it: who provides it now, and clients that follow when the provider is
 * restarted. A client taken early goes on working with the next provider; between two providers its calls fail with
 * ServiceUnavailable, which every retrying caller understands.
 */
import type { Client } from '../client/client.js';
import { StatusError } from '../errors/status-error.js';
import type { UserInfo } from './component.js';

/** The client that acts as this user, over an API that somebody provides. */
export type ClientSource = (user: UserInfo) => Client;

export interface ClientSlot {
  /** Whether anyone has provided an API yet. */
  readonly provided: boolean;
  /** The new provider. Returns a function that withdraws it; withdrawing twice, or after another took over, is harmless. */
  provide(source: ClientSource): () => void;
  /** A client that acts as `user` through whoever provides the API at the time of each call. */
  clientFor(user: UserInfo): Client;
}

export function clientSlot(external?: Client | ClientSource): ClientSlot {
  let source: ClientSource | undefined = typeof external === 'function' ? external : external && (() => external);
  let provided = source !== undefined;
  /** Counts providers, so that a client knows that its own is of an earlier one. */
  let generation = 0;

  return {
    get provided() {
      return provided;
    },
    provide(next) {
      source = next;
      provided = true;
      generation += 1;
      const own = generation;
      return () => {
        if (own === generation) source = undefined;
      };
    },
    clientFor(user) {
      let client: Client | undefined;
      let from = -1;
      function current(): Client {
        if (source === undefined) {
          throw new StatusError(
            'ServiceUnavailable',
            'the API server of this composition is down; it is being restarted',
          );
        }
        if (client === undefined || from !== generation) {
          client = source(user);
          from = generation;
        }
        return client;
      }
      return followingClient(current);
    },
  };
}

/** A stream that fails at its first element. */
const failing = (error: unknown): AsyncIterable<never> => ({
  [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }),
});

function streamsLists(current: () => Client): boolean {
  try {
    return current().streamsLists ?? false;
  } catch {
    // Nobody to ask: the list that follows will say what is wrong.
    return false;
  }
}

/** Forwards every call to the client of the moment. A call that finds none fails in the way that the method fails. */
function followingClient(current: () => Client): Client {
  const target = {} as Client;
  return new Proxy(target, {
    get(_target, name) {
      // Not a thenable: `await client` must not look for one.
      if (name === 'then' || typeof name === 'symbol') return undefined;
      if (name === 'transport') return current().transport;
      if (name === 'streamsLists') return streamsLists(current);
      // The composition owns the clients; a component that closes its own closes nothing of others.
      if (name === 'close') return async () => undefined;
      return (...parameters: unknown[]) => {
        const streams = name === 'watch' || name === 'watchBatches';
        let client: any;
        try {
          client = current();
        } catch (error) {
          return streams ? failing(error) : Promise.reject(error);
        }
        return client[name](...parameters);
      };
    },
  });
}
