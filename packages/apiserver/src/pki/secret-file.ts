/**
 * Files that hold secrets: written whole or not at all (temporary name, sync, rename), readable by their owner alone from the first
 * byte on, in a directory of mode 0700.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';

/** Makes the directory, and what is missing above it; one that exists gets mode 0700. */
export async function makeSecretDirectory(directory: string): Promise<void> {
  await fs.mkdir(directory, { recursive: true, mode: 0o700 });
  // mkdir leaves an existing directory as it was.
  await fs.chmod(directory, 0o700);
}

/** `mode` 0600 unless the content is public (a certificate). The directory must exist. */
export async function writeFileWhole(file: string, content: string, mode = 0o600): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  const handle = await fs.open(temporary, 'wx', mode);
  try {
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
  const directory = await fs.open(path.dirname(file), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The text, or undefined when there is no such file. @throws Error when others than its owner may read a secret. */
export async function readSecretFile(file: string): Promise<string | undefined> {
  let mode: number;
  try {
    mode = (await fs.stat(file)).mode;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if ((mode & 0o077) !== 0) {
    throw new Error(
      `${file} holds a secret but has mode ${(mode & 0o777).toString(8).padStart(4, '0')}: others may have read it. ` +
        'Remove it to get a new one, or, when you are sure, run: chmod 600 ' +
        file,
    );
  }
  return fs.readFile(file, 'utf8');
}
