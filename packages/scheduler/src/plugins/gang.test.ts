/** All or nothing: time-out, members that go while the others wait, late ones, and groups of the PodGroup kind in a live cluster. */
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import {
  type Client,
  CustomResourceDefinition,
  compose,
  type DynamicObject,
  manualClock,
  Node,
  Pod,
  type ResourceRef,
  silentLogger,
} from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { ClusterEvent } from '../framework/event.js';
import { miniK8sPlugins } from '../profiles.js';
import { scheduler } from '../scheduler.js';
import { testNode, testPod } from '../testing/fixtures.js';
import { policyTest } from '../testing/policy-test.js';
import { gang, minMemberAnnotation, podGroupLabel } from './gang.js';

const member = (name: string, more: object = {}): Pod => {
  const pod = testPod(name, { labels: { [podGroupLabel]: 'crew' }, ...more });
  return { ...pod, metadata: { ...pod.metadata, annotations: { [minMemberAnnotation]: '3' } } };
};

describe('a group of three', () => {
  const stop = new AbortController();
  afterEach(() => stop.abort());

  function world(options = {}) {
    const clock = manualClock(0);
    const plugin = gang(options);
    const test = policyTest({ plugins: [plugin], nodes: [testNode('n')] });
    const noticed: ClusterEvent[] = [];
    plugin.attach!({
      client: { list: () => Promise.reject(new Error('no such kind')) } as unknown as Client,
      clock,
      snapshot: test.state,
      signal: stop.signal,
      notice: event => void noticed.push(event),
    });
    const said = new Map<string, unknown>();
    return {
      clock,
      plugin,
      test,
      noticed,
      said,
      /** Placed, and in Permit: what it answers is noted. */
      arrives(pod: Pod) {
        expect(test.place(pod)).toBe('n');
        const { signal } = new AbortController();
        void Promise.resolve(plugin.permit!(pod, 'n', signal)).then(refusal => {
          said.set(pod.metadata.name, refusal?.reasons[0] ?? 'goes');
          if (refusal) test.unbind(pod, 'n');
        });
      },
      settled: () => clock.advance(0),
    };
  }
  const late = 'pod group default/crew did not get its 3 places in time';

  it('waits until the third has a place, then all go', async () => {
    const { arrives, said, settled } = world();
    arrives(member('one'));
    arrives(member('two'));
    await settled();
    expect(said.size).toBe(0);
    arrives(member('three'));
    await settled();
    expect(Object.fromEntries(said)).toEqual({ one: 'goes', two: 'goes', three: 'goes' });
  });
  it('gives all places back when the time is over, and begins anew', async () => {
    const { arrives, said, settled, clock, test } = world({ permitTimeoutMs: 30_000 });
    arrives(member('one'));
    await clock.advance(20_000);
    arrives(member('two'));
    await clock.advance(9_999);
    expect(said.size).toBe(0);
    await clock.advance(1);
    // The first one's time ends it for both.
    expect(Object.fromEntries(said)).toEqual({ one: late, two: late });
    expect(test.state.nodes[0]!.pods).toEqual([]);
    said.clear();
    for (const name of ['three', 'four']) arrives(member(name));
    await settled();
    expect(said.size).toBe(0);
    arrives(member('five'));
    await settled();
    expect([...said.values()]).toEqual(['goes', 'goes', 'goes']);
  });
  it('does not count one that was deleted while it waited', async () => {
    const { arrives, said, settled, test } = world();
    const one = member('one');
    arrives(one);
    arrives(member('two'));
    test.remove(one);
    arrives(member('three'));
    await settled();
    expect(said.size).toBe(0);
    arrives(member('four'));
    await settled();
    expect(Object.fromEntries(said)).toMatchObject({ two: 'goes', three: 'goes', four: 'goes' });
  });
  it('nobody keeps a place when one of them loses its own', async () => {
    const { arrives, said, settled, test } = world();
    const [one, two] = [member('one'), member('two')];
    arrives(one);
    arrives(two);
    test.unbind(two, 'n');
    await settled();
    expect(said.get('one')).toBe(late);
  });
  it('calls those who gave up when one waits again; other groups rest', () => {
    const { arrives, noticed, plugin } = world();
    const one = member('one');
    arrives(one);
    expect(noticed).toEqual([{ type: 'PodGroup', after: one }]);
    const interest = plugin.events!.find(each => typeof each === 'object' && each.type === 'PodGroup') as {
      hint(pod: Pod, event: ClusterEvent): string;
    };
    const other = testPod('x', { labels: { [podGroupLabel]: 'other' } });
    expect(interest.hint(member('two'), noticed[0]!)).toBe('Queue');
    expect(interest.hint(other, noticed[0]!)).toBe('Skip');
    expect(interest.hint(member('two', { namespace: 'elsewhere' }), noticed[0]!)).toBe('Skip');
  });
});

