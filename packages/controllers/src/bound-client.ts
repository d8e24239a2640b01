/**
 * A client whose calls end when a signal aborts, unless they bring a signal of their own, and whose writes are refused once `mayWrite` says so:
 * what a manager hands to its controllers, so that nothing of a life or of a leadership that is over reaches the API.
 */
import type { CallOptions, Client, Transport, TransportRequest } from '@orbitkit/core';

export interface BoundClientOptions {
  signal: AbortSignal;
  /** Asked before each call that writes; throws when it must not be made. */
  mayWrite?: () => void;
}

export function boundClient(client: Client, { signal, mayWrite }: BoundClientOptions): Client {
  const bound = <O extends Pick<CallOptions, 'signal'>>(options?: O): O =>
    options?.signal ? options : ({ ...options, signal } as O);
  /** The same for a method that writes; its refusal is a rejection. */
  async function writing<O extends CallOptions, R>(
    options: O | undefined,
    write: (options: O) => Promise<R>,
  ): Promise<R> {
    mayWrite?.();
    return write(bound(options));
  }
  return {
    get transport() {
      return boundTransport(client.transport, signal, mayWrite);
    },
    get streamsLists() {
      return client.streamsLists ?? false;
    },
    get: (kind, key, options) => client.get(kind, key, bound(options)),
    list: (kind, options) => client.list(kind, bound(options)),
    watch: (kind, options) => client.watch(kind, bound(options)),
    watchBatches: (kind, options) => client.watchBatches(kind, bound(options)),
    create: (kind, object, options) => writing(options, each => client.create(kind, object, each)),
    update: (kind, object, options) => writing(options, each => client.update(kind, object, each)),
    updateStatus: (kind, object, options) => writing(options, each => client.updateStatus(kind, object, each)),
    patch: (kind, key, patch, options) => writing(options, each => client.patch(kind, key, patch, each)),
    apply: (kind, object, options) => writing(options, each => client.apply(kind, object, each)),
    delete: (kind, key, options) => writing(options, each => client.delete(kind, key, each)),
    deleteCollection: (kind, options) => writing(options, each => client.deleteCollection(kind, each)),
    getSubresource: (kind, key, name, options) => client.getSubresource(kind, key, name, bound(options)),
    updateSubresource: (kind, key, name, body, options) =>
      writing(options, each => client.updateSubresource(kind, key, name, body, each)),
    createSubresource: (kind, key, name, body, options) =>
      writing(options, each => client.createSubresource(kind, key, name, body, each)),
    close: () => client.close(),
  };
}

function boundTransport(transport: Transport, signal: AbortSignal, mayWrite: (() => void) | undefined): Transport {
  return {
    async request(request: TransportRequest) {
      if (request.method !== 'GET' && request.method !== 'HEAD') mayWrite?.();
      return transport.request(request.signal ? request : { ...request, signal });
    },
    connect: (path, options) => transport.connect(path, options.signal ? options : { ...options, signal }),
    close: () => transport.close(),
  };
}
