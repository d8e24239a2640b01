/**
 * The coordinator: who is a member, by lease. It is on no data path; while it is down, creates go on with the last membership.
 *
 * Members are entries of a store (the embedded one by default, so a restart forgets nobody) under a lease that their heartbeats renew.
 * A member whose lease runs out is gone, and everybody is told.
 */
import { isLeaseNotFound, type Store, type StoreFactory } from '@orbitkit/apiserver/storage';
import type { Component } from '@orbitkit/core';
import { type Credentials, listen } from '../protocol/channel.js';
import type { Heartbeat, Member, Membership } from '../protocol/schema.js';

/** Addresses are host:port. */
export interface CoordinatorOptions {
  name?: string;
  /** host:port; port 0 picks one. */
  listen: string;
  credentials: Credentials;
  store: StoreFactory;
  /** A member is gone after this long without a heartbeat. Default 10 s: three missed beats, and room for a machine that is busy. A broken connection is noticed at once by those who use it. */
  leaseMillis?: number;
  /** Told the bound address. */
  onListening?(address: string): void;
}

const prefix = '/galaxy/members/';
const keyOf = (member: Member): string => `${prefix}${member.kind}/${member.name}`;

/** The coordinator as a component. Ready when it listens. */
export function coordinator(options: CoordinatorOptions): Component {
  const leaseMillis = options.leaseMillis ?? 10_000;
  return {
    name: options.name ?? 'coordinator',
    async run({ signal, log, ready }) {
      const store: Store = await options.store();
      const members = new Map<string, Member>();
      const streams = new Set<(membership: Membership) => void>();
      let revision = 0n;

      const membership = (): Membership => ({
        revision: Number(revision),
        members: [...members.values()],
        leaseMillis,
      });
      const decode = (value: Uint8Array): Member => JSON.parse(Buffer.from(value).toString('utf8'));
      const first = await store.list(prefix);
      revision = first.revision;
      for (const entry of first.entries) members.set(entry.key, decode(entry.value));
      await forgetUnleased(store, first.entries, leaseMillis);

      const watching = (async () => {
        for await (const batch of store.watch(prefix, revision, { signal })) {
          revision = batch.revision;
          if (batch.events.length === 0) continue;
          for (const event of batch.events) {
            if (event.type === 'put') members.set(event.key, decode(event.value));
            else members.delete(event.key);
          }
          const next = membership();
          for (const send of streams) send(next);
        }
      })();

      async function join(call: any): Promise<void> {
        let lease: bigint | undefined;
        let member: Member | undefined;
        const send = (next: Membership) => call.write(next);
        streams.add(send);
        const end = () => streams.delete(send);
        call.on('error', end);
        call.on('cancelled', end);
        let work: Promise<void> = Promise.resolve();
        const put = async (next: Member) => {
          lease = await store.grantLease(leaseMillis);
          await store.txn([], { type: 'put', key: keyOf(next), value: Buffer.from(JSON.stringify(next)), lease });
          // The watch brings it too; the newcomer must see itself in its first answer.
          members.set(keyOf(next), next);
        };
        call.on('data', (beat: Heartbeat) => {
          work = work
            .then(async () => {
              if (beat.leaving) {
                if (member) await store.txn([], { type: 'delete', key: keyOf(member) });
                return;
              }
              if (lease !== undefined && member && JSON.stringify(member) === JSON.stringify(beat.member)) {
                try {
                  return await store.keepAlive(lease);
                } catch (error) {
                  if (!isLeaseNotFound(error)) throw error;
                }
              }
              const isNew = member === undefined;
              member = beat.member;
              await put(member);
              if (isNew) {
                log.info('a member joined', { kind: member.kind, name: member.name, address: member.address });
                send(membership());
              }
            })
            .catch(error => {
              log.error('a heartbeat could not be stored', { error });
              call.destroy?.(error);
            });
        });
        call.on('end', () => {
          end();
          void work.then(() => call.end());
        });
      }

      const server = await listen(options.listen, options.credentials, [
        { name: 'Coordinator', methods: { Join: join } },
      ]);
      options.onListening?.(server.address);
      ready();
      try {
        await Promise.race([
          watching,
          new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true })),
        ]);
        if (!signal.aborted) throw new Error('the watch of the member list ended');
      } finally {
        await server.close();
        await store.close();
      }
    },
  };
}

/** After a restart nobody holds the old leases: each member has one lease time to say that it is there. */
async function forgetUnleased(
  store: Store,
  entries: readonly { key: string; value: Uint8Array }[],
  leaseMillis: number,
): Promise<void> {
  for (const { key, value } of entries) {
    const lease = await store.grantLease(leaseMillis * 2);
    await store.txn([], { type: 'put', key, value, lease });
  }
}
