import { type Client, Lease, type ManualClock, type Metrics, manualClock, notFound, StatusError } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { elected } from './elected.js';
import { type Leadership, leaderElection } from './leader-election.js';

/** One lease with the rules of a server: versions, conflicts, and times that must have six digits. */
function leaseStore() {
  let stored: Lease | undefined;
  let version = 0;
  let broken: Error | undefined;
  let hanging = false;
  const writes: string[] = [];
  const microTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
  const serve = async (signal?: AbortSignal) => {
    if (hanging)
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason), { once: true }));
    if (broken) throw broken;
    signal?.throwIfAborted();
  };
  const store = (lease: Lease) => {
    for (const time of [lease.spec.acquireTime, lease.spec.renewTime])
      if (time !== undefined && !microTime.test(time)) throw new StatusError('BadRequest', `not a MicroTime: ${time}`);
    version += 1;
    stored = structuredClone({ ...lease, metadata: { ...lease.metadata, uid: 'u1', resourceVersion: `${version}` } });
    writes.push(lease.spec.holderIdentity ?? '');
    return structuredClone(stored);
  };
  const client = {
    async get(_kind: unknown, key: { name: string }, options?: { signal?: AbortSignal }) {
      await serve(options?.signal);
      if (!stored) throw notFound(Lease, key.name);
      return structuredClone(stored);
    },
    async create(_kind: unknown, lease: Lease, options?: { signal?: AbortSignal }) {
      await serve(options?.signal);
      if (stored) throw new StatusError('AlreadyExists', 'it exists');
      return store(lease);
    },
    async update(_kind: unknown, lease: Lease, options?: { signal?: AbortSignal }) {
      await serve(options?.signal);
      if (lease.metadata.resourceVersion !== stored?.metadata.resourceVersion)
        throw new StatusError('Conflict', 'the object has been modified');
      return store(lease);
    },
  } as unknown as Client;
  return {
    client,
    writes,
    get lease() {
      return stored;
    },
    edit: (change: (lease: Lease) => void) => {
      const next = structuredClone(stored!);
      change(next);
      store(next);
    },
    fail(error: Error | undefined) {
      broken = error;
    },
    hang(value: boolean) {
      hanging = value;
    },
  };
}

function candidate(identity: string, client: Client, clock: ManualClock) {
  const stop = new AbortController();
  const terms: Leadership[] = [];
  let current: Leadership | undefined;
  const election = leaderElection({ client, clock, identity, name: 'jobs', random: () => 0 });
  const done = election.run({
    signal: stop.signal,
    async lead(leadership) {
      terms.push(leadership);
      current = leadership;
      await new Promise<void>(resolve =>
        leadership.signal.aborted
          ? resolve()
          : leadership.signal.addEventListener('abort', () => resolve(), { once: true }),
      );
      current = undefined;
    },
  });
  return {
    election,
    terms,
    stop,
    done,
    get leading() {
      return current !== undefined && !current.signal.aborted;
    },
  };
}

