/**
 * The faults that an informer has to survive, one scenario each: what goes wrong at the server, and what must be true afterwards. They run against any
 * informer (`Subject`), so that a table can compare; against ours they are tests.
 *
 * A scenario passes when, after its fault, what the handlers were told amounts to what the server has, and what it checks besides.
 */
import { type Asked, FaultyServer } from './faulty-server.js';
import type { HandlerManner, RunningSubject, Subject, Told } from './subject.js';

export interface Outcome {
  passed: boolean;
  /** In a few words: how long it took, or what is wrong. */
  text: string;
}

/** What a scenario works with. */
interface Stage {
  server: FaultyServer;
  subject: RunningSubject;
  told: Told[];
  toldSlow: Told[];
  /** Handed out by the host: rejections that nobody handled, the end of the process. */
  problems: string[];
  /** Until what was told amounts to what the server has. */
  agrees(what: string): Promise<void>;
  until(what: string, condition: () => boolean): Promise<void>;
  pause(ms: number): Promise<void>;
}

export interface Scenario {
  name: string;
  tls?: boolean;
  manner?: HandlerManner;
  /** Seconds that an informer has to recover. Default 10. */
  patience?: number;
  /** Before the informer starts. Default: the server listens and has `a` and `b`. */
  before?(server: FaultyServer): Promise<void> | void;
  /** After the start. Default: nothing but that the informer agrees. */
  act?(stage: Stage): Promise<void>;
  /** Informers without this do not do what the scenario is about. */
  needs?: 'pages';
}

class Failed extends Error {}
const expect = (condition: boolean, text: string): void => {
  if (!condition) throw new Failed(text);
};
const first =
  (kind: Asked['kind'], times: number, fault: ReturnType<FaultyServer['fault']>) => (server: FaultyServer) => {
    server.fault = asked => (asked.kind === kind && asked.index < times ? fault : undefined);
  };
/** The watch ends, and those that follow meet the fault. */
const atWatch =
  (fault: ReturnType<FaultyServer['fault']>, times = 1) =>
  async ({ server, agrees, until }: Stage) => {
    await agrees('the first list');
    await until('a watch', () => server.watches.size > 0);
    let left = times;
    server.fault = asked => (asked.kind === 'watch' && left-- > 0 ? fault : undefined);
    server.endWatches('end');
    server.put('a', 'after the fault');
    await agrees('the change after the fault');
  };
/** Something is written to the open watch, then the world goes on. */
const onStream =
  (write: (server: FaultyServer) => void) =>
  async ({ server, agrees, until }: Stage) => {
    await agrees('the first list');
    await until('a watch', () => server.watches.size > 0);
    write(server);
    server.put('a', 'after the fault');
    await agrees('the change after the fault');
  };

