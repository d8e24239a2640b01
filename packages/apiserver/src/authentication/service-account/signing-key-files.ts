/**
 * Signing keys that an administrator keeps in files, as kube-apiserver's `--service-account-signing-key-file` and
 * `--service-account-key-file`: nothing of them gets into the store, and whoever replaces one does so on every server. Read once.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import fs from 'node:fs/promises';
import { StatusError } from '@orbitkit/core';
import { readSecretFile } from '../../pki/secret-file.js';
import { algorithmOf, keyIdOf } from '../json-web-token.js';
import type { SigningKeys, VerificationKey } from './signing-keys.js';

export interface SigningKeyFiles {
  /** PEM of an RSA key or one of the curves P-256, P-384, P-521, mode 0600. It signs. */
  readonly signingKeyFile: string;
  /** PEM of keys (public, or private ones) whose tokens are good as well: those from before. */
  readonly keyFiles?: readonly string[] | undefined;
}

const pemBlock = /-----BEGIN [^-]+-----[^-]*-----END [^-]+-----/g;

export function signingKeyFiles({ signingKeyFile, keyFiles = [] }: SigningKeyFiles): SigningKeys {
  let loaded: Promise<{ signing: VerificationKey; public: readonly VerificationKey[] }> | undefined;

  async function load() {
    const text = await readSecretFile(signingKeyFile);
    if (text === undefined)
      throw new Error(`${signingKeyFile}: there is no such file; it is to hold the key that signs tokens`);
    const signing = tokenKey(signingKeyFile, () => createPrivateKey(text));
    const own = verificationKey(createPublicKey(signing));
    const others: VerificationKey[] = [];
    for (const file of keyFiles) {
      const blocks = (await fs.readFile(file, 'utf8')).match(pemBlock) ?? [];
      if (blocks.length === 0) throw new Error(`${file} holds no key in PEM form`);
      // A private key is good for its public half.
      for (const block of blocks) others.push(verificationKey(tokenKey(file, () => createPublicKey(block))));
    }
    return { signing: { id: own.id, key: signing }, public: [own, ...others.filter(({ id }) => id !== own.id)] };
  }

  function keys() {
    loaded ??= load().catch(error => {
      loaded = undefined;
      throw error;
    });
    return loaded;
  }

  return {
    current: async () => (await keys()).signing,
    verification: async () => (await keys()).public,
    byId: async id => (await keys()).public.find(key => key.id === id),
    summary: async () => {
      const { public: all, signing } = await keys();
      return all.map(({ id }) => ({ id, state: id === signing.id ? 'signing' : 'verifying' }));
    },
    async rotate() {
      throw new StatusError(
        'BadRequest',
        `the signing keys of this server are files (${signingKeyFile}): put a new key in its place, the old one beside it as a key file, and restart every server`,
      );
    },
  };
}

function tokenKey(file: string, read: () => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (cause) {
    throw new Error(`${file} is not a key in PEM form`, { cause });
  }
  if (algorithmOf(key) === undefined) {
    const type = [key.asymmetricKeyType, key.asymmetricKeyDetails?.namedCurve].filter(Boolean).join(' ');
    throw new Error(`${file} holds a key of type ${type}; RSA, or the curve P-256, P-384 or P-521, is needed`);
  }
  return key;
}

const verificationKey = (key: KeyObject): VerificationKey => ({ id: keyIdOf(key), key });
