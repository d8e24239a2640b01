import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { manualClock, systemClock } from '@orbitkit/core';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatLogLine } from '../runtime/log-format.js';
import { type ContainerLogOptions, containerLog } from './container-log.js';
import { parseLogLine } from './log-line.js';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'orbitkit-log-'));
  file = path.join(directory, '0.log');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const at = Date.UTC(2026, 0, 1);
const line = (text: string, seconds = 0, stream: 'stdout' | 'stderr' = 'stdout', partial = false) =>
  formatLogLine(at + seconds * 1000, stream, text, partial);

async function read(options: ContainerLogOptions = {}): Promise<string> {
  const signal = new AbortController().signal;
  const chunks: Buffer[] = [];
  for await (const chunk of containerLog({ path: file, clock: systemClock, signal, isRunning: () => false }, options))
    chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

describe('containerLog', () => {
  beforeEach(() =>
    writeFile(
      file,
      [
        line('one'),
        line('two', 1, 'stderr'),
        line('par', 2, 'stdout', true),
        line('tial', 2),
        line('', 3),
        line('fünf', 4),
      ].join(''),
    ),
  );

  it.each<[ContainerLogOptions, string]>([
    [{}, 'one\ntwo\npartial\n\nfünf\n'],
    [{ tailLines: 0 }, ''],
    [{ tailLines: 1 }, 'fünf\n'],
    [{ tailLines: 3 }, 'partial\n\nfünf\n'],
    [{ tailLines: 4 }, 'two\npartial\n\nfünf\n'],
    [{ tailLines: 5 }, 'one\ntwo\npartial\n\nfünf\n'],
    [{ tailLines: 99 }, 'one\ntwo\npartial\n\nfünf\n'],
    [{ sinceMs: at + 2_000 }, 'partial\n\nfünf\n'],
    [{ sinceMs: at + 60_000 }, ''],
    [{ limitBytes: 5 }, 'one\nt'],
    [{ limitBytes: 10_000 }, 'one\ntwo\npartial\n\nfünf\n'],
    [{ stream: 'stderr' }, 'two\n'],
    [{ tailLines: 3, limitBytes: 7 }, 'partial'],
    [
      { timestamps: true, tailLines: 3 },
      '2026-01-01T00:00:02.000000000Z partial\n2026-01-01T00:00:03.000000000Z \n2026-01-01T00:00:04.000000000Z fünf\n',
    ],
  ])('%j', async (options, expected) => {
    expect(await read(options)).toBe(expected);
  });

  it('does not show a line that is not finished, nor what is no line', async () => {
    await appendFile(file, `garbage\n${line('six', 5)}2026-01-01T00:00:06.000000000Z stdout F unfin`);
    expect(await read({ tailLines: 2 })).toBe('fünf\nsix\n');
  });

  it('a log that is not there is empty', async () => {
    await rm(file);
    expect(await read()).toBe('');
  });
});

describe('tailLines', () => {
  it('is the end of the whole log, whatever the lines', async () => {
    const entry = fc.record({
      text: fc.string({ maxLength: 300 }).map(text => text.replaceAll(/[\n\r]/g, ' ')),
      partial: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 60 }), fc.nat(70), async (entries, tailLines) => {
        // The last one is finished, as a runtime leaves it.
        const text = [...entries, { text: 'end', partial: false }]
          .map(e => line(e.text, 0, 'stdout', e.partial))
          .join('');
        await writeFile(file, text);
        const all = (await read()).split('\n').slice(0, -1);
        const expected = tailLines === 0 ? [] : all.slice(-tailLines);
        expect(await read({ tailLines })).toBe(expected.map(each => `${each}\n`).join(''));
      }),
      { numRuns: 60 },
    );
  });

  it('crosses blocks', async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `line ${i} ${'x'.repeat(i % 200)}`);
    await writeFile(file, lines.map(text => line(text)).join(''));
    expect(await read({ tailLines: 1_234 })).toBe(
      lines
        .slice(-1_234)
        .map(text => `${text}\n`)
        .join(''),
    );
  });
});

