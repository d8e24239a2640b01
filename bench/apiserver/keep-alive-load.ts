/**
 * A load generator for HTTP/1.1 on bare sockets: one request in flight on each connection, the next when the answer is complete. A client
 * library costs more than the server that is to be measured; this costs a few microseconds a request. It understands
 * Content-Length only, and takes any other answer for an error.
 */
import { connect, type Socket } from 'node:net';

export interface LoadResult {
  count: number;
  seconds: number;
  /** Milliseconds. */
  latencies: number[];
}

export interface Load {
  port: number;
  connections: number;
  durationMs: number;
  /** Expected of every answer, e.g. 201. */
  status: number;
  /** The whole request, headers and body; the number is unique within this load. */
  request(number: number): Buffer | string;
}

const headEnd = Buffer.from('\r\n\r\n');

/** @throws Error with the answer, when one has another status. */
export async function runLoad(load: Load): Promise<LoadResult> {
  const latencies: number[] = [];
  let number = 0;
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => connected(load.port)));
  const began = performance.now();
  const end = began + load.durationMs;
  const loop = (socket: Socket) =>
    new Promise<void>((resolve, reject) => {
      let sentAt = 0;
      let received: Buffer = Buffer.alloc(0);
      const send = () => {
        sentAt = performance.now();
        if (sentAt >= end) return resolve();
        socket.write(load.request(number++));
      };
      socket.on('data', chunk => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
        const head = received.indexOf(headEnd);
        if (head < 0) return;
        const text = received.toString('latin1', 0, head);
        const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
        if (length === undefined || !text.startsWith(`HTTP/1.1 ${load.status} `))
          return reject(new Error(`expected ${load.status} with a Content-Length: ${received.toString('utf8')}`));
        if (received.length < head + headEnd.length + Number(length)) return;
        received = Buffer.alloc(0);
        latencies.push(performance.now() - sentAt);
        send();
      });
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the server closed a kept connection')));
      send();
    });
  try {
    await Promise.all(sockets.map(loop));
    return { count: latencies.length, seconds: (performance.now() - began) / 1_000, latencies };
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
