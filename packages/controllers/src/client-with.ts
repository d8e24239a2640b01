/** A client some of whose methods are others'; the rest, and what its getters answer at the time, is as it was. */
import type { Client } from '@orbitkit/core';

export function clientWith(client: Client, methods: Partial<Client>): Client {
  return new Proxy(client, {
    get: (target, name) => (Object.hasOwn(methods, name) ? methods : target)[name as keyof Client],
  });
}
