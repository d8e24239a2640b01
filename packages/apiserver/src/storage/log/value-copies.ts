/**
 * Copies of values, many in one allocation: a hundred thousand buffers of a kilobyte each cost the garbage collector more than the copying.
 * A block lives as long as its last value, so it is small against what a store holds, and large values get one of their own.
 */
const blockBytes = 64 * 1024;

/** A function that copies a part of a buffer. */
export function valueCopies(): (source: Buffer, start: number, end: number) => Buffer {
  let block = Buffer.allocUnsafeSlow(0);
  let used = 0;
  return (source, start, end) => {
    const length = end - start;
    if (length > blockBytes >> 2) {
      const own = Buffer.allocUnsafeSlow(length);
      source.copy(own, 0, start, end);
      return own;
    }
    if (used + length > block.length) {
      block = Buffer.allocUnsafeSlow(blockBytes);
      used = 0;
    }
    source.copy(block, used, start, end);
    used += length;
    return block.subarray(used - length, used);
  };
}
