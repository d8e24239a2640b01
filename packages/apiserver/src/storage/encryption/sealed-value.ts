/**
 * The encrypted form of a stored value: the same header with the flag `encrypted`, then the name of the key, then AES-GCM.
 *
 *     0..5  header of value.ts, flags 1     6  length of the key's name    7..  name
 *     …  nonce (12 bytes, random)    …  ciphertext of the JSON    last 16  tag
 *
 * What is authenticated besides the JSON: everything before the nonce, and the key in the store, so that a value cannot be put in the
 * place of another one (NIST SP 800-38D; a key is good for 2^32 values with random nonces).
 */
import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto';
import { valueFlags, valueHeaderBytes } from '../value.js';
import type { EncryptionKey } from './configuration.js';

const nonceBytes = 12;
const tagBytes = 16;
const nameAt = valueHeaderBytes + 1;

const algorithm = (secret: Buffer) => `aes-${secret.length * 8}-gcm` as 'aes-256-gcm';
const additional = (head: Uint8Array, key: string): Buffer => Buffer.concat([head, Buffer.from(key)]);

/** Random bytes are drawn for many nonces at once. */
const pool = Buffer.alloc(nonceBytes * 512);
let drawn = pool.length;
function nextNonce(): Buffer {
  if (drawn >= pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  drawn += nonceBytes;
  return pool.subarray(drawn - nonceBytes, drawn);
}

export const isSealed = (value: Uint8Array): boolean => (value[5]! & valueFlags.encrypted) !== 0 && isValue(value);
const isValue = (value: Uint8Array): boolean => value[0] === 0x6f && value[1] === 0x6b && value[2] === 0x76;

/** @param value in the form of value.ts */
export function seal(value: Uint8Array, key: string, { name, secret }: EncryptionKey): Buffer {
  const nameBytes = Buffer.byteLength(name);
  const nonceAt = nameAt + nameBytes;
  const textAt = nonceAt + nonceBytes;
  const sealed = Buffer.allocUnsafe(textAt + value.length - valueHeaderBytes + tagBytes);
  sealed.set(value.subarray(0, valueHeaderBytes));
  sealed[5] = value[5]! | valueFlags.encrypted;
  sealed[6] = nameBytes;
  sealed.write(name, nameAt);
  const nonce = nextNonce();
  sealed.set(nonce, nonceAt);
  const cipher = createCipheriv(algorithm(secret), secret, nonce);
  cipher.setAAD(additional(sealed.subarray(0, nonceAt), key));
  const text = cipher.update(value.subarray(valueHeaderBytes));
  sealed.set(text, textAt);
  cipher.final();
  sealed.set(cipher.getAuthTag(), sealed.length - tagBytes);
  return sealed;
}

/** The name of the key that a sealed value needs. */
export function sealedWith(sealed: Uint8Array): string {
  const end = nameAt + (sealed[6] ?? 0);
  return Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength).toString('utf8', nameAt, end);
}

/** The value in the form of value.ts. @throws Error when the key is another one, or the value was changed */
export function unseal(sealed: Uint8Array, key: string, { secret }: EncryptionKey): Buffer {
  const nonceAt = nameAt + sealed[6]!;
  const textAt = nonceAt + nonceBytes;
  const tagAt = sealed.length - tagBytes;
  if (tagAt < textAt) throw new Error('the value is cut short');
  const decipher = createDecipheriv(algorithm(secret), secret, sealed.subarray(nonceAt, textAt));
  decipher.setAAD(additional(sealed.subarray(0, nonceAt), key));
  decipher.setAuthTag(sealed.subarray(tagAt));
  const value = Buffer.allocUnsafe(valueHeaderBytes + tagAt - textAt);
  value.set(sealed.subarray(0, valueHeaderBytes));
  value[5] = sealed[5]! & ~valueFlags.encrypted;
  value.set(decipher.update(sealed.subarray(textAt, tagAt)), valueHeaderBytes);
  decipher.final();
  return value;
}
