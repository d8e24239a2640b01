/**
 * The answer to a list, with each item made by a decoder of the caller's from its own bytes: nothing is parsed that the caller does
 * not want parsed, and the event loop is let go every 8 ms, however long the list.
 */
import type { ObjectList } from '../meta/object.js';
import type { ObjectDecoder } from './client.js';
import { bytesAre, skipJsonValue, skipSpace, visitElements, visitMembers } from './json-bytes.js';
import { turns } from './turns.js';

const openBracket = 0x5b;

/** @throws SyntaxError when it is not JSON. */
export async function decodeList<T>(answer: Uint8Array, decode: ObjectDecoder<T>): Promise<ObjectList<T>> {
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength);
  const list: Record<string, unknown> = {};
  /** Start and end of each item, one after the other. */
  const places: number[] = [];
  visitMembers(bytes, skipSpace(bytes, 0), (nameStart, nameEnd, value) => {
    if (bytes[value] === openBracket && bytesAre(bytes, nameStart, nameEnd, 'items')) {
      return visitElements(bytes, value, (start, end) => places.push(start, end));
    }
    const end = skipJsonValue(bytes, value);
    list[bytes.toString('utf8', nameStart, nameEnd)] = JSON.parse(bytes.toString('utf8', value, end));
    return end;
  });
  const items: T[] = [];
  const turn = turns();
  for (let i = 0; i < places.length; i += 2) {
    items.push(decode(bytes, places[i]!, places[i + 1]!));
    if (turn.over) await turn.next();
  }
  return { ...(list as Omit<ObjectList<T>, 'items'>), items };
}
