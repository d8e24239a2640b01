/**
 * The header and the records of a file that is read in chunks. Values are views into the chunks, so that nothing is copied but the records
 * that lie across two of them; who keeps values keeps chunks, which therefore are small against what is kept.
 */
import { fileHeaderBytes } from './file-header.js';
import { type LogRecord, neededBytes, readRecord } from './record.js';

export interface PlacedRecord {
  readonly record: LogRecord;
  readonly sequence: number;
  /** Where in the file it begins. */
  readonly start: number;
}

const nothing = Buffer.alloc(0);

export class RecordReader {
  #offset = 0;
  #salt: number | undefined;
  #broken = false;
  #onlyZeros = true;

  /** @param readHeader answers the salt of the records, undefined when the header is not intact. What it throws ends the reading. */
  constructor(private readonly readHeader: (header: Buffer) => number | undefined) {}

  /** Behind the last record that was read. */
  get offset(): number {
    return this.#offset;
  }
  /** At the offset stands something that is no intact record; zeros are none. False when the file ends there, be it within a record. */
  get broken(): boolean {
    return this.#broken;
  }
  /** From the offset on there are only zeros, or nothing. */
  get onlyZeros(): boolean {
    return this.#onlyZeros;
  }

  /** The records of each chunk, up to the first that is not whole and intact. */
  async *read(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly PlacedRecord[], void, void> {
    /** From the offset to the end of the chunks that came. */
    let rest: Buffer = nothing;
    for await (const chunk of chunks) {
      const records: PlacedRecord[] = [];
      let at = 0;
      while (!this.#broken && rest.length > 0) {
        const missing = this.#needed(rest, 0) - rest.length;
        if (missing <= 0) {
          if (this.#take(rest, 0, records) > 0) rest = nothing;
        } else if (at < chunk.length) {
          const part = chunk.subarray(at, at + missing);
          rest = Buffer.concat([rest, part]);
          at += part.length;
        } else break;
      }
      while (!this.#broken && at < chunk.length) {
        if (at + this.#needed(chunk, at) > chunk.length) {
          rest = chunk.subarray(at);
          break;
        }
        at += this.#take(chunk, at, records);
      }
      if (records.length > 0) yield records;
      if (this.#broken && !(isZero(rest) && isZero(chunk.subarray(at)))) {
        this.#onlyZeros = false;
        return;
      }
      if (this.#broken) rest = nothing;
    }
    this.#onlyZeros = isZero(rest);
  }

  /** How many bytes from there on must be at hand to know the whole record, or that it is none. */
  #needed(source: Buffer, at: number): number {
    return this.#salt === undefined ? fileHeaderBytes : neededBytes(source, at);
  }

  /** Takes the header or the record that stands there. @returns its length; 0 when there is none. */
  #take(source: Buffer, at: number, records: PlacedRecord[]): number {
    let length = 0;
    if (this.#salt === undefined) {
      this.#salt = this.readHeader(source.subarray(at, at + fileHeaderBytes));
      if (this.#salt !== undefined) length = fileHeaderBytes;
    } else {
      const read = readRecord(source, at, this.#salt);
      if (read !== undefined) {
        records.push({ record: read.record, sequence: read.sequence, start: this.#offset });
        length = read.end - at;
      }
    }
    if (length === 0) this.#broken = true;
    this.#offset += length;
    return length;
  }
}

const zeros = Buffer.alloc(64 * 1024);
export function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += zeros.length) {
    const part = bytes.subarray(at, at + zeros.length);
    if (part.compare(zeros, 0, part.length) !== 0) return false;
  }
  return true;
}
