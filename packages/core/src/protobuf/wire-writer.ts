/**
 * Writes the wire format of Protocol Buffers into one growing buffer. A message's length stands before it, so an inner message is
 * written by a function and moved when its length needs more than one byte.
 */
export class WireWriter {
  #bytes: Buffer;
  #length = 0;

  constructor(capacity = 1024) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  tag(number: number, wireType: number): void {
    this.uint32(number * 8 + wireType);
  }

  uint32(value: number): void {
    this.#room(5);
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest % 0x80) + 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  int64(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0 && value <= 0xffff_ffff) {
      this.uint32(value);
      return;
    }
    this.#room(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 0x7fn) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  double(value: number): void {
    this.#room(8);
    this.#bytes.writeDoubleLE(value, this.#length);
    this.#length += 8;
  }

  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  string(value: string): void {
    const length = Buffer.byteLength(value);
    this.uint32(length);
    this.#room(length);
    this.#bytes.write(value, this.#length, 'utf8');
    this.#length += length;
  }

  /** What `write` writes, with its length before it. */
  message(write: () => void): void {
    this.#room(1);
    const at = this.#length++;
    write();
    const length = this.#length - at - 1;
    if (length <= 0x7f) {
      this.#bytes[at] = length;
      return;
    }
    let size = 1;
    for (let rest = length; rest > 0x7f; rest = Math.floor(rest / 0x80)) size += 1;
    this.#room(size - 1);
    this.#bytes.copyWithin(at + size, at + 1, this.#length);
    const end = this.#length + size - 1;
    this.#length = at;
    this.uint32(length);
    this.#length = end;
  }

  /** A copy of what was written. */
  result(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
