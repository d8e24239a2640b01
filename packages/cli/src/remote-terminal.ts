/** This program's terminal as the other end of exec and attach: raw while it lasts, with its sizes, slowed down by a slow screen. */
import type { AttachOptions } from '@orbitkit/core';
import { type Terminal, write } from './terminal.js';

export interface RemoteTerminalFlags {
  stdin?: boolean;
  tty?: boolean;
}

type Streams = Pick<AttachOptions, 'stdin' | 'tty' | 'resize' | 'onStdout' | 'onStderr' | 'signal'>;

/** Runs the work with the terminal's streams and gives the terminal back afterwards. */
export async function withRemoteTerminal<T>(
  flags: RemoteTerminalFlags,
  terminal: Terminal,
  work: (streams: Streams) => Promise<T>,
): Promise<T> {
  const tty = !!flags.tty && !!terminal.stdin.isTTY;
  if (flags.tty && !tty) terminal.stderr.write('Standard input is not a terminal; -t is left out\n');
  if (tty) terminal.stdin.setRawMode?.(true);
  try {
    return await work({
      tty,
      signal: terminal.signal,
      ...(flags.stdin ? { stdin: terminal.stdin as unknown as AsyncIterable<Uint8Array> } : {}),
      ...(tty ? { resize: sizes(terminal) } : {}),
      onStdout: chunk => write(terminal.stdout, chunk),
      onStderr: chunk => write(terminal.stderr, chunk),
    });
  } finally {
    if (tty) terminal.stdin.setRawMode?.(false);
    if (flags.stdin) (terminal.stdin as NodeJS.ReadStream).destroy?.();
  }
}

/** The terminal's size now and after each change. */
async function* sizes({ stdout, signal }: Terminal): AsyncGenerator<{ width: number; height: number }> {
  while (!signal.aborted) {
    yield { width: stdout.columns ?? 80, height: stdout.rows ?? 24 };
    await new Promise<void>(resolve => {
      stdout.once('resize', resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}
