/**
 * One of many: candidates share a Lease, its holder leads, and another follows when the holder is gone or gives it back.
 *
 * - Nobody's clock is trusted: a lease counts as expired when its record has not changed for its own `leaseDurationSeconds`, measured
 *   here since it was seen to change.
 * - Who leads renews every `retryPeriodMs`. When it has not succeeded for `renewDeadlineMs` (measured from before the last write that did), the
 *   leadership's signal aborts: before anyone else may take over, as long as this process is not suspended as a whole. For that case each leadership has a
 *   `term` that only grows (the lease's `leaseTransitions`): hand it to what you write to, and let that refuse lower ones.
 * - A leader that stops gives the lease back once its work has ended, so that the next one need not wait.
 *
 * It promises nothing about how soon somebody leads, and a lead that does not end after its abort keeps this candidate from trying again.
 *
 * Source of rules and constants: client-go `tools/leaderelection`, controller-runtime `pkg/manager`.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import {
  type Client,
  type Clock,
  formatMicroTime,
  isConflict,
  isNotFound,
  isStatusError,
  Lease,
  type Logger,
  type Metrics,
  systemClock,
} from '@orbitkit/core';

/** Only the client and the name have no default. Times are client-go's defaults, in milliseconds. */
export interface LeaderElectionOptions {
  client: Client;
  /** Name of the Lease. */
  name: string;
  /** Namespace of the Lease. Default `kube-system`. */
  namespace?: string;
  /** Unlike any other candidate's. Default: host name and a random id. */
  identity?: string;
  /** How long others wait after the last renewal; whole seconds on the wire, rounded up. Default 15 s. */
  leaseDurationMs?: number;
  /** How long renewing may fail before the leader gives up. Less than the duration. Default 10 s. */
  renewDeadlineMs?: number;
  /** Time between two tries; candidates add up to a fifth at random. Default 2 s. */
  retryPeriodMs?: number;
  clock?: Clock;
  log?: Logger;
  metrics?: Metrics;
  /** In [0, 1). */
  random?: () => number;
}

/** One time of leading. Whoever works under it stops when its signal aborts. */
export interface Leadership {
  /** Aborted when the lease was lost, or when the election is stopped. */
  readonly signal: AbortSignal;
  /** Higher than that of every earlier leadership under this lease. */
  readonly term: number;
  /** Whether the lease would still be ours if nobody but us touched it: ask before a step that must not be done twice. */
  held(): boolean;
}

/** One candidate. It stands for election while it runs. */
export interface LeaderElection {
  readonly identity: string;
  /** Who leads, as last seen. Undefined when nobody does, or nothing is known yet. */
  readonly leader: string | undefined;
  readonly leading: boolean;
  /**
   * Stands for election until the signal aborts; calls `lead` for each time it is elected. An error of `lead` ends the election (and gives the lease
   * back); when `lead` returns early, the lease is given back and this candidate stands again.
   */
  run(options: { signal: AbortSignal; lead(leadership: Leadership): Promise<void> }): Promise<void>;
}

/** client-go `JitterFactor` for candidates. */
const jitter = 0.2;
/** How long giving the lease back may take. */
const releaseTimeoutMs = 5_000;

/** @throws Error when the times do not fit together. */
export function leaderElection(options: LeaderElectionOptions): LeaderElection {
  return new Election(options);
}

/** What a lease said, and since when it has said so. */
interface Observation {
  readonly lease: Lease;
  /** On our clock. */
  readonly at: number;
}

class Election implements LeaderElection {
  readonly identity: string;
  readonly #options: LeaderElectionOptions;
  readonly #key: { name: string; namespace: string };
  readonly #clock: Clock;
  readonly #durationMs: number;
  readonly #deadlineMs: number;
  readonly #periodMs: number;
  readonly #random: () => number;
  #observed: Observation | undefined;
  /** When the last write that succeeded was begun; undefined while not leading. */
  #renewedAt: number | undefined;

