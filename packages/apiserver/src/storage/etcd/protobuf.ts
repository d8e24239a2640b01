/**
 * Protocol buffers by hand, as far as etcd's hot calls need them: varints, length-delimited fields, nothing repeated or packed beyond
 * that. Numbers that can pass 2^53 (revisions never do in practice, leases do) are read as bigint where they matter.
 */
const varint = 0;
const fixed64 = 1;
const delimited = 2;
const fixed32 = 5;

/** Grows by doubling; one message is written into one buffer. */
export class MessageWriter {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  /** A copy: the writer can be used again after `reset`. */
  take(headroom = 0): Buffer {
    const message = Buffer.allocUnsafe(headroom + this.#length);
    this.#bytes.copy(message, headroom, 0, this.#length);
    return message;
  }

  reset(): this {
    this.#length = 0;
    return this;
  }

  /** A field of type int64, uint64, int32, bool or enum, when it is not 0. Negative numbers are not needed here. */
  number(field: number, value: number | bigint): this {
    if (value === 0 || value === 0n) return this;
    this.#varint(field << 3);
    return typeof value === 'bigint' ? this.#bigVarint(value) : this.#varint(value);
  }

  /** The same, written also when it is 0: inside a oneof the field itself says which one is meant. */
  chosenNumber(field: number, value: bigint): this {
    this.#varint(field << 3);
    return this.#bigVarint(value);
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint((field << 3) | delimited).#varint(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  text(field: number, value: string): this {
    const length = Buffer.byteLength(value);
    this.#varint((field << 3) | delimited).#varint(length);
    this.#room(length);
    this.#length += this.#bytes.write(value, this.#length);
    return this;
  }

  /** A nested message: its length goes before it once it is known, moved by a few bytes where it is long. */
  message(field: number, write: (writer: this) => void): this {
    this.#varint((field << 3) | delimited);
    this.#room(1);
    const start = this.#length++;
    write(this);
    const length = this.#length - start - 1;
    const more = length < 0x80 ? 0 : length < 0x4000 ? 1 : length < 0x20_0000 ? 2 : 3;
    if (more > 0) {
      this.#room(more);
      this.#bytes.copyWithin(start + 1 + more, start + 1, this.#length);
    }
    const end = this.#length + more;
    this.#length = start;
    this.#varint(length);
    this.#length = end;
    return this;
  }

  #varint(value: number): this {
    this.#room(10);
    while (value >= 0x80) {
      this.#bytes[this.#length++] = (value % 0x80) | 0x80;
      value = Math.floor(value / 0x80);
    }
    this.#bytes[this.#length++] = value;
    return this;
  }

  #bigVarint(value: bigint): this {
    if (value <= Number.MAX_SAFE_INTEGER) return this.#varint(Number(value));
    this.#room(10);
    while (value >= 0x80n) {
      this.#bytes[this.#length++] = Number(value & 0x7fn) | 0x80;
      value >>= 7n;
    }
    this.#bytes[this.#length++] = Number(value);
    return this;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}

/** Walks the fields of a message: `while (reader.next()) switch (reader.field) …`. What is not read is skipped. */
export class MessageReader {
  field = 0;
  #at: number;
  readonly #end: number;
  #kind = 0;
  #unread = false;

  constructor(
    private readonly source: Buffer,
    start = 0,
    end = source.length,
  ) {
    this.#at = start;
    this.#end = end;
  }

  next(): boolean {
    if (this.#unread) this.#skip();
    if (this.#at >= this.#end) return false;
    const tag = this.#varint();
    this.field = tag >>> 3;
    this.#kind = tag & 7;
    this.#unread = true;
    return true;
  }

  number(): number {
    this.#unread = false;
    return this.#varint();
  }

  bigint(): bigint {
    this.#unread = false;
    return BigInt.asIntN(64, this.#bigVarint());
  }

  /** A view into the source. */
  bytes(): Buffer {
    this.#unread = false;
    const length = this.#varint();
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw truncated();
    return this.source.subarray(start, this.#at);
  }

  message(): MessageReader {
    this.#unread = false;
    const length = this.#varint();
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw truncated();
    return new MessageReader(this.source, start, this.#at);
  }

  #varint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      if (this.#at >= this.#end) throw truncated();
      const byte = this.source[this.#at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
  }

  #bigVarint(): bigint {
    let low = 0;
    let shift = 0;
    for (; shift < 49; shift += 7) {
      if (this.#at >= this.#end) throw truncated();
      const byte = this.source[this.#at++]!;
      low += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (; ; shift += 7) {
      if (this.#at >= this.#end || shift > 63) throw truncated();
      const byte = this.source[this.#at++]!;
      value |= BigInt(byte & 0x7f) << BigInt(shift);
      if (byte < 0x80) return value;
    }
  }

  #skip(): void {
    this.#unread = false;
    if (this.#kind === varint) this.#bigVarint();
    else if (this.#kind === delimited) this.bytes();
    else if (this.#kind === fixed64) this.#at += 8;
    else if (this.#kind === fixed32) this.#at += 4;
    else throw new Error(`an etcd answer has a field of wire type ${this.#kind}, which it should not`);
  }
}

const truncated = () => new Error('an etcd answer ends in the middle of a field');
