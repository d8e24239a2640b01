/**
 * Quoted texts and flow collections whose next lines stand no deeper than the key they belong to:
 *
 *     command: ["/bin/sh", "-c", "one &&
 *     two"]
 *
 * YAML 1.2 forbids it, Kubernetes' parser and most others read it. Such lines are moved to the right before parsing, which
 * changes no value, since white space at the start of such a line has no meaning. What was moved is remembered, so that
 * columns can be told as they are in the file.
 */
export interface Indented {
  text: string;
  /** Spaces put before a line, by its number from 1. */
  added: ReadonlyMap<number, number>;
}

interface SyntaxProblem {
  code: string;
  message: string;
  pos: readonly [number, number];
}

const step = 2;
/** Of one line: what is not readable then has another problem. */
const mostSteps = 8;
const mostLines = 500;
const longestText = 1024 * 1024;

/** The offset of the line that a problem says is too far left, when it is a problem of that sort. */
function lineToMove(text: string, { code, message, pos }: SyntaxProblem): number | undefined {
  if (code === 'MISSING_CHAR' && /^Missing closing .*quote$/.test(message)) {
    const end = text.indexOf('\n', pos[0]);
    return end < 0 || end + 1 >= text.length ? undefined : end + 1;
  }
  if (code !== 'BAD_INDENT' || !message.startsWith('Flow ')) return undefined;
  let found = pos[0];
  while (text[found] === '\n' || text[found] === '\r') found += 1;
  return text.lastIndexOf('\n', found - 1) + 1;
}

/**
 * @param check The problems of a text, in any order.
 * @returns A text without problems, or undefined when moving lines does not mend it.
 */
export function indentContinuations(
  text: string,
  check: (text: string) => readonly SyntaxProblem[],
): Indented | undefined {
  if (text.length > longestText) return undefined;
  const added = new Map<number, number>();
  for (let problems = check(text); problems.length > 0; problems = check(text)) {
    // What stands before it is often only a consequence.
    const inOrder = [...problems].sort((a, b) => a.pos[0] - b.pos[0]);
    const offset = inOrder.map(problem => lineToMove(text, problem)).find(line => line !== undefined);
    if (offset === undefined || added.size > mostLines) return undefined;
    const line = text.slice(0, offset).split('\n').length;
    const moved = (added.get(line) ?? 0) + step;
    if (moved > step * mostSteps) return undefined;
    added.set(line, moved);
    text = `${text.slice(0, offset)}${' '.repeat(step)}${text.slice(offset)}`;
  }
  return { text, added };
}
