/**
 * Finding one's way in JSON text without parsing it: where a value ends, and which members an object has, as positions in the
 * bytes. It is for text that a server wrote: what is skipped is not validated (whoever parses the part that counts will be told), but no text makes it
 * loop or read beyond its end.
 *
 * A byte of a multi-byte character is never mistaken for a quote or a bracket: UTF-8 has no ASCII bytes inside characters.
 */
const quote = 0x22;
const backslash = 0x5c;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;
const colon = 0x3a;

const cut = (): SyntaxError => new SyntaxError('the JSON text ends in the middle of a value');

/** The first position from `at` on that is not white space. */
export function skipSpace(bytes: Uint8Array, at: number): number {
  let i = at;
  while (i < bytes.length && bytes[i]! <= 0x20) i++;
  return i;
}

/** The position after the string that begins at `at`. */
function skipString(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  for (let i = at + 1; i < length; i++) {
    const byte = bytes[i]!;
    if (byte === quote) return i + 1;
    if (byte === backslash) i++;
  }
  throw cut();
}

/** The position after the value that begins at `at`. @throws SyntaxError when the text ends inside it. */
export function skipJsonValue(bytes: Uint8Array, at: number): number {
  const { length } = bytes;
  const first = bytes[at];
  if (first === quote) return skipString(bytes, at);
  if (first === openBrace || first === openBracket) {
    let depth = 0;
    for (let i = at; i < length; i++) {
      const byte = bytes[i]!;
      if (byte === quote) {
        for (i++; i < length; i++) {
          const inner = bytes[i]!;
          if (inner === quote) break;
          if (inner === backslash) i++;
        }
      } else if (byte === openBrace || byte === openBracket) depth++;
      else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return i + 1;
    }
    throw cut();
  }
  let end = at;
  for (; end < length; end++) {
    const byte = bytes[end]!;
    if (byte === comma || byte === closeBrace || byte === closeBracket || byte <= 0x20) break;
  }
  if (end === at) throw new SyntaxError(`there is no JSON value at byte ${at}`);
  return end;
}

/** Receives where a member's name (without its quotes) and its value stand. True: seen enough. */
export type MemberVisitor = (nameStart: number, nameEnd: number, valueStart: number) => boolean | number;

/**
 * The members of the object that begins at `at`, in their order. A visitor that has walked over the value itself returns the position
 * after it, which saves skipping it again. @returns whether a visitor had seen enough.
 */
export function visitMembers(bytes: Uint8Array, at: number, visit: MemberVisitor): boolean {
  if (bytes[at] !== openBrace) throw new SyntaxError(`there is no JSON object at byte ${at}`);
  let i = skipSpace(bytes, at + 1);
  while (bytes[i] !== closeBrace) {
    if (bytes[i] !== quote) throw i >= bytes.length ? cut() : new SyntaxError(`there is no member at byte ${i}`);
    const nameEnd = skipString(bytes, i);
    const afterName = skipSpace(bytes, nameEnd);
    if (bytes[afterName] !== colon) throw new SyntaxError(`there is no colon at byte ${afterName}`);
    const value = skipSpace(bytes, afterName + 1);
    const seen = visit(i + 1, nameEnd - 1, value);
    if (seen === true) return true;
    i = skipSpace(bytes, typeof seen === 'number' ? seen : skipJsonValue(bytes, value));
    if (bytes[i] === comma) i = skipSpace(bytes, i + 1);
    else if (bytes[i] !== closeBrace) throw cut();
  }
  return false;
}

/** The elements of the array that begins at `at`: calls `visit` with where each stands. @returns the position after the array. */
export function visitElements(bytes: Uint8Array, at: number, visit: (start: number, end: number) => void): number {
  if (bytes[at] !== openBracket) throw new SyntaxError(`there is no JSON array at byte ${at}`);
  let i = skipSpace(bytes, at + 1);
  while (bytes[i] !== closeBracket) {
    const end = skipJsonValue(bytes, i);
    visit(i, end);
    i = skipSpace(bytes, end);
    if (bytes[i] === comma) i = skipSpace(bytes, i + 1);
    else if (bytes[i] !== closeBracket) throw cut();
  }
  return i + 1;
}

/** Whether the bytes from `start` to `end` are this ASCII text. */
export function bytesAre(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}