const podGroups: ResourceRef<DynamicObject> = {
  ...{ group: 'scheduling.x-k8s.io', version: 'v1alpha1', kind: 'PodGroup', plural: 'podgroups', namespaced: true },
};
const definition = {
  metadata: {
    name: 'podgroups.scheduling.x-k8s.io',
    annotations: { 'api-approved.kubernetes.io': 'unapproved, for tests' },
  },
  spec: {
    group: podGroups.group,
    scope: 'Namespaced',
    names: { kind: 'PodGroup', plural: 'podgroups', singular: 'podgroup', listKind: 'PodGroupList' },
    versions: [
      {
        name: podGroups.version,
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};

async function eventually<T>(look: () => Promise<T>, good: (value: T) => boolean, boundMs = 15_000): Promise<T> {
  const end = Date.now() + boundMs;
  for (;;) {
    const value = await look().catch(error => error as T);
    if (good(value)) return value;
    if (Date.now() > end) throw new Error(`not within ${boundMs} ms; last: ${JSON.stringify(value)}`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

it('a PodGroup says how many and how long; a late member brings those who gave up', async () => {
  const stop = new AbortController();
  const server = apiServer({ store: memoryStore(), listen: false });
  const first = compose({ log: silentLogger }, server);
  const runs = [first.run({ signal: stop.signal })];
  await first.ready;
  const client = server.clientFor({ username: 'admin', groups: ['system:masters'] });
  try {
    await client.create(CustomResourceDefinition, definition as never);
    await eventually(
      () => client.list(podGroups, {}),
      list => Array.isArray(list.items),
    );
    const group = {
      metadata: { name: 'crew', namespace: 'default' },
      spec: { minMember: 3, scheduleTimeoutSeconds: 2 },
    };
    await client.create(podGroups, group as never);
    const second = compose({ log: silentLogger, client }, scheduler({ plugins: [...miniK8sPlugins(), gang()] }));
    runs.push(second.run({ signal: stop.signal }));
    await second.ready;
    const { metadata, status } = testNode('n', { allocatable: { cpu: '3' } });
    const node = await client.create(Node, { metadata: { name: 'n', labels: metadata.labels! } } as never);
    await client.updateStatus(Node, { ...node, status });
    const { spec } = testPod('p', { requests: { cpu: '1' } });
    const add = (name: string, labels: Record<string, string> = {}) =>
      client.create(Pod, { metadata: { name, namespace: 'default', labels }, spec } as never);
    const read = (name: string) => () => client.get(Pod, { namespace: 'default', name });
    const crew = { [podGroupLabel]: 'crew' };
    await add('one', crew);
    await add('two', crew);
    for (const name of ['one', 'two']) {
      const pod = await eventually(
        read(name),
        ({ status: of }) => !!of.conditions?.some(each => each.message?.includes('in time')),
      );
      expect(pod.spec.nodeName).toBeUndefined();
      expect(pod.status.conditions![0]!.message).toContain('pod group default/crew did not get its 3 places in time');
    }
    await add('three', crew);
    for (const name of ['one', 'two', 'three']) await eventually(read(name), pod => pod.spec.nodeName === 'n');
  } finally {
    stop.abort();
    await Promise.all(runs);
  }
}, 60_000);
