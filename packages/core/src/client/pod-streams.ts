/**
 * Streams of a pod: logs, exec and attach, over any transport.
 *
 * exec and attach speak the remote command protocol over WebSocket, `v5.channel.k8s.io` with `v4` as fallback: the first
 * byte of a message is its channel (0 stdin, 1 stdout, 2 stderr, 3 the final Status, 4 terminal size, 255 close). Only v5
 * can say that stdin has ended; with v4 the command does not see an end of input.
 */
import { StatusError } from '../errors/status-error.js';
import type { Status } from '../kinds/generated/types/meta-v1.js';
import { queryOf } from './create-client.js';
import { errorOfAnswer } from './request-json.js';
import type { Transport, TransportSocket } from './transport.js';

interface HasTransport {
  readonly transport: Transport;
}

/** Whose log, and how much of it. */
export interface PodLogsOptions {
  namespace: string;
  pod: string;
  /** Required by the server when the pod has several. */
  container?: string;
  /** Stay and hand out what comes. */
  follow?: boolean;
  /** The container's life before the last restart. */
  previous?: boolean;
  /** Only so many lines from the end. Default: all. */
  tailLines?: number;
  /** Only what is at most this old; not together with `sinceTime`. */
  sinceSeconds?: number;
  /** RFC 3339. */
  sinceTime?: string;
  /** Each line begins with its time. */
  timestamps?: boolean;
  /** The log ends after so many bytes, in the middle of a line too. Default: no bound. */
  limitBytes?: number;
  signal?: AbortSignal;
}

/** The log as it arrives, in chunks that do not end at line ends. Leaving the loop closes the stream. */
export async function* podLogs(client: HasTransport, options: PodLogsOptions): AsyncGenerator<Uint8Array, void> {
  const { namespace, pod, signal, ...query } = options;
  const path = podPath(namespace, pod, 'log') + queryOf({ ...query });
  const response = await client.transport.request({ method: 'GET', path, stream: true, ...(signal ? { signal } : {}) });
  if (response.status !== 200) {
    throw errorOfAnswer(response.status, response.headers, await response.bytes(), { method: 'GET', path });
  }
  yield* response.body;
}

/** Which container, and where its streams come from and go to. */
export interface AttachOptions {
  namespace: string;
  pod: string;
  container?: string;
  /** Input; its end is told to the command. */
  stdin?: AsyncIterable<Uint8Array | string>;
  /** A terminal: stdout and stderr come together on stdout. */
  tty?: boolean;
  /** May answer with a promise: what comes next waits for it, and in the end the command does. */
  onStdout?: (bytes: Uint8Array) => unknown;
  onStderr?: (bytes: Uint8Array) => unknown;
  /** Sizes of the terminal as they change. */
  resize?: AsyncIterable<{ width: number; height: number }>;
  signal?: AbortSignal;
}

/** A command is an argument vector: no shell is involved. */
export interface ExecOptions extends AttachOptions {
  command: readonly string[];
}

/**
 * Runs a command in a container and resolves to its exit code.
 * @throws StatusError when the command could not be started, or the connection was lost.
 */
export function execInPod(client: HasTransport, options: ExecOptions): Promise<number> {
  const command = options.command.map(word => `command=${encodeURIComponent(word)}`).join('&');
  return streamToPod(client, 'exec', options, command);
}

/** Connects to what a container runs already; resolves to its exit code when it ends. */
export function attachToPod(client: HasTransport, options: AttachOptions): Promise<number> {
  return streamToPod(client, 'attach', options, '');
}

const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;
const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;

const podPath = (namespace: string, pod: string, subresource: string): string =>
  `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/${subresource}`;

function framed(channel: number, bytes: Uint8Array): Uint8Array {
  const message = new Uint8Array(bytes.length + 1);
  message[0] = channel;
  message.set(bytes, 1);
  return message;
}

async function streamToPod(
  client: HasTransport,
  verb: 'exec' | 'attach',
  options: AttachOptions,
  command: string,
): Promise<number> {
  const { namespace, pod, container, stdin, tty = false, onStdout, onStderr, resize, signal } = options;
  const query = queryOf({ container, stdin: stdin !== undefined, stdout: true, stderr: !tty, tty });
  const path = `${podPath(namespace, pod, verb)}${query}${command ? `&${command}` : ''}`;
  const over = new AbortController();
  const socket = await client.transport.connect(path, {
    protocols,
    signal: signal ? AbortSignal.any([signal, over.signal]) : over.signal,
  });

  // Input goes on beside output; its failure ends the stream, its end does not.
  let inputError: unknown;
  const feed = Promise.all([
    stdin ? sendInput(socket, stdin, over.signal) : undefined,
    resize ? sendSizes(socket, resize, over.signal) : undefined,
  ]).catch(error => {
    if (over.signal.aborted) return;
    inputError = error;
    socket.close();
  });
  let status: Status | undefined;
  try {
    for await (const message of socket.messages) {
      const bytes = message.subarray(1);
      if (message[0] === channels.stdout) {
        if (bytes.length > 0) await onStdout?.(bytes);
      } else if (message[0] === channels.stderr) {
        if (bytes.length > 0) await onStderr?.(bytes);
      } else if (message[0] === channels.status) {
        status = parseStatus(bytes);
        break;
      }
    }
  } finally {
    socket.close();
    over.abort(new Error('the stream ended'));
    void feed;
  }
  if (status === undefined) {
    throw (
      inputError ??
      new StatusError('ServiceUnavailable', `${verb} in ${namespace}/${pod}: the stream ended without a status`)
    );
  }
  return exitCodeOf(status);
}

async function sendInput(
  socket: TransportSocket,
  input: AsyncIterable<Uint8Array | string>,
  over: AbortSignal,
): Promise<void> {
  for await (const part of untilAborted(input, over)) {
    socket.send(framed(channels.stdin, typeof part === 'string' ? Buffer.from(part) : part));
    await socket.drain?.();
  }
  if (!over.aborted && socket.protocol === 'v5.channel.k8s.io')
    socket.send(Uint8Array.of(channels.close, channels.stdin));
}

async function sendSizes(
  socket: TransportSocket,
  sizes: AsyncIterable<{ width: number; height: number }>,
  over: AbortSignal,
): Promise<void> {
  for await (const { width, height } of untilAborted(sizes, over)) {
    socket.send(framed(channels.resize, Buffer.from(`${JSON.stringify({ Width: width, Height: height })}\n`)));
  }
}

/** Ends when the signal aborts even while the source is silent; the source is then told to return. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T, void> {
  const iterator = source[Symbol.asyncIterator]();
  let stop!: () => void;
  const stopped = new Promise<undefined>(resolve => {
    stop = () => resolve(undefined);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), stopped]);
      if (next === undefined || next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    // A source that hangs in `next` would hang in `return` too: it is asked, not waited for.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

function parseStatus(bytes: Uint8Array): Status {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new StatusError('InternalError', `the stream ended with something that is no Status: ${text.slice(0, 200)}`, {
      cause,
    });
  }
}

/** 0, the exit code that the Status carries, or the error that it is. */
function exitCodeOf(status: Status): number {
  if (status.status === 'Success') return 0;
  if (status.reason === 'NonZeroExitCode') {
    const code = Number(status.details?.causes?.find(cause => cause.reason === 'ExitCode')?.message);
    if (Number.isInteger(code)) return code;
  }
  throw StatusError.fromStatus(status);
}
