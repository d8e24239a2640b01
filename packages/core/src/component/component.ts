/**
 * A component is anything that runs: an API server, a scheduler, a controller manager, a node agent.
 *
 * Everything it needs comes through its context; nothing is looked up from the surroundings, nothing starts on import,
 * two clusters fit in one process.
 */
import type { Client } from '../client/client.js';
import type { Clock } from '../clock/clock.js';
import type { Logger } from './log.js';
import type { Metrics } from './metrics.js';

/** Who is asking, as the API server's authenticator sees it. */
export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** All that a component gets from outside, made anew for each run of it. */
export interface ComponentContext {
  /** Aborted when the component must stop. `run` then resolves within the stop bound of `compose()`. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** A client that acts as this component's `user`. @throws Error when nothing in the composition provides an API. */
  readonly client: Client;
  /**
   * A client that acts as another user, for a component that works for several. Where the API is one client from outside, everybody is
   * that client's user. @throws Error when nothing in the composition provides an API.
   */
  clientFor?(user: UserInfo): Client;
  /** Says that the component serves. The next component starts then. Calling it again is harmless. */
  ready(): void;
  /** An API server offers clients to the components that start after it. */
  provideClient(clientFor: (user: UserInfo) => Client): void;
}

/** What `compose()` runs. Write one as a plain object; it begins nothing before `run`. */
export interface Component {
  /** Unique within a composition; in logs, metrics and readiness. */
  readonly name: string;
  /** The identity with which it calls the API. Default: `system:<name>` in group `system:masters`, which may do everything: name one for less. */
  readonly user?: UserInfo;
  /** Runs until the signal aborts, then resolves. A rejection is a crash: it is started again with back-off. */
  run(context: ComponentContext): Promise<void>;
}
