/** Files that a command is told of. What is wrong with one is said in words, with the flag and the name as they were typed. */
import { readFile } from 'node:fs/promises';
import { pathIn } from './commands/options.js';
import { CommandError, type Terminal } from './terminal.js';

const words: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EISDIR: 'it is a folder, not a file',
  ENOTDIR: 'a part of the path is no folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space left',
};

/** @param what The file as the user wrote it, with its flag if it has one: `--etcd-ca ca.pem`. */
export function fileProblem(what: string, error: unknown): CommandError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new CommandError(`${what}: ${words[code ?? ''] ?? message}`);
}

/**
 * Text of a file that stands in the command line.
 * @param flag Empty for an argument that has none.
 * @throws CommandError
 */
export async function readNamed(terminal: Terminal, flag: string, file: string): Promise<string> {
  try {
    return await readFile(pathIn(terminal, file), 'utf8');
  } catch (error) {
    throw fileProblem(flag ? `${flag} ${file}` : file, error);
  }
}
