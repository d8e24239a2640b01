/**
 * Copies a container's output from the daemon into a log file in CRI's format.
 *
 * The daemon keeps the output too, with times, so a copy can be taken up where it stopped: after a restart of the agent the lines after the
 * last one in the file follow, none twice. One process writes a file at a time: a lock beside it names the writer by pid and
 * start time, and a writer that is gone is replaced.
 */
import { type FileHandle, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import type Docker from 'dockerode';

const tailBytes = 64 * 1024;
/** Files that this process writes. */
const writing = new Map<string, object>();

export interface LogCopy {
  /** Settled when the container has ended and everything is in the file, or the copy was stopped. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

/** Undefined when another process writes this file. */
export async function copyLog(
  docker: Docker,
  containerId: string,
  path: string,
  tty: boolean,
): Promise<LogCopy | undefined> {
  if (writing.has(path)) return undefined;
  const owner = {};
  writing.set(path, owner);
  const release = async () => {
    if (writing.get(path) !== owner) return;
    writing.delete(path);
    await rm(`${path}.writer`, { force: true });
  };
  try {
    await mkdir(dirname(path), { recursive: true });
    if (!(await takeLock(`${path}.writer`))) {
      writing.delete(path);
      return undefined;
    }
    const file = await open(path, 'a', 0o640);
    const stopping = new AbortController();
    let stream: Readable | undefined;
    const pass = async (follow: boolean) => {
      const last = await lastTime(path);
      stream = await openLog(docker, containerId, follow, last);
      if (stopping.signal.aborted) stream.destroy();
      await (tty ? copyPlain(stream, file, last) : copyFrames(stream, file, last));
    };
    const done = (async () => {
      await pass(true);
      // A follower of rotated logs ends before the last line that has no end; it is fetched afterwards.
      if (!stopping.signal.aborted) await pass(false);
    })().finally(async () => {
      await file.close();
      await release();
    });
    // A broken stream ends this copy; the next look at the container starts another.
    done.catch(() => {});
    return {
      done: done.catch(() => {}),
      async stop() {
        stopping.abort();
        stream?.destroy();
        await done.catch(() => {});
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** The daemon counts `since` in whole seconds here; lines that come again are passed over by their time. */
async function openLog(
  docker: Docker,
  containerId: string,
  follow: boolean,
  last: string | undefined,
): Promise<Readable> {
  const since = last ? { since: Math.floor(Date.parse(last) / 1000) } : {};
  const asked = { stdout: true, stderr: true, timestamps: true, ...since };
  const log = docker.getContainer(containerId);
  if (follow) return (await log.logs({ ...asked, follow: true })) as unknown as Readable;
  return Readable.from([await log.logs({ ...asked, follow: false })]);
}

/** The daemon's multiplexed form: 8 bytes of head (stream, length), then one entry `<time> <text>`. */
async function copyFrames(stream: Readable, file: FileHandle, last: string | undefined): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    const lines: string[] = [];
    while (rest.length >= 8) {
      const length = rest.readUInt32BE(4);
      if (rest.length < 8 + length) break;
      const entry = rest.toString('utf8', 8, 8 + length);
      lines.push(...cri(entry, rest[0] === 2 ? 'stderr' : 'stdout', last));
      rest = rest.subarray(8 + length);
    }
    if (lines.length > 0) await file.write(lines.join(''));
  }
}

/** With a terminal there is one stream of text. */
async function copyPlain(stream: Readable, file: FileHandle, last: string | undefined): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    const lines = parts.flatMap(line => cri(`${line}\n`, 'stdout', last));
    if (lines.length > 0) await file.write(lines.join(''));
  }
  if (rest) await file.write(cri(rest, 'stdout', last).join(''));
}

/** `<time> <text>` as a line of the file; nothing when it is there already. */
function cri(entry: string, stream: 'stdout' | 'stderr', last: string | undefined): string[] {
  const space = entry.indexOf(' ');
  const time = entry.slice(0, space);
  if (last !== undefined && time <= last) return [];
  const text = entry.slice(space + 1);
  const whole = text.endsWith('\n');
  return [`${time} ${stream} ${whole ? 'F' : 'P'} ${whole ? text.slice(0, -1).replace(/\r$/, '') : text}\n`];
}

/** The time of the file's last whole line. */
async function lastTime(path: string): Promise<string | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = await file.stat();
    const length = Math.min(size, tailBytes);
    const bytes = Buffer.alloc(length);
    await file.read(bytes, 0, length, size - length);
    const lines = bytes.toString('utf8').trimEnd().split('\n');
    const time = lines.at(-1)?.split(' ')[0];
    return time && /^\d{4}-/.test(time) ? time : undefined;
  } finally {
    await file.close();
  }
}

/** This process's lock, also when the one that held it is gone. */
async function takeLock(path: string): Promise<boolean> {
  const me = `${process.pid} ${await startTime(process.pid)}`;
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      await writeFile(path, me, { flag: 'wx' });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = (await readFile(path, 'utf8').catch(() => '')).trim();
    const [pid, started] = holder.split(' ');
    if (holder === me) return true;
    if (pid && started && (await startTime(Number(pid))) === started) return false;
    await rm(path, { force: true });
  }
  return false;
}

/** Field 22 of /proc/<pid>/stat: with the pid it names a process for good. */
async function startTime(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? 'gone';
}
