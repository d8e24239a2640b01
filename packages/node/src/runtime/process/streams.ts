/** Exec, attach and dial on the runtime's side: the contract's streams over a connection to the helper. */
import { Duplex } from 'node:stream';
import { type ExecRequest, RuntimeError } from '../contract.js';
import type { HelperConnection, HelperStream } from './helper-connection.js';
import type { StreamInput, StreamOutput } from './protocol.js';

/** Input goes in frames of at most this size. */
const pieceBytes = 64 * 1_024;

type Request = Omit<ExecRequest, 'command'>;

export async function execIn(helper: HelperConnection, containerId: string, request: ExecRequest): Promise<number> {
  const { command, tty, stdin } = request;
  const code = await converse(request, handlers =>
    helper.stream('exec', { containerId, command, tty, stdin: stdin !== undefined }, handlers),
  );
  if (code === undefined)
    throw new RuntimeError('Unavailable', "the connection to the process runtime's helper was lost during exec");
  return code;
}

export async function attachTo(helper: HelperConnection, containerId: string, request: Request): Promise<void> {
  try {
    await converse(request, handlers =>
      helper.stream('attach', { containerId, stdin: request.stdin !== undefined }, handlers),
    );
  } catch (error) {
    // The end of an attachment by its signal is its ordinary end.
    if (!request.signal?.aborted) throw error;
  }
}

/** Resolves to the exit code; to undefined when the stream ended without one. Rejects when the signal aborts. */
async function converse(
  request: Request,
  open: (handlers: { onOutput(output: StreamOutput): void; onClose(): void }) => Promise<HelperStream>,
): Promise<number | undefined> {
  const { signal } = request;
  signal?.throwIfAborted();
  let code: number | undefined;
  let failure: unknown;
  let close = () => {};
  const closed = new Promise<void>(resolve => {
    close = resolve;
  });
  let stream: HelperStream | undefined;
  /** Chunks that the reader has not taken yet; while there are any, the helper is asked to wait. */
  let untaken = 0;
  const handOut = (taken: unknown) => {
    if (!(taken instanceof Promise)) return;
    untaken += 1;
    stream?.pause();
    const settle = () => {
      untaken -= 1;
      if (untaken === 0) stream?.resume();
    };
    taken.then(settle, settle);
  };
  stream = await open({
    onOutput(output) {
      if ('exit' in output) code = output.exit;
      else if ('stdout' in output && output.stdout === '') return;
      else if ('stdout' in output) handOut(request.onStdout(Buffer.from(output.stdout, 'base64')));
      else handOut(request.onStderr(Buffer.from(output.stderr, 'base64')));
    },
    onClose: () => close(),
  });
  const onAbort = () => {
    failure = signal!.reason;
    // A connection that waits would not see its end.
    stream.resume();
    stream.close();
  };
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  const ends = [
    passOn(request.stdin, pieces, stream, { stdinEnd: true }),
    passOn(request.resize, size => [{ resize: size }], stream),
  ];
  await closed;
  signal?.removeEventListener('abort', onAbort);
  for (const end of ends) end();
  if (failure !== undefined) throw failure;
  return code;
}

function pieces(chunk: Uint8Array): StreamInput[] {
  const found: StreamInput[] = [];
  for (let from = 0; from < chunk.length; from += pieceBytes) {
    found.push({ stdin: Buffer.from(chunk.subarray(from, from + pieceBytes)).toString('base64') });
  }
  return found;
}

/** Sends what an iterable yields, as fast as the helper takes it. Returns how to stop. */
function passOn<T>(
  source: AsyncIterable<T> | undefined,
  framesOf: (item: T) => StreamInput[],
  stream: HelperStream,
  last?: StreamInput,
): () => void {
  if (!source) return () => {};
  const iterator = source[Symbol.asyncIterator]();
  let stopped = false;
  void (async () => {
    try {
      for (let next = await iterator.next(); !next.done && !stopped; next = await iterator.next()) {
        for (const frame of framesOf(next.value)) if (!stream.send(frame)) await stream.drained();
      }
    } catch {
      // The caller's input broke: it ends here, and the program sees its end.
    }
    if (last && !stopped) stream.send(last);
  })();
  return () => {
    stopped = true;
    iterator.return?.().catch(() => {});
  };
}

/** A byte stream to a port on localhost inside a sandbox. */
export async function dialSandbox(helper: HelperConnection, sandboxId: string, port: number): Promise<Duplex> {
  const early: Buffer[] = [];
  let duplex: Duplex | undefined;
  let ended = false;
  const end = () => {
    if (!ended) duplex?.push(null);
    ended = true;
  };
  const stream = await helper.stream(
    'dial',
    { sandboxId, port },
    {
      onOutput(output) {
        if ('exit' in output) end();
        if (!('stdout' in output) || output.stdout === '') return;
        const chunk = Buffer.from(output.stdout, 'base64');
        if (!duplex) early.push(chunk);
        else if (!duplex.push(chunk)) stream.pause();
      },
      onClose: () => end(),
    },
  );
  duplex = new Duplex({
    read: () => stream.resume(),
    write(chunk, _encoding, done) {
      const flowing = pieces(chunk as Buffer).reduce((all, frame) => stream.send(frame) && all, true);
      if (flowing) done();
      else stream.drained().then(() => done(), done);
    },
    final(done) {
      stream.send({ stdinEnd: true });
      done();
    },
    destroy(error, done) {
      stream.close();
      done(error);
    },
  });
  for (const chunk of early) duplex.push(chunk);
  if (ended) duplex.push(null);
  return duplex;
}
