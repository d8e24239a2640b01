/**
 * `kill -9` of `orbit up` at random moments under 64 concurrent writers: every acknowledged write is there after the restart and none is half
 * there; the pods run on untouched. `ORBITKIT_KILLS` says how often (3; the long run takes 50), `ORBITKIT_SEED` which moments.
 *
 * kill -9 keeps what the operating system has cached; that nothing else is lost when it crashes too is the storage tests' matter.
 */
import { ConfigMap, isStatusError, Pod, seededRandom } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, startCluster, type TestCluster } from './cluster.js';
import { ended, podOf, running, shellContainer } from './manifests.js';

const namespace = 'default';
const kills = Number(process.env['ORBITKIT_KILLS'] ?? 3);
const seed = Number(process.env['ORBITKIT_SEED'] ?? Date.now() % 1_000_000);
const writers = 64;

/** What one writer knows of its object: the last number that was acknowledged, and the one that it asked for and heard nothing of. */
interface Ledger {
  name: string;
  acknowledged: number;
  asked: number;
  created: boolean;
}

/** Two halves that only a whole write brings together, and enough bytes to lie across a page. */
const dataOf = (number: number) => ({ left: String(number), filler: `${number} `.repeat(400), right: String(number) });

/** Writes one number after the other until the server is gone; conflicts and refusals are the test's error. */
async function write({ client }: TestCluster, ledger: Ledger, signal: AbortSignal): Promise<void> {
  const key = { namespace, name: ledger.name };
  while (!signal.aborted) {
    ledger.asked += 1;
    const data = dataOf(ledger.asked);
    try {
      const call = { signal, timeoutMs: 10_000 };
      if (ledger.created) await client.patch(ConfigMap, key, { type: 'merge', patch: { data } }, call);
      else await client.create(ConfigMap, { metadata: key, data }, call);
      ledger.created = true;
      ledger.acknowledged = ledger.asked;
    } catch (error) {
      const answered = isStatusError(error) && [400, 403, 404, 409, 422].includes(error.code);
      if (answered) throw error;
      return; // No answer: the write happened or did not.
    }
  }
}

async function check({ client }: TestCluster, ledgers: readonly Ledger[]): Promise<void> {
  const { items } = await client.list(ConfigMap, { namespace });
  const found = new Map(items.map(item => [item.metadata.name, item.data]));
  const problems: string[] = [];
  for (const ledger of ledgers) {
    const data = found.get(ledger.name);
    if (!data) {
      if (ledger.created) problems.push(`${ledger.name}: lost, although ${ledger.acknowledged} was acknowledged`);
      continue;
    }
    const number = Number(data['left']);
    if (JSON.stringify(data) !== JSON.stringify(dataOf(number))) problems.push(`${ledger.name}: a part of ${number}`);
    if (number !== ledger.acknowledged && number !== ledger.asked)
      problems.push(
        `${ledger.name}: ${number}, but ${ledger.acknowledged} was acknowledged and ${ledger.asked} asked for`,
      );
    ledger.created = true;
    ledger.acknowledged = number;
  }
  expect(problems).toEqual([]);
}

const ticks = 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done';
const numbersOf = (log: string) => [...log.matchAll(/^tick (\d+)$/gm)].map(match => Number(match[1]));

