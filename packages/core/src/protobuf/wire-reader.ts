/**
 * Reads the wire format of Protocol Buffers from bytes that nobody has checked: every length is held against what is left, and a
 * fault is a BadRequest that names the byte. Never reads past the end, never loops without getting on.
 *
 * Numbers of 64 bits come as the nearest JavaScript number, as they do from JSON; `int64Exact` is for who needs all digits.
 * Source: protobuf.dev, "Encoding".
 */
import { badRequest, type StatusError } from '../errors/status-error.js';

export const WireType = { varint: 0, fixed64: 1, bytes: 2, startGroup: 3, endGroup: 4, fixed32: 5 } as const;

/** Groups (long deprecated) can only be skipped; nested further than this they are an attack. */
const maxGroupDepth = 32;

/** Bytes. */
const shortText = 24;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

export class WireReader {
  readonly #bytes: Buffer;
  at: number;
  /** Where the innermost message ends; reads stop there. */
  end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.end = bytes.length;
  }

  fault(what: string, at = this.at): StatusError {
    return badRequest(`the body is not readable as Kubernetes protobuf: ${what} (byte ${at})`);
  }

  /** A varint of at most 32 bits: tags, lengths, booleans' and enums' usual size. */
  uint32(): number {
    const from = this.at;
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break;
        return value;
      }
    }
    throw this.fault('a number that should have 32 bits has more', from);
  }

  int64Exact(): bigint {
    const from = this.at;
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw this.fault('a number is longer than ten bytes', from);
  }

  int64(): number {
    const from = this.at;
    let value = 0;
    // Seven bytes hold 49 bits, which a number holds too.
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    this.at = from;
    return Number(this.int64Exact());
  }

  /** Negative numbers come with 64 bits; what is beyond 32 is cut off, as Go's reader does. */
  int32(): number {
    const value = this.int64();
    return value >= -0x8000_0000 && value <= 0x7fff_ffff ? value : Number(BigInt.asIntN(32, BigInt(value)));
  }

  boolean(): boolean {
    return this.int64() !== 0;
  }

  double(): number {
    this.#need(8, 'a number of eight bytes');
    const value = this.#bytes.readDoubleLE(this.at);
    this.at += 8;
    return value;
  }

  /** The end of a length-delimited value that begins here. */
  #lengthEnd(what: string): number {
    const from = this.at;
    const length = this.uint32();
    if (length > this.end - this.at)
      throw this.fault(`${what} of ${length} bytes, with ${this.end - this.at} bytes left`, from);
    return this.at + length;
  }

  /** A view of the same memory. */
  bytes(): Buffer {
    const end = this.#lengthEnd('a value');
    const value = this.#bytes.subarray(this.at, end);
    this.at = end;
    return value;
  }

  string(): string {
    const from = this.at;
    const end = this.#lengthEnd('a text');
    if (end - this.at <= shortText) {
      const short = this.#ascii(end);
      if (short !== undefined) return short;
    }
    const text = this.#bytes.toString('utf8', this.at, end);
    // What is not UTF-8 becomes U+FFFD, which may also be what was written.
    if (text.includes('\ufffd')) {
      try {
        strictUtf8.decode(this.#bytes.subarray(this.at, end));
      } catch {
        throw this.fault('a text is not UTF-8', from);
      }
    }
    this.at = end;
    return text;
  }

  /** What most texts are, names and words in ASCII, is read faster without a call into the runtime. Undefined: it is more. */
  #ascii(end: number): string | undefined {
    let text = '';
    for (let at = this.at; at < end; at++) {
      const code = this.#bytes[at]!;
      if (code >= 0x80) return undefined;
      text += String.fromCharCode(code);
    }
    this.at = end;
    return text;
  }

  /** Reads a message in its bounds. */
  message(read: () => void): void {
    const outer = this.end;
    const end = this.#lengthEnd('a message');
    this.end = end;
    read();
    this.at = end;
    this.end = outer;
  }

  /** Passes over the value of a field that is not known. */
  skip(wireType: number, depth = 0): void {
    switch (wireType) {
      case WireType.varint:
        this.int64Exact();
        return;
      case WireType.fixed64:
        this.#need(8, 'a value of eight bytes');
        this.at += 8;
        return;
      case WireType.bytes:
        this.at = this.#lengthEnd('a value');
        return;
      case WireType.fixed32:
        this.#need(4, 'a value of four bytes');
        this.at += 4;
        return;
      case WireType.startGroup:
        if (depth >= maxGroupDepth) throw this.fault(`groups are nested more than ${maxGroupDepth} levels deep`);
        for (;;) {
          const inner = this.uint32() & 7;
          if (inner === WireType.endGroup) return;
          this.skip(inner, depth + 1);
        }
      default:
        throw this.fault(`a field has the wire type ${wireType}, which is none`);
    }
  }

  #byte(): number {
    if (this.at >= this.end) throw this.fault('it ends within a number');
    return this.#bytes[this.at++]!;
  }

  #need(length: number, what: string): void {
    if (this.end - this.at < length) throw this.fault(`it ends within ${what}`);
  }
}
