/**
 * One connection to a port of a pod, as a stream: what is written goes to the pod, what the pod sends is read, either direction ends by
 * itself. Back-pressure holds both ways.
 *
 * It speaks the port-forward of the client libraries: a WebSocket for each connection, channel 0 for bytes and 1 for what went wrong,
 * each beginning with the port's number. With `v4` the end of the input cannot be told, and the pod does not see it.
 */
import { Duplex } from 'node:stream';
import { StatusError } from '../errors/status-error.js';
import type { Transport, TransportSocket } from './transport.js';

/** Which port of which pod. */
export interface PortForwardOptions {
  namespace: string;
  pod: string;
  port: number;
  /** Ends the connection. */
  signal?: AbortSignal;
}

const channels = { data: 0, error: 1, close: 255 } as const;
const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;
/** Of the port's number, before anything else on a channel. */
const prefixBytes = 2;

/** @throws StatusError when the pod cannot be reached; a port where nothing listens is an error of the stream. */
export async function forwardToPod(
  client: { readonly transport: Transport },
  options: PortForwardOptions,
): Promise<Duplex> {
  const { namespace, pod, port, signal } = options;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/portforward?ports=${port}`;
  const socket = await client.transport.connect(path, { protocols, ...(signal ? { signal } : {}) });
  return duplexOf(socket, `port ${port} of pod ${namespace}/${pod}`);
}

function duplexOf(socket: TransportSocket, what: string): Duplex {
  const canClose = socket.protocol === protocols[0];
  const messages = socket.messages[Symbol.asyncIterator]();
  const prefixes = [prefixBytes, prefixBytes];
  let failure = '';
  let reading = false;
  let ended = false;

  /** Pulls until there was something to push, or the end. */
  async function pull(): Promise<void> {
    for (;;) {
      const next = await messages.next();
      if (next.done) return finish();
      const message = next.value;
      const channel = message[0];
      if (channel === channels.close && canClose) {
        if (message[1] === channels.data) return finish();
        continue;
      }
      if (channel !== channels.data && channel !== channels.error) continue;
      const skipped = Math.min(prefixes[channel]!, message.length - 1);
      prefixes[channel]! -= skipped;
      const bytes = message.subarray(1 + skipped);
      if (bytes.length === 0) continue;
      if (channel === channels.data)
        return void duplex.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      failure += Buffer.from(bytes).toString();
    }
  }
  function finish(): void {
    if (failure !== '') duplex.destroy(new StatusError('ServiceUnavailable', `${what}: ${failure}`));
    else if (!ended) {
      ended = true;
      duplex.push(null);
    }
  }

  const duplex: Duplex = new Duplex({
    allowHalfOpen: canClose,
    read() {
      if (reading || ended) return;
      reading = true;
      pull().then(
        () => {
          reading = false;
          // What was asked for meanwhile.
          if (!ended && duplex.readableLength < duplex.readableHighWaterMark) duplex.read(0);
        },
        error => duplex.destroy(error),
      );
    },
    write(chunk: Buffer, _encoding, done) {
      const message = new Uint8Array(chunk.length + 1);
      message[0] = channels.data;
      message.set(chunk, 1);
      socket.send(message);
      const drained = socket.drain?.();
      if (drained) drained.then(() => done(), done);
      else done();
    },
    final(done) {
      if (canClose) socket.send(Uint8Array.of(channels.close, channels.data));
      done();
    },
    destroy(error, done) {
      socket.close();
      // Lets the connection go when nobody reads it any more.
      void Promise.resolve(messages.return?.()).catch(() => undefined);
      done(error);
    },
  });
  return duplex;
}
