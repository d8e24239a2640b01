/**
 * A line on stderr that says what is being waited for, with the seconds so far. It appears only on a terminal, after a
 * moment, and leaves nothing behind; elsewhere the text is written once, as a line of its own.
 */
import type { Terminal } from './terminal.js';

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const quietMs = 400;

export interface Progress {
  say(text: string): void;
  done(): void;
}

function progress({ stderr }: Terminal, text: string): Progress {
  const began = Date.now();
  let shown = text;
  if (!stderr.isTTY) {
    const timer = setTimeout(() => stderr.write(`${shown} ...\n`), quietMs);
    timer.unref();
    return {
      say(next) {
        shown = next;
      },
      done: () => clearTimeout(timer),
    };
  }
  let frame = 0;
  let visible = false;
  const timer = setInterval(() => {
    if (Date.now() - began < quietMs) return;
    visible = true;
    frame = (frame + 1) % frames.length;
    stderr.write(`\r\x1b[K${frames[frame]} ${shown} (${Math.round((Date.now() - began) / 1000)}s)`);
  }, 100);
  timer.unref();
  return {
    say(next) {
      shown = next;
    },
    done() {
      clearInterval(timer);
      if (visible) stderr.write('\r\x1b[K');
      visible = false;
    },
  };
}

/** Shows progress while the work runs. */
export async function during<T>(
  terminal: Terminal,
  text: string,
  work: (progress: Progress) => Promise<T>,
): Promise<T> {
  const shown = progress(terminal, text);
  try {
    return await work(shown);
  } finally {
    shown.done();
  }
}