describe('following', () => {
  async function follow(options: ContainerLogOptions = {}) {
    const clock = manualClock();
    const abort = new AbortController();
    let running = true;
    let text = '';
    let over = false;
    const done = (async () => {
      for await (const chunk of containerLog(
        { path: file, clock, signal: abort.signal, isRunning: () => running },
        { follow: true, ...options },
      )) {
        text += chunk.toString('utf8');
      }
      over = true;
    })();
    const turn = async () => {
      for (let i = 0; i < 20; i++) {
        await clock.advance(100);
        await new Promise(resolve => setTimeout(resolve, 1));
      }
    };
    await turn();
    return {
      turn,
      abort,
      done,
      end: () => {
        running = false;
      },
      get text() {
        return text;
      },
      get over() {
        return over;
      },
    };
  }

  it('shows what comes, and ends when the container has ended and all is read', async () => {
    await writeFile(file, line('one'));
    const reader = await follow();
    expect(reader.text).toBe('one\n');
    await appendFile(file, line('two') + line('thr').slice(0, -3));
    await reader.turn();
    expect(reader.text).toBe('one\ntwo\n');
    await appendFile(file, line('thr').slice(-3));
    await reader.turn();
    expect(reader.text).toBe('one\ntwo\nthr\n');
    expect(reader.over).toBe(false);
    await appendFile(file, line('last words'));
    reader.end();
    await reader.turn();
    expect(reader.over).toBe(true);
    expect(reader.text).toBe('one\ntwo\nthr\nlast words\n');
  });

  it('waits for a log that is not there yet', async () => {
    const reader = await follow();
    await writeFile(file, line('one'));
    await reader.turn();
    expect(reader.text).toBe('one\n');
    reader.end();
    await reader.turn();
    await reader.done;
  });

  it('reads a rotated log to its end, then the new one from its start', async () => {
    await writeFile(file, line('one'));
    const reader = await follow();
    await appendFile(file, line('two'));
    await rename(file, `${file}.20260101`);
    await appendFile(`${file}.20260101`, line('three'));
    await writeFile(file, line('four'));
    await reader.turn();
    expect(reader.text).toBe('one\ntwo\nthree\nfour\n');
    reader.end();
    await reader.turn();
    await reader.done;
  });

  it('goes on with a log that was truncated', async () => {
    await writeFile(file, line('a long first line'));
    const reader = await follow();
    await truncate(file, 0);
    await appendFile(file, line('new'));
    await reader.turn();
    expect(reader.text).toBe('a long first line\nnew\n');
    reader.abort.abort();
    await reader.turn();
    await reader.done;
  });

  it('starts where tailLines says, and stops at limitBytes', async () => {
    await writeFile(file, line('one') + line('two'));
    const reader = await follow({ tailLines: 1, limitBytes: 6 });
    await appendFile(file, line('three'));
    await reader.turn();
    await reader.done;
    expect(reader.text).toBe('two\nth');
  });
});

describe('parseLogLine', () => {
  it('is the inverse of the format', () => {
    fc.assert(
      fc.property(
        fc.string().map(text => text.replaceAll('\n', ' ')),
        fc.constantFrom('stdout', 'stderr'),
        fc.boolean(),
        (text, stream, partial) => {
          const parsed = parseLogLine(formatLogLine(at, stream, text, partial).slice(0, -1));
          expect(parsed).toEqual({ time: '2026-01-01T00:00:00.000000000Z', stream, full: !partial, text });
        },
      ),
    );
  });
  it.each(['', 'x', '2026-01-01T00:00:00Z stdin F x', '2026-01-01T00:00:00Z stdout Q x'])('refuses %j', text => {
    expect(parseLogLine(text)).toBeUndefined();
  });
});
