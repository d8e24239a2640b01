/**
 * Kubernetes' channels over one WebSocket: the first byte of each binary message says which channel it belongs to.
 *
 * `v5.channel.k8s.io` has a close signal (255 and the channel's number), `v4` has none: there an input ends with the connection.
 * Only channels that the client asked for are written to: client libraries fail on others. What cannot be sent because the client
 * does not read is bounded: beyond 64 MiB the connection is given up. Source: kubernetes `apimachinery/pkg/util/remotecommand`.
 */
import type { WebSocket } from 'ws';

export const channelProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;

export const stdinChannel = 0;
export const stdoutChannel = 1;
export const stderrChannel = 2;
export const statusChannel = 3;
export const resizeChannel = 4;
const closeChannel = 255;

const sendLimit = 64 * 1024 * 1024;
const farewellMs = 5_000;

export interface Channels {
  /** False in v4: the other side cannot be told that one channel ends. */
  readonly canClose: boolean;
  send(channel: number, data: Uint8Array): void;
  /** Says that no more will come on the channel. Nothing in v4. */
  sendEnd(channel: number): void;
  /** Resolves when little is left unsent, so that a fast source can wait. */
  drained(): Promise<void>;
  pause(): void;
  resume(): void;
  /** Ends the connection after what was sent. */
  close(): void;
  /** Aborted when the connection is over, whoever ended it. */
  readonly signal: AbortSignal;
}

export interface ChannelHandlers {
  onData(channel: number, data: Buffer): void;
  /** The client will send no more on this channel. */
  onEnd(channel: number): void;
}

export function channelsOver(socket: WebSocket, handlers: ChannelHandlers): Channels {
  const over = new AbortController();
  const canClose = socket.protocol === channelProtocols[0];
  let closing = false;

  socket.on('message', (data: Buffer, isBinary) => {
    const message = Buffer.isBuffer(data) ? data : Buffer.from(data);
    // Text frames carry base64 in older subprotocols, which are not spoken here.
    if (!isBinary || message.length === 0) return;
    const channel = message[0]!;
    if (channel === closeChannel && canClose) {
      if (message.length > 1) handlers.onEnd(message[1]!);
    } else {
      handlers.onData(channel, message.subarray(1));
    }
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => over.abort(new Error('the client closed the connection')));

  const open = () => !closing && socket.readyState === socket.OPEN;
  return {
    canClose,
    signal: over.signal,
    send(channel, data) {
      if (!open() || data.length === 0) return;
      if (socket.bufferedAmount > sendLimit) return socket.terminate();
      socket.send(Buffer.concat([Buffer.of(channel), data]));
    },
    sendEnd(channel) {
      if (canClose && open()) socket.send(Buffer.of(closeChannel, channel));
    },
    async drained() {
      while (open() && socket.bufferedAmount > 1024 * 1024) await new Promise(resolve => setTimeout(resolve, 5));
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close() {
      if (closing) return;
      closing = true;
      // A paused socket would never see the other side's goodbye.
      socket.resume();
      socket.close(1000);
      const timer = setTimeout(() => socket.terminate(), farewellMs);
      socket.once('close', () => clearTimeout(timer));
    },
  };
}
