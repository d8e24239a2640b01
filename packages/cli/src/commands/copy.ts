/**
 * `orbit cp`: files and folders into a container and out of it, through `tar` on both sides: this machine's (GNU tar) and the
 * container's own. Bytes, modes and times are kept; what is inside arrives under the name that was asked for.
 */
import { spawn } from 'node:child_process';
import { basename, dirname, posix, resolve } from 'node:path';
import { execInPod } from '@orbitkit/core';
import type { Command } from 'commander';
import { containerOf, findPod } from '../pods.js';
import { type GlobalFlags, globalFlags, type Session, withSession } from '../session.js';
import { CommandError, type Terminal } from '../terminal.js';

interface CopyFlags extends GlobalFlags {
  container?: string;
}

export type CopyPlace = { pod: string; path: string } | { pod?: undefined; path: string };

/** `web:/data`, `deploy/web:data`, or a path here (also `./a:b`). @throws CommandError */
export function copyPlace(text: string): CopyPlace {
  const colon = text.indexOf(':');
  const pod = text.slice(0, colon);
  if (colon <= 0 || pod.startsWith('.') || pod.startsWith('/')) return { path: text };
  const path = text.slice(colon + 1);
  if (path === '') throw new CommandError(`${text}: a path is required after the colon`);
  return { pod, path };
}

/** GNU tar's rule that renames an entry and what lies in it, and the targets of hard links. */
export function renaming(from: string, to: string): string {
  const pattern = from.replace(/[\\^$.*[\],]/g, '\\$&');
  const replacement = to.replace(/[\\&,]/g, '\\$&');
  return `--transform=flags=rh;s,^${pattern}\\(/\\|$\\),${replacement}\\1,`;
}

export function copyCommand(program: Command, terminal: Terminal): void {
  program
    .command('cp')
    .description('copy into a container or out of it: orbit cp ./site web:/srv/site, orbit cp web:/var/log/app.log .')
    .argument('<from>', 'PATH, or POD:PATH')
    .argument('<to>', 'PATH, or POD:PATH')
    .option('-c, --container <name>')
    .action(async (from: string, to: string, _options, command) => {
      const flags = globalFlags(command) as CopyFlags;
      const [source, target] = [copyPlace(from), copyPlace(to)];
      if ((source.pod === undefined) === (target.pod === undefined))
        throw new CommandError('one of the two is a path here, the other is POD:PATH');
      await withSession(flags, terminal, session =>
        source.pod === undefined
          ? upload(session, flags, terminal, source.path, target as CopyPlace & { pod: string })
          : download(session, flags, terminal, source, target.path),
      );
    });
}

type Running = Parameters<typeof execInPod>[1];

async function inPod(
  session: Session,
  flags: CopyFlags,
  terminal: Terminal,
  word: string,
  streams: Partial<Running>,
  command: string[],
) {
  const pod = await findPod(session, word);
  let said = '';
  const code = await execInPod(session.client, {
    namespace: pod.metadata.namespace,
    pod: pod.metadata.name,
    container: containerOf(pod, flags.container, text => terminal.stderr.write(text)),
    command,
    signal: terminal.signal,
    onStderr: chunk => {
      if (said.length < 4_096) said += Buffer.from(chunk).toString();
    },
    ...streams,
  });
  if (code !== 0) throw new CommandError(`${command[0]} in ${pod.metadata.name} ended with ${code}: ${said.trim()}`);
}

/** A folder that is there already takes the source in under its own name, as `cp` does. */
async function upload(
  session: Session,
  flags: CopyFlags,
  terminal: Terminal,
  from: string,
  to: CopyPlace & { pod: string },
) {
  const source = resolve(terminal.cwd, from);
  const path = to.path.length > 1 ? to.path.replace(/\/+$/, '') : to.path;
  const into = await isFolder(session, flags, terminal, to.pod, path);
  const [folder, name] = into ? [path, basename(source)] : [posix.dirname(path), posix.basename(path)];
  const tar = localTar(
    ['-cf', '-', '-C', dirname(source), renaming(basename(source), name), '--', basename(source)],
    terminal.signal,
  );
  tar.stdin.end();
  const command = ['tar', '-xmf', '-', '-C', folder];
  try {
    await Promise.all([inPod(session, flags, terminal, to.pod, { stdin: tar.stdout }, command), tar.ended]);
  } finally {
    tar.stop();
  }
}

async function download(
  session: Session,
  flags: CopyFlags,
  terminal: Terminal,
  from: CopyPlace & { pod: string },
  to: string,
) {
  const source = posix.normalize(from.path).replace(/(.)\/+$/, '$1');
  const { stat } = await import('node:fs/promises');
  const target = resolve(terminal.cwd, to);
  const into = await stat(target).then(
    found => found.isDirectory(),
    () => false,
  );
  const [folder, name] = into ? [target, posix.basename(source)] : [dirname(target), basename(target)];
  // GNU tar refuses what would leave the folder: absolute names, `..`, links that lead out and are written through.
  const root = posix.basename(source);
  // And only what was asked for is taken.
  const tar = localTar(['-xmf', '-', '-C', folder, renaming(root, name), '--', root], terminal.signal);
  const command = ['tar', '-cf', '-', '-C', posix.dirname(source), '--', root];
  const write = (chunk: Uint8Array) =>
    new Promise<void>(done => {
      // The reason why it ended is told by `ended`.
      tar.stdin.write(chunk, () => done());
    });
  try {
    await inPod(session, flags, terminal, from.pod, { onStdout: write }, command);
    tar.stdin.end();
    await tar.ended;
  } finally {
    tar.stop();
  }
}

async function isFolder(
  session: Session,
  flags: CopyFlags,
  terminal: Terminal,
  pod: string,
  path: string,
): Promise<boolean> {
  try {
    await inPod(session, flags, terminal, pod, {}, ['test', '-d', path]);
    return true;
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}

function localTar(args: string[], signal: AbortSignal) {
  const child = spawn('tar', args, { stdio: ['pipe', 'pipe', 'pipe'], signal });
  let said = '';
  child.stderr.on('data', chunk => {
    if (said.length < 4_096) said += chunk;
  });
  child.stdin.on('error', () => undefined);
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', error => reject(new CommandError(`tar on this machine: ${error.message}`)));
    child.once('close', code =>
      code === 0 ? resolve() : reject(new CommandError(`tar on this machine ended with ${code}: ${said.trim()}`)),
    );
  });
  // Awaited by the caller once the other side has ended; it may fail before.
  ended.catch(() => undefined);
  return { stdin: child.stdin, stdout: child.stdout, ended, stop: () => void child.kill() };
}
