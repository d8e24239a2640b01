/**
 * What a container left to say when it ended: the file at its terminationMessagePath, or with FallbackToLogsOnError the end of its
 * log when that is empty and it failed.
 *
 * Bounds are upstream's: 4096 bytes from the file, 2048 bytes or 80 lines from the log. A file that was replaced by something
 * else than a regular file is not read.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { corev1 } from '@orbitkit/core';
import { parseLogLine } from '../streams/log-line.js';

const fileLimit = 4096;
const logLimit = 2048;
const logLines = 80;

export interface TerminationMessageInput {
  spec: corev1.Container | undefined;
  exitCode: number;
  file: string;
  logPath: string;
}

export async function terminationMessageOf({
  spec,
  exitCode,
  file,
  logPath,
}: TerminationMessageInput): Promise<string | undefined> {
  const written = (await endOf(file, fileLimit, 'start'))?.toString('utf8');
  if (written) return written;
  if (spec?.terminationMessagePolicy !== 'FallbackToLogsOnError' || exitCode === 0) return undefined;
  // CRI's prefix costs up to 45 bytes a line.
  const log = await endOf(logPath, logLimit + logLines * 64, 'end');
  const lines = (log?.toString('utf8') ?? '').split('\n').flatMap(line => parseLogLine(line)?.text ?? []);
  const text = lines.slice(-logLines).join('\n');
  return Buffer.from(text, 'utf8').subarray(-logLimit).toString('utf8').replace(/^�+/, '') || undefined;
}

async function endOf(file: string, limit: number, which: 'start' | 'end'): Promise<Buffer | undefined> {
  // Not blocked by a pipe, not led away by a link that the container put there.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW).catch(
    () => undefined,
  );
  if (!handle) return undefined;
  try {
    const info = await handle.stat();
    if (!info.isFile()) return undefined;
    const buffer = Buffer.alloc(Math.min(limit, info.size));
    const { bytesRead } = await handle.read(
      buffer,
      0,
      buffer.length,
      which === 'start' ? 0 : info.size - buffer.length,
    );
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
