import { type DynamicObject, manualClock, silentLogger } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { servingCertificateAnnotation } from '../node-proxy/agent-address.js';
import { nodeSummaries } from './node-summaries.js';

const node = (name: string, ready = 'True') =>
  ({
    metadata: { name, uid: `uid-${name}`, annotations: { [servingCertificateAnnotation]: 'aa' } },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: 10_250 } },
      conditions: [{ type: 'Ready', status: ready }],
    },
  }) as unknown as DynamicObject;

const summary = (nanos: number) => ({
  node: { cpu: { time: '2026-01-01T00:00:00Z', usageNanoCores: nanos }, memory: { workingSetBytes: 1 } },
  pods: [],
});

function setup(answer: (what: string, signal: AbortSignal) => unknown) {
  const clock = manualClock();
  const asked: string[] = [];
  const summaries = nodeSummaries({
    clock,
    log: silentLogger,
    ask: async ({ what }, signal) => {
      asked.push(what.replace('the agent of node ', ''));
      return answer(what, signal);
    },
  });
  return { clock, asked, summaries };
}

it('keeps an answer for 15 s, and shares the request under way', async () => {
  let now = 0;
  const { clock, asked, summaries } = setup(() => summary(now));
  const nodes = [node('a')];
  const [one, two] = await Promise.all([summaries.of(nodes), summaries.of(nodes)]);
  expect([one.get('a')?.node.nanoCores, two.get('a')]).toEqual([0, one.get('a')]);
  now = 7;
  await clock.advance(14_999);
  expect((await summaries.of(nodes)).get('a')?.node.nanoCores).toBe(0);
  await clock.advance(1);
  expect((await summaries.of(nodes)).get('a')?.node.nanoCores).toBe(7);
  expect(asked).toEqual(['a', 'a']);
});

it.each([
  [
    'does not answer',
    (_what: string, signal: AbortSignal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  ],
  ['says something else', () => ({ kind: 'PodList' })],
  ['says nothing', () => null],
  ['fails', () => Promise.reject(new Error('no'))],
])('leaves out an agent that %s, and asks it again after 5 s', async (how, answer) => {
  let broken = true;
  const { clock, asked, summaries } = setup((what, signal) =>
    what.endsWith(' b') && broken ? answer(what, signal) : summary(1),
  );
  const nodes = [node('a'), node('b')];
  const reading = summaries.of(nodes);
  if (how === 'does not answer') await clock.advance(5_000);
  expect([...(await reading).keys()]).toEqual(['a']);
  broken = false;
  expect([...(await summaries.of(nodes)).keys()]).toEqual(['a']);
  await clock.advance(5_000);
  expect([...(await summaries.of(nodes)).keys()]).toEqual(['a', 'b']);
  expect(asked).toEqual(['a', 'b', 'b']);
});

it('does not ask nodes that are known not to be ready', async () => {
  const { asked, summaries } = setup(() => summary(1));
  expect([...(await summaries.of([node('a', 'Unknown'), node('b')])).keys()]).toEqual(['b']);
  expect(asked).toEqual(['b']);
});

it('asks 16 agents at a time', async () => {
  let [running, most] = [0, 0];
  const { asked, summaries } = setup(async () => {
    most = Math.max(most, ++running);
    await new Promise(resolve => setImmediate(resolve));
    running -= 1;
    return summary(1);
  });
  const nodes = Array.from({ length: 100 }, (_, index) => node(`n${index}`));
  expect((await summaries.of(nodes)).size).toBe(100);
  expect([most, asked.length]).toEqual([16, 100]);
});
