import fc from 'fast-check';
import { expect, it } from 'vitest';
import { writeFileHeader } from './file-header.js';
import { type LogRecord, recordBytes, writeRecord } from './record.js';
import { RecordReader } from './record-reader.js';

const salt = 4711;
const header = writeFileHeader('log', { salt, firstSequence: 1, baseRevision: 1n });

function fileOf(values: readonly Uint8Array[]): Buffer {
  const parts = [header];
  for (const [i, value] of values.entries()) {
    const record: LogRecord = { type: 'put', key: `k${i}`, value, lease: 0n, revision: BigInt(i + 2) };
    const bytes = Buffer.alloc(recordBytes(record));
    writeRecord(bytes, 0, record, 0, i + 1, salt);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

async function readBack(file: Buffer, cuts: readonly number[]) {
  async function* chunks() {
    let at = 0;
    for (let i = 0; at < file.length; i++) {
      const end = at + (cuts[i % cuts.length] ?? file.length);
      yield file.subarray(at, end);
      at = end;
    }
  }
  const reader = new RecordReader(() => salt);
  const values: Buffer[] = [];
  const starts: number[] = [];
  for await (const records of reader.read(chunks()))
    for (const { record, start } of records) {
      starts.push(start);
      if (record.type === 'put') values.push(Buffer.from(record.value));
    }
  return { values, starts, offset: reader.offset, broken: reader.broken, onlyZeros: reader.onlyZeros };
}

const values = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 });
const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 });

it('reads the same however the file is cut, and stops where it stops', async () => {
  await fc.assert(
    fc.asyncProperty(values, cuts, fc.nat({ max: 700 }), async (written, sizes, zeros) => {
      const file = Buffer.concat([fileOf(written), Buffer.alloc(zeros)]);
      const read = await readBack(file, sizes);
      expect(read).toEqual(await readBack(file, [file.length]));
      expect(read.values).toEqual(written.map(value => Buffer.from(value)));
      expect(read.offset).toBe(file.length - zeros);
      expect(read.onlyZeros).toBe(true);
    }),
  );
});

it('ends before the byte that was changed, and at the record that was cut off', async () => {
  await fc.assert(
    fc.asyncProperty(values, cuts, fc.nat(), fc.integer({ min: 1, max: 255 }), async (written, sizes, where, flip) => {
      const whole = fileOf(written);
      fc.pre(whole.length > header.length);
      const at = header.length + (where % (whole.length - header.length));
      const changed = Buffer.from(whole);
      changed[at]! ^= flip;
      const after = await readBack(changed, sizes);
      const intact = await readBack(whole, sizes);
      const expected = intact.starts.filter((_, i) => (intact.starts[i + 1] ?? whole.length) <= at);
      expect(after.starts).toEqual(expected);
      expect(after.onlyZeros).toBe(false);
      const cut = await readBack(whole.subarray(0, at), sizes);
      expect(cut.starts).toEqual(expected);
      expect(cut.broken).toBe(false);
    }),
  );
});
