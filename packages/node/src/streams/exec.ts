/**
 * exec and attach over channels: the runtime's streams on 0, 1 and 2, terminal sizes on 4, and at the end a Status on 3 that says how
 * it went: Success, NonZeroExitCode with the code, or what failed. Then the connection is closed; closing it earlier ends the command.
 */
import { StatusError } from '@orbitkit/core';
import type { WebSocket } from 'ws';
import type { ExecRequest } from '../runtime/contract.js';
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

export interface StreamRequest {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

const stdinHighWater = 1024 * 1024;

/** @param run Runs the command (or attaches) and resolves to the exit code. */
export async function serveStreams(
  socket: WebSocket,
  asked: StreamRequest,
  run: (request: Omit<ExecRequest, 'command'>) => Promise<number>,
): Promise<void> {
  let stdin: ChunkQueue<Uint8Array> | undefined;
  let sizes: ChunkQueue<{ width: number; height: number }> | undefined;
  const channels: Channels = channelsOver(socket, {
    onData(channel, data) {
      if (channel === stdinChannel) stdin?.push(data);
      if (channel === resizeChannel) for (const size of sizesIn(data)) sizes?.push(size);
    },
    onEnd(channel) {
      if (channel === stdinChannel) stdin?.end();
    },
  });
  const pace = { pause: channels.pause, resume: channels.resume };
  if (asked.stdin) stdin = chunkQueue({ sizeOf: chunk => chunk.length, highWater: stdinHighWater, ...pace });
  if (asked.tty) sizes = chunkQueue({ sizeOf: () => 1, highWater: 1_000, ...pace });
  channels.signal.addEventListener('abort', () => {
    stdin?.end();
    sizes?.end();
  });
  try {
    const exitCode = await run({
      tty: asked.tty,
      signal: channels.signal,
      onStdout: chunk => asked.stdout && channels.send(stdoutChannel, chunk),
      onStderr: chunk => asked.stderr && !asked.tty && channels.send(stderrChannel, chunk),
      ...(stdin ? { stdin } : {}),
      ...(sizes ? { resize: sizes } : {}),
    });
    channels.send(statusChannel, Buffer.from(JSON.stringify(statusOf(exitCode))));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const status = new StatusError('InternalError', message).toStatus();
    channels.send(statusChannel, Buffer.from(JSON.stringify(status)));
  } finally {
    stdin?.end();
    sizes?.end();
    channels.close();
  }
}

function statusOf(exitCode: number): object {
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

/** `{"Width":91,"Height":33}`, one or several a message; what is not that is ignored, as a terminal ignores noise. */
function sizesIn(data: Buffer): { width: number; height: number }[] {
  return data
    .toString('utf8')
    .split('\n')
    .flatMap(line => {
      try {
        const { Width, Height } = JSON.parse(line) as { Width?: unknown; Height?: unknown };
        const fits = (size: unknown): size is number =>
          Number.isInteger(size) && (size as number) > 0 && (size as number) < 65_536;
        return fits(Width) && fits(Height) ? [{ width: Width, height: Height }] : [];
      } catch {
        return [];
      }
    });
}
