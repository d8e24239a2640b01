/**
 * Port-forward over SPDY/3.1, as kubectl asks for it: for each local connection two streams with the headers `port` and `requestid`, one of
 * `streamtype` error and one of data. Any number of connections at a time, up to the bound of the SPDY connection; it lasts until the
 * client leaves. Source: kubelet `cri/streaming/portforward`.
 */
import type { Duplex } from 'node:stream';
import type { Clock } from '@orbitkit/core';
import { type ForwardTarget, forwardPort } from './port-forward.js';
import { type SpdyStream, spdyConnection } from './spdy/connection.js';

export const portForwardProtocol = 'portforward.k8s.io';

/** How long one stream of a pair waits for the other (kubelet: `DefaultStreamCreationTimeout`). */
const pairMs = 30_000;

interface Pair {
  port: number;
  error?: SpdyStream;
  data?: SpdyStream;
  timer: { cancel(): void };
}

/** Resolves when the client has gone. */
export async function spdyPortForward(socket: Duplex, target: ForwardTarget, clock: Clock): Promise<void> {
  const waiting = new Map<string, Pair>();

  function pairOf(requestId: string, port: number): Pair {
    let pair = waiting.get(requestId);
    if (!pair) {
      const made: Pair = {
        port,
        timer: clock.setTimer(pairMs, () => {
          waiting.delete(requestId);
          made.error?.reset();
          made.data?.reset();
        }),
      };
      pair = made;
      waiting.set(requestId, pair);
    }
    return pair;
  }

  const connection = spdyConnection(socket, stream => {
    const type = stream.headers.get('streamtype');
    if (type !== 'error' && type !== 'data') throw new Error(`streamtype ${type} is neither error nor data`);
    const text = stream.headers.get('port') ?? '';
    const port = Number(text);
    if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new Error(`${text} is no port`);
    // Clients before Kubernetes 1.5 send none: there the data stream follows its error stream.
    const requestId = stream.headers.get('requestid') ?? String(type === 'error' ? stream.id : stream.id - 2);
    const pair = pairOf(requestId, port);
    if (pair[type] || pair.port !== port) throw new Error(`request ${requestId} has its ${type} stream already`);
    pair[type] = stream;
    if (type === 'error') stream.ignoreInput();
    const { error, data } = pair;
    if (!error || !data) return;
    pair.timer.cancel();
    waiting.delete(requestId);
    void forwardPort({ port, error, data }, target);
  });
  await new Promise<void>(resolve => {
    if (connection.signal.aborted) resolve();
    else connection.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  for (const { timer } of waiting.values()) timer.cancel();
}
