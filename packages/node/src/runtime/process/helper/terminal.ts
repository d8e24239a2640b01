/**
 * Terminals. Node cannot make one; `script` (bsdutils) can: it runs a command on a terminal of its own and passes bytes
 * between that and its own input and output.
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { installLine, runCommand } from '../../../network/command.js';
import { RuntimeError } from '../../contract.js';
import { quote } from '../isolation/mount-namespace.js';
import { allProcesses } from '../process-table.js';

/** @throws RuntimeError `Unsupported` when `script` is not installed. */
export function onTerminal(argv: readonly string[]): string[] {
  if (!findProgram('script', process.env['PATH'])) {
    throw new RuntimeError('Unsupported', `terminals need the program \`script\`: ${installLine('script')}`);
  }
  return ['script', '-qefc', `exec ${argv.map(quote).join(' ')}`, '/dev/null'];
}

/** The full path of a program, as execvp finds it; undefined when there is none. */
export function findProgram(name: string, path = '', cwd = '/'): string | undefined {
  const candidates = name.includes('/')
    ? [join(name.startsWith('/') ? '' : cwd, name)]
    : path.split(':').map(dir => join(dir, name));
  return candidates.find(candidate => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Tells the terminal below this `script` its size. The terminal appears a moment after the start: tries for two seconds. */
export async function resizeTerminal(scriptPid: number, width: number, height: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const terminal = allProcesses().find(({ parent }) => parent === scriptPid)?.terminal;
    if (terminal) {
      await runCommand('stty', ['-F', terminal, 'cols', `${width}`, 'rows', `${height}`]);
      return;
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
