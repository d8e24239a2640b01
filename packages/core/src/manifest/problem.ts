/**
 * What is wrong in a manifest, each with its place, as an editor can open it: `web.yaml:12:7: message`.
 */
export interface ManifestLocation {
  file: string;
  /** From 1. */
  line: number;
  /** From 1. */
  column: number;
}

/** One fault, with its place. */
export interface ManifestProblem extends ManifestLocation {
  message: string;
}

const brand: unique symbol = Symbol.for('orbitkit.ManifestError') as never;

/** Shown at the most; the rest is counted. */
const shownProblems = 20;

/** Everything that is wrong in a file. The message lists the first of `problems`, a line each. */
export class ManifestError extends Error {
  readonly [brand] = true;
  readonly problems: readonly ManifestProblem[];

  constructor(problems: readonly ManifestProblem[]) {
    const lines = problems.slice(0, shownProblems).map(problem => `${formatLocation(problem)}: ${problem.message}`);
    if (problems.length > shownProblems) lines.push(`and ${problems.length - shownProblems} more problems`);
    super(lines.join('\n'));
    this.name = 'ManifestError';
    this.problems = problems;
  }
}

/** Whether it is a ManifestError, of any copy of this package. */
export function isManifestError(error: unknown): error is ManifestError {
  return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true;
}

/** `web.yaml:12:7` */
export function formatLocation({ file, line, column }: ManifestLocation): string {
  return `${file}:${line}:${column}`;
}
