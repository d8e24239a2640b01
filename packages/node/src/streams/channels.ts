/**
 * Kubernetes' channels over one WebSocket: the first byte of each message says which channel it belongs to.
 *
 * - `v5.channel.k8s.io` has a close signal (255 and the channel's number); in all others an input ends with the connection.
 * - `v4` and `v5` end with a Status in JSON; the older ones, and a client that names no subprotocol, with its text or nothing.
 * - The `base64` forms carry the channel as a digit and the rest as base64, in text messages.
 * - Only channels that the client asked for are written to: client libraries fail on others. A writer waits while much is unsent; beyond
 *   64 MiB the connection is given up. A connection whose client answers no ping for a minute is over.
 *
 * Source: kubernetes `apimachinery/pkg/util/remotecommand`, `apiserver/pkg/util/wsstream`.
 */
import type { WebSocket } from 'ws';

interface ChannelProtocol {
  name: string;
  base64: boolean;
  canClose: boolean;
  statusForm: StatusForm;
}

/** How a client is told the outcome: a Status as JSON, or its message, and nothing when all went well. */
export type StatusForm = 'json' | 'text';

const protocol = (name: string, statusForm: StatusForm, canClose = false): ChannelProtocol => ({
  name,
  statusForm,
  canClose,
  base64: name.includes('base64'),
});
const protocols: readonly ChannelProtocol[] = [
  protocol('v5.channel.k8s.io', 'json', true),
  protocol('v4.channel.k8s.io', 'json'),
  protocol('v4.base64.channel.k8s.io', 'json'),
  protocol('channel.k8s.io', 'text'),
  protocol('base64.channel.k8s.io', 'text'),
];
const unnamed = protocol('', 'text');

/** In order of preference. */
export const channelProtocols: readonly string[] = protocols.map(({ name }) => name);

export const stdinChannel = 0;
export const stdoutChannel = 1;
export const stderrChannel = 2;
export const statusChannel = 3;
export const resizeChannel = 4;
const closeChannel = 255;

const sendLimit = 64 * 1024 * 1024;
const sendHighWater = 1024 * 1024;
const farewellMs = 5_000;
const beatMs = 5_000;
/** A ping in so many beats; in each while the client is held up: a socket that nobody reads tells its end only to who writes. */
const quietBeats = 6;
const zero = 0x30;

export interface Channels {
  /** False before v5: the other side cannot be told that one channel ends. */
  readonly canClose: boolean;
  readonly statusForm: StatusForm;
  /** A promise when the caller should wait: it resolves when there is room for more. Never rejects. */
  send(channel: number, data: Uint8Array): Promise<void> | undefined;
  /** Says that no more will come on the channel. Nothing before v5. */
  sendEnd(channel: number): void;
  /** Stops reading until as many `resume` as `pause`. */
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
  const { base64, canClose, statusForm } = protocols.find(({ name }) => name === socket.protocol) ?? unnamed;
  let closing = false;
  let pauses = 0;
  let answered = true;

  let beats = 0;
  const beat = setInterval(() => {
    beats += 1;
    if (pauses > 0) return socket.ping();
    if (beats % quietBeats !== 0) return;
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, beatMs);
  beat.unref();
  socket.on('pong', () => {
    answered = true;
  });
  socket.on('message', (data: Buffer, isBinary) => {
    const message = Buffer.isBuffer(data) ? data : Buffer.from(data);
    answered = true;
    if (isBinary === base64 || message.length === 0) return;
    const channel = base64 ? message[0]! - zero : message[0]!;
    if (channel === closeChannel && canClose) {
      if (message.length > 1) handlers.onEnd(message[1]!);
    } else {
      handlers.onData(channel, base64 ? Buffer.from(message.toString('latin1', 1), 'base64') : message.subarray(1));
    }
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => {
    clearInterval(beat);
    over.abort(new Error('the client closed the connection'));
  });

  const open = () => !closing && socket.readyState === socket.OPEN;
  return {
    canClose,
    statusForm,
    signal: over.signal,
    send(channel, data) {
      if (!open() || data.length === 0) return undefined;
      if (socket.bufferedAmount > sendLimit) {
        socket.terminate();
        return undefined;
      }
      const message = base64
        ? String.fromCharCode(zero + channel) + Buffer.from(data).toString('base64')
        : Buffer.concat([Buffer.of(channel), data]);
      if (socket.bufferedAmount < sendHighWater) {
        socket.send(message);
        return undefined;
      }
      // Called with an error when the connection breaks.
      return new Promise(resolve => socket.send(message, () => resolve()));
    },
    sendEnd(channel) {
      if (canClose && open()) socket.send(Buffer.of(closeChannel, channel));
    },
    pause() {
      pauses += 1;
      socket.pause();
    },
    resume() {
      pauses -= 1;
      if (pauses > 0) return;
      // Its answers may have waited as well.
      answered = true;
      socket.resume();
    },
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