export const scenarios: readonly Scenario[] = [
  {
    name: 'connection refused for 1 s',
    before: server => server.reserve(),
    async act({ server, agrees, pause }) {
      await pause(1_000);
      await server.listen();
      await agrees('the first list');
    },
  },
  {
    name: 'TLS handshake fails for 1 s',
    tls: true,
    before: server => server.listenForNonsense(),
    async act({ server, agrees, pause }) {
      await pause(1_000);
      await server.close();
      await server.listen();
      await agrees('the first list');
    },
  },
  { name: 'LIST 401 once (token refreshed)', before: first('list', 1, { status: 401 }) },
  { name: 'LIST 403 twice (role bound later)', before: first('list', 2, { status: 403 }) },
  { name: 'LIST 404 twice (kind created later)', before: first('list', 2, { status: 404 }) },
  { name: 'LIST 429 with Retry-After', before: first('list', 1, { status: 429, retryAfter: 1 }) },
  { name: 'LIST 500 once', before: first('list', 1, { status: 500 }) },
  { name: 'LIST 503 once', before: first('list', 1, { status: 503 }) },
  { name: 'LIST reset', before: first('list', 1, 'reset') },
  { name: 'LIST cut in the middle of its JSON', before: first('list', 1, 'truncate') },
  {
    name: 'LIST page expired (410 on continue)',
    needs: 'pages',
    before(server) {
      let expired = false;
      server.fault = asked => {
        if (!asked.continued || expired) return undefined;
        expired = true;
        return { status: 410 };
      };
    },
  },
  { name: 'WATCH 429 with Retry-After', act: atWatch({ status: 429, retryAfter: 1 }) },
  { name: 'WATCH 500 once', act: atWatch({ status: 500 }) },
  { name: 'WATCH 503 twice', act: atWatch({ status: 503 }, 2) },
  {
    name: 'WATCH ends at once, again and again',
    async act({ server, agrees, pause, until }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      server.fault = asked => (asked.kind === 'watch' ? 'end' : undefined);
      const before = server.asked.length;
      server.endWatches('end');
      await pause(4_000);
      const asked = server.asked.length - before;
      server.fault = () => undefined;
      server.put('a', 'after the fault');
      await agrees('the change after the fault');
      expect(asked <= 12, `${asked} requests in 4 s: no back-off`);
    },
  },
  { name: 'WATCH reset', act: onStream(server => server.endWatches('reset')) },
  {
    name: 'WATCH half-open (no bytes, no end)',
    patience: 45,
    async act({ server, agrees, until, pause }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      server.bookmark();
      await pause(300);
      // The server forgets its watches; their connections stay.
      server.watches.clear();
      server.put('a', 'after the fault');
      await agrees('the change after the fault');
    },
  },
  { name: 'WATCH line that is not JSON', act: onStream(server => server.write('{"type":"ADDED","obj\n')) },
  {
    name: 'WATCH events byte by byte, in UTF-8',
    async act({ server, agrees, until }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      server.send = (response, line) => {
        for (const byte of Buffer.from(line)) response.write(Buffer.of(byte));
      };
      server.put('a', 'Grüße, 世界 🚢');
      server.put('c', '🚢'.repeat(20));
      await agrees('both changes');
    },
  },
  { name: 'WATCH ERROR event 410', act: onStream(server => server.writeError(410, 'Expired')) },
  { name: 'WATCH ERROR event 500', act: onStream(server => server.writeError(500, 'InternalError')) },
  {
    name: 'history compacted while disconnected',
    async act({ server, agrees, until }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      server.remove('a', true);
      server.put('b', 'changed meanwhile', true);
      server.put('c', 'new meanwhile', true);
      server.compact();
      server.endWatches('end');
      await agrees('what happened meanwhile');
    },
  },
  {
    name: 'versions go backwards (store restored)',
    async act({ server, agrees, until }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      for (let i = 0; i < 5; i++) server.put('b', `b${i}`);
      await agrees('five changes');
      server.restore({ a: 'of yesterday', z: 'of yesterday' });
      server.endWatches('reset');
      await until('a watch again', () => server.watches.size > 0);
      server.put('a', 'after the fault');
      await agrees('the restored world');
    },
  },
  {
    name: 'duplicate and stale events',
    async act({ server, agrees, until, told }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      server.put('a', 'new');
      await agrees('the change');
      const seen = told.length;
      server.writeEvent('MODIFIED', server.objects.get('a')!);
      server.put('b', 'mark');
      await agrees('the next change');
      expect(told.length === seen + 1, 'an event that came twice was announced twice');
    },
  },
  {
    name: 'deleted and made again while disconnected',
    async act({ server, agrees, until, told }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      server.remove('a', true);
      server.put('a', 'another', true);
      server.compact();
      server.endWatches('end');
      await agrees('the new object');
      const deleted = told.some(({ what, name, uid }) => what === 'delete' && name === 'a' && uid === 'uid-1');
      expect(deleted, 'told as an update; the old object cannot be told from the new');
    },
  },
  ...(['throws', 'rejects', 'hangs'] as const).map(
    (manner): Scenario => ({
      name: `a handler ${manner === 'hangs' ? 'never settles' : manner}`,
      manner,
      async act({ server, agrees, until, pause, problems }) {
        await agrees('the first list, by the other handler');
        await until('a watch', () => server.watches.size > 0);
        server.put('a', 'after the fault');
        await agrees('the change, by the other handler');
        await pause(100);
        expect(problems.length === 0, problems[0] ?? '');
      },
    }),
  ),
  {
    name: 'slow handler (5 ms), backlog of 10,000',
    manner: 'slow',
    patience: 90,
    async act({ server, agrees, until, toldSlow }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      for (let i = 1; i <= 10_000; i++) server.put(i % 2 ? 'a' : 'b', String(i));
      await agrees('all changes, by the other handler');
      const last = (name: string) => toldSlow.filter(told => told.name === name).at(-1)?.value;
      await until('its end', () => last('a') === '9999' && last('b') === '10000');
      for (const name of ['a', 'b']) {
        const values = toldSlow.filter(told => told.name === name).map(told => Number(told.value) || 0);
        expect(
          values.every((value, i) => i === 0 || value > values[i - 1]!),
          'states of an object out of order',
        );
      }
    },
  },
  {
    name: 'handler slower with adds than with deletes',
    manner: 'slow',
    async act({ server, agrees, until, toldSlow }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      server.put('c', '1');
      server.put('c', '2');
      server.remove('c');
      server.put('d', 'mark');
      await until('the mark', () => toldSlow.some(told => told.name === 'd'));
      const last = toldSlow.filter(told => told.name === 'c').at(-1);
      expect(!last || last.what === 'delete', `the last word on a deleted object was "${last?.what}"`);
    },
  },
  ...(
    [
      ['during the first list', 'silent'],
      ['while it backs off', { status: 503 }],
    ] as const
  ).map(
    ([when, fault]): Scenario => ({
      name: `stopped ${when}`,
      before: first('list', 1_000, fault),
      async act({ server, subject, until, pause, told }) {
        await until('a request', () => server.asked.length > 0);
        await pause(200);
        await subject.stop();
        await pause(100);
        server.fault = () => undefined;
        const asked = server.asked.length;
        await pause(6_000);
        expect(server.asked.length === asked, 'it asks again after its stop');
        expect(told.length === 0, 'it told of objects after its stop');
        expect(server.sockets.size === 0, `${server.sockets.size} connections are left`);
      },
    }),
  ),
  {
    name: 'stopped in the middle of a handler',
    manner: 'slow',
    async act({ server, subject, agrees, until, pause, told }) {
      await agrees('the first list');
      await until('a watch', () => server.watches.size > 0);
      for (let i = 0; i < 100; i++) server.put('a', String(i));
      await subject.stop();
      await pause(100);
      const heard = told.length;
      for (let i = 0; i < 10; i++) server.put('b', String(i));
      await pause(6_000);
      expect(told.length === heard, 'it told of changes after its stop');
      expect(server.watches.size === 0, 'its watch is still open');
    },
  },
  {
    name: 'started twice',
    async act({ server, subject, agrees, pause, told }) {
      await agrees('the first list');
      await subject.startAgain();
      await pause(1_500);
      server.put('c', 'once');
      await agrees('a change');
      await pause(300);
      expect(server.watches.size <= 1, `${server.watches.size} watches are open`);
      expect(told.filter(({ name }) => name === 'c').length === 1, 'a change was told more than once');
    },
  },
];

