/**
 * The encryption configuration as a file of mode 0600. `ensureEncryptionFile` makes one with a key of its own that encrypts secrets, when
 * there is none; `addEncryptionKey` puts a new key before the others, so that it writes from the next start on.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { StoreUnavailableError } from '../contract.js';
import { type EncryptionRules, encryptionRules } from './configuration.js';

interface ConfigurationFile {
  apiVersion: string;
  kind: string;
  resources: {
    resources: string[];
    providers: { aesgcm?: { keys: { name: string; secret: string }[] }; identity?: object }[];
  }[];
}

const newKey = () => ({
  name: `key-${new Date().toISOString().slice(0, 10)}-${randomBytes(3).toString('hex')}`,
  secret: randomBytes(32).toString('base64'),
});

/** @throws StoreUnavailableError that names the file and what is wrong in it */
export async function readEncryptionFile(file: string): Promise<EncryptionRules> {
  let text: string;
  try {
    text = await fs.readFile(file, 'utf8');
  } catch (error) {
    throw new StoreUnavailableError(`the encryption configuration cannot be read: ${(error as Error).message}`);
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new StoreUnavailableError(`${file} is no YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  return encryptionRules(value, file);
}

/** Reads the file; makes it first when it does not exist: secrets are encrypted, values from before are still read. */
export async function ensureEncryptionFile(file: string): Promise<EncryptionRules> {
  try {
    await fs.access(file);
  } catch {
    await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    const content: ConfigurationFile = {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [{ resources: ['secrets'], providers: [{ aesgcm: { keys: [newKey()] } }, { identity: {} }] }],
    };
    await write(file, content, true);
  }
  return readEncryptionFile(file);
}

/** Adds a key that writes wherever the first provider is aesgcm; the older ones go on reading. @returns its name */
export async function addEncryptionKey(file: string): Promise<string> {
  // Only what can be read is written again.
  await readEncryptionFile(file);
  const content = parse(await fs.readFile(file, 'utf8')) as ConfigurationFile;
  const key = newKey();
  let added = false;
  for (const { providers } of content.resources) {
    const keys = providers[0]?.aesgcm?.keys;
    if (keys === undefined) continue;
    keys.unshift(key);
    added = true;
  }
  if (!added) throw new StoreUnavailableError(`${file}: no resource is written by aesgcm; there is no key to replace`);
  await write(file, content, false);
  return key.name;
}

/** Whole or not at all: losing a key is losing what it encrypted. */
async function write(file: string, content: ConfigurationFile, fresh: boolean): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  const handle = await fs.open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(
      `# Keys that encrypt what the store keeps. Whoever has this file can read it; without it, nobody can: keep a copy apart from backups.\n${stringify(content)}`,
    );
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    // Of several that begin at once one wins, and all use its file.
    if (fresh)
      await fs.link(temporary, file).catch(error => (error.code === 'EEXIST' ? undefined : Promise.reject(error)));
    else await fs.rename(temporary, file);
  } finally {
    if (fresh) await fs.unlink(temporary);
  }
  const directory = await fs.open(path.dirname(file), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
