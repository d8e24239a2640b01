/**
 * exec and attach over SPDY/3.1: one stream each, named by its only header `streamtype`, which the client opens.
 *
 * The command starts when all that the query asks for are there: `error` always, `resize` with a terminal since v3. The outcome goes to
 * `error`, as JSON since v4. An input ends with its stream. Source: kubelet `cri/streaming/remotecommand`.
 */
import type { Duplex } from 'node:stream';
import { type Clock, StatusError } from '@orbitkit/core';
import { outcomeText, type RemoteStreams, type StreamRequest, sizesIn, type TerminalSize } from './remote-streams.js';
import { type SpdyStream, spdyConnection } from './spdy/connection.js';

/** In order of preference; v1 is what a client speaks that names none. */
export const spdyStreamProtocols: readonly string[] = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
];

/** kubelet: `DefaultStreamCreationTimeout`. */
const creationMs = 30_000;

/** @throws StatusError Timeout, or with why the client went, before all streams were there. */
export async function spdyStreams(
  socket: Duplex,
  asked: StreamRequest,
  protocol: string,
  clock: Clock,
): Promise<RemoteStreams> {
  const version = Number(/^v(\d)\./.exec(protocol)?.[1] ?? 1);
  const wanted = new Set(['error']);
  if (asked.stdin) wanted.add('stdin');
  if (asked.stdout) wanted.add('stdout');
  if (asked.stderr && !asked.tty) wanted.add('stderr');
  if (asked.tty && version >= 3) wanted.add('resize');
  const streams = new Map<string, SpdyStream>();
  let complete: () => void = () => {};
  const all = new Promise<void>(resolve => {
    complete = resolve;
  });
  const connection = spdyConnection(socket, stream => {
    const type = stream.headers.get('streamtype') ?? '';
    if (!wanted.has(type) || streams.has(type))
      throw new Error(`no stream of type ${JSON.stringify(type)} is expected`);
    if (type !== 'stdin' && type !== 'resize') stream.ignoreInput();
    streams.set(type, stream);
    if (streams.size === wanted.size) complete();
  });
  await within(all, connection.signal, clock).catch(error => {
    connection.close();
    throw error;
  });

  const { error, stdin, stdout, stderr, resize } = Object.fromEntries(streams);
  const nothing = () => undefined;
  return {
    ...(stdin ? { stdin: stdin.input } : {}),
    ...(resize ? { resize: sizesOf(resize.input) } : {}),
    stdout: stdout ? chunk => stdout.write(chunk) : nothing,
    stderr: stderr ? chunk => stderr.write(chunk) : nothing,
    finish(status) {
      stdout?.end();
      stderr?.end();
      const text = outcomeText(status, version >= 4 ? 'json' : 'text');
      if (text) void error?.write(text);
      error?.end();
      connection.close();
    },
    signal: connection.signal,
  };
}

async function* sizesOf(input: AsyncIterable<Buffer>): AsyncGenerator<TerminalSize, void> {
  for await (const data of input) yield* sizesIn(data);
}

function within(work: Promise<void>, signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => () => {
      timer.cancel();
      signal.removeEventListener('abort', gone);
      then();
    };
    const late = new StatusError('Timeout', `the client did not open its streams within ${creationMs / 1000} s`);
    const timer = clock.setTimer(
      creationMs,
      settle(() => reject(late)),
    );
    const gone = settle(() => reject(signal.reason));
    signal.addEventListener('abort', gone, { once: true });
    if (signal.aborted) gone();
    work.then(settle(resolve), reject);
  });
}
