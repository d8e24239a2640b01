import { apiServer, memoryStore } from '@orbitkit/apiserver';
import {
  type Client,
  type Component,
  compose,
  Event,
  EventsV1Event,
  Node,
  Pod,
  PriorityClass,
  silentLogger,
} from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { explanationText } from './explain.js';
import { explainPod } from './explain-pod.js';
import type { Plugin } from './framework/plugin.js';
import { profile } from './framework/profile.js';
import { gang, minMemberAnnotation, podGroupLabel } from './plugins/gang.js';
import { defaultPlugins, miniK8sPlugins } from './profiles.js';
import { scheduler } from './scheduler.js';
import { type NodeOptions, testNode, testPod } from './testing/fixtures.js';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const plane = (plugins?: readonly Plugin[]): Promise<Client> => planeOf(scheduler(plugins ? { plugins } : {}));

async function planeOf(component: Component): Promise<Client> {
  const controller = new AbortController();
  const server = apiServer({ store: memoryStore(), listen: false });
  const composition = compose({ log: silentLogger }, server, component);
  const running = composition.run({ signal: controller.signal });
  stops.push(async () => {
    controller.abort();
    await running;
  });
  await composition.ready;
  return server.clientFor({ username: 'test', groups: ['system:masters'] });
}

async function addNode(client: Client, name: string, options: NodeOptions = {}): Promise<void> {
  const { metadata, spec, status } = testNode(name, options);
  const made = await client.create(Node, { metadata: { name, labels: metadata.labels! }, spec });
  await client.updateStatus(Node, { ...made, status });
}

const addPod = (client: Client, name: string, spec: object = {}) =>
  client.create(Pod, {
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'main', image: 'orbitkit/echo' }], ...spec },
  });

