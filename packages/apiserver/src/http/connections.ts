/**
 * Who is connected, and how many may be: bounds on all connections, on those of one address, and on silent ones (those that have not sent
 * a whole request yet, be it that they are still shaking hands).
 *
 * - Over the bound of all, or of its address, a new connection is closed at once.
 * - Over the bound of silent ones the oldest silent one has to go for the new one, when it had `silentGraceMs`; otherwise the new one is
 *   closed. So whoever opens connections and says nothing holds back nobody who has something to say, and when everybody comes
 *   back at once after a restart, as many as fit are served first, and the others try again.
 * - Keep-alive probes of TCP (after 30 s without traffic, ten a second apart) find peers that are gone without a word.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

export interface ConnectionBounds {
  /** All connections. Default 10,000. */
  readonly maxConnections?: number | undefined;
  /** Connections from one address. Default 2,500. */
  readonly maxConnectionsPerAddress?: number | undefined;
  /** Connections that have not sent a whole request yet. Default 512. */
  readonly maxSilentConnections?: number | undefined;
}

/** Idle time after which TCP asks whether the peer is still there. */
export const keepAliveProbeMs = 30_000;
/** Time that a connection gets to say something before it must go for another. */
const silentGraceMs = 1_000;

export class Connection {
  readonly remoteAddress: string;
  /** DER of the client's certificate, when the client authority signed it. */
  certificate: Buffer | undefined;
  readonly openedAt = performance.now();
  silent = true;

  constructor(
    readonly socket: Socket,
    private readonly onSpoken: (connection: Connection) => void,
  ) {
    this.remoteAddress = socket.remoteAddress ?? '';
  }

  /** A request arrived on it. */
  spoken(): void {
    if (!this.silent) return;
    this.silent = false;
    this.onSpoken(this);
  }
}

export class Connections {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #maxSilent: number;
  readonly #all = new Map<Socket, Connection>();
  readonly #byAddress = new Map<string, number>();
  /** Oldest first. */
  readonly #silent = new Set<Connection>();
  readonly #byPeer = new Map<string, Connection>();

  constructor(bounds: ConnectionBounds = {}) {
    this.#max = bounds.maxConnections ?? 10_000;
    this.#maxPerAddress = bounds.maxConnectionsPerAddress ?? 2_500;
    this.#maxSilent = bounds.maxSilentConnections ?? 512;
  }

  get size(): number {
    return this.#all.size;
  }
  get silent(): number {
    return this.#silent.size;
  }

  /** Takes a new connection, or closes it. */
  admit(socket: Socket): boolean {
    const address = socket.remoteAddress;
    const ofAddress = this.#byAddress.get(address ?? '') ?? 0;
    // Without an address it has gone already.
    if (
      address === undefined ||
      this.#all.size >= this.#max ||
      ofAddress >= this.#maxPerAddress ||
      !this.#roomForSilent()
    ) {
      socket.destroy();
      return false;
    }
    const connection = new Connection(socket, spoken => this.#silent.delete(spoken));
    const peer = peerOf(socket);
    this.#all.set(socket, connection);
    this.#byAddress.set(address, ofAddress + 1);
    this.#silent.add(connection);
    this.#byPeer.set(peer, connection);
    socket.once('close', () => {
      this.#all.delete(socket);
      this.#silent.delete(connection);
      if (this.#byPeer.get(peer) === connection) this.#byPeer.delete(peer);
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#byAddress.set(address, left);
      else this.#byAddress.delete(address);
    });
    return true;
  }

  /** The connection under a plain socket, or under the TLS layer of one. */
  of(socket: Socket): Connection | undefined {
    return this.#all.get(socket) ?? this.#byPeer.get(peerOf(socket));
  }

  /** The handshake is over: who the peer is by its certificate does not change any more. */
  secured(socket: TLSSocket): Connection | undefined {
    const connection = this.of(socket);
    if (connection && socket.authorized) connection.certificate = socket.getPeerCertificate().raw;
    return connection;
  }

  destroyAll(): void {
    for (const socket of this.#all.keys()) socket.destroy();
  }

  #roomForSilent(): boolean {
    if (this.#silent.size < this.#maxSilent) return true;
    const oldest: Connection = this.#silent.values().next().value!;
    if (performance.now() - oldest.openedAt < silentGraceMs) return false;
    this.#silent.delete(oldest);
    oldest.socket.destroy();
    return true;
  }
}

/** Unique among the living connections of one listening socket. */
const peerOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;
