/**
 * One forwarded connection: a port of the pod joined with the client's stream, whichever protocol carries it.
 *
 * Either direction ends by itself; the error stream ends when the pod has said all that it will (kubectl waits for that). What cannot be
 * connected is said on the error stream, in kubelet's words. The client's leaving closes the pod's connection.
 */
import type { Duplex } from 'node:stream';

/** One direction each way of a client's connection. */
export interface ClientStream {
  readonly input: AsyncIterable<Uint8Array>;
  /** A promise when the caller should wait: it resolves when there is room for more. Never rejects. */
  write(data: Uint8Array): Promise<void> | undefined;
  end(): void;
  /** What still comes is discarded. */
  ignoreInput(): void;
  /** Aborted when the client gives the stream up. */
  readonly signal: AbortSignal;
}

export interface ForwardedPort {
  port: number;
  data: ClientStream;
  error: Pick<ClientStream, 'write' | 'end'>;
}

export interface ForwardTarget {
  /** For messages: `pod web, uid 1234`. */
  what: string;
  connect(port: number, signal: AbortSignal): Promise<Duplex>;
}

/** Resolves when both directions have ended. Never rejects. */
export async function forwardPort({ port, data, error }: ForwardedPort, target: ForwardTarget): Promise<void> {
  const failed = async (why: unknown) => {
    if (data.signal.aborted) return;
    const message = why instanceof Error ? why.message : String(why);
    await error.write(Buffer.from(`error forwarding port ${port} to ${target.what}: ${message}`));
  };
  let pod: Duplex;
  try {
    pod = await target.connect(port, data.signal);
  } catch (why) {
    data.ignoreInput();
    await failed(why);
    data.end();
    error.end();
    return;
  }
  const leave = () => pod.destroy();
  if (data.signal.aborted) leave();
  else data.signal.addEventListener('abort', leave, { once: true });
  let broken: unknown;
  pod.on('error', why => {
    broken ??= why;
  });
  const closed = new Promise<void>(resolve => (pod.closed ? resolve() : pod.once('close', () => resolve())));
  void closed.then(() => data.ignoreInput());

  const into = passInput(data.input, pod, closed);
  try {
    for await (const chunk of pod.iterator({ destroyOnReturn: false })) await data.write(chunk as Buffer);
  } catch (why) {
    broken ??= why;
  }
  if (broken !== undefined) await failed(broken);
  data.end();
  error.end();
  await Promise.race([into, closed]);
  pod.destroy();
  data.signal.removeEventListener('abort', leave);
}

async function passInput(input: AsyncIterable<Uint8Array>, pod: Duplex, closed: Promise<void>): Promise<void> {
  for await (const chunk of input) {
    if (pod.destroyed || pod.writableEnded) break;
    if (!pod.write(chunk)) await Promise.race([new Promise<void>(resolve => pod.once('drain', resolve)), closed]);
  }
  if (!pod.destroyed) pod.end();
}
