/**
 * gzip of large answers for clients that ask for it, never of streams that must arrive at once. The bound is kube-apiserver's
 * (128 KiB: below it compression costs more than it saves), the level too (1).
 */
import { once } from 'node:events';
import { promisify } from 'node:util';
import { createGzip, gzip } from 'node:zlib';
import type { ApiResponse } from './exchange.js';

const compressionThreshold = 128 * 1024;
const level = 1;
const gzipBuffer = promisify(gzip);

function acceptsGzip(acceptEncoding: string | undefined): boolean {
  if (acceptEncoding === undefined) return false;
  return acceptEncoding.split(',').some(entry => {
    const [name, ...params] = entry
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    if (name !== 'gzip' && name !== '*') return false;
    const quality = params.find(param => param.startsWith('q='));
    return quality === undefined || Number(quality.slice(2)) > 0;
  });
}

async function* gzipPieces(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const stream = createGzip({ level });
  let failure: unknown;
  const feed = (async () => {
    for await (const piece of pieces) {
      if (stream.destroyed) return;
      if (!stream.write(piece)) await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
    }
    stream.end();
  })().catch(error => {
    failure = error;
    stream.destroy();
  });
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    throw failure ?? error;
  } finally {
    stream.destroy();
    await feed;
  }
  if (failure) throw failure;
}

/** Whether `compressed` may do anything at all: most answers are small. */
export const isCompressible = ({ body, stream }: ApiResponse): boolean =>
  !stream && (!Buffer.isBuffer(body) || body.length >= compressionThreshold);

/** Compresses the answer when it is worth it. The length of a streamed body is taken from its content-length header. */
export async function compressed(answer: ApiResponse, acceptEncoding: string | undefined): Promise<ApiResponse> {
  if (answer.stream || answer.headers['content-encoding'] !== undefined || !acceptsGzip(acceptEncoding)) return answer;
  const headers = { ...answer.headers, 'content-encoding': 'gzip', vary: vary(answer.headers['vary']) };
  if (Buffer.isBuffer(answer.body)) {
    if (answer.body.length < compressionThreshold) return answer;
    return { ...answer, headers, body: await gzipBuffer(answer.body, { level }) };
  }
  // Without a length it is a long table: made in pieces because it is large.
  if (Number(answer.headers['content-length'] ?? compressionThreshold) < compressionThreshold) return answer;
  delete (headers as Record<string, unknown>)['content-length'];
  return { ...answer, headers, body: gzipPieces(answer.body) };
}

function vary(existing: string | readonly string[] | undefined): string {
  return existing === undefined ? 'Accept-Encoding' : `${String(existing)}, Accept-Encoding`;
}
