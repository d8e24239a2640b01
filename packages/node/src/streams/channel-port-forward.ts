/**
 * Port-forward over channels, as client libraries ask for it (`?ports=80,81`): for the i-th port, channel 2i carries its bytes and 2i+1
 * its error as text. On each the server first sends the port's number (uint16, little-endian). One connection to the pod per port
 * and WebSocket. Before v5 nothing can say that one direction ends: there the pod's end is the connection's.
 */
import type { WebSocket } from 'ws';
import { channelsOver } from './channels.js';
import { type ChunkQueue, chunkQueue } from './chunk-queue.js';
import { type ForwardTarget, forwardPort } from './port-forward.js';

const inputHighWater = 1024 * 1024;

export async function channelPortForward(
  socket: WebSocket,
  ports: readonly number[],
  target: ForwardTarget,
): Promise<void> {
  const inputs = new Map<number, ChunkQueue<Uint8Array>>();
  const channels = channelsOver(socket, {
    onData: (channel, data) => inputs.get(channel)?.push(data),
    onEnd: channel => inputs.get(channel)?.end(),
  });
  const forwarded = ports.map((port, index) => {
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    const [own, errors] = [2 * index, 2 * index + 1];
    void channels.send(own, number);
    void channels.send(errors, number);
    const over = new AbortController();
    const input = chunkQueue<Uint8Array>({
      sizeOf: chunk => chunk.length,
      highWater: inputHighWater,
      pause: channels.pause,
      resume: channels.resume,
    });
    inputs.set(own, input);
    const onAbort = () => {
      input.end();
      over.abort(channels.signal.reason);
    };
    channels.signal.addEventListener('abort', onAbort, { once: true });
    const data = {
      input,
      signal: over.signal,
      write: (chunk: Uint8Array) => channels.send(own, chunk),
      ignoreInput() {
        input.end();
        // What waits in the queue holds up the other ports.
        void drain(input);
      },
      end() {
        channels.sendEnd(own);
        if (!channels.canClose) over.abort(new Error('the pod closed the connection'));
      },
    };
    const error = { write: (chunk: Uint8Array) => channels.send(errors, chunk), end: () => channels.sendEnd(errors) };
    return forwardPort({ port, data, error }, target);
  });
  await Promise.all(forwarded);
  channels.close();
}

async function drain(input: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of input);
}
