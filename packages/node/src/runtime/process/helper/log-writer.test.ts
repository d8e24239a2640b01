import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { logWriter } from './log-writer.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Lines without their time. */
const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => line.slice(line.indexOf(' ') + 1));

describe('the log writer', () => {
  it('writes whole lines as F and what has no end yet as P, with the time', () => {
    const path = join(folder, 'main', '0.log');
    const log = logWriter(path);
    log.write('stdout', Buffer.from('one\ntw'), Date.UTC(2026, 0, 2, 3, 4, 5, 6));
    log.write('stderr', Buffer.from('bad\n\n'), 0);
    log.write('stdout', Buffer.from('o\n'), 0);
    log.close();
    log.close();
    expect(readFileSync(path, 'utf8')).toMatch(/^2026-01-02T03:04:05\.006000000Z stdout F one\n/);
    expect(linesOf(path)).toEqual(['stdout F one', 'stdout P tw', 'stderr F bad', 'stderr F ', 'stdout F o']);
  });

  it('loses no byte, however the output is cut', () => {
    let round = 0;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        round += 1;
        const path = join(folder, `${round}.log`);
        const log = logWriter(path);
        for (let from = 0; from < bytes.length; from += size)
          log.write('stdout', Buffer.from(bytes.slice(from, from + size)), 0);
        log.close();
        const head = '1970-01-01T00:00:00.000000000Z stdout F '.length;
        const parts: Buffer[] = [];
        let rest = readFileSync(path);
        while (rest.length > 0) {
          const end = rest.indexOf(10, head);
          parts.push(rest.subarray(head, end));
          if (rest[head - 2] === 0x46) parts.push(Buffer.from('\n'));
          rest = rest.subarray(end + 1);
        }
        expect(Buffer.concat(parts).equals(Buffer.from(bytes))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('cuts a long line into parts of 16 KiB', () => {
    const path = join(folder, '0.log');
    const log = logWriter(path);
    log.write('stdout', Buffer.from(`${'x'.repeat(40_000)}\n`), 0);
    log.close();
    expect(linesOf(path).map(line => [line[7], line.length - 9])).toEqual([
      ['P', 16_384],
      ['P', 16_384],
      ['F', 40_000 - 2 * 16_384],
    ]);
  });

  it('goes on where an earlier one stopped, and keeps so many files of so many bytes', () => {
    const path = join(folder, '0.log');
    for (let round = 0; round < 40; round += 1) {
      const log = logWriter(path, { maxBytes: 1_000, maxFiles: 3 });
      for (let line = 0; line < 10; line += 1) log.write('stdout', Buffer.from(`${round}-${line}\n`), 0);
      log.close();
    }
    for (const name of [path, `${path}.1`, `${path}.2`]) expect(statSync(name).size).toBeLessThan(1_100);
    expect(() => statSync(`${path}.3`)).toThrow();
    const kept = [`${path}.2`, `${path}.1`, path].flatMap(linesOf).map(line => line.split(' ').at(-1));
    const all = Array.from({ length: 400 }, (_, index) => `${Math.floor(index / 10)}-${index % 10}`);
    expect(kept).toEqual(all.slice(-kept.length));
  });
});
