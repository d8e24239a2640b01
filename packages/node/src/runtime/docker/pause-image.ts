/**
 * The image that holds a pod's namespaces: one static program that does nothing, made here byte by byte and imported, so that no
 * registry is needed for it. The program is the system call `pause` (or `ppoll` without a timeout) in a loop.
 */

import { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { statusOf } from './errors.js';

export const pauseImage = 'orbitkit/pause:1';

/** `loop: mov eax, 34 (pause); syscall; jmp loop` */
const x64 = Buffer.from([0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]);
/** `mov x0..x4, 0; mov x8, 73 (ppoll); svc 0; b -6` */
const arm64 = Buffer.from(
  [0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd2800004, 0xd2800928, 0xd4000001, 0x17fffff9].flatMap(word => [
    word & 0xff,
    (word >>> 8) & 0xff,
    (word >>> 16) & 0xff,
    word >>> 24,
  ]),
);

/** A static ELF of one segment that begins with this code. */
function program(code: Buffer, machine: number): Buffer {
  const base = 0x400000n;
  const headers = 64 + 56;
  const elf = Buffer.alloc(headers);
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  elf.writeUInt16LE(2, 16); // executable
  elf.writeUInt16LE(machine, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(base + BigInt(headers), 24); // entry
  elf.writeBigUInt64LE(64n, 32); // program header
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 64); // load
  elf.writeUInt32LE(5, 68); // readable, executable
  elf.writeBigUInt64LE(base, 80);
  elf.writeBigUInt64LE(base, 88);
  elf.writeBigUInt64LE(BigInt(headers + code.length), 96);
  elf.writeBigUInt64LE(BigInt(headers + code.length), 104);
  elf.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([elf, code]);
}

/** A tar archive of one executable file. */
function archive(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000755\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512), Buffer.alloc(1024)]);
}

/** Imports the image unless the daemon has it. */
export async function ensurePauseImage(docker: Docker): Promise<void> {
  try {
    await docker.getImage(pauseImage).inspect();
    return;
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
  const { Architecture } = (await docker.info()) as { Architecture: string };
  const binary = Architecture === 'aarch64' ? program(arm64, 183) : program(x64, 62);
  const [repo, tag] = pauseImage.split(':');
  const answer = await docker.importImage(Readable.from([archive('pause', binary)]) as never, {
    repo,
    tag,
    changes: 'CMD ["/pause"]',
  });
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(answer, error => (error ? reject(error) : resolve()));
  });
}
