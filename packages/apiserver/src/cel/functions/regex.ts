/** `matches`, `find`, `findAll` with RE2's syntax, in time linear to the text. Source: apiserver `cel/library/regex`. */
import { RE2JS } from 're2js';
import { spend } from '../budget.js';
import { type CelEnvironment, linearMatches } from '../expression.js';

/** Patterns of expressions are few and mostly literals. */
const maxPatterns = 512;
const patterns = new Map<string, RE2JS>();

function patternOf(text: string): RE2JS {
  let pattern = patterns.get(text);
  if (pattern === undefined) {
    pattern = RE2JS.compile(text);
    if (patterns.size >= maxPatterns) patterns.delete(patterns.keys().next().value!);
    patterns.set(text, pattern);
  }
  return pattern;
}

/** A step for ten characters of text, as many times as the pattern may have parts (cel-go RegexStringLengthCostFactor). */
function spendOn(text: string, pattern: string): void {
  spend(Math.ceil((text.length + 1) * 0.1) * Math.ceil(pattern.length * 0.25));
}

function findAll(text: string, pattern: string, limit: number): string[] {
  spendOn(text, pattern);
  const found: string[] = [];
  const matcher = patternOf(pattern).matcher(text);
  while ((limit < 0 || found.length < limit) && matcher.find()) found.push(matcher.group()!);
  return found;
}

export function regexFunctions(environment: CelEnvironment): void {
  const matches = (text: string, pattern: string): boolean => {
    spendOn(text, pattern);
    return patternOf(pattern).test(text);
  };
  environment
    .registerFunction(`string.${linearMatches}(string): bool`, matches)
    .registerFunction(`${linearMatches}(string, string): bool`, matches)
    .registerFunction(
      'string.find(string): string',
      (text: string, pattern: string) => findAll(text, pattern, 1)[0] ?? '',
    )
    .registerFunction('string.findAll(string): list<string>', (text: string, pattern: string) =>
      findAll(text, pattern, -1),
    )
    .registerFunction('string.findAll(string, int): list<string>', (text: string, pattern: string, limit: bigint) =>
      findAll(text, pattern, Number(limit)),
    );
}
