/**
 * The shard scheduler: places creates on the nodes that rendezvous hashing gives it, and asks up to two peers when its own are full.
 *
 * It holds nothing that would be missed: capacity comes from the nodes, ownership from the membership. Killed and started
 * again anywhere, it goes on. System components (`system`) are handled before others that wait in the same turn.
 */
import type { Component } from '@orbitkit/core';
import { liveAsMember } from '../membership/member-life.js';
import { joinMembers } from '../membership/members.js';
import { ownerOf } from '../membership/rendezvous.js';
import { type Credentials, client, listen } from '../protocol/channel.js';
import { answer, failed, type Link, link } from '../protocol/link.js';
import type { Create, Created } from '../protocol/schema.js';
import { shard } from './shard.js';

/** Addresses are host:port. */
export interface ShardSchedulerOptions {
  name: string;
  listen: string;
  coordinators: readonly string[];
  credentials: Credentials;
  /** Peers asked when the own shard is full. Default 2. */
  maxProbes?: number;
  onListening?(address: string): void;
}

/** How long a create without room waits for nodes that have not said yet how much they have, and how often it asks again. */
const unheardMs = 2_000;
const againMs = 50;

/** A scheduler of a shard as a component. Ready when it listens. */
export function shardScheduler(options: ShardSchedulerOptions): Component {
  return {
    name: options.name,
    async run({ signal, clock, log, ready }) {
      const room = shard();
      const nodes = new Map<string, { address: string; link: Link; close(): void }>();
      const peers = new Map<string, { address: string; link: Link; close(): void }>();

      function connect(kind: 'Node' | 'Scheduler', name: string, address: string) {
        const rpc = client(kind, address, options.credentials);
        const opened = link({
          clock,
          open: () => (kind === 'Node' ? rpc.Deploy() : rpc.PeerSchedule()),
          onCapacity: capacity => room.report(name, capacity),
          onDown() {
            if (kind === 'Node' && nodes.get(name)?.link === opened) {
              room.remove(name);
              room.add(name);
              clock.setTimer(200, () => {
                if (nodes.get(name)?.link === opened && !signal.aborted) opened.open();
              });
            }
          },
        });
        return {
          address,
          link: opened,
          close() {
            opened.close();
            rpc.close();
          },
        };
      }

      function settleMembership(): void {
        const schedulers = members.of('scheduler').map(member => member.name);
        const owned = new Map(
          members
            .of('node')
            .flatMap(member =>
              ownerOf(member.name, schedulers) === options.name ? [[member.name, member.address] as const] : [],
            ),
        );
        reconcile(nodes, owned, 'Node');
        reconcile(
          peers,
          new Map(
            members
              .of('scheduler')
              .flatMap(each => (each.name === options.name ? [] : [[each.name, each.address] as const])),
          ),
          'Scheduler',
        );
      }
      function reconcile(open: typeof nodes, wanted: ReadonlyMap<string, string>, kind: 'Node' | 'Scheduler'): void {
        for (const [name, connection] of open) {
          if (wanted.get(name) === connection.address) continue;
          open.delete(name);
          if (kind === 'Node') room.remove(name);
          connection.close();
        }
        for (const [name, address] of wanted) {
          if (open.has(name)) continue;
          const connection = connect(kind, name, address);
          open.set(name, connection);
          if (kind === 'Node') {
            room.add(name);
            connection.link.open();
          }
        }
      }

      /** Tries own nodes until one takes it. `Lost` and `DeadlineExceeded` end it: the outcome is not known here. */
      async function place(create: Create): Promise<Created> {
        const tried = new Set<string>();
        let last = failed(
          create,
          'NoCapacity',
          nodes.size === 0 ? `scheduler ${options.name} has no nodes` : `no node of scheduler ${options.name} has room`,
        );
        for (;;) {
          const name = room.choose(create, tried);
          const connection = name === undefined ? undefined : nodes.get(name);
          if (name === undefined || !connection) return last;
          tried.add(name);
          const created = await connection.link.call(create);
          room.settle(name, create);
          if (created.errorCode !== 'NoCapacity' && created.errorCode !== 'Overloaded') return created;
          last = created;
        }
      }

      const timed = async (create: Create, work: (create: Create) => Promise<Created>): Promise<Created> => {
        const began = performance.now();
        if (create.deadline <= clock.now())
          return failed(create, 'DeadlineExceeded', 'the deadline had passed when the scheduler got it');
        const created = await work(create);
        return {
          ...created,
          hops: [...created.hops, { role: 'scheduler', name: options.name, millis: performance.now() - began }],
        };
      };

      async function schedule(create: Create): Promise<Created> {
        const until = Math.min(create.deadline, clock.now() + unheardMs);
        let created = await placeAnywhere(create);
        while (created.errorCode === 'NoCapacity' && room.unheard && clock.now() < until && !signal.aborted) {
          await clock.sleep(againMs, signal).catch(() => {});
          created = await placeAnywhere(create);
        }
        return created;
      }

      /** Here, else at peers. */
      async function placeAnywhere(create: Create): Promise<Created> {
        let created = await place(create);
        if (created.errorCode !== 'NoCapacity') return created;
        for (const peer of [...peers.values()]
          .sort((a, b) => a.link.inFlight - b.link.inFlight)
          .slice(0, options.maxProbes ?? 2)) {
          const elsewhere = await peer.link.call(create);
          if (elsewhere.errorCode !== 'NoCapacity' && elsewhere.errorCode !== 'Overloaded') return elsewhere;
          if (elsewhere.errorCode === 'NoCapacity') created = elsewhere;
        }
        return created;
      }

      const server = await listen(options.listen, options.credentials, [
        {
          name: 'Scheduler',
          methods: {
            Schedule: (call: any) => answer(call, create => timed(create, schedule)),
            PeerSchedule: (call: any) => answer(call, create => timed(create, place)),
          },
        },
      ]);
      options.onListening?.(server.address);
      const members = joinMembers({
        ...options,
        self: { kind: 'scheduler', name: options.name, address: server.address, httpAddress: '' },
        clock,
        log,
        signal,
      });
      await liveAsMember(
        members,
        { signal, ready },
        {
          onChange: settleMembership,
          async release() {
            for (const connection of [...nodes.values(), ...peers.values()]) connection.close();
            await server.close();
          },
        },
      );
    },
  };
}
