/**
 * What the servers of one store keep for themselves and from everybody else: a document in JSON under `/orbitkit/secrets/NAME`, beside the
 * objects and out of reach of the API. It is replaced only by who knows what it held, so of servers that start together one decides and all
 * use the same. With encryption at rest it is sealed with the key that encrypts secrets.
 */
import type { Store } from './contract.js';
import { decodeValue, encodeValueText } from './value.js';

export const serverSecretPrefix = '/orbitkit/secrets/';

export interface ServerSecret<T> {
  /** The newest of any server. @throws ValueFormatError when it cannot be decrypted. */
  read(): Promise<{ readonly value: T | undefined; readonly version: bigint }>;
  /** @param version of the reading that this rests on. False: another was faster; read again. */
  replace(value: T, version: bigint): Promise<boolean>;
}

export function serverSecret<T>(store: Store, name: string): ServerSecret<T> {
  const key = serverSecretPrefix + name;
  return {
    async read() {
      const { entry } = await store.get(key);
      if (entry === undefined) return { value: undefined, version: 0n };
      return { value: JSON.parse(decodeValue(entry.value).toString()) as T, version: entry.modRevision };
    },
    async replace(value, version) {
      const write = { type: 'put', key, value: encodeValueText(JSON.stringify(value)) } as const;
      return (await store.txn([{ key, modRevision: version }], write)).ok;
    },
  };
}
