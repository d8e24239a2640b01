/** What the two versions of HTTP behind one door share. */
import type { Logger, UserInfo } from '@orbitkit/core';
import type { Credentials } from '../authentication/authenticator.js';
import type { Connections } from './connections.js';
import type { ApiHandler } from './exchange.js';
import type { HttpExchange } from './http-exchange.js';

export interface DoorContext {
  readonly handler: ApiHandler;
  readonly identify: (credentials: Credentials) => Promise<UserInfo>;
  readonly log: Logger;
  /** A stream whose client takes nothing for so long is cut off. */
  readonly stalledMs: number;
  readonly connections: Connections;
  /** Every request whose answer is not complete. */
  readonly exchanges: Set<HttpExchange>;
  /** Coarse time in milliseconds: as of the last look at all exchanges. */
  readonly tick: number;
  /** The server stops: connections are not kept any longer. */
  readonly closing: boolean;
}
