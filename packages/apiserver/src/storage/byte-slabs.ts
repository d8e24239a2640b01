/**
 * Room for bytes that are kept, cut from larger pieces of memory. Node makes a piece of 8 KiB for two or three objects, and making one costs
 * more than filling it; here a piece serves about ten. It is freed when nothing in it is kept any more, so that a single long-lived object
 * may hold 32 KiB at worst.
 */
const slabBytes = 32 * 1024;
/** What is larger than this has a piece of its own. */
const largest = slabBytes / 4;

let slab = Buffer.alloc(0);
let used = 0;

/** Contents are undefined. */
export function allocateKept(size: number): Buffer {
  if (size > largest) return Buffer.allocUnsafeSlow(size);
  if (used + size > slab.length) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    used = 0;
  }
  const bytes = slab.subarray(used, used + size);
  // Where the next one begins is aligned for copies.
  used += (size + 7) & ~7;
  return bytes;
}
