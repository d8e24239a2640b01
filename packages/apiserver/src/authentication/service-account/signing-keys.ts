/**
 * The keys that sign service-account tokens: RSA 2048, kept under one directory (mode 0700, files 0600), made when first needed.
 *
 * `sa.key` signs. A key is replaced after `rotateAfterMs`; its public half stays as `sa-RETIRED.pub` (milliseconds since 1970) until the last
 * token that it can have signed has expired. Without a directory keys live as long as the process.
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '@orbitkit/core';
import { makeSecretDirectory, readSecretFile, writeFileWhole } from '../../pki/secret-file.js';
import { keyIdOf } from '../json-web-token.js';

const newKeyPair = promisify(generateKeyPair);
const day = 24 * 60 * 60_000;
/** A token lives a year at most: a retired key is kept a little longer. */
export const longestTokenMs = 365 * day;
const keptAfterMs = longestTokenMs + day;
const defaultRotateAfterMs = 90 * day;
const modulusLength = 2048;

export interface SigningKeysOptions {
  /** Absent: in memory only. */
  dir?: string | undefined;
  clock: Clock;
  /** Default 90 days. */
  rotateAfterMs?: number | undefined;
}

export interface VerificationKey {
  readonly id: string;
  readonly key: KeyObject;
}

export interface SigningKeys {
  /** The key that signs now; rotated when its time has come. */
  current(): Promise<VerificationKey>;
  /** Public keys, the current one first. */
  verification(): Promise<readonly VerificationKey[]>;
  /** The public key with this id, if it is ours. */
  byId(id: string): Promise<VerificationKey | undefined>;
  /** Replaces the signing key now. What older keys signed stays valid. */
  rotate(): Promise<void>;
}

interface State {
  readonly signing: KeyObject;
  readonly id: string;
  readonly createdAt: number;
  readonly public: readonly VerificationKey[];
}

export function signingKeys({ dir, clock, rotateAfterMs = defaultRotateAfterMs }: SigningKeysOptions): SigningKeys {
  let state: Promise<State> | undefined;

  function loaded(): Promise<State> {
    state ??= load().catch(error => {
      state = undefined;
      throw error;
    });
    return state;
  }

  async function load(): Promise<State> {
    if (dir === undefined) return stateOf(await newKey(), clock.now(), []);
    await makeSecretDirectory(dir);
    const file = path.join(dir, 'sa.key');
    const text = await readSecretFile(file);
    if (text === undefined) return stateOf(await newKey(file), clock.now(), await retired(dir));
    let key: KeyObject;
    try {
      key = createPrivateKey(text);
    } catch (cause) {
      throw new Error(`${file} is not a private key in PEM form: restore it, or remove it to get a new one`, { cause });
    }
    if (key.asymmetricKeyType !== 'rsa')
      throw new Error(`${file} holds a key of type ${key.asymmetricKeyType}; RSA is needed`);
    return stateOf(key, (await fs.stat(file)).mtimeMs, await retired(dir));
  }

  async function newKey(file?: string): Promise<KeyObject> {
    const { privateKey } = await newKeyPair('rsa', { modulusLength });
    if (file !== undefined) {
      await writeFileWhole(file, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, 0o600);
      const now = new Date(clock.now());
      await fs.utimes(file, now, now);
    }
    return privateKey;
  }

  /** Public keys of earlier times; what has outlived its tokens is removed. */
  async function retired(directory: string): Promise<VerificationKey[]> {
    const keys: VerificationKey[] = [];
    for (const name of (await fs.readdir(directory)).sort().reverse()) {
      const retiredAt = /^sa-(\d+)\.pub$/.exec(name)?.[1];
      if (retiredAt === undefined) continue;
      const file = path.join(directory, name);
      if (clock.now() - Number(retiredAt) > keptAfterMs) await fs.rm(file, { force: true });
      else keys.push(verificationKey(createPublicKey(await fs.readFile(file, 'utf8'))));
    }
    return keys;
  }

  async function replaced(old: State): Promise<State> {
    if (dir === undefined) return stateOf(await newKey(), clock.now(), old.public);
    const pem = old.public[0]!.key.export({ type: 'spki', format: 'pem' }) as string;
    // First the old public key: a crash in between leaves it there twice, and harms nothing.
    await writeFileWhole(path.join(dir, `sa-${Math.round(clock.now())}.pub`), pem, 0o644);
    return stateOf(await newKey(path.join(dir, 'sa.key')), clock.now(), await retired(dir));
  }

  async function rotate(only?: State): Promise<void> {
    const old = await loaded();
    if (only !== undefined && old !== only) return;
    const next = replaced(old);
    state = next;
    await next.catch(error => {
      // The old key goes on.
      state = Promise.resolve(old);
      throw error;
    });
  }

  return {
    async current() {
      let now = await loaded();
      if (clock.now() - now.createdAt >= rotateAfterMs) {
        await rotate(now);
        now = await loaded();
      }
      return { id: now.id, key: now.signing };
    },
    verification: async () => (await loaded()).public,
    byId: async id => (await loaded()).public.find(key => key.id === id),
    rotate: () => rotate(),
  };
}

function stateOf(signing: KeyObject, createdAt: number, older: readonly VerificationKey[]): State {
  const own = verificationKey(createPublicKey(signing));
  return { signing, id: own.id, createdAt, public: [own, ...older.filter(({ id }) => id !== own.id)] };
}

const verificationKey = (key: KeyObject): VerificationKey => ({ id: keyIdOf(key), key });
