/** What cel-go's string extension has beyond the engine's own: charAt, replace, reverse, format, quote. */
import type { CelEnvironment } from '../expression.js';

const runes = (text: string): string[] => [...text];

function charAt(text: string, index: bigint): string {
  const all = runes(text);
  const at = Number(index);
  if (at < 0 || at > all.length) throw new Error(`index out of range: ${index}`);
  return all[at] ?? '';
}

function replace(text: string, from: string, to: string, times: number): string {
  if (times < 0) return text.split(from).join(to);
  const parts = text.split(from);
  const head = parts.slice(0, times + 1).join(to);
  return parts.length > times + 1 ? `${head}${from}${parts.slice(times + 1).join(from)}` : head;
}

/** The clauses of `format`: %s %d %f %e %b %x %X %o %%, with a precision for the decimal ones. */
function format(pattern: string, values: readonly unknown[]): string {
  let next = 0;
  return pattern.replace(/%(?:\.(\d+))?(.)/g, (_clause, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (next >= values.length) throw new Error(`index ${next} out of range`);
    const value = values[next++];
    const number = typeof value === 'bigint' || typeof value === 'number' ? value : undefined;
    switch (verb) {
      case 's':
        return textOf(value);
      case 'd':
        if (typeof value === 'bigint') return value.toString();
        break;
      case 'f':
        if (number !== undefined) return Number(number).toFixed(precision === undefined ? 6 : Number(precision));
        break;
      case 'e':
        if (number !== undefined) return Number(number).toExponential(precision === undefined ? 6 : Number(precision));
        break;
      case 'b':
        if (typeof value === 'bigint') return value.toString(2);
        if (typeof value === 'boolean') return value ? '1' : '0';
        break;
      case 'o':
        if (typeof value === 'bigint') return value.toString(8);
        break;
      case 'x':
      case 'X': {
        const text =
          typeof value === 'bigint'
            ? value.toString(16)
            : typeof value === 'string'
              ? Buffer.from(value).toString('hex')
              : undefined;
        if (text !== undefined) return verb === 'X' ? text.toUpperCase() : text;
      }
    }
    throw new Error(`cannot format ${textOf(value)} as %${verb}`);
  });
}

/** How a value is written into a message. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return 'null';
  if (value instanceof Date) return value.toISOString().replace(/\.000Z$/, 'Z');
  if (Array.isArray(value)) return `[${value.map(textOf).join(', ')}]`;
  if (value instanceof Map)
    return `{${[...value].map(([name, each]) => `${textOf(name)}: ${textOf(each)}`).join(', ')}}`;
  return String(value);
}

class StringsNamespace {}

export function textFunctions(environment: CelEnvironment): void {
  environment
    .registerFunction('string.charAt(int): string', charAt)
    .registerFunction('string.replace(string, string): string', (text: string, from: string, to: string) =>
      replace(text, from, to, -1),
    )
    .registerFunction(
      'string.replace(string, string, int): string',
      (text: string, from: string, to: string, times: bigint) => replace(text, from, to, Number(times)),
    )
    .registerFunction('string.reverse(): string', (text: string) => runes(text).reverse().join(''))
    .registerFunction('string.format(list<dyn>): string', format)
    .registerType('StringsNamespace', { ctor: StringsNamespace, fields: {} })
    .registerConstant('strings', 'StringsNamespace', new StringsNamespace())
    .registerFunction('StringsNamespace.quote(string): string', (_: unknown, text: string) => JSON.stringify(text));
}
