/**
 * The dispatcher: hands each create to a scheduler and sees it through.
 *
 * - Schedulers take turns, the least busy first; one that does not answer is passed over.
 * - When the outcome of an attempt is unknown (the scheduler died with it), every node is asked for the key and told to refuse that attempt from now
 *   on. Found: that is the answer. Not found anywhere: a new attempt goes elsewhere. So a key ends in one instance or in one truthful error.
 * - A node that cannot be asked leaves the outcome unknown; that is said (`Lost`), not guessed.
 */
import { randomUUID } from 'node:crypto';
import type { Component } from '@orbitkit/core';
import { liveAsMember } from '../membership/member-life.js';
import { joinMembers } from '../membership/members.js';
import { type Credentials, client, listen } from '../protocol/channel.js';
import { answer, failed, type Link, link } from '../protocol/link.js';
import type { Create, Created } from '../protocol/schema.js';

/** Addresses are host:port. */
export interface DispatcherOptions {
  name: string;
  listen: string;
  coordinators: readonly string[];
  credentials: Credentials;
  /** Attempts of one create. Default 4. */
  maxAttempts?: number;
  /** Bound on asking a node after a lost attempt. Default 2 s. */
  findTimeoutMs?: number;
  onListening?(address: string): void;
}

/** How long a scheduler whose connection broke is passed over: the lease of a member that is gone runs out meanwhile. */
const restMs = 2_000;

interface Connection {
  address: string;
  link: Link;
  /** Not asked before this time, as long as there is another: the connection broke a moment ago. */
  downUntil: number;
  close(): void;
}

/** A dispatcher as a component. Ready when it listens. */
export function dispatcher(options: DispatcherOptions): Component {
  return {
    name: options.name,
    async run({ signal, clock, log, ready }) {
      const schedulers = new Map<string, Connection>();
      let turn = 0;

      function connect(address: string): Connection {
        const rpc = client('Scheduler', address, options.credentials);
        const opened = link({
          clock,
          open: () => rpc.Schedule(),
          onDown() {
            connection.downUntil = clock.now() + restMs;
          },
        });
        const connection: Connection = {
          address,
          link: opened,
          downUntil: 0,
          close() {
            opened.close();
            rpc.close();
          },
        };
        return connection;
      }

      function settleMembership(): void {
        const wanted = new Map(members.of('scheduler').map(member => [member.name, member.address]));
        for (const [name, connection] of schedulers) {
          if (wanted.get(name) === connection.address) continue;
          schedulers.delete(name);
          connection.close();
        }
        for (const [name, address] of wanted) if (!schedulers.has(name)) schedulers.set(name, connect(address));
      }

      function next(tried: ReadonlySet<string>): [string, Connection] | undefined {
        const untried = [...schedulers].filter(([name]) => !tried.has(name));
        const up = untried.filter(([, connection]) => connection.downUntil <= clock.now());
        const all = up.length > 0 ? up : untried;
        if (all.length === 0) return undefined;
        turn += 1;
        const rotated = [...all.slice(turn % all.length), ...all.slice(0, turn % all.length)];
        return rotated.reduce((best, each) => (each[1].link.inFlight < best[1].link.inFlight ? each : best));
      }

      /** Asks every node for the key, and fences the attempt there. */
      async function find(key: string, attempt: string): Promise<Created | 'nowhere' | 'unknown'> {
        let unknown = false;
        const answers = await Promise.all(
          members.of('node').map(
            node =>
              new Promise<Created[]>(resolve => {
                const rpc = client('Node', node.address, options.credentials);
                rpc.Find(
                  { keys: [key], fenceAttempts: [attempt] },
                  { deadline: Date.now() + (options.findTimeoutMs ?? 2_000) },
                  (error: Error | null, reply: { found: Created[] }) => {
                    rpc.close();
                    if (error && members.get('node', node.name)) unknown = true;
                    resolve(error ? [] : reply.found);
                  },
                );
              }),
          ),
        );
        const found = answers.flat()[0];
        return found ?? (unknown ? 'unknown' : 'nowhere');
      }

      async function dispatch(create: Create): Promise<Created> {
        const tried = new Set<string>();
        let last = failed(create, 'Unavailable', 'no scheduler is a member of the cluster');
        for (let count = 0; count < (options.maxAttempts ?? 4) && clock.now() < create.deadline; count++) {
          const chosen = next(tried);
          if (!chosen) break;
          const [name, connection] = chosen;
          const attempt = randomUUID();
          const created = await connection.link.call({ ...create, attempt });
          if (created.errorCode === '' || created.errorCode === 'Refused' || created.errorCode === 'StartFailed')
            return created;
          last = created;
          if (created.errorCode === 'NoCapacity') {
            // The scheduler has asked its peers as well; only those it did not reach are left to try.
            tried.add(name);
            continue;
          }
          if (created.errorCode === 'Overloaded' || created.errorCode === 'Unavailable') {
            tried.add(name);
            continue;
          }
          const where = await find(create.key, attempt);
          if (where === 'unknown') {
            return failed(
              create,
              'Lost',
              `the outcome is not known: ${created.error}, and a node that may have it does not answer`,
            );
          }
          if (where !== 'nowhere') return { ...where, hops: created.hops };
          if (created.errorCode === 'DeadlineExceeded') return created;
          tried.add(name);
          log.warn('an attempt was lost with its scheduler and is made again', { scheduler: name, key: create.key });
        }
        return clock.now() >= create.deadline
          ? failed(create, 'DeadlineExceeded', 'no attempt succeeded before the deadline')
          : last;
      }

      async function timed(create: Create): Promise<Created> {
        const began = performance.now();
        const created = await dispatch(create);
        return {
          ...created,
          hops: [...created.hops, { role: 'dispatcher', name: options.name, millis: performance.now() - began }],
        };
      }

      const server = await listen(options.listen, options.credentials, [
        {
          name: 'Dispatcher',
          methods: {
            Dispatch: (call: any) => answer(call, timed),
            Create(call: any, reply: (error: unknown, value?: unknown) => void) {
              timed(call.request).then(
                created => reply(null, created),
                error => reply(error),
              );
            },
          },
        },
      ]);
      options.onListening?.(server.address);
      const members = joinMembers({
        ...options,
        self: { kind: 'dispatcher', name: options.name, address: server.address, httpAddress: '' },
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
            for (const connection of schedulers.values()) connection.close();
            await server.close();
          },
        },
      );
    },
  };
}