  constructor(options: LeaderElectionOptions) {
    const { name, namespace = 'kube-system', leaseDurationMs = 15_000, renewDeadlineMs = 10_000 } = options;
    const { retryPeriodMs = 2_000 } = options;
    if (!(leaseDurationMs > renewDeadlineMs))
      throw new Error(
        `leaderElection: leaseDurationMs (${leaseDurationMs}) must exceed renewDeadlineMs (${renewDeadlineMs})`,
      );
    if (!(renewDeadlineMs > retryPeriodMs * (1 + jitter)) || !(retryPeriodMs > 0))
      throw new Error(
        `leaderElection: renewDeadlineMs (${renewDeadlineMs}) must exceed ${1 + jitter} times retryPeriodMs (${retryPeriodMs}), which must be positive`,
      );
    this.#options = options;
    this.#key = { name, namespace };
    this.#clock = options.clock ?? systemClock;
    this.#durationMs = leaseDurationMs;
    this.#deadlineMs = renewDeadlineMs;
    this.#periodMs = retryPeriodMs;
    this.#random = options.random ?? Math.random;
    this.identity = options.identity ?? `${hostname()}_${randomUUID()}`;
  }

  get leader(): string | undefined {
    return this.#observed?.lease.spec.holderIdentity || undefined;
  }

  get leading(): boolean {
    return this.#renewedAt !== undefined;
  }

