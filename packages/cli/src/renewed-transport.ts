/**
 * A transport whose client certificate is replaced while it is used, before it expires: what begins later goes over connections with the new
 * one; streams that run go on for some minutes, then they end and their readers come back with the new one. Who cannot get a new
 * certificate tries again, and says so.
 */
import { type Clock, type Logger, systemClock, type Transport } from '@orbitkit/core';
import type { ClientKeyPair } from './trust.js';

export interface RenewedTransportOptions {
  readonly first: ClientKeyPair;
  /** A transport that proves itself with this. */
  open(pair: ClientKeyPair): Transport;
  /** Gets the next one; asked when `renewAt` of the last has come. */
  renew(signal: AbortSignal): Promise<ClientKeyPair>;
  readonly log?: Pick<Logger, 'info' | 'warn'>;
  readonly clock?: Clock;
}

/** Streams of the older certificate run on for so long. */
const streamsMs = 5 * 60_000;
const retryMs = 60_000;
/** What cannot be told from the certificate is looked at at least this often; timers cannot be longer than 24.8 days. */
const longestWaitMs = 24 * 60 * 60_000;

export function renewedTransport(options: RenewedTransportOptions): Transport {
  const { open, renew, log, clock = systemClock } = options;
  const closed = new AbortController();
  const { signal } = closed;
  let pair = options.first;
  let current = open(pair);
  const older = new Set<Transport>();

  async function retire(transport: Transport): Promise<void> {
    older.add(transport);
    await clock.sleep(streamsMs, signal).catch(() => undefined);
    older.delete(transport);
    await transport.close();
  }

  const renewing = (async () => {
    let failed = false;
    while (!signal.aborted) {
      const left = pair.renewAt - clock.now();
      const wait = failed ? retryMs : Math.min(longestWaitMs, Math.max(0, left));
      await clock.sleep(wait, signal).catch(() => undefined);
      if (signal.aborted) return;
      if (clock.now() < pair.renewAt) continue;
      try {
        pair = await renew(signal);
        const before = current;
        current = open(pair);
        failed = false;
        void retire(before);
        log?.info('a new client certificate is used', { until: new Date(pair.renewAt).toISOString() });
      } catch (error) {
        if (signal.aborted) return;
        failed = true;
        log?.warn('the client certificate could not be renewed; trying again in a minute', { error });
      }
    }
  })();

  return {
    request: request => current.request(request),
    connect: (path, connectOptions) => current.connect(path, connectOptions),
    async close() {
      closed.abort(new Error('the client is closed'));
      await Promise.all([renewing, current.close(), ...[...older].map(transport => transport.close())]);
    },
  };
}
