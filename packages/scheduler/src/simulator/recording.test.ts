import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { type Client, compose, Node, Pod, silentLogger, systemClock } from '@orbitkit/core';
import { afterEach, expect, it } from 'vitest';
import { scheduler } from '../scheduler.js';
import { testNode } from '../testing/fixtures.js';
import { namedPolicy } from './policies.js';
import { readRecording, recordCluster, recordedPolicy } from './recording.js';
import { parseScenario } from './scenario.js';
import { simulate } from './simulate.js';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function cluster(): Promise<Client> {
  const controller = new AbortController();
  const server = apiServer({ store: memoryStore(), listen: false });
  const composition = compose({ log: silentLogger }, server, scheduler());
  const running = composition.run({ signal: controller.signal });
  stops.push(async () => {
    controller.abort();
    await running;
  });
  await composition.ready;
  return server.clientFor({ username: 'test', groups: ['system:masters'] });
}

async function addNode(client: Client, name: string): Promise<void> {
  const { metadata, spec, status } = testNode(name);
  const made = await client.create(Node, { metadata: { name, labels: metadata.labels! }, spec });
  await client.updateStatus(Node, { ...made, status });
}

const addPod = (client: Client, name: string, cpu: string) =>
  client.create(Pod, {
    metadata: { name, namespace: 'default' },
    spec: {
      containers: [
        {
          name: 'main',
          image: 'orbitkit/echo',
          env: [{ name: 'PASSWORD', value: 'not to be kept' }],
          resources: { requests: { cpu } },
        },
      ],
    },
  });

function recorder(client: Client) {
  const controller = new AbortController();
  let text = '';
  const wanted = new Set<() => void>();
  const running = recordCluster({
    client,
    clock: systemClock,
    signal: controller.signal,
    write(line) {
      text += line;
      for (const look of [...wanted]) look();
    },
  });
  const stop = async (): Promise<string> => {
    controller.abort();
    await running;
    return text;
  };
  stops.push(async () => void (await stop()));
  /** Resolves when so many lines match; the test's own time limit bounds it. */
  const told = (pattern: RegExp, times: number): Promise<void> =>
    new Promise(resolve => {
      const look = (): void => {
        if ([...text.matchAll(pattern)].length < times) return;
        wanted.delete(look);
        resolve();
      };
      wanted.add(look);
      look();
    });
  return { stop, told };
}

it("records what a cluster's scheduler decides, and replays it under other policies", async () => {
  const client = await cluster();
  for (const name of ['a', 'b']) await addNode(client, name);
  await addPod(client, 'early', '1');
  const { stop, told } = recorder(client);
  await told(/"bound"/g, 1);
  await told(/"synced"/g, 1);
  for (let i = 0; i < 4; i++) await addPod(client, `p${i}`, '500m');
  await told(/"bound"/g, 5);
  await addPod(client, 'huge', '64');
  await told(/"name":"huge"/g, 1);
  await client.delete(Pod, { namespace: 'default', name: 'p0' }, { gracePeriodSeconds: 0 });
  await client.delete(Pod, { namespace: 'default', name: 'huge' });
  await told(/"ended"/g, 2);
  const places = new Map<string, string | undefined>();
  for (const { metadata, spec } of (await client.list(Pod, { namespace: 'default' })).items)
    places.set(metadata.name, spec.nodeName);
  const text = await stop();
  expect(text).not.toContain('not to be kept');

  const recording = readRecording(text);
  expect(recording.pods.map(each => each.name)).toEqual(['early', 'p0', 'p1', 'p2', 'p3', 'huge']);
  const where = new Map<string, string>();
  const watching = recordedPolicy();
  const report = await simulate({
    ...{ nodes: recording.nodes, changes: recording.changes, until: recording.until },
    workload: [{ pods: recording.pods }],
    policies: [
      {
        ...watching,
        plugins: lent => [
          ...watching.plugins(lent),
          { name: 'Watch', postBind: (pod, node) => void where.set(pod.metadata.name, node) },
        ],
      },
      namedPolicy('mostAllocated'),
    ],
  });
  for (const [name, node] of places) expect([name, where.get(name)]).toEqual([name, node]);
  const [recorded, packed] = report.policies;
  expect(recorded!.placements).toBe(5);
  expect(packed!.placements).toBe(5);
  // Spread by the live scheduler; packed in the replay.
  expect(packed!.finalLoads[0]).toBeGreaterThan(recorded!.finalLoads[0]!);
  // Deleted by its owner, whoever decides: it neither runs nor waits at the end.
  for (const policy of report.policies) expect(policy).toMatchObject({ completed: 1, unplaced: 0 });

  const scenario = parseScenario('recording: r.jsonl\npolicies: [recorded, mostAllocated]\n', { readFile: () => text });
  const again = await simulate(scenario);
  expect(again.policies.map(each => each.placements)).toEqual([5, 5]);
});

it('refuses what is no recording, with file and line', () => {
  expect(() => readRecording('{"at":1,"synced":true}\n{"at":2}\n', 'r.jsonl')).toThrow(
    'r.jsonl:2: no line of a recording',
  );
  expect(() => readRecording('\nnot json\n', 'r.jsonl')).toThrow('r.jsonl:2: no JSON');
  expect(() => parseScenario('until: 1h\npolicies: [recorded]\n')).toThrow('policies: "recorded" needs a recording');
});
