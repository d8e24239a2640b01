/** exec and attach over a WebSocket: streams 0, 1 and 2, the outcome on 3, terminal sizes on 4. */
import type { WebSocket } from 'ws';
import {
  type Channels,
  channelsOver,
  resizeChannel,
  statusChannel,
  stderrChannel,
  stdinChannel,
  stdoutChannel,
} from './channels.js';
import { type ChunkQueue, chunkQueue } from './chunk-queue.js';
import {
  outcomeText,
  type RemoteStreams,
  type StreamRequest,
  sizesIn,
  stdinHighWater,
  type TerminalSize,
} from './remote-streams.js';

export function channelStreams(socket: WebSocket, asked: StreamRequest): RemoteStreams {
  let stdin: ChunkQueue<Uint8Array> | undefined;
  let resize: ChunkQueue<TerminalSize> | undefined;
  const channels: Channels = channelsOver(socket, {
    onData(channel, data) {
      if (channel === stdinChannel) stdin?.push(data);
      if (channel === resizeChannel) for (const size of sizesIn(data)) resize?.push(size);
    },
    onEnd(channel) {
      if (channel === stdinChannel) stdin?.end();
    },
  });
  const pace = { pause: channels.pause, resume: channels.resume };
  if (asked.stdin) stdin = chunkQueue({ sizeOf: chunk => chunk.length, highWater: stdinHighWater, ...pace });
  if (asked.tty) resize = chunkQueue({ sizeOf: () => 1, highWater: 1_000, ...pace });
  const end = () => {
    stdin?.end();
    resize?.end();
  };
  channels.signal.addEventListener('abort', end, { once: true });
  const nothing = () => undefined;
  return {
    ...(stdin ? { stdin } : {}),
    ...(resize ? { resize } : {}),
    stdout: asked.stdout ? chunk => channels.send(stdoutChannel, chunk) : nothing,
    stderr: asked.stderr && !asked.tty ? chunk => channels.send(stderrChannel, chunk) : nothing,
    finish(status) {
      const text = outcomeText(status, channels.statusForm);
      if (text) void channels.send(statusChannel, text);
      end();
      channels.close();
    },
    signal: channels.signal,
  };
}