async function eventually<T>(look: () => Promise<T>, good: (value: T) => boolean, boundMs = 5_000): Promise<T> {
  const end = Date.now() + boundMs;
  for (;;) {
    const value = await look();
    if (good(value)) return value;
    if (Date.now() > end) throw new Error(`not within ${boundMs} ms; last: ${JSON.stringify(value)}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}
const read = (client: Client, name: string) => () => client.get(Pod, { namespace: 'default', name });

describe('the live scheduler', () => {
  it('binds pods and says so', async () => {
    const client = await plane(miniK8sPlugins());
    for (const name of ['a', 'b']) {
      await addNode(client, name);
      // Nodes and pods come by watches of their own: what is on a node shows that the node is known.
      await addPod(client, `on-${name}`, { nodeSelector: { 'kubernetes.io/hostname': name } });
      await eventually(read(client, `on-${name}`), pod => !!pod.spec.nodeName);
    }
    for (let i = 0; i < 4; i++) await addPod(client, `p${i}`);
    const nodes = [];
    for (let i = 0; i < 4; i++)
      nodes.push((await eventually(read(client, `p${i}`), pod => !!pod.spec.nodeName)).spec.nodeName);
    expect(nodes.filter(name => name === 'a')).toHaveLength(2);
    const pod = await client.get(Pod, { namespace: 'default', name: 'p0' });
    expect(pod.status.conditions).toMatchObject([{ type: 'PodScheduled', status: 'True' }]);
    const events = await eventually(
      () => client.list(Event, { namespace: 'default', fieldSelector: 'reason=Scheduled' }),
      list => list.items.filter(each => each.involvedObject.name?.startsWith('p')).length === 4,
    );
    const messages = events.items.map(each => each.message);
    expect(messages.filter(each => /^Successfully assigned default\/p\d to [ab]$/.test(each ?? ''))).toHaveLength(4);
  });

  it('keeps what does not fit Pending with a reason for each node, and places it when room appears', async () => {
    const client = await plane();
    await addNode(client, 'small', { allocatable: { cpu: '1' } });
    await addNode(client, 'closed', { unschedulable: true });
    await addPod(client, 'first', {
      containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '800m' } } }],
    });
    await eventually(read(client, 'first'), pod => !!pod.spec.nodeName);
    await addPod(client, 'second', {
      containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '800m' } } }],
    });
    const waiting = await eventually(read(client, 'second'), pod => !!pod.status.conditions?.length);
    const [condition] = waiting.status.conditions!;
    expect(condition).toMatchObject({ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' });
    expect(condition!.message).toContain('0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.');
    expect(condition!.message).toContain('small: Insufficient cpu (NodeResourcesFit)');
    const events = await eventually(
      () => client.list(Event, { namespace: 'default', fieldSelector: 'reason=FailedScheduling' }),
      list => list.items.length > 0,
    );
    expect(events.items[0]!.message).toContain('closed: node(s) were unschedulable (NodeUnschedulable)');

    await client.delete(Pod, { namespace: 'default', name: 'first' }, { gracePeriodSeconds: 0 });
    const placed = await eventually(read(client, 'second'), pod => !!pod.spec.nodeName, 8_000);
    expect(placed.spec.nodeName).toBe('small');
    expect(placed.status.conditions).toMatchObject([{ type: 'PodScheduled', status: 'True' }]);
  });

  it('uses a node that comes later, or becomes ready', async () => {
    const client = await plane();
    await addPod(client, 'early');
    await eventually(read(client, 'early'), pod => !!pod.status.conditions?.length);
    await addNode(client, 'late', { ready: false });
    const node = await client.get(Node, { name: 'late' });
    await client.updateStatus(Node, {
      ...node,
      status: { ...node.status, conditions: [{ type: 'Ready', status: 'True' }] },
    });
    expect((await eventually(read(client, 'early'), pod => !!pod.spec.nodeName, 8_000)).spec.nodeName).toBe('late');
  });

  it('leaves pods of other schedulers alone, and decides again when binding failed', async () => {
    let refusals = 0;
    const flaky: Plugin = {
      name: 'Flaky',
      async preBind() {
        if (refusals++ < 1) throw new Error('the disk is not attached yet');
      },
    };
    const client = await plane([...miniK8sPlugins(), flaky]);
    await addNode(client, 'n');
    await addPod(client, 'other', { schedulerName: 'someone-else' });
    await addPod(client, 'mine');
    expect((await eventually(read(client, 'mine'), pod => !!pod.spec.nodeName, 8_000)).spec.nodeName).toBe('n');
    expect(refusals).toBe(2);
    expect((await client.get(Pod, { namespace: 'default', name: 'other' })).spec.nodeName).toBeUndefined();
  });

  it.each([
    'preFilter',
    'filter',
    'preScore',
    'score',
    'normalizeScore',
    'postFilter',
    'reserve',
    'permit',
    'preBind',
    'bind',
  ] as const)('goes on when a plugin throws in %s, and names the plugin', async point => {
    let broken = true;
    const throws = () => {
      if (broken) throw new Error('out of tea');
      return undefined;
    };
    const refuses = () => (broken ? { reasons: ['not now'] } : undefined);
    const bad: Plugin = {
      name: 'Bad',
      ...(point === 'postFilter' ? { filter: refuses } : {}),
      ...(point === 'normalizeScore' || point === 'preScore' ? { score: () => 1 } : {}),
      [point]: point === 'score' ? () => throws() ?? 1 : throws,
    };
    const client = await plane([...miniK8sPlugins(), bad]);
    await addNode(client, 'n');
    await addNode(client, 'm');
    await addPod(client, 'p');
    const events = await eventually(
      () => client.list(Event, { namespace: 'default', fieldSelector: 'reason=FailedScheduling' }),
      list => list.items.length > 0,
    );
    expect(events.items[0]!.message).toContain(`plugin "Bad" failed in ${point}: out of tea`);
    broken = false;
    await eventually(read(client, 'p'), pod => !!pod.spec.nodeName, 8_000);
  });

  it('says that a pod is bound although a plugin throws in postBind', async () => {
    const bad: Plugin = {
      name: 'Bad',
      postBind() {
        throw new Error('out of tea');
      },
    };
    const client = await plane([...miniK8sPlugins(), bad]);
    await addNode(client, 'n');
    await addPod(client, 'p');
    await eventually(
      () => client.list(Event, { namespace: 'default', fieldSelector: 'reason=Scheduled' }),
      list => list.items.length === 1,
    );
  });
});

describe('the live scheduler, with plugins that wait', () => {
  const request = (cpu: string) => ({ containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }] });

  it('lets a pod of higher priority take the place of another', async () => {
    const client = await plane();
    await client.create(PriorityClass, { metadata: { name: 'urgent' }, value: 1_000 });
    await addNode(client, 'n', { allocatable: { cpu: '1' } });
    await addPod(client, 'low', request('800m'));
    await eventually(read(client, 'low'), pod => !!pod.spec.nodeName);
    await addPod(client, 'high', { ...request('800m'), priorityClassName: 'urgent' });
    // There is no node agent here: a pod on a node waits for its grace to be confirmed.
    const victim = await eventually(read(client, 'low'), pod => !!pod.metadata.deletionTimestamp);
    expect(victim.status.conditions?.find(each => each.type === 'DisruptionTarget')).toMatchObject({ status: 'True' });
    await eventually(read(client, 'high'), pod => pod.status.nominatedNodeName === 'n');
    await client.delete(Pod, { namespace: 'default', name: 'low' }, { gracePeriodSeconds: 0 });
    expect((await eventually(read(client, 'high'), pod => !!pod.spec.nodeName, 12_000)).spec.nodeName).toBe('n');
  }, 20_000);

  it.each<[string, (client: Client) => Promise<unknown>]>([
    ['is deleted', client => client.delete(Pod, { namespace: 'default', name: 'first' })],
    [
      'gives its nomination up',
      client =>
        client.patch(
          Pod,
          { namespace: 'default', name: 'first' },
          { type: 'merge', patch: { status: { nominatedNodeName: null } } },
          { subresource: 'status' },
        ),
    ],
  ])(
    "uses room that was kept for another scheduler's pod when that %s",
    async (_how, release) => {
      const client = await plane();
      await client.create(PriorityClass, { metadata: { name: 'urgent' }, value: 1_000 });
      await addNode(client, 'n', { allocatable: { cpu: '1' } });
      const first = await addPod(client, 'first', {
        ...request('800m'),
        priorityClassName: 'urgent',
        schedulerName: 'other',
      });
      await client.updateStatus(Pod, { ...first, status: { ...first.status, nominatedNodeName: 'n' } });
      await addPod(client, 'next', request('800m'));
      await eventually(
        read(client, 'next'),
        pod => !!pod.status.conditions?.[0]?.message?.includes('Insufficient cpu'),
      );
      await release(client);
      expect((await eventually(read(client, 'next'), pod => !!pod.spec.nodeName, 8_000)).spec.nodeName).toBe('n');
    },
    20_000,
  );

  it('decides a pod that preempts no more often than needed, and ends nobody in vain', async () => {
    let decisions = 0;
    const counting: Plugin = { name: 'Counting', events: [], compile: () => ({ begin: () => void decisions++ }) };
    const client = await plane([...defaultPlugins(), counting]);
    await client.create(PriorityClass, { metadata: { name: 'urgent' }, value: 1_000 });
    const names = ['a', 'b', 'c', 'd'];
    for (const name of names) await addNode(client, name);
    const brief = { terminationGracePeriodSeconds: 0 };
    const pods = async () => (await client.list(Pod, { namespace: 'default' })).items;
    await Promise.all(
      names.flatMap(n => [1, 2, 3, 4].map(i => addPod(client, `low-${n}${i}`, { ...request('900m'), ...brief }))),
    );
    await eventually(pods, list => list.filter(each => each.spec.nodeName).length === 16);
    decisions = 0;
    await Promise.all(names.map(n => addPod(client, `high-${n}`, { ...request('3'), priorityClassName: 'urgent' })));
    const left = await eventually(
      pods,
      list => list.filter(each => each.metadata.name.startsWith('high') && each.spec.nodeName).length === 4,
      15_000,
    );
    expect(left.filter(each => each.metadata.name.startsWith('low'))).toHaveLength(4);
    // Once to find the victims and once when they are gone; once more where the second came too early.
    expect(decisions).toBeLessThanOrEqual(12);
  }, 30_000);

  it('places a gang whole or not at all', async () => {
    const client = await plane([...miniK8sPlugins(), gang({ permitTimeoutMs: 30_000 })]);
    await addNode(client, 'n');
    const member = (name: string) =>
      client.create(Pod, {
        metadata: {
          name,
          namespace: 'default',
          labels: { [podGroupLabel]: 'crew' },
          annotations: { [minMemberAnnotation]: '3' },
        },
        spec: { containers: [{ name: 'main', image: 'orbitkit/echo' }] },
      });
    await member('one');
    await member('two');
    await addPod(client, 'alone');
    // Who belongs to nobody does not wait for the others.
    await eventually(read(client, 'alone'), pod => !!pod.spec.nodeName);
    for (const name of ['one', 'two'])
      expect((await client.get(Pod, { namespace: 'default', name })).spec.nodeName).toBeUndefined();
    await member('three');
    for (const name of ['one', 'two', 'three']) await eventually(read(client, name), pod => !!pod.spec.nodeName);
  });

  it('keeps its last decisions, and follows rules that change while it runs', async () => {
    const component = scheduler();
    const client = await planeOf(component);
    await addNode(client, 'n');
    const [rules] = component.profiles;
    rules!.add({ name: 'Closed', filter: () => ({ reasons: ['closed for today'] }) });
    await addPod(client, 'p');
    await eventually(read(client, 'p'), pod => !!pod.status.conditions?.length);
    expect(component.decisions.get('default', 'p')).toMatchObject({
      outcome: 'unschedulable',
      nodes: [{ node: 'n', plugin: 'Closed', reasons: ['closed for today'], status: 'Unschedulable' }],
    });
    rules!.remove('Closed');
    await eventually(read(client, 'p'), pod => !!pod.spec.nodeName, 12_000);
    expect(component.decisions.list(1)).toMatchObject([{ name: 'p', outcome: 'placed', node: 'n' }]);
  }, 20_000);
});

describe('what it tells', () => {
  const request = (cpu: string) => ({ containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }] });
  const told = (client: Client, reason: string, count = 1) =>
    eventually(
      async () =>
        (await client.list(EventsV1Event, { namespace: 'default' })).items.filter(each => each.reason === reason),
      list => list.length >= count,
      12_000,
    );

  it('are events of the newer API: by whom, what it did, who is concerned', async () => {
    const rules = (schedulerName: string) => profile({ plugins: defaultPlugins(), schedulerName });
    const client = await planeOf(scheduler({ profiles: [rules('default-scheduler'), rules('second')] }));
    await client.create(PriorityClass, { metadata: { name: 'urgent' }, value: 1_000 });
    await addNode(client, 'n', { allocatable: { cpu: '1' } });
    await addPod(client, 'low', request('800m'));
    const [scheduled] = await told(client, 'Scheduled');
    expect(scheduled).toMatchObject({
      ...{ action: 'Binding', type: 'Normal', reportingController: 'default-scheduler' },
      note: 'Successfully assigned default/low to n',
      regarding: { kind: 'Pod', name: 'low' },
    });
    expect(scheduled!.reportingInstance).toMatch(/^default-scheduler-./);
    const high = await addPod(client, 'high', {
      ...request('800m'),
      priorityClassName: 'urgent',
      schedulerName: 'second',
    });
    const [failed] = await told(client, 'FailedScheduling');
    expect(failed).toMatchObject({ action: 'Scheduling', type: 'Warning', reportingController: 'second' });
    const [preempted] = await told(client, 'Preempted');
    expect(preempted).toMatchObject({
      ...{ action: 'Preempting', type: 'Normal', reportingController: 'second' },
      note: `Preempted by pod ${high.metadata.uid} on node n`,
      regarding: { name: 'low' },
      related: { name: 'high' },
    });
  }, 20_000);

  it('again for the same reason is a series, for another one another event', async () => {
    const component = scheduler();
    const client = await planeOf(component);
    await addNode(client, 'n', { unschedulable: true });
    await addPod(client, 'p');
    await told(client, 'FailedScheduling');
    const [rules] = component.profiles;
    rules!.reweight('ImageLocality', 2);
    const again = await eventually(
      () => told(client, 'FailedScheduling'),
      list => list.some(each => (each.series?.count ?? 0) >= 2),
      12_000,
    );
    expect(again).toHaveLength(1);
    const [older] = (await client.list(Event, { fieldSelector: 'involvedObject.name=p', namespace: 'default' })).items;
    expect(older).toMatchObject({ message: again[0]!.note, reportingComponent: 'default-scheduler' });
    rules!.add({ name: 'Closed', preFilter: () => ({ reasons: ['closed for today'] }) });
    const both = await told(client, 'FailedScheduling', 2);
    expect(both.some(each => each.note?.includes('closed for today'))).toBe(true);
  }, 30_000);
});

describe('explainPod', () => {
  it('says of each node why, for a pod that waits and for one that does not exist', async () => {
    const client = await plane();
    await addNode(client, 'small', { allocatable: { cpu: '1' } });
    await addNode(client, 'closed', { unschedulable: true });
    await addPod(client, 'big', { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '3' } } }] });
    expect(await explainPod(client, { namespace: 'default', name: 'big' })).toMatchObject({
      outcome: 'unschedulable',
      nodes: [
        { node: 'closed', plugin: 'NodeUnschedulable', status: 'UnschedulableAndUnresolvable' },
        { node: 'small', plugin: 'NodeResourcesFit', reasons: ['Insufficient cpu'] },
      ],
    });
    expect(explanationText(await explainPod(client, testPod('what-if')))).toContain('placed on small');
  });
});
