/**
 * A client whose calls go through functions of a test: to refuse some, delay them, lose their answers, or count them. What no function is given for
 * goes straight through.
 *
 * ```ts
 * interceptClient(client, { create: async (next, kind, object) => { const made = await next(kind, object); throw new Error('lost'); } });
 * ```
 */
import type { Client } from '@orbitkit/core';
import { clientWith } from '../client-with.js';

type Calls = Omit<Client, 'transport' | 'streamsLists' | 'close'>;
type AnyCall = (...parameters: any[]) => any;

/** For each method of a client: `next` makes the call, with the parameters that it is given. */
export type Interceptors = {
  [M in keyof Calls]?: (
    next: (...parameters: Parameters<Calls[M]>) => ReturnType<Calls[M]>,
    ...parameters: Parameters<Calls[M]>
  ) => ReturnType<Calls[M]>;
};

/** What its raw `transport` is used for is not intercepted. */
export function interceptClient(client: Client, interceptors: Interceptors): Client {
  const methods: Partial<Record<keyof Calls, AnyCall>> = {};
  for (const [name, intercept] of Object.entries(interceptors) as [keyof Calls, AnyCall][]) {
    methods[name] = (...parameters) =>
      intercept((...given: unknown[]) => (client[name] as AnyCall)(...given), ...parameters);
  }
  return clientWith(client, methods as Partial<Client>);
}
