/** Reads one line of a container log, CRI's format: `<RFC 3339 nano> <stdout|stderr> <tags> <text>`; the first tag is F or P. */
export interface LogLine {
  time: string;
  stream: 'stdout' | 'stderr';
  /** False for a part of a line whose rest follows. */
  full: boolean;
  text: string;
}

/** Undefined for what is not such a line: a torn write, a foreign file. */
export function parseLogLine(line: string): LogLine | undefined {
  const match = /^(\S+) (stdout|stderr) ([FP])(?::\S*)? ?(.*)$/s.exec(line);
  if (!match) return undefined;
  const [, time, stream, tag, text] = match as unknown as [string, string, 'stdout' | 'stderr', string, string];
  return { time, stream, full: tag === 'F', text };
}
