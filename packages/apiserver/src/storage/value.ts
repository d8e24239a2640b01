/**
 * The form of a stored value: four magic bytes, a format version, flags, then the object's JSON without resourceVersion.
 *
 * The same bytes stand in every back end, so that snapshots move between them, and what encrypts at rest wraps the JSON
 * part alone and says so in the flags. A value of an unknown version or with an unknown flag is refused, never guessed at.
 *
 *     0..3  "okv" 0x00      4  format version (1)      5  flags      6..  JSON
 */
import { allocateKept } from './byte-slabs.js';

const magic = [0x6f, 0x6b, 0x76, 0x00] as const;
const formatVersion = 1;
/** Where the JSON of a stored value begins. */
export const valueHeaderBytes = 6;

/** The bits of the flags byte. `encrypted`: see encryption/sealed-value.ts. */
export const valueFlags = { encrypted: 0b0000_0001 } as const;

const brand: unique symbol = Symbol.for('orbitkit.storage.ValueFormatError') as never;

/** The stored bytes are not a value that this version can read. */
export class ValueFormatError extends Error {
  readonly [brand] = true;
  constructor(message: string) {
    super(message);
    this.name = 'ValueFormatError';
  }
}

/** Whether it is a ValueFormatError, of any copy of this package. */
export const isValueFormatError = (error: unknown): error is ValueFormatError =>
  typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true;

/** Why an encrypted value could not be opened, by the value itself. */
const unreadable = new WeakMap<Uint8Array, string>();
export function markUnreadable(value: Uint8Array, why: string): void {
  unreadable.set(value, why);
}

/** A new buffer: header and a copy of the JSON. */
export function encodeValue(json: Uint8Array): Buffer {
  const value = Buffer.allocUnsafe(valueHeaderBytes + json.length);
  value.set(magic);
  value[4] = formatVersion;
  value[5] = 0;
  value.set(json, valueHeaderBytes);
  return value;
}

/** The same from a text in pieces: encoded straight into place. */
export function encodeValueText(...json: readonly string[]): Buffer {
  let chars = 0;
  let bytes = 0;
  for (const piece of json) {
    chars += piece.length;
    bytes += Buffer.byteLength(piece);
  }
  const value = allocateKept(valueHeaderBytes + bytes);
  for (let i = 0; i < magic.length; i++) value[i] = magic[i]!;
  value[4] = formatVersion;
  value[5] = 0;
  // Of ASCII alone both encodings are the same, and this one is a copy.
  const encoding = chars === bytes ? 'latin1' : 'utf8';
  let at = valueHeaderBytes;
  for (const piece of json) at += value.write(piece, at, encoding);
  return value;
}

/**
 * The JSON bytes: a view into the value, not a copy.
 * @throws ValueFormatError when the bytes are not such a value, or one of a later version or an encrypted one.
 */
export function decodeValue(value: Uint8Array): Buffer {
  for (let i = 0; i < magic.length; i++) {
    if (value[i] !== magic[i]) {
      throw new ValueFormatError(
        'the stored value does not begin with the magic bytes "okv\\0": it was not written by orbitkit; look at what else writes to this store',
      );
    }
  }
  if (value[4] !== formatVersion) {
    throw new ValueFormatError(
      `the stored value has format version ${value[4] ?? '(none)'}, this program reads version ${formatVersion}: start the newer orbitkit that wrote it`,
    );
  }
  const flags = value[5];
  if (flags !== 0) {
    throw new ValueFormatError(
      flags === undefined
        ? 'the stored value ends within its header'
        : (flags & valueFlags.encrypted) !== 0
          ? (unreadable.get(value) ?? 'the stored value is encrypted, and no key is configured to read it')
          : `the stored value has unknown flags 0x${flags.toString(16)}: start the newer orbitkit that wrote it`,
    );
  }
  return Buffer.from(value.buffer, value.byteOffset + valueHeaderBytes, value.byteLength - valueHeaderBytes);
}
