/**
 * File systems that the agent mounts itself for a pod: NFS. Only root can.
 *
 * Whatever is mounted below a pod's directory is unmounted before that directory is removed; while something is mounted there, nothing is
 * removed: it would be removed from the server.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { ConfigError } from '../env/config-error.js';

export interface Mounts {
  /** @throws ConfigError when it cannot be mounted; the message says what is in the way. */
  nfs(source: NfsSource, target: string, where: string, signal?: AbortSignal): Promise<void>;
  /** @throws Error while something stays mounted. */
  unmountBelow(directory: string): Promise<void>;
}

export interface NfsSource {
  server: string;
  path: string;
  readOnly: boolean;
  options: readonly string[];
}

/** A server that does not answer lets `mount` hang; the pod says so and it is tried again. */
const commandMs = 60_000;

export interface MountsOptions {
  /** Runs a program as this process's user; for tests. Rejects with what it wrote to its error output. */
  run?: (program: string, args: readonly string[], signal?: AbortSignal) => Promise<void>;
  /** Default: this process's. */
  isRoot?: boolean;
}

export function mounts({ run = runProgram, isRoot = process.geteuid?.() === 0 }: MountsOptions = {}): Mounts {
  return {
    async nfs({ server, path: exported, readOnly, options }, target, where, signal) {
      const source = `${server}:${exported}`;
      if (!isRoot)
        throw new ConfigError(
          `${where}: nfs ${source} can be mounted only by root, and this node's agent is an ordinary user; ` +
            'run the node as root, or give the volume a hostPath where the machine has the export mounted',
        );
      await mkdir(target, { recursive: true });
      // Not of the target itself: a server that has gone would be asked.
      const at = path.join(await realpath(path.dirname(target)), path.basename(target));
      if ((await mountsBelow(at)).includes(at)) return;
      const given = [...(readOnly ? ['ro'] : []), ...options];
      try {
        await run('mount', ['-t', 'nfs', ...(given.length > 0 ? ['-o', given.join(',')] : []), source, target], signal);
      } catch (error) {
        if (signal?.aborted) throw error;
        throw new ConfigError(`${where}: nfs ${source} could not be mounted: ${(error as Error).message}`);
      }
    },
    async unmountBelow(directory) {
      // As the kernel names it: a link in the path would hide what is mounted behind it.
      const real = await realpath(directory).catch(error => {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      });
      if (real === undefined) return;
      for (const target of await mountsBelow(real)) await run('umount', [target]);
      const [left] = await mountsBelow(real);
      if (left !== undefined) throw new Error(`${left} is still mounted; nothing below it is removed`);
    },
  };
}

/** What is mounted at or below a directory, the deepest first. */
async function mountsBelow(directory: string): Promise<string[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const found = text.split('\n').flatMap(line => {
    const field = line.split(' ')[4];
    // The kernel writes blanks and the like as octal numbers.
    const at = field?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    return at !== undefined && (at === directory || at.startsWith(`${directory}/`)) ? [at] : [];
  });
  return found.sort((a, b) => b.length - a.length);
}

function runProgram(program: string, args: readonly string[], signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      { timeout: commandMs, killSignal: 'SIGKILL', ...(signal ? { signal } : {}) },
      (error, _out, said) => {
        if (!error) return resolve();
        const why =
          (error as NodeJS.ErrnoException).code === 'ENOENT'
            ? `this machine has no program ${program}`
            : said.trim() || (error.killed ? `no answer within ${commandMs / 1000} s` : error.message);
        reject(new Error(why));
      },
    );
  });
}