  async run({ signal, lead }: { signal: AbortSignal; lead(leadership: Leadership): Promise<void> }): Promise<void> {
    const { log } = this.#options;
    this.#gauge(0);
    while (!signal.aborted) {
      const term = await this.#campaign(signal);
      if (term === undefined) return;
      log?.info('leading', { lease: this.#key.name, identity: this.identity, term });
      this.#gauge(1);
      const lost = new AbortController();
      try {
        await this.#leadAndRenew(signal, lost, term, lead);
      } finally {
        this.#renewedAt = undefined;
        this.#gauge(0);
        await this.#release(term);
        log?.info('leading no more', { lease: this.#key.name, identity: this.identity, term });
      }
      // Others first.
      await this.#clock.sleep(this.#periodMs, signal).catch(() => {});
    }
  }

  /** The term of a new leadership; undefined after a stop. */
  async #campaign(signal: AbortSignal): Promise<number | undefined> {
    while (!signal.aborted) {
      try {
        const term = await this.#tryToAcquire(signal);
        if (term !== undefined) return term;
      } catch (error) {
        if (signal.aborted) return undefined;
        this.#options.log?.warn('the lease cannot be read or written, trying again', { lease: this.#key.name, error });
      }
      await this.#clock.sleep(this.#periodMs * (1 + this.#random() * jitter), signal).catch(() => {});
    }
    return undefined;
  }

  async #leadAndRenew(
    signal: AbortSignal,
    lost: AbortController,
    term: number,
    lead: (leadership: Leadership) => Promise<void>,
  ): Promise<void> {
    const stop = () => lost.abort(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    const leadership: Leadership = {
      signal: lost.signal,
      term,
      held: () => this.#renewedAt !== undefined && this.#clock.now() - this.#renewedAt < this.#durationMs,
    };
    const renewing = this.#renew(lost);
    try {
      await lead(leadership);
    } finally {
      signal.removeEventListener('abort', stop);
      lost.abort(new Error('the lead has ended'));
      await renewing;
    }
  }

  /** Renews until the leadership ends, and ends it when renewing fails for too long. */
  async #renew(lost: AbortController): Promise<void> {
    const { signal } = lost;
    const giveUp = () => lost.abort(new Error(`the lease ${this.#key.name} could not be renewed in time`));
    while (!signal.aborted) {
      const left = this.#renewedAt! + this.#deadlineMs - this.#clock.now();
      if (left <= 0) return giveUp();
      // A call that hangs must not outlive the deadline.
      const deadline = this.#clock.setTimer(left, giveUp);
      try {
        await this.#clock.sleep(Math.min(this.#periodMs, left), signal);
        if (!(await this.#rewrite(signal))) {
          if (!signal.aborted)
            lost.abort(new Error(`the lease ${this.#key.name} has gone to ${this.leader ?? 'nobody'}`));
          return;
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log?.warn('the lease was not renewed, trying again', { lease: this.#key.name, error });
      } finally {
        deadline.cancel();
      }
    }
  }

  async #tryToAcquire(signal: AbortSignal): Promise<number | undefined> {
    const { client } = this.#options;
    const begun = this.#clock.now();
    const lease = await this.#read(signal);
    if (!lease) {
      const times = { acquireTime: formatMicroTime(begun), renewTime: formatMicroTime(begun) };
      const spec = { holderIdentity: this.identity, ...this.#duration(), ...times, leaseTransitions: 0 };
      try {
        this.#observe(await client.create(Lease, { metadata: this.#key, spec }, { signal }));
      } catch (error) {
        if (isStatusError(error) && error.reason === 'AlreadyExists') return undefined;
        throw error;
      }
      this.#renewedAt = begun;
      return 0;
    }
    const { holderIdentity = '', leaseDurationSeconds = 0, leaseTransitions = 0 } = lease.spec;
    const expired = this.#observed!.at + leaseDurationSeconds * 1000 <= begun;
    if (holderIdentity !== '' && holderIdentity !== this.identity && !expired) return undefined;
    // A new term even when the last holder had our name: that was another life.
    const term = leaseTransitions + 1;
    const spec = { ...lease.spec, holderIdentity: this.identity, ...this.#duration(), leaseTransitions: term };
    spec.acquireTime = spec.renewTime = formatMicroTime(begun);
    if (!(await this.#write({ ...lease, spec }, signal))) return undefined;
    this.#renewedAt = begun;
    return term;
  }

  /** False when the lease is somebody else's. */
  async #rewrite(signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const begun = this.#clock.now();
      const { lease } = this.#observed!;
      const spec = { ...lease.spec, ...this.#duration(), renewTime: formatMicroTime(begun) };
      if (await this.#write({ ...lease, spec }, signal)) {
        this.#renewedAt = begun;
        return true;
      }
      // Somebody wrote to it: a successor, or a person who labelled it.
      const now = await this.#read(signal);
      const ours =
        now?.spec.holderIdentity === this.identity && now.spec.leaseTransitions === lease.spec.leaseTransitions;
      if (!ours) return false;
    }
  }

  async #release(term: number): Promise<void> {
    const { lease } = this.#observed!;
    if (lease.spec.holderIdentity !== this.identity || lease.spec.leaseTransitions !== term) return;
    const bound = new AbortController();
    const timer = this.#clock.setTimer(releaseTimeoutMs, () =>
      bound.abort(new Error('giving the lease back took too long')),
    );
    const at = formatMicroTime(this.#clock.now());
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: at, acquireTime: at };
    try {
      await this.#write({ ...lease, spec }, bound.signal);
    } catch (error) {
      this.#options.log?.warn('the lease was not given back; others wait until it expires', {
        lease: this.#key.name,
        error,
      });
    } finally {
      timer.cancel();
    }
  }

  /** Undefined when there is none. */
  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      const lease = await this.#options.client.get(Lease, this.#key, { signal });
      this.#observe(lease);
      return lease;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** False when another write was first, or the lease is gone. */
  async #write(lease: Lease, signal: AbortSignal): Promise<boolean> {
    try {
      this.#observe(await this.#options.client.update(Lease, lease, { signal }));
      return true;
    } catch (error) {
      if (isConflict(error) || isNotFound(error)) return false;
      throw error;
    }
  }

  #observe(lease: Lease): void {
    const before = this.#observed?.lease;
    const same =
      before?.metadata.uid === lease.metadata.uid && before.metadata.resourceVersion === lease.metadata.resourceVersion;
    if (!same) this.#observed = { lease, at: this.#clock.now() };
  }

  #duration() {
    return { leaseDurationSeconds: Math.max(1, Math.ceil(this.#durationMs / 1000)) };
  }

  #gauge(value: 0 | 1): void {
    this.#options.metrics
      ?.gauge('leader_election_master_status', '1 while this candidate holds the lease.', ['name'])
      .set(value, { name: this.#key.name });
  }
}
