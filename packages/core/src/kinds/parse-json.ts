/**
 * JSON for an API: parses, says where a fault is (line and column), and on request finds fields that stand twice in one object,
 * which `JSON.parse` silently lets the last one win.
 *
 * The value always comes from `JSON.parse`. The scanner beside it walks the text once, without building anything, and runs
 * only to locate a fault, or to name duplicates in a text that has more members than its value. Nesting beyond 10,000 levels is refused (Go's encoding/json).
 */
import { badRequest } from '../errors/status-error.js';
import { formatPath } from './decode.js';

/** What a text held, and what stood twice in it. */
export interface StrictJson {
  value: unknown;
  /** Paths of fields that stand more than once, each once: `data.a`, `spec.containers[0].image`. At most 100. */
  duplicateFields: string[];
}

const maxDepth = 10_000;
const maxDuplicates = 100;

/** @throws StatusError BadRequest `json parse error: …` with line and column. */
export function parseStrictJson(input: string | Uint8Array, options: { duplicates?: boolean } = {}): StrictJson {
  const text =
    typeof input === 'string' ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    new Scanner(text, false).run();
    throw badRequest(`json parse error: ${(error as Error).message}`);
  }
  // What stands twice in the text is once in the value.
  const search = options.duplicates && membersIn(text) !== membersOf(value);
  return { value, duplicateFields: search ? new Scanner(text, true).run() : [] };
}

/** The members of all objects in a text that is JSON: its colons outside of strings. */
function membersIn(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === colon) count += 1;
    else if (code === quote) {
      for (at++; ; at++) {
        const inside = text.charCodeAt(at);
        if (inside === quote) break;
        if (inside === backslash) at += 1;
      }
    }
  }
  return count;
}

function membersOf(value: unknown): number {
  let count = 0;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (typeof value[i] === 'object') count += membersOf(value[i]);
  } else if (typeof value === 'object' && value !== null) {
    for (const name in value) {
      count += 1;
      const member = (value as Record<string, unknown>)[name];
      if (typeof member === 'object') count += membersOf(member);
    }
  }
  return count;
}

/** An open object or array; `keys` are those seen in an object, `step` where in it the scanner is. */
interface Frame {
  readonly keys: Set<string> | undefined;
  step: string | number;
}

const quote = 34;
const colon = 58;
const backslash = 92;
const literals = ['true', 'false', 'null'];
const numberForm = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

class Scanner {
  readonly #text: string;
  #at = 0;
  readonly #frames: Frame[] = [];
  readonly #duplicates = new Set<string>();

  /** `wellFormed`: the text is known to be JSON, so strings need not be looked into. */
  readonly #wellFormed: boolean;

  constructor(text: string, wellFormed: boolean) {
    this.#text = text;
    this.#wellFormed = wellFormed;
  }

  run(): string[] {
    this.#value();
    while (this.#frames.length > 0) this.#afterValue();
    this.#space();
    if (this.#at < this.#text.length) this.#fail('after top-level value');
    return [...this.#duplicates];
  }

  /** A scalar whole; of an object or array only its beginning, up to its first value. */
  #value(): void {
    for (;;) {
      this.#space();
      const char = this.#text[this.#at];
      if (char === '{') {
        this.#open({ keys: new Set(), step: '' });
        if (this.#closes('}')) return;
        this.#key();
      } else if (char === '[') {
        this.#open({ keys: undefined, step: 0 });
        if (this.#closes(']')) return;
      } else {
        this.#scalar(char);
        return;
      }
    }
  }

  #open(frame: Frame): void {
    if (this.#frames.length >= maxDepth) this.#fail(`: more than ${maxDepth} levels of nesting`);
    this.#frames.push(frame);
    this.#at += 1;
  }

  #closes(bracket: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== bracket) return false;
    this.#at += 1;
    this.#frames.pop();
    return true;
  }

  /** A comma and the next value, or the end of the innermost object or array. */
  #afterValue(): void {
    const frame = this.#frames.at(-1)!;
    if (this.#closes(frame.keys ? '}' : ']')) return;
    if (this.#text[this.#at] !== ',') this.#fail(frame.keys ? 'after object key:value pair' : 'after array element');
    this.#at += 1;
    if (frame.keys) this.#key();
    else frame.step = (frame.step as number) + 1;
    this.#value();
  }

  #key(): void {
    this.#space();
    if (this.#text.charCodeAt(this.#at) !== quote) this.#fail('looking for beginning of object key string');
    const raw = this.#string();
    const key = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw;
    const frame = this.#frames.at(-1)!;
    frame.step = key;
    if (frame.keys!.has(key)) {
      if (this.#duplicates.size < maxDuplicates) this.#duplicates.add(formatPath(this.#frames.map(({ step }) => step)));
    } else {
      frame.keys!.add(key);
    }
    this.#space();
    if (this.#text[this.#at] !== ':') this.#fail('after object key');
    this.#at += 1;
  }

  #scalar(char: string | undefined): void {
    if (char === '"') {
      this.#string();
      return;
    }
    for (const literal of literals) {
      if (char !== literal[0]) continue;
      if (!this.#text.startsWith(literal, this.#at)) this.#fail(`in literal ${literal}`);
      this.#at += literal.length;
      return;
    }
    numberForm.lastIndex = this.#at;
    if (!numberForm.test(this.#text)) this.#fail('looking for beginning of value');
    this.#at = numberForm.lastIndex;
  }

  /** What stands between the quotes, escapes as written. */
  #string(): string {
    const from = this.#at + 1;
    if (this.#wellFormed) {
      let end = this.#text.indexOf('"', from);
      while (this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1);
      this.#at = end + 1;
      return this.#text.slice(from, end);
    }
    for (let at = from; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === quote) {
        this.#at = at + 1;
        return this.#text.slice(from, at);
      }
      if (code < 0x20) {
        this.#at = at;
        this.#fail('in string literal');
      }
      if (code !== backslash) continue;
      at += 1;
      if (!/^(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.test(this.#text.slice(at, at + 5))) {
        this.#at = at;
        this.#fail('in string escape code');
      }
    }
    this.#at = this.#text.length;
    return this.#fail('in string literal');
  }

  /** An odd number of backslashes stands before it. */
  #isEscaped(at: number): boolean {
    let before = at - 1;
    while (this.#text.charCodeAt(before) === backslash) before -= 1;
    return (at - before) % 2 === 0;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #fail(where: string): never {
    const before = this.#text.slice(0, this.#at);
    const line = before.split('\n').length;
    const column = this.#at - before.lastIndexOf('\n');
    const char = this.#text[this.#at];
    const what =
      char === undefined ? 'unexpected end of JSON input' : `invalid character ${JSON.stringify(char)} ${where}`;
    throw badRequest(`json parse error: ${what} (line ${line}, column ${column})`);
  }
}
