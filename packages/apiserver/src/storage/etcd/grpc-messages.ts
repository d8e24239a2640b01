/**
 * gRPC over one HTTP/2 stream: what its statuses mean, and its messages, each behind a byte that says whether it is compressed (never here)
 * and four of length.
 */
import http2 from 'node:http2';

const { HTTP2_HEADER_STATUS, NGHTTP2_CANCEL } = http2.constants;
/** A message larger than this is no answer to what is asked here. */
const messageLimit = 512 * 1024 * 1024;

/** gRPC status codes that mean something here. */
export const grpcCodes = {
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unavailable: 14,
  unauthenticated: 16,
} as const;

/** What etcd answered instead, or what kept its answer away. */
export class GrpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
    /** etcd may have carried out the call. */
    readonly sent: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'GrpcError';
  }
}

/** Calls back with each message; resolves with the trailers when the stream has ended, rejects when it broke. */
export function readMessages(
  stream: http2.ClientHttp2Stream,
  each: (message: Buffer) => void,
): Promise<http2.IncomingHttpHeaders | undefined> {
  return new Promise((resolve, reject) => {
    let trailers: http2.IncomingHttpHeaders | undefined;
    let parts: Buffer[] = [];
    let length = 0;
    let needed = 5;
    const take = (): void => {
      while (length >= needed) {
        const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts, length);
        const size = bytes.readUInt32BE(1);
        if (size > messageLimit || bytes[0] !== 0) {
          stream.close(NGHTTP2_CANCEL);
          reject(new GrpcError(grpcCodes.unknown, `etcd sent a message of ${size} bytes`, true));
          return;
        }
        needed = 5 + size;
        if (bytes.length < needed) {
          parts = [bytes];
          return;
        }
        const message = bytes.subarray(5, needed);
        const rest = bytes.subarray(needed);
        parts = rest.length > 0 ? [rest] : [];
        length = rest.length;
        needed = 5;
        try {
          each(message);
        } catch (error) {
          stream.close(NGHTTP2_CANCEL);
          reject(error);
          return;
        }
      }
    };
    stream.on('response', headers => {
      // An answer without a message has everything in its headers.
      if (headers['grpc-status'] !== undefined) trailers = headers;
      const status = Number(headers[HTTP2_HEADER_STATUS]);
      if (status !== 200)
        reject(new GrpcError(grpcCodes.unavailable, `etcd answered with HTTP status ${status}`, true));
    });
    stream.on('trailers', headers => {
      trailers = headers;
    });
    stream.on('data', (chunk: Buffer) => {
      parts.push(chunk);
      length += chunk.length;
      if (length >= needed) take();
    });
    stream.on('error', reject);
    stream.on('close', () => resolve(trailers));
  });
}
