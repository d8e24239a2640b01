/**
 * A log of lines that renews itself: written in batches, renamed when it is full (`audit-2026-11-21T08-00-00.000.log`), old ones removed
 * by age and by number. Mode 0600.
 *
 * Bounded: lines wait in memory while the disk is slow, up to `queueBytes`; what comes beyond that is lost, counted, and said in the log that
 * the server was given and, in its place, in the file. Appending never blocks a request.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import type { Clock, Logger } from '@orbitkit/core';

export interface LogFileOptions {
  file: string;
  /** Default 100 MiB. */
  maxSizeBytes?: number;
  /** Default: kept for good. */
  maxAgeMs?: number;
  /** Full files that are kept. Default 10. */
  maxBackups?: number;
  /** Default 16 MiB. */
  queueBytes?: number;
}

export interface LogFile {
  /** A line without its end. */
  append(line: string): void;
  /** Writes what waits, and closes. Twice is harmless. */
  close(): Promise<void>;
}

const batchMs = 100;
const retryMs = 1_000;

/** @throws Error when the file cannot be opened. */
export async function openLogFile(options: LogFileOptions, clock: Clock, log: Logger): Promise<LogFile> {
  const { file, maxSizeBytes = 100 << 20, maxAgeMs, maxBackups = 10, queueBytes = 16 << 20 } = options;
  await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  let handle = await fs.open(file, 'a', 0o600);
  let size = (await handle.stat()).size;
  let waiting: string[] = [];
  let waitingBytes = 0;
  let lost = 0;
  let timer: { cancel(): void } | undefined;
  let writing: Promise<void> | undefined;
  let closed: Promise<void> | undefined;

  const { dir, name: stem, ext } = path.parse(file);
  const isBackup = (name: string) => name.startsWith(`${stem}-`) && name.endsWith(ext) && name !== path.basename(file);

  async function rotate(): Promise<void> {
    await handle.close();
    const stamp = new Date(clock.now()).toISOString().replace('Z', '').replaceAll(':', '-');
    await fs.rename(file, path.join(dir, `${stem}-${stamp}${ext}`));
    handle = await fs.open(file, 'a', 0o600);
    size = 0;
    // Names sort by time.
    const backups = (await fs.readdir(dir)).filter(isBackup).sort().reverse();
    for (const [i, backup] of backups.entries()) {
      const old = path.join(dir, backup);
      const tooOld = maxAgeMs !== undefined && clock.now() - (await fs.stat(old)).mtimeMs > maxAgeMs;
      if (i >= maxBackups || tooOld) await fs.rm(old, { force: true });
    }
  }

  async function write(): Promise<void> {
    while (waiting.length > 0) {
      const lines = waiting;
      waiting = [];
      waitingBytes = 0;
      const bytes = Buffer.from(`${lines.join('\n')}\n`);
      if (size > 0 && size + bytes.length > maxSizeBytes) await rotate();
      await handle.appendFile(bytes);
      size += bytes.length;
    }
    if (lost > 0) {
      log.error('audit events were lost: the disk could not follow', { lost, file });
      const text = `{"kind":"Lost","apiVersion":"audit.orbitkit.dev/v1","events":${lost},"time":"${new Date(clock.now()).toISOString()}"}`;
      lost = 0;
      append(text);
    }
  }

  function schedule(ms: number): void {
    timer ??= clock.setTimer(ms, () => {
      timer = undefined;
      flush().catch(error => {
        log.error('the audit log cannot be written', { file, error: String(error) });
        if (closed === undefined) schedule(retryMs);
      });
    });
  }

  function flush(): Promise<void> {
    writing ??= write().finally(() => {
      writing = undefined;
    });
    return writing;
  }

  function append(line: string): void {
    if (closed !== undefined || waitingBytes + line.length > queueBytes) {
      lost++;
    } else {
      waiting.push(line);
      waitingBytes += line.length + 1;
    }
    schedule(batchMs);
  }

  return {
    append,
    close() {
      closed ??= (async () => {
        timer?.cancel();
        try {
          await flush();
        } catch (error) {
          log.error('the last audit events could not be written', { file, error: String(error) });
        } finally {
          timer?.cancel();
          await handle.close().catch(() => undefined);
        }
      })();
      return closed;
    },
  };
}
