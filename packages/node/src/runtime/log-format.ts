/**
 * One line of a container log, in CRI's format: `<RFC 3339 with nanoseconds> <stdout|stderr> <F|P> <text>`.
 * `P` marks a part of a line that was too long or had no end yet; the rest follows under the same stream.
 */
export type LogStream = 'stdout' | 'stderr';

export function formatLogLine(atMs: number, stream: LogStream, text: string, partial = false): string {
  return `${logTime(atMs)} ${stream} ${partial ? 'P' : 'F'} ${text}\n`;
}

/** The clock gives milliseconds; the format wants nine digits. */
export function logTime(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, -1)}000000Z`;
}
