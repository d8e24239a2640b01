/**
 * SPDY/3 header blocks: names and values under one zlib context a connection and direction, which begins with the dictionary.
 *
 * Received blocks are inflated in the order of their frames, each with bounds on its size (a few bytes can stand for gigabytes) and on
 * its number of headers. Sent ones are deflate's stored form: what a server has to say fits in a few bytes, so that it needs no
 * compressor, and any inflater reads it. Source: the SPDY/3.1 draft, section 2.6.10; RFC 1950, RFC 1951 3.2.4.
 */
import { constants, createInflate } from 'node:zlib';
import { headerDictionary } from './dictionary.js';
import { SpdyProtocolError } from './frames.js';

/** Lower-case names. */
export type SpdyHeaders = ReadonlyMap<string, string>;

const mostBytes = 64 * 1024;
const mostHeaders = 64;

export interface HeaderReader {
  /** Rejects with SpdyProtocolError; nothing can be read after that. */
  read(block: Buffer): Promise<SpdyHeaders>;
  close(): void;
}

export function headerReader(): HeaderReader {
  const inflate = createInflate({ dictionary: headerDictionary, flush: constants.Z_SYNC_FLUSH, chunkSize: 4 * 1024 });
  let parts: Buffer[] = [];
  let size = 0;
  let broken: SpdyProtocolError | undefined;
  let fail: ((error: SpdyProtocolError) => void) | undefined;
  const breakOff = (why: string) => {
    broken ??= new SpdyProtocolError(`a header block cannot be read: ${why}`);
    fail?.(broken);
  };
  inflate.on('data', (part: Buffer) => {
    size += part.length;
    if (size > mostBytes) {
      breakOff(`it is longer than ${mostBytes} bytes`);
      inflate.destroy();
    } else parts.push(part);
  });
  inflate.on('error', error => breakOff(error.message));
  inflate.on('end', () => breakOff('its compressed stream has ended'));

  return {
    read: block =>
      new Promise<Buffer>((resolve, reject) => {
        if (broken) return reject(broken);
        fail = reject;
        inflate.write(block, error => {
          fail = undefined;
          if (error || broken)
            return reject(broken ?? new SpdyProtocolError(`a header block cannot be read: ${error}`));
          const text = Buffer.concat(parts);
          parts = [];
          size = 0;
          resolve(text);
        });
      }).then(decodeHeaders),
    close() {
      breakOff('the connection is over');
      inflate.destroy();
    },
  };
}

/** @throws SpdyProtocolError */
export function decodeHeaders(bytes: Buffer): SpdyHeaders {
  const headers = new Map<string, string>();
  let at = 0;
  const number = (): number => {
    if (at + 4 > bytes.length) throw new SpdyProtocolError('a header block ends within a header');
    at += 4;
    return bytes.readUInt32BE(at - 4);
  };
  const text = (): string => {
    const length = number();
    if (at + length > bytes.length) throw new SpdyProtocolError('a header block ends within a header');
    at += length;
    return bytes.toString('latin1', at - length, at);
  };
  const count = number();
  if (count > mostHeaders)
    throw new SpdyProtocolError(`a header block of ${count} headers is over the bound of ${mostHeaders}`);
  for (let i = 0; i < count; i++) {
    const name = text().toLowerCase();
    headers.set(name, text());
  }
  return headers;
}

export function encodeHeaders(headers: SpdyHeaders): Buffer {
  const word = (text: string) => {
    const bytes = Buffer.alloc(4 + Buffer.byteLength(text, 'latin1'));
    bytes.writeUInt32BE(bytes.length - 4);
    bytes.write(text, 4, 'latin1');
    return bytes;
  };
  const count = Buffer.alloc(4);
  count.writeUInt32BE(headers.size);
  return Buffer.concat([count, ...[...headers].flatMap(([name, value]) => [word(name), word(value)])]);
}

/** Deflate, 32 KiB window, a preset dictionary (its Adler-32 follows): 0x78bb is divisible by 31. */
const zlibHead = Buffer.from('78bbe3c6a7c2', 'hex');
const longestStored = 0xffff;
/** Z_SYNC_FLUSH: an empty stored block. Go's inflater hands out what came before only when it sees this. */
const syncFlush = Buffer.from('000000ffff', 'hex');

/** @returns a function that makes the blocks of one connection, in the order in which they are sent. */
export function headerWriter(): (headers: SpdyHeaders) => Buffer {
  let begun = false;
  return headers => {
    const text = encodeHeaders(headers);
    if (text.length > longestStored) throw new RangeError(`headers of ${text.length} bytes do not fit in a block`);
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(text.length, 1);
    stored.writeUInt16LE(~text.length & 0xffff, 3);
    const block = Buffer.concat([...(begun ? [] : [zlibHead]), stored, text, syncFlush]);
    begun = true;
    return block;
  };
}
