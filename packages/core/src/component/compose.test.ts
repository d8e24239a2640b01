import { describe, expect, it } from 'vitest';
import type { Client } from '../client/client.js';
import { manualClock } from '../clock/manual-clock.js';
import type { Component, ComponentContext } from './component.js';
import { compose } from './compose.js';
import { unrecoverable } from './unrecoverable.js';

/** Resolves when the signal aborts. */
const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  );

const turn = () => new Promise(resolve => setImmediate(resolve));

function recorded(name: string, log: string[], body?: (context: ComponentContext) => Promise<void>): Component {
  return {
    name,
    async run(context) {
      log.push(`start ${name}`);
      await body?.(context);
      context.ready();
      await untilAborted(context.signal);
      log.push(`stop ${name}`);
    },
  };
}

/** A client that only knows who it is; enough to see which one a component got. */
const fakeClient = (name: string): Client => ({ get: async () => ({ metadata: { name } }) }) as unknown as Client;

describe('compose', () => {
  it('starts in order, each after the one before is ready, and stops in reverse', async () => {
    const log: string[] = [];
    let letGo!: () => void;
    const gate = new Promise<void>(resolve => {
      letGo = resolve;
    });
    const composition = compose(
      recorded('a', log, () => gate),
      recorded('b', log),
      recorded('c', log),
    );
    expect(log).toEqual([]);
    const stop = new AbortController();
    const run = composition.run({ signal: stop.signal });
    await turn();
    expect(log).toEqual(['start a']);
    expect(composition.components.map(each => each.state)).toEqual(['starting', 'waiting', 'waiting']);
    letGo();
    await composition.ready;
    expect(composition.components.map(each => each.state)).toEqual(['ready', 'ready', 'ready']);
    stop.abort();
    await run;
    expect(log).toEqual(['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
    expect(composition.components.map(each => each.state)).toEqual(['stopped', 'stopped', 'stopped']);
  });

  it('starts a crashed component again with growing waits, and from the smallest after healthy minutes', async () => {
    const clock = manualClock();
    const startedAt: number[] = [];
    const lives = [0, 0, 200_000, 0];
    const begin = clock.now();
    const composition = compose(
      { clock, random: () => 0, startTimeoutMs: 600_000 },
      {
        name: 'flaky',
        async run({ signal, ready }) {
          startedAt.push(clock.now() - begin);
          ready();
          const life = lives[startedAt.length - 1];
          if (life === undefined) return untilAborted(signal);
          await clock.sleep(life, signal);
          throw new Error('boom');
        },
      },
    );
    const stop = new AbortController();
    const run = composition.run({ signal: stop.signal });
    await clock.advance(300_000);
    expect(startedAt).toEqual([0, 500, 1_500, 202_000, 202_500 + 500]);
    expect(composition.components[0]).toMatchObject({ name: 'flaky', state: 'ready', restarts: 4 });
    expect(composition.components[0]?.lastError?.message).toBe('boom');
    expect(await composition.metrics.text()).toContain('orbitkit_component_restarts_total{component="flaky"} 4');
    stop.abort();
    await run;
    expect(clock.pending).toBe(0);
  });

  it('takes a run that returns unasked for a crash', async () => {
    const clock = manualClock();
    let starts = 0;
    await using composition = compose(
      { clock },
      {
        name: 'brief',
        async run({ ready }) {
          starts += 1;
          ready();
        },
      },
    );
    void composition.run();
    await clock.advance(600);
    expect(starts).toBe(2);
  });

  it('ends with an error that no restart mends, and stops the rest', async () => {
    const log: string[] = [];
    const composition = compose(recorded('first', log), {
      name: 'taken',
      async run() {
        throw Object.assign(new Error('listen EADDRINUSE: 127.0.0.1:6443'), { code: 'EADDRINUSE' });
      },
    });
    await expect(composition.run()).rejects.toThrow('EADDRINUSE');
    await expect(composition.ready).rejects.toThrow('EADDRINUSE');
    expect(log).toEqual(['start first', 'stop first']);
  });

  it('ends when a component says later that it cannot go on', async () => {
    const clock = manualClock();
    const composition = compose(
      { clock },
      {
        name: 'store',
        async run({ ready, signal }) {
          ready();
          await clock.sleep(1_000, signal);
          throw unrecoverable(new Error('the log is damaged'));
        },
      },
    );
    const run = composition.run();
    await composition.ready;
    const failure = expect(run).rejects.toThrow('the log is damaged');
    await clock.advance(1_000);
    await failure;
  });

  it('names what is not ready in time, with its last error', async () => {
    const clock = manualClock();
    const composition = compose(
      { clock, startTimeoutMs: 5_000 },
      {
        name: 'node',
        async run() {
          throw new Error('no such runtime');
        },
      },
    );
    const failure = expect(composition.run()).rejects.toThrow(
      'node was not ready within 5 s; its last error: no such runtime',
    );
    await clock.advance(5_000);
    await failure;
    expect(clock.pending).toBe(0);
  });

  it('names what hangs, after it has stopped the others', async () => {
    const clock = manualClock();
    const log: string[] = [];
    const stop = new AbortController();
    const composition = compose({ clock, stopTimeoutMs: 3_000 }, recorded('good', log), {
      name: 'stubborn',
      run({ ready }) {
        ready();
        return new Promise(() => undefined);
      },
    });
    const run = composition.run({ signal: stop.signal });
    await composition.ready;
    stop.abort();
    const failure = expect(run).rejects.toThrow('stubborn did not stop within 3 s');
    await clock.advance(3_000);
    await failure;
    expect(log).toContain('stop good');
  });

  it('stops while it is starting, and when it waits to start something again', async () => {
    const clock = manualClock();
    const stop = new AbortController();
    const composition = compose(
      { clock },
      {
        name: 'crashing',
        async run() {
          throw new Error('again');
        },
      },
    );
    const run = composition.run({ signal: stop.signal });
    await turn();
    stop.abort();
    await run;
    await expect(composition.ready).rejects.toThrow();
    expect(clock.pending).toBe(0);
  });

  it('runs once, and can be disposed of twice', async () => {
    const composition = compose(recorded('only', []));
    const run = composition.run();
    await composition.ready;
    await expect(composition.run()).rejects.toThrow('runs once');
    await composition[Symbol.asyncDispose]();
    await composition[Symbol.asyncDispose]();
    await run;
  });

  it('refuses two components of one name', () => {
    expect(() => compose(recorded('x', []), recorded('x', []))).toThrow('two components are named "x"');
  });
});

describe('clients in a composition', () => {
  it('gives each component a client that acts as its user', async () => {
    const users: string[] = [];
    const api: Component = {
      name: 'apiserver',
      async run({ signal, ready, provideClient }) {
        provideClient(user => {
          users.push(`${user.username} ${user.groups[0]}`);
          return fakeClient(user.username);
        });
        ready();
        await untilAborted(signal);
      },
    };
    const seen: string[] = [];
    const asks = (name: string, user?: Component['user']): Component => ({
      name,
      ...(user ? { user } : {}),
      async run({ client, ready, signal }) {
        seen.push((await client.get({} as never, { name: 'x' })).metadata.name);
        ready();
        await untilAborted(signal);
      },
    });
    await using composition = compose(
      api,
      asks('scheduler'),
      asks('n1', { username: 'system:node:n1', groups: ['system:nodes'] }),
    );
    void composition.run();
    await composition.ready;
    expect(users).toEqual(['system:scheduler system:masters', 'system:node:n1 system:nodes']);
    expect(seen).toEqual(['system:scheduler', 'system:node:n1']);
  });

  it('says what is missing when nothing provides an API', async () => {
    const clock = manualClock();
    const composition = compose(
      { clock, startTimeoutMs: 100 },
      {
        name: 'lonely',
        async run({ client }) {
          await client.get({} as never, { name: 'x' });
        },
      },
    );
    const failure = expect(composition.run()).rejects.toThrow('lonely needs an API');
    await clock.advance(100);
    await failure;
  });

  it('follows the API server through its restart, and answers ServiceUnavailable between', async () => {
    const clock = manualClock();
    let life = 0;
    let crash!: () => void;
    const api: Component = {
      name: 'apiserver',
      async run({ signal, ready, provideClient }) {
        life += 1;
        const name = `life ${life}`;
        provideClient(() => fakeClient(name));
        ready();
        await new Promise<void>((resolve, reject) => {
          crash = () => reject(new Error('crash'));
          void untilAborted(signal).then(resolve);
        });
      },
    };
    let client!: Client;
    const user: Component = {
      name: 'controller',
      async run(context) {
        client = context.client;
        context.ready();
        await untilAborted(context.signal);
      },
    };
    await using composition = compose({ clock }, api, user);
    void composition.run();
    await composition.ready;
    const who = async () => (await client.get({} as never, { name: 'x' })).metadata.name;
    expect(await who()).toBe('life 1');
    crash();
    await turn();
    await expect(who()).rejects.toMatchObject({ reason: 'ServiceUnavailable', code: 503 });
    await expect(async () => {
      for await (const _ of client.watch({} as never)) void _;
    }).rejects.toMatchObject({ reason: 'ServiceUnavailable' });
    await clock.advance(1_000);
    expect(await who()).toBe('life 2');
  });

  it('takes an API from outside', async () => {
    let name = '';
    await using composition = compose(
      { client: fakeClient('real') },
      {
        name: 'controller',
        async run({ client, ready, signal }) {
          name = (await client.get({} as never, { name: 'x' })).metadata.name;
          ready();
          await untilAborted(signal);
        },
      },
    );
    void composition.run();
    await composition.ready;
    expect(name).toBe('real');
  });
});
