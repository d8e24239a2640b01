/**
 * The first bytes of a segment and of a snapshot.
 *
 *     0  "orbitlog" or "orbitsnp"   8  format version (1)   12  salt of its records' checksums
 *     16  sequence of its first record   24  revision before its first record (snapshot: of its state)   32  crc32 of 0..31
 */
import { randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const magics = { log: Buffer.from('orbitlog'), snapshot: Buffer.from('orbitsnp') } as const;
export const fileFormatVersion = 1;
export const fileHeaderBytes = 36;

export interface FileHeader {
  readonly salt: number;
  readonly firstSequence: number;
  readonly baseRevision: bigint;
}

export const newSalt = (): number => randomInt(2 ** 32);

export function writeFileHeader(kind: keyof typeof magics, { salt, firstSequence, baseRevision }: FileHeader): Buffer {
  const header = Buffer.alloc(fileHeaderBytes);
  magics[kind].copy(header);
  header.writeUInt32LE(fileFormatVersion, 8);
  header.writeUInt32LE(salt, 12);
  header.writeBigUInt64LE(BigInt(firstSequence), 16);
  header.writeBigUInt64LE(baseRevision, 24);
  header.writeUInt32LE(crc32(header.subarray(0, 32)), 32);
  return header;
}

/** Only `version` is set when the file is of another format version; undefined when it is no such file or its header is damaged. */
export function readFileHeader(kind: keyof typeof magics, bytes: Buffer): FileHeader | { version: number } | undefined {
  if (bytes.length < fileHeaderBytes || !bytes.subarray(0, 8).equals(magics[kind])) return undefined;
  if (crc32(bytes.subarray(0, 32)) !== bytes.readUInt32LE(32)) return undefined;
  const version = bytes.readUInt32LE(8);
  if (version !== fileFormatVersion) return { version };
  return {
    salt: bytes.readUInt32LE(12),
    firstSequence: Number(bytes.readBigUInt64LE(16)),
    baseRevision: bytes.readBigUInt64LE(24),
  };
}
