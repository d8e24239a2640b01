/** Exec and attach over the daemon's hijacked connections. */
import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { type ExecRequest, RuntimeError } from '../contract.js';

type Output = Pick<ExecRequest, 'onStdout' | 'onStderr' | 'tty'>;

/** Hands the stream's output on, as fast as it is taken; resolves at its end. */
export async function readOutput(stream: Duplex, output: Output): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream) {
    if (output.tty) {
      await output.onStdout(chunk as Buffer);
      continue;
    }
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    while (rest.length >= 8) {
      const length = rest.readUInt32BE(4);
      if (rest.length < 8 + length) break;
      const payload = rest.subarray(8, 8 + length);
      await (rest[0] === 2 ? output.onStderr(payload) : output.onStdout(payload));
      rest = rest.subarray(8 + length);
    }
  }
}

/** Passes input on with back-pressure, and its end as a half-close. */
export async function writeInput(stream: Duplex, input: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  if (!input) return;
  for await (const chunk of input) {
    if (stream.destroyed) return;
    if (!stream.write(chunk)) {
      await new Promise<void>(resolve => {
        stream.once('drain', resolve);
        stream.once('close', resolve);
      });
    }
  }
  stream.end();
}

export async function runExec(docker: Docker, containerId: string, request: ExecRequest): Promise<number> {
  request.signal?.throwIfAborted();
  const exec = await docker.getContainer(containerId).exec({
    Cmd: [...request.command],
    AttachStdin: request.stdin !== undefined,
    AttachStdout: true,
    AttachStderr: true,
    Tty: request.tty,
  });
  const stream = (await exec.start({
    hijack: true,
    stdin: request.stdin !== undefined,
    Tty: request.tty,
  } as never)) as unknown as Duplex;
  // A program that cannot be started is told as output of the exec; it must not look like the program's own.
  let first = '';
  const output: Output = {
    tty: request.tty,
    onStdout(chunk) {
      if (first.length < 200) first += Buffer.from(chunk).toString('utf8');
      return first.startsWith(failure) ? undefined : request.onStdout(chunk);
    },
    onStderr: request.onStderr,
  };
  let aborted: () => void = () => {};
  const cancelled = new Promise<never>((_, reject) => {
    aborted = () => {
      stream.destroy();
      void exec.inspect().then(
        ({ Pid, Running }) => Running && killOnThisHost(Pid),
        () => {},
      );
      reject(request.signal!.reason);
    };
    request.signal?.addEventListener('abort', aborted, { once: true });
  });
  const sizes = (async () => {
    for await (const { width, height } of request.resize ?? []) {
      if (stream.destroyed) return;
      await exec.resize({ w: width, h: height }).catch(() => {});
    }
  })();
  sizes.catch(() => {});
  const input = writeInput(stream, request.stdin);
  input.catch(() => {});
  const work = (async () => {
    await readOutput(stream, output);
    const { ExitCode: code } = await exec.inspect();
    if ((code === 126 || code === 127) && first.startsWith(failure))
      throw new RuntimeError('StartFailed', `${request.command[0]}: ${first.trim()}`);
    return code ?? 255;
  })();
  try {
    return await Promise.race([work, cancelled]);
  } finally {
    request.signal?.removeEventListener('abort', aborted);
    work.catch(() => {});
    cancelled.catch(() => {});
  }
}

const failure = 'OCI runtime exec failed';

/** The daemon cannot end an exec; where it runs on this machine and we may, the process is ended. */
function killOnThisHost(pid: number): void {
  if (!(pid > 0)) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Not ours to end: it ends with the container.
  }
}
