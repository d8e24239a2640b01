/**
 * The logger for programs: lines of text for people or of JSON for machines, on stderr. Libraries take a `Logger` and
 * never write by themselves.
 *
 * An `Error` among the fields is written with its stack in JSON and with its message in text.
 */
import { type Clock, systemClock } from '../clock/clock.js';
import type { Logger } from './log.js';

/** From this level on lines are written; `silent` writes none. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** What is written, how, and where. */
export interface LoggerOptions {
  /** Default `info`. */
  level?: LogLevel;
  /** Default `text`. */
  format?: 'text' | 'json';
  clock?: Clock;
  /** Receives one line with its newline. Default: stderr. */
  write?: (line: string) => void;
  fields?: Readonly<Record<string, unknown>>;
}

const ranks: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

function plain(value: unknown, withStack: boolean): unknown {
  if (value instanceof Error) return withStack ? (value.stack ?? value.message) : value.message;
  return typeof value === 'bigint' ? String(value) : value;
}

function inText(value: unknown): string {
  const shown = plain(value, false);
  const text = typeof shown === 'string' ? shown : (safeJson(shown) ?? String(shown));
  return text === '' || /[\s"=]/.test(text) ? JSON.stringify(text) : text;
}

/** A cycle or a throwing getter among the fields must not break the caller. */
function safeJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value, (_key, each) => plain(each, true));
  } catch {
    return '"(not printable)"';
  }
}

/** A logger that writes a line for each call: `TIME LEVEL message key=value`, or one JSON object. */
export function logger(options: LoggerOptions = {}): Logger {
  const { level = 'info', format = 'text', clock = systemClock, fields: own = {} } = options;
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const least = ranks[level];

  function line(at: LogLevel, message: string, fields?: Record<string, unknown>): void {
    if (ranks[at] < least) return;
    const time = new Date(clock.now()).toISOString();
    const all = { ...own, ...fields };
    if (format === 'json') {
      write(`${safeJson({ time, level: at, message, ...all })}\n`);
      return;
    }
    const pairs = Object.entries(all)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => ` ${name}=${inText(value)}`);
    write(`${time} ${at.toUpperCase().padEnd(5)} ${message}${pairs.join('')}\n`);
  }

  return {
    debug: (message, fields) => line('debug', message, fields),
    info: (message, fields) => line('info', message, fields),
    warn: (message, fields) => line('warn', message, fields),
    error: (message, fields) => line('error', message, fields),
    with: fields => logger({ ...options, fields: { ...own, ...fields } }),
  };
}

/** Says nothing: the default of libraries. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLogger,
};