describe('orbit up is killed and started again', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster?.stop(), 90_000);

  it(
    `keeps every acknowledged write whole in ${kills} kills, and does not touch running pods`,
    async () => {
      const random = seededRandom(seed);
      const { client } = cluster;
      await client.create(Pod, podOf('ticker', shellContainer(ticks)));
      await running(cluster, 'ticker');
      const before = cluster.podProcess('ticker')!;
      const statusBefore = (await client.get(Pod, { namespace, name: 'ticker' })).status!;
      const ledgers = Array.from({ length: writers }, (_, index) => ({
        name: `writer-${index}`,
        acknowledged: 0,
        asked: 0,
        created: false,
      }));
      let acknowledged = 0;
      for (let kill = 1; kill <= kills; kill += 1) {
        const stop = new AbortController();
        const start = ledgers.reduce((sum, ledger) => sum + ledger.acknowledged, 0);
        const writing = Promise.all(ledgers.map(ledger => write(cluster, ledger, stop.signal)));
        writing.catch(() => {});
        const written = () => ledgers.reduce((sum, ledger) => sum + ledger.acknowledged, 0) - start;
        await eventually('writes are acknowledged', () => written() > 0);
        await new Promise(resolve => setTimeout(resolve, random() * 1_700));
        await cluster.kill('up');
        const timer = setTimeout(() => stop.abort(), 5_000);
        await writing;
        clearTimeout(timer);
        acknowledged += written();
        expect(cluster.podProcess('ticker')).toMatchObject({ pid: before.pid, startTime: before.startTime });
        await cluster.start('up');
        await check(cluster, ledgers);
      }
      console.log(
        `seed ${seed}: ${kills} kills under ${writers} writers, ${acknowledged} acknowledged writes, all there`,
      );
      expect(acknowledged).toBeGreaterThanOrEqual(kills);

      const pod = await running(cluster, 'ticker');
      const container = pod.status?.containerStatuses?.[0];
      expect(cluster.podProcess('ticker')).toMatchObject({ pid: before.pid, startTime: before.startTime });
      expect(container?.restartCount).toBe(0);
      expect(container?.containerID).toBe(statusBefore.containerStatuses?.[0]?.containerID);
      expect(container?.state?.running?.startedAt).toBe(statusBefore.containerStatuses?.[0]?.state?.running?.startedAt);
      expect(pod.status?.podIP).toBe(statusBefore.podIP);
      const numbers = await eventually('the logs go on', async () => {
        const { out } = await cluster.orbit(['logs', 'ticker']);
        const found = numbersOf(out);
        if (found.length < 20) throw new Error(out);
        return found;
      });
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => index + 1));
    },
    60_000 + kills * 20_000,
  );

  it('reports the exit code of a container that ended while it was away, and starts what should run', async () => {
    const { client } = cluster;
    const wait = 'until test -e $HOME/go; do sleep 0.05; done; echo bye; exit 9';
    await client.create(Pod, podOf('ends', shellContainer(wait), { restartPolicy: 'Never' }));
    await client.create(Pod, podOf('dies', shellContainer('sleep 1000'), { restartPolicy: 'Always' }));
    await running(cluster, 'ends');
    await running(cluster, 'dies');
    const home = cluster
      .podProcess('ends')!
      .environment.find(variable => variable.startsWith('HOME='))!
      .slice('HOME='.length);
    await cluster.kill('up');
    expect(await cluster.run('touch', [`${home}/go`])).toMatchObject({ code: 0 });
    process.kill(cluster.podProcess('dies')!.pid, 'SIGKILL');
    await eventually('both have ended', () => !cluster.podProcess('ends'));
    const away = new Date().toISOString();
    await cluster.start('up');
    const pod = await ended(cluster, 'ends');
    expect(pod.status?.phase).toBe('Failed');
    const { terminated } = pod.status?.containerStatuses?.[0]?.state ?? {};
    expect(terminated).toMatchObject({ exitCode: 9, reason: 'Error' });
    expect(Date.parse(terminated?.finishedAt ?? '')).toBeLessThanOrEqual(Date.parse(away));
    expect((await cluster.orbit(['logs', 'ends'])).out).toBe('bye\n');
    await eventually('the other runs again', async () => {
      const container = (await client.get(Pod, { namespace, name: 'dies' })).status?.containerStatuses?.[0];
      if (!container?.ready || container.restartCount !== 1) throw new Error(JSON.stringify(container));
      expect(container.lastState?.terminated?.exitCode).toBe(137);
    });
  }, 90_000);
});
