/**
 * Writes a container's output to its log, in CRI format, bounded by rotation.
 *
 * Every chunk is written before the next is read, so that the death of the helper loses nothing that it had taken. Text
 * without a line end is written at once as a part (`P`), and so is every 16 KiB of a long line (containerd's bound). Bytes
 * are kept as they are: a character cut in two by a chunk comes together again when the parts are joined.
 *
 * When a file reaches its bound it becomes `<path>.1`, the one before `<path>.2`, and so on; the oldest is removed (kubelet
 * defaults: 10 MiB, five files).
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { type LogStream, logTime } from '../../log-format.js';

const partBytes = 16 * 1_024;
const newline = 10;

export interface LogBounds {
  /** Default 10 MiB. */
  maxBytes: number;
  /** The current one included. Default 5. */
  maxFiles: number;
}
export const defaultLogBounds: LogBounds = { maxBytes: 10 * 2 ** 20, maxFiles: 5 };

export interface LogWriter {
  write(stream: LogStream, chunk: Buffer, atMs: number): void;
  close(): void;
}

/** Opens the log for appending. @throws the system's error when the path cannot be written. */
export function logWriter(path: string, bounds: LogBounds = defaultLogBounds): LogWriter {
  mkdirSync(dirname(path), { recursive: true });
  let file: number | undefined = openSync(path, 'a', 0o640);
  let size = fstatSync(file).size;

  function rotate(): void {
    closeSync(file!);
    file = undefined;
    rmSync(`${path}.${bounds.maxFiles - 1}`, { force: true });
    for (let index = bounds.maxFiles - 2; index >= 1; index -= 1) {
      try {
        renameSync(`${path}.${index}`, `${path}.${index + 1}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    if (bounds.maxFiles > 1) renameSync(path, `${path}.1`);
    else rmSync(path);
    file = openSync(path, 'a', 0o640);
    size = 0;
  }

  return {
    write(stream, chunk, atMs) {
      if (file === undefined) return;
      const head = `${logTime(atMs)} ${stream} `;
      const whole = Buffer.from(`${head}F `);
      const part = Buffer.from(`${head}P `);
      const end = Buffer.from('\n');
      const pieces: Buffer[] = [];
      for (let from = 0; from < chunk.length; ) {
        const lineEnd = chunk.indexOf(newline, from);
        const to = Math.min(lineEnd < 0 ? chunk.length : lineEnd, from + partBytes);
        const isWhole = to === lineEnd;
        pieces.push(isWhole ? whole : part, chunk.subarray(from, to), end);
        from = isWhole ? to + 1 : to;
      }
      const text = Buffer.concat(pieces);
      writeSync(file, text);
      size += text.length;
      if (size >= bounds.maxBytes) rotate();
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}
