/**
 * A role's view of who is there, and its own presence there.
 *
 * It joins through any coordinator and keeps its lease alive over the same stream. While no coordinator answers, the last
 * known membership stays in force: the data path works without one, and joins go on being tried.
 */
import type { Clock, Logger } from '@orbitkit/core';
import { type Credentials, client } from '../protocol/channel.js';
import type { Heartbeat, Member, MemberKind, Membership } from '../protocol/schema.js';

export interface MembersOptions {
  /** host:port of coordinators. */
  coordinators: readonly string[];
  credentials: Credentials;
  self: Member;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

export interface Members {
  of(kind: MemberKind): readonly Member[];
  get(kind: MemberKind, name: string): Member | undefined;
  /** Called after each change, and once now. Answers a function that ends it. */
  onChange(listener: () => void): () => void;
  /** Resolves when the first membership has come in. Rejects with the signal's reason. */
  joined: Promise<void>;
  /** Leaves and closes. */
  close(): Promise<void>;
}

const retryMs = 500;

export function joinMembers(options: MembersOptions): Members {
  const { clock, log, signal } = options;
  let members: readonly Member[] = [];
  let byKey = new Map<string, Member>();
  const listeners = new Set<() => void>();
  let stream: any;
  let closed = false;
  let turn = 0;
  let resolveJoined: () => void;
  let rejectJoined: (reason: unknown) => void;
  const joined = new Promise<void>((resolve, reject) => {
    resolveJoined = resolve;
    rejectJoined = reject;
  });
  joined.catch(() => {});
  signal.addEventListener('abort', () => rejectJoined(signal.reason), { once: true });

  function take(membership: Membership): void {
    members = membership.members;
    byKey = new Map(members.map(member => [`${member.kind}/${member.name}`, member]));
    resolveJoined();
    for (const listener of listeners) listener();
  }

  async function session(address: string): Promise<void> {
    const rpc = client('Coordinator', address, options.credentials);
    try {
      await new Promise<void>((resolve, reject) => {
        const call = rpc.Join();
        stream = call;
        let renew: { cancel(): void } | undefined;
        const beat = () => call.write({ member: options.self, leaving: false } satisfies Heartbeat);
        // A membership that arrives must not put the next heartbeat off: with many of them the lease would run out.
        let pace = 0;
        const schedule = (leaseMillis: number) => {
          renew?.cancel();
          pace = leaseMillis;
          renew = clock.setTimer(Math.max(50, leaseMillis / 3), () => {
            beat();
            schedule(leaseMillis);
          });
        };
        const done = (finish: () => void) => {
          renew?.cancel();
          stream = undefined;
          finish();
        };
        call.on('data', (membership: Membership) => {
          take(membership);
          if (membership.leaseMillis !== pace) schedule(membership.leaseMillis);
        });
        call.on('error', (error: Error) => done(() => reject(error)));
        call.on('end', () => done(resolve));
        beat();
      });
    } finally {
      rpc.close();
    }
  }

  const running = (async () => {
    while (!closed && !signal.aborted) {
      const address = options.coordinators[turn++ % options.coordinators.length];
      if (!address) throw new Error('no coordinator is named');
      try {
        await session(address);
      } catch (error) {
        if (!closed && !signal.aborted) {
          log.warn('the coordinator does not answer; the last membership stays in force', {
            coordinator: address,
            error: error instanceof Error ? error.message : String(error),
          });
        }
      }
      if (!closed && !signal.aborted) await clock.sleep(retryMs, signal).catch(() => {});
    }
  })();
  running.catch(error => rejectJoined(error));

  return {
    of: kind => members.filter(member => member.kind === kind),
    get: (kind, name) => byKey.get(`${kind}/${name}`),
    onChange(listener) {
      listeners.add(listener);
      listener();
      return () => listeners.delete(listener);
    },
    joined,
    async close() {
      closed = true;
      const open = stream;
      if (open) {
        open.write({ member: options.self, leaving: true } satisfies Heartbeat);
        open.end();
        await Promise.race([running.catch(() => {}), clock.sleep(1_000).catch(() => {})]);
        open.cancel?.();
      }
      await running.catch(() => {});
    },
  };
}
