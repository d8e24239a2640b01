/**
 * What servers over one store must have in common so that clients may go to any of them: the authority (a certificate that one signed is
 * known at all others) and the administrator's token. Who comes first puts its own into the store, everybody else takes them from there
 * into its directory, where they are read as ever. With encryption at rest they are sealed.
 *
 * A directory with an authority of its own, other than that of the store, is refused: it belongs to another cluster, and taking its
 * authority away would break that cluster's clients. A renewed certificate of the authority (same key) is passed on; the newest counts.
 */
import { createPublicKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { type Clock, unrecoverable } from '@orbitkit/core';
import { adminToken, adminTokenFile } from '../authentication/index.js';
import { createAuthority, makeSecretDirectory, readSecretFile, writeFileWhole } from '../pki/index.js';
import type { Store } from '../storage/contract.js';
import { serverSecret } from '../storage/server-secret.js';
import { isValueFormatError } from '../storage/value.js';

interface StoredAuthority {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

const attempts = 8;

export interface SharedTrustOptions {
  readonly store: Store;
  /** Where `credentialsUnder` keeps its files. */
  readonly dir: string;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** Nothing to do for a store that one process alone can open. @param ownAuthority the composer's: it is not kept here */
export async function shareTrust(options: SharedTrustOptions & { readonly ownAuthority: boolean }): Promise<void> {
  if (!options.store.shared) return;
  try {
    if (!options.ownAuthority) await shareAuthority(options);
    await shareAdminToken(options);
  } catch (error) {
    // Sealed with a key that this server does not have: trying again does not help.
    throw isValueFormatError(error) ? unrecoverable(error) : error;
  }
}

/** Makes the authority under `dir` that of the store. To be called before it is read, and again before it is renewed. */
export async function shareAuthority({ store, dir, clock }: SharedTrustOptions): Promise<void> {
  const record = serverSecret<StoredAuthority>(store, 'authority');
  await makeSecretDirectory(dir);
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const { value: shared, version } = await record.read();
    if (shared !== undefined) await adoptAuthority(dir, shared);
    else if ((await readSecretFile(path.join(dir, 'ca.key'))) === undefined) {
      // It becomes this directory's only when no other server was faster.
      await record.replace(await newAuthority(dir, clock), version);
      continue;
    }
    const { certificate, key } = await createAuthority({ dir, ...(clock ? { clock } : {}) });
    if (shared !== undefined && expiry(certificate) <= expiry(shared.certificate)) return;
    if (await record.replace({ certificate, key }, version)) return;
  }
  throw new Error('other servers change the authority of this store all the time: try again');
}

async function newAuthority(dir: string, clock: Clock | undefined): Promise<StoredAuthority> {
  const scratch = await fs.mkdtemp(path.join(dir, 'new-'));
  try {
    const { certificate, key } = await createAuthority({ dir: scratch, ...(clock ? { clock } : {}) });
    return { certificate, key };
  } finally {
    await fs.rm(scratch, { recursive: true, force: true });
  }
}

/** Makes the administrator's token under `dir` that of the store. */
async function shareAdminToken({ store, dir }: SharedTrustOptions): Promise<void> {
  const record = serverSecret<string>(store, 'admin-token');
  for (;;) {
    const { value: shared } = await record.read();
    if (shared === undefined) {
      if (await record.replace(await adminToken(dir), 0n)) return;
      continue;
    }
    await makeSecretDirectory(dir);
    const file = path.join(dir, adminTokenFile);
    if ((await readSecretFile(file))?.trim() !== shared) await writeFileWhole(file, `${shared}\n`, 0o600);
    return;
  }
}

async function adoptAuthority(dir: string, { certificate, key }: StoredAuthority): Promise<void> {
  const files = { certificate: path.join(dir, 'ca.crt'), key: path.join(dir, 'ca.key') };
  const before = await readSecretFile(files.key);
  if (before !== undefined && publicPart(before) !== publicPart(key))
    throw unrecoverable(
      new Error(
        `${files.key} is another authority than that of the servers of this store: ` +
          `this directory belongs to another cluster. Use another one, or remove ${dir} to take part in this cluster`,
      ),
    );
  const own = await fs.readFile(files.certificate, 'utf8').catch(() => undefined);
  if (before !== undefined && own !== undefined && expiry(own) >= expiry(certificate)) return;
  if (before === undefined) await writeFileWhole(files.key, key, 0o600);
  await writeFileWhole(files.certificate, certificate, 0o644);
}

const publicPart = (key: string): string => createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string;
const expiry = (certificate: string): number => Date.parse(new X509Certificate(certificate).validTo);
