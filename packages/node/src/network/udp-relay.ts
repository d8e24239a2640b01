/**
 * Passes UDP datagrams on. A client (address and port) keeps its backend until it was silent for a minute, as connection
 * tracking does it; then the next datagram is a new one's first. At the most 10,000 clients at a time: the longest silent
 * makes room.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Clock } from '@orbitkit/core';
import type { RelayTarget } from './tcp-relay.js';

const silentMs = 60_000;
const clientsLimit = 10_000;

export interface UdpRelay {
  readonly address: string;
  readonly port: number;
  close(): Promise<void>;
}

interface Client {
  backend: Socket;
  lastSeen: number;
}

/** `targetOf` is asked for each new client; undefined drops the datagram. Rejects with the system's error. */
export function udpRelay(
  address: string,
  port: number,
  targetOf: (client: { address: string; port: number }) => RelayTarget | undefined,
  clock: Clock,
): Promise<UdpRelay> {
  const clients = new Map<string, Client>();
  const front = createSocket('udp4');
  let sweeper: { cancel(): void } | undefined;
  let closed = false;

  function forget(key: string): void {
    clients.get(key)?.backend.close();
    clients.delete(key);
  }

  function sweep(): void {
    sweeper = undefined;
    const now = clock.now();
    for (const [key, { lastSeen }] of clients) if (now - lastSeen >= silentMs) forget(key);
    if (clients.size > 0 && !closed) sweeper = clock.setTimer(silentMs, sweep);
  }

  function clientFor(from: RemoteInfo): Client | undefined {
    const key = `${from.address}:${from.port}`;
    let client = clients.get(key);
    if (!client) {
      const target = targetOf(from);
      if (!target) return undefined;
      if (clients.size >= clientsLimit) forget(clients.keys().next().value as string);
      const backend = createSocket('udp4');
      client = { backend, lastSeen: 0 };
      // A refusal of the backend (ICMP) is an error here: the client hears nothing, as over a network.
      backend.on('error', () => {});
      backend.on('message', message => front.send(message, from.port, from.address));
      backend.connect(target.port, target.host);
      sweeper ??= clock.setTimer(silentMs, sweep);
    } else clients.delete(key);
    // The longest silent stands first.
    clients.set(key, client);
    client.lastSeen = clock.now();
    return client;
  }

  front.on('message', (message, from) => {
    const client = clientFor(from);
    if (!client) return;
    const { backend } = client;
    try {
      backend.send(message);
    } catch {
      // Not connected yet: the first datagram goes when it is.
      backend.once('connect', () => backend.send(message));
    }
  });

  return new Promise((resolve, reject) => {
    front.once('error', reject);
    front.bind(port, address, () => {
      front.off('error', reject);
      front.on('error', () => {});
      resolve({
        address,
        port: front.address().port,
        async close() {
          if (closed) return;
          closed = true;
          sweeper?.cancel();
          for (const key of [...clients.keys()]) forget(key);
          await new Promise<void>(done => front.close(() => done()));
        },
      });
    });
  });
}