describe('leaderElection', () => {
  it('elects one of many, and the next one at once when it gives the lease back', async () => {
    const clock = manualClock();
    const store = leaseStore();
    const a = candidate('a', store.client, clock);
    await clock.advance(0);
    const b = candidate('b', store.client, clock);
    await clock.advance(60_000);
    expect([a.leading, b.leading, b.election.leader]).toEqual([true, false, 'a']);
    expect(store.lease?.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
    a.stop.abort();
    await clock.advance(0);
    await a.done;
    expect(store.lease?.spec).toMatchObject({ holderIdentity: '', leaseDurationSeconds: 1 });
    await clock.advance(2_000);
    expect(b.leading).toBe(true);
    expect(b.terms[0]!.term).toBe(1);
    b.stop.abort();
    await clock.advance(0);
    await b.done;
    expect(clock.pending).toBe(0);
  });

  it('gives up before anyone may follow, when it cannot renew', async () => {
    const clock = manualClock();
    const store = leaseStore();
    const a = candidate('a', store.client, clock);
    await clock.advance(0);
    await clock.advance(4_000);
    store.fail(new StatusError('ServiceUnavailable', 'not now'));
    await clock.advance(9_000);
    expect(a.leading).toBe(true);
    expect(a.terms[0]!.held()).toBe(true);
    await clock.advance(2_000);
    expect(a.leading).toBe(false);
    a.stop.abort();
    await clock.advance(10_000);
    await a.done;
  });

  it('gives up in time when a call hangs', async () => {
    const clock = manualClock();
    const store = leaseStore();
    const a = candidate('a', store.client, clock);
    await clock.advance(0);
    store.hang(true);
    await clock.advance(9_999);
    expect(a.leading).toBe(true);
    await clock.advance(1);
    expect(a.leading).toBe(false);
    a.stop.abort();
    await clock.advance(10_000);
    await a.done;
  });

  it('waits for the duration that the record names, by its own clock, whatever times stand in it', async () => {
    const clock = manualClock();
    const store = leaseStore();
    const a = candidate('a', store.client, clock);
    await clock.advance(0);
    store.edit(lease => {
      lease.spec.holderIdentity = 'elsewhere';
      lease.spec.leaseDurationSeconds = 40;
      lease.spec.renewTime = '2001-01-01T00:00:00.000000Z';
    });
    await clock.advance(2_000);
    expect(a.leading).toBe(false);
    await clock.advance(37_000);
    expect([a.leading, a.election.leader]).toEqual([false, 'elsewhere']);
    await clock.advance(8_000);
    expect(a.leading).toBe(true);
    expect(a.terms.map(({ term }) => term)).toEqual([0, 1]);
    a.stop.abort();
    await clock.advance(0);
    await a.done;
  });

  it('stays leader when a stranger writes to the lease without taking it', async () => {
    const clock = manualClock();
    const store = leaseStore();
    const a = candidate('a', store.client, clock);
    await clock.advance(0);
    store.edit(lease => {
      lease.metadata.labels = { seen: 'yes' };
    });
    await clock.advance(30_000);
    expect(a.leading).toBe(true);
    expect(store.lease?.metadata.labels).toEqual({ seen: 'yes' });
    a.stop.abort();
    await clock.advance(0);
    await a.done;
  });

  it('starts a new term for another life under the same name', async () => {
    const clock = manualClock();
    const store = leaseStore();
    const first = candidate('a', store.client, clock);
    await clock.advance(0);
    store.hang(true);
    first.stop.abort();
    await clock.advance(10_000);
    await first.done;
    store.hang(false);
    const second = candidate('a', store.client, clock);
    await clock.advance(0);
    expect(second.terms[0]!.term).toBeGreaterThan(first.terms[0]!.term);
    second.stop.abort();
    await clock.advance(0);
    await second.done;
  });

  it('never has two leaders, whatever fails when', async () => {
    const clock = manualClock();
    const store = leaseStore();
    // A fixed sequence of faults that differs per candidate.
    let seed = 7;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed / 2_147_483_648;
    };
    const flaky = new Proxy(store.client, {
      get: (target, name) => async (kind: unknown, object: never, options: never) => {
        if (random() < 0.3) throw new StatusError('ServiceUnavailable', 'not now');
        const answer = await (target as never as Record<string, (...all: unknown[]) => Promise<unknown>>)[
          name as string
        ]!(kind, object, options);
        // Done, but the answer is lost.
        if (random() < 0.1) throw new StatusError('Timeout', 'lost');
        return answer;
      },
    });
    const candidates = ['a', 'b', 'c'].map(name => candidate(name, flaky, clock));
    let changes = 0;
    let last = '';
    for (let step = 0; step < 2_000; step++) {
      await clock.advance(500);
      const leaders = candidates.filter(each => each.leading);
      expect(leaders.length).toBeLessThanOrEqual(1);
      const now = leaders[0]?.election.identity ?? '';
      if (now !== last && now !== '') changes += 1;
      last = now || last;
    }
    expect(changes).toBeGreaterThan(0);
    const terms = candidates.flatMap(each => each.terms.map(({ term }) => term));
    expect(new Set(terms).size).toBe(terms.length);
    for (const each of candidates) each.stop.abort();
    await clock.advance(10_000);
    await Promise.all(candidates.map(({ done }) => done));
  });

  it('refuses times that do not fit together', () => {
    const { client } = leaseStore();
    expect(() => leaderElection({ client, name: 'x', leaseDurationMs: 10_000 })).toThrow('leaseDurationMs');
    expect(() => leaderElection({ client, name: 'x', renewDeadlineMs: 2_000 })).toThrow('renewDeadlineMs');
  });
});

describe('elected', () => {
  it('runs a component on the leader only, and elsewhere after it has crashed', async () => {
    const clock = manualClock();
    const store = leaseStore();
    const ran: string[] = [];
    const ready: string[] = [];
    const start = (identity: string, run: (signal: AbortSignal) => Promise<void>) => {
      const stop = new AbortController();
      const component = elected({ name: 'worker', run: context => run(context.signal) }, { identity, random: () => 0 });
      const metrics = { gauge: () => ({ set() {} }) } as unknown as Metrics;
      const log = { debug() {}, info() {}, warn() {}, error() {}, with: () => log };
      const done = component.run({
        ...{ client: store.client, clock, metrics, log, signal: stop.signal },
        ready: () => ready.push(identity),
        provideClient: () => {},
      });
      return { stop, done };
    };
    const until = (signal: AbortSignal) =>
      new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
    let crash = (_error: Error) => {};
    const a = start('a', signal => {
      ran.push('a');
      return new Promise((resolve, reject) => {
        crash = reject;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    });
    await clock.advance(0);
    const b = start('b', async signal => {
      ran.push('b');
      await until(signal);
      ran.push('b ended');
    });
    await clock.advance(5_000);
    expect([ran, ready]).toEqual([['a'], ['b']]);
    const failed = expect(a.done).rejects.toThrow('broken');
    crash(new Error('broken'));
    await clock.advance(2_000);
    await failed;
    expect(ran).toEqual(['a', 'b']);
    b.stop.abort();
    await clock.advance(0);
    await b.done;
    expect(ran).toEqual(['a', 'b', 'b ended']);
    expect(store.lease?.spec.holderIdentity).toBe('');
  });
});