/** Runs one scenario. `host` lends the informer and what is known about its process. */
export async function runScenario(
  scenario: Scenario,
  subject: Subject,
  { problems = [] as string[], patienceScale = 1 } = {},
): Promise<Outcome> {
  const server = new FaultyServer(scenario.tls);
  const told: Told[] = [];
  const toldSlow: Told[] = [];
  const view = new Map<string, string>();
  const report = (change: Told) => {
    told.push(change);
    if (change.what === 'delete') view.delete(change.name);
    else view.set(change.name, change.value);
  };
  const patience = (scenario.patience ?? 10) * 1_000 * patienceScale;
  const began = performance.now();
  let waited = 0;
  const until = async (what: string, condition: () => boolean) => {
    const from = performance.now();
    while (!condition()) {
      const gone = performance.now() - from;
      if (gone > patience)
        throw new Failed(`not in ${Math.round(gone / 1_000)} s: ${what}${problems[0] ? `; ${problems[0]}` : ''}`);
      await new Promise(resolve => setTimeout(resolve, 10));
    }
    waited = performance.now() - from;
  };
  const agrees = (what: string) =>
    until(what, () => {
      if (view.size !== server.objects.size) return false;
      for (const { name, value } of server.objects.values()) if (view.get(name) !== value) return false;
      return true;
    });
  server.put('a', 'first');
  server.put('b', 'first');
  let running: RunningSubject | undefined;
  try {
    await scenario.before?.(server);
    if (server.url.endsWith(':0')) await server.listen();
    running = await subject({
      server: server.url,
      manner: scenario.manner ?? 'reports',
      report,
      reportSlow: change => toldSlow.push(change),
    });
    const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));
    if (scenario.act) await scenario.act({ server, subject: running, told, toldSlow, problems, agrees, until, pause });
    else await agrees('the first list');
    if (!scenario.act) waited = performance.now() - began;
    return { passed: true, text: `${(waited / 1_000).toFixed(1)} s` };
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    return { passed: false, text: error.message };
  } finally {
    await running?.stop();
    await server.close();
  }
}
