/**
 * Port-forward over channels: for the i-th port of the query, channel 2i carries its bytes and 2i+1 its error as text. On each the
 * server first sends the port's number (uint16, little-endian). One connection to the pod per port and WebSocket.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { type Channels, channelsOver } from './channels.js';

export async function servePortForward(
  socket: WebSocket,
  ports: readonly number[],
  connect: (port: number, signal: AbortSignal) => Promise<Duplex>,
): Promise<void> {
  const streams = new Map<number, Duplex>();
  /** What came before the connection stood. */
  const early = new Map<number, Buffer[]>(ports.map((_, index) => [2 * index, []]));
  const endedEarly = new Set<number>();
  const channels = channelsOver(socket, {
    onData(channel, data) {
      const stream = streams.get(channel);
      if (stream) {
        if (!stream.writableEnded && !stream.write(data)) {
          channels.pause();
          stream.once('drain', channels.resume);
          stream.once('close', channels.resume);
        }
      } else if (early.has(channel)) {
        early.get(channel)!.push(data);
        channels.pause();
      }
    },
    onEnd(channel) {
      const stream = streams.get(channel);
      if (stream) stream.end();
      else endedEarly.add(channel);
    },
  });
  ports.forEach((port, index) => {
    const number = Buffer.alloc(2);
    number.writeUInt16LE(port);
    channels.send(2 * index, number);
    channels.send(2 * index + 1, number);
  });
  const forward = async (port: number, channel: number): Promise<void> => {
    try {
      const stream = await connect(port, channels.signal);
      const closed = new Promise<void>(resolve => stream.once('close', () => resolve()));
      stream.on('error', error =>
        channels.send(channel + 1, Buffer.from(`error forwarding port ${port}: ${error.message}`)),
      );
      channels.signal.addEventListener('abort', () => stream.destroy(), { once: true });
      if (channels.signal.aborted) stream.destroy();
      streams.set(channel, stream);
      for (const data of early.get(channel) ?? []) stream.write(data);
      early.delete(channel);
      channels.resume();
      if (endedEarly.has(channel)) stream.end();
      await pump(stream, channel, channels);
      // A half-closed connection goes on in the other direction, as long as the client could tell its end.
      if (channels.canClose && !stream.destroyed) await closed;
      stream.destroy();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      channels.send(channel + 1, Buffer.from(`error forwarding port ${port}: ${message}`));
      channels.sendEnd(channel);
      early.delete(channel);
      channels.resume();
    }
  };
  await Promise.all(ports.map((port, index) => forward(port, 2 * index)));
  channels.close();
}

async function pump(stream: Duplex, channel: number, channels: Channels): Promise<void> {
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      channels.send(channel, chunk as Buffer);
      await channels.drained();
    }
  } catch {
    // Said on the error channel by the stream's own listener.
  }
  channels.sendEnd(channel);
}
