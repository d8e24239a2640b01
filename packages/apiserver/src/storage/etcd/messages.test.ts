import { describe, expect, it } from 'vitest';
import { MessageReader, MessageWriter } from './protobuf.js';

describe('protocol buffers by hand', () => {
  const numbers = [
    1n,
    127n,
    128n,
    16_384n,
    2n ** 31n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 62n + 12_345n,
    7_587_880_000_000_000_123n,
  ];

  it('reads the numbers that it writes', () => {
    const writer = new MessageWriter();
    for (const each of numbers) writer.number(3, each).chosenNumber(4, each);
    const reader = new MessageReader(writer.take());
    const read: bigint[] = [];
    while (reader.next()) read.push(reader.bigint());
    expect(read).toEqual(numbers.flatMap(each => [each, each]));
  });

  it('nests messages of every length', () => {
    for (const length of [0, 1, 126, 127, 128, 16_380, 16_383, 16_384, 2_097_151, 2_097_153]) {
      const text = 'x'.repeat(length);
      const message = new MessageWriter()
        .message(1, outer => outer.message(2, inner => inner.text(3, text)).number(4, 5))
        .take();
      const reader = new MessageReader(message);
      expect(reader.next()).toBe(true);
      const outer = reader.message();
      expect(outer.next() && outer.field).toBe(2);
      const inner = outer.message();
      expect(inner.next() && inner.bytes().length).toBe(length);
      expect(outer.next() && outer.number()).toBe(5);
      expect(reader.next()).toBe(false);
    }
  });
});
