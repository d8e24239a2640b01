import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { createAuthority, issueClientCertificate, issueServingCertificate } from '@orbitkit/apiserver/pki';
import { type Client, compose, Event, Node, Pod, PriorityClass, silentLogger, systemClock } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { profile } from '../framework/profile.js';
import { resourceFit } from '../plugins/resource-fit.js';
import { type SchedulerOptions, scheduler } from '../scheduler.js';
import { snapshotOf } from '../snapshot/snapshot.js';
import { boundTo, testNode, testPod } from '../testing/fixtures.js';
import { checkExtenders, type ExtenderConfig, timeoutMsOf } from './config.js';
import { extenderOf } from './extender-of.js';
import { extendersOf } from './extenders.js';
import { type ExtenderServerOptions, extenderServer } from './server.js';
import { write } from './wire.js';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function listen(handler: RequestListener, tls?: ServerOptions): Promise<string> {
  const server = (tls ? createTlsServer(tls, handler) : createServer(handler)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const serve = (options: ExtenderServerOptions) => listen(extenderServer(options));

/** Answers each path with this body, and remembers what it was asked. */
async function canned(answers: Record<string, unknown>, status = 200) {
  const asked: { path: string; body: any }[] = [];
  const url = await listen((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', chunk => chunks.push(chunk));
    request.on('end', () => {
      asked.push({ path: request.url!, body: JSON.parse(Buffer.concat(chunks).toString()) });
      response.writeHead(status).end(JSON.stringify(answers[request.url!]));
    });
  });
  return { url, asked };
}

const nodes = [testNode('a'), testNode('b'), testNode('c')];
const world = snapshotOf(nodes);
const never = new AbortController().signal;
function ask(...configs: ExtenderConfig[]) {
  const all = extendersOf(configs, { clock: systemClock, log: silentLogger });
  stops.push(() => all.close());
  return all;
}
const post = async (url: string, body: unknown, method = 'POST') => {
  const answer = await fetch(url, {
    method,
    ...(method === 'POST' ? { body: typeof body === 'string' ? body : JSON.stringify(body) } : {}),
  });
  return { status: answer.status, text: await answer.text() };
};

describe('the bodies', () => {
  const pod = testPod('web');
  it('are spelled as extender/v1 today, and as it was', () => {
    const filter = { Pod: pod, Nodes: null, NodeNames: ['a'] };
    expect(JSON.parse(write(filter, 'current'))).toEqual({ Pod: pod, Nodes: null, NodeNames: ['a'] });
    expect(JSON.parse(write(filter, 'legacy'))).toEqual({ pod, nodes: null, nodenames: ['a'] });
    const binding = { PodName: 'web', PodNamespace: 'default', PodUID: 'u', Node: 'a' };
    expect(write(binding, 'current')).toBe('{"PodName":"web","PodNamespace":"default","PodUID":"u","Node":"a"}');
    expect(write(binding, 'legacy')).toBe('{"podName":"web","podNamespace":"default","podUID":"u","node":"a"}');
    const meta = {
      Pod: pod,
      NodeNameToVictims: null,
      NodeNameToMetaVictims: { Alpha: { Pods: [{ UID: 'u' }], NumPDBViolations: 1 } },
    };
    expect(JSON.parse(write(meta, 'legacy'))).toEqual({
      pod,
      nodeNameToVictims: null,
      nodeNameToMetaVictims: { Alpha: { pods: [{ uid: 'u' }], numPDBViolations: 1 } },
    });
    expect(write([{ Host: 'a', Score: 3 }], 'legacy')).toBe('[{"host":"a","score":3}]');
  });

  it.each([
    [
      'current',
      { Pod: pod, Nodes: { metadata: {}, items: [nodes[0], nodes[1]] }, NodeNames: null },
      {
        Nodes: { metadata: {}, items: [nodes[1]] },
        NodeNames: null,
        FailedNodes: { a: 'full' },
        FailedAndUnresolvableNodes: null,
        Error: '',
      },
    ],
    [
      'names',
      { Pod: pod, Nodes: null, NodeNames: ['a', 'b'] },
      { Nodes: null, NodeNames: ['b'], FailedNodes: { a: 'full' }, FailedAndUnresolvableNodes: null, Error: '' },
    ],
    [
      'legacy',
      { pod, nodenames: ['a', 'b'] },
      { nodes: null, nodenames: ['b'], failedNodes: { a: 'full' }, failedAndUnresolvableNodes: null, error: '' },
    ],
  ])('of filter are answered as they were asked: %s', async (_name, question, golden) => {
    const url = await serve({ filter: () => ({ nodes: ['b', 'stranger'], failed: { a: 'full' } }) });
    const answer = await post(`${url}/scheduler/filter`, question);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual(golden);
  });

  it('of the other verbs, too', async () => {
    const url = await serve({
      prioritize: () => ({ b: 7.4 }),
      bind: ({ podUid }) => {
        if (podUid !== 'u') throw new Error('another pod');
      },
      preempt: ({ victims }) => new Map([...victims].filter(([node]) => node === 'a')),
    });
    expect((await post(`${url}/prioritize`, { Pod: pod, NodeNames: ['a', 'b'] })).text).toBe(
      '[{"Host":"a","Score":0},{"Host":"b","Score":7}]',
    );
    expect((await post(`${url}/prioritize`, { pod, nodenames: ['b'] })).text).toBe('[{"host":"b","score":7}]');
    expect((await post(`${url}/bind`, { PodName: 'web', PodNamespace: 'default', PodUID: 'u', Node: 'a' })).text).toBe(
      '{"Error":""}',
    );
    expect((await post(`${url}/bind`, { podName: 'web', podNamespace: 'default', podUID: 'x', node: 'a' })).text).toBe(
      '{"error":"another pod"}',
    );
    const victims = { a: { Pods: [pod], NumPDBViolations: 2 }, b: { Pods: [], NumPDBViolations: 0 } };
    expect(
      (await post(`${url}/preempt`, { Pod: pod, NodeNameToVictims: victims, NodeNameToMetaVictims: null })).text,
    ).toBe(`{"NodeNameToMetaVictims":{"a":{"Pods":[{"UID":"${pod.metadata.uid}"}],"NumPDBViolations":2}}}`);
  });

  it('that are wrong are refused with where and what', async () => {
    const url = await serve({ filter: () => ({ nodes: [] }), prioritize: () => ({ a: 11 }), bodyLimit: 5_000 });
    expect(await post(`${url}/filter`, '{')).toMatchObject({ status: 400, text: expect.stringContaining('not JSON') });
    expect(await post(`${url}/filter`, { Pod: {} })).toMatchObject({
      status: 400,
      text: expect.stringContaining('Pod must be a pod'),
    });
    expect(await post(`${url}/filter`, { Pod: pod })).toMatchObject({
      status: 400,
      text: expect.stringContaining('Nodes and NodeNames'),
    });
    expect(await post(`${url}/filter`, { Pod: pod, NodeNames: [1] })).toMatchObject({ status: 400 });
    expect(await post(`${url}/filter`, 'x'.repeat(6_000))).toMatchObject({ status: 413 });
    expect(await post(`${url}/filter`, undefined, 'GET')).toMatchObject({ status: 405 });
    expect(await post(`${url}/bind`, {})).toMatchObject({
      status: 404,
      text: expect.stringContaining('filter, prioritize'),
    });
    expect(await post(`${url}/prioritize`, { Pod: pod, NodeNames: ['a'] })).toMatchObject({
      status: 500,
      text: expect.stringContaining('score 11'),
    });
    expect(await post(`${url}/healthz`, undefined, 'GET')).toEqual({ status: 200, text: 'ok' });
  });
});

describe('asking', () => {
  const pod = testPod('web', { requests: { 'example.com/ip': '1' } });

  it.each([
    ['current', { NodeNames: ['b'], FailedNodes: { a: 'no address' }, FailedAndUnresolvableNodes: { c: 'never' } }],
    [
      'legacy',
      { nodenames: ['b'], failedNodes: { a: 'no address' }, failedAndUnresolvableNodes: { c: 'never' }, error: '' },
    ],
  ])('reads answers in both spellings: %s', async (_name, answer) => {
    const { url, asked } = await canned({ '/v1/filter': answer });
    const verdict = await ask({ urlPrefix: `${url}/v1/`, filterVerb: 'filter', nodeCacheCapable: true }).consult(
      pod,
      world.nodes,
      never,
    );
    expect([...verdict.nodes]).toEqual(['b']);
    expect(verdict.refusals.get('a')).toMatchObject({ reasons: ['no address'] });
    expect(verdict.refusals.get('a')!.unresolvable).toBeUndefined();
    expect(verdict.refusals.get('c')).toMatchObject({ reasons: ['never'], unresolvable: true });
    expect(asked).toEqual([{ path: '/v1/filter', body: { Pod: pod, Nodes: null, NodeNames: ['a', 'b', 'c'] } }]);
  });

  it('sends whole nodes, adds weighted scores up, and leaves scores of who fails out', async () => {
    const { url, asked } = await canned({
      '/filter': { nodes: { items: [nodes[0], nodes[2]] } },
      '/score': [
        { host: 'a', score: 2 },
        { Host: 'c', Score: 5 },
      ],
    });
    const broken = await canned({}, 500);
    const all = ask(
      { urlPrefix: url, filterVerb: 'filter', prioritizeVerb: 'score', weight: 3 },
      { urlPrefix: broken.url, prioritizeVerb: 'score' },
    );
    const verdict = await all.consult(pod, world.nodes, never);
    expect([...verdict.nodes]).toEqual(['a', 'c']);
    expect([...verdict.scores]).toEqual([
      ['a', 60],
      ['c', 150],
    ]);
    expect(asked[0]!.body).toEqual({ Pod: pod, Nodes: { metadata: {}, items: nodes }, NodeNames: null });
    expect(asked[1]!.body.Nodes.items).toHaveLength(2);
  });

  it('fails with the extender, unless it is ignorable', async () => {
    const silent = await listen(() => {});
    const broken = await canned({ '/filter': 'down' }, 503);
    const said = await canned({ '/filter': { Error: 'no pool' } });
    const strange = await canned({ '/filter': { NodeNames: ['z'] } });
    const cases: [ExtenderConfig, RegExp][] = [
      [{ urlPrefix: silent, httpTimeout: '50ms' }, /filter: .*/],
      [{ urlPrefix: broken.url }, /it answered 503/],
      [{ urlPrefix: said.url }, /no pool/],
      [{ urlPrefix: strange.url, nodeCacheCapable: true }, /node "z", which it was not asked about/],
      [{ urlPrefix: 'http://127.0.0.1:1' }, /extender http:\/\/127\.0\.0\.1:1, filter/],
    ];
    for (const [config, message] of cases) {
      await expect(ask({ ...config, filterVerb: 'filter' }).consult(pod, world.nodes, never)).rejects.toThrow(message);
      const verdict = await ask({ ...config, filterVerb: 'filter', ignorable: true }).consult(pod, world.nodes, never);
      expect(verdict.nodes.size).toBe(3);
    }
  });

  it('over TLS knows the server by its authority, and shows its own certificate', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'orbit-extender-'));
    stops.push(() => rm(dir, { recursive: true, force: true }));
    const authority = await createAuthority({ dir });
    const own = await issueServingCertificate(authority, { name: 'extender', hosts: ['127.0.0.1'] });
    const client = await issueClientCertificate(authority, { name: 'scheduler', username: 'scheduler' });
    const tls = {
      cert: own.certificate,
      key: own.key,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    };
    const url = await listen(extenderServer({ filter: ({ nodeNames }) => ({ nodes: nodeNames.slice(1) }) }), tls);
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const tlsConfig = {
      caData: base64(authority.certificate),
      certData: base64(client.certificate),
      keyData: base64(client.key),
    };
    const { host } = new URL(url);
    const config = { urlPrefix: `http://${host}`, enableHTTPS: true, filterVerb: 'filter', tlsConfig };
    expect([...(await ask(config).consult(pod, world.nodes, never)).nodes]).toEqual(['b', 'c']);
    const { caData: _caData, ...withoutCa } = tlsConfig;
    await expect(ask({ ...config, tlsConfig: withoutCa }).consult(pod, world.nodes, never)).rejects.toThrow(
      /certificate/,
    );
    const insecure = { ...withoutCa, insecure: true };
    expect((await ask({ ...config, tlsConfig: insecure }).consult(pod, world.nodes, never)).nodes.size).toBe(2);
  });

  it('asks only about pods with managed resources, in requests or limits, of init containers too', () => {
    const all = ask({
      urlPrefix: 'http://127.0.0.1:1',
      filterVerb: 'filter',
      managedResources: [{ name: 'example.com/ip' }],
    });
    const container = { name: 'c', image: 'i' };
    expect(all.decides(pod)).toBe(true);
    expect(all.decides(testPod('other', { requests: { cpu: '1' } }))).toBe(false);
    expect(
      all.decides(
        testPod('init', {
          spec: {
            containers: [container],
            initContainers: [{ ...container, resources: { limits: { 'example.com/ip': '1' } } }],
          },
        }),
      ),
    ).toBe(true);
  });

  it('lets preemption be narrowed, by uid or with whole pods', async () => {
    const [x, y] = [boundTo(testPod('x'), 'a'), boundTo(testPod('y'), 'b')];
    const candidates = [
      { node: 'a', victims: [x], broken: 0 },
      { node: 'b', victims: [y], broken: 0 },
    ];
    const found = { node: 'a', victims: [x], candidates };
    for (const nodeCacheCapable of [true, false]) {
      const url = await serve({ preempt: ({ victims }) => new Map([['b', victims.get('b')!]]) });
      const config = { urlPrefix: url, preemptVerb: 'preempt', nodeCacheCapable };
      expect(await ask(config).preempt(pod, found, never)).toMatchObject({ node: 'b', victims: [y] });
    }
    const none = await serve({ preempt: () => new Map() });
    expect(await ask({ urlPrefix: none, preemptVerb: 'preempt' }).preempt(pod, found, never)).toBeUndefined();
    const liar = await canned({ '/preempt': { NodeNameToMetaVictims: { a: { Pods: [{ UID: 'who' }] } } } });
    await expect(ask({ urlPrefix: liar.url, preemptVerb: 'preempt' }).preempt(pod, found, never)).rejects.toThrow(
      /victim "who"/,
    );
  });

  it.each<[string, ExtenderConfig[], RegExp]>([
    ['no URL', [{ urlPrefix: 'here' }], /extenders\[0\]\.urlPrefix: "here" is not a URL/],
    [
      'two binders',
      [
        { urlPrefix: 'http://a', bindVerb: 'b' },
        { urlPrefix: 'http://b', bindVerb: 'b' },
      ],
      /extenders\[1\]\.bindVerb/,
    ],
    ['no weight', [{ urlPrefix: 'http://a', prioritizeVerb: 'p', weight: 0 }], /weight above 0/],
    ['time', [{ urlPrefix: 'http://a', httpTimeout: 'soon' }], /extenders\[0\]\.httpTimeout: "soon"/],
    [
      'a resource twice',
      [{ urlPrefix: 'http://a', managedResources: [{ name: 'x/y' }, { name: 'x/y' }] }],
      /two extenders/,
    ],
  ])('refuses a wrong configuration: %s', (_name, configs, message) => {
    expect(() => checkExtenders(configs)).toThrow(message);
  });

  it('reads durations', () => {
    expect(
      [undefined, '100ms', '1m30s', 250].map(httpTimeout =>
        timeoutMsOf({ urlPrefix: '', ...(httpTimeout === undefined ? {} : { httpTimeout }) }),
      ),
    ).toEqual([5_000, 100, 90_000, 250]);
  });
});

describe('a profile as an extender', () => {
  it('answers from the nodes it is sent, or from the cluster it knows', async () => {
    const plugin = {
      name: 'Quietest',
      filter: (_pod: Pod, node: { name: string }) =>
        node.name === 'a' ? { reasons: ['not a'], unresolvable: true } : undefined,
      score: (_pod: Pod, node: { name: string }) => (node.name === 'c' ? 80 : 20),
    };
    const url = await serve(extenderOf(plugin));
    const config = { urlPrefix: url, filterVerb: 'filter', prioritizeVerb: 'prioritize' };
    const verdict = await ask(config).consult(testPod('web'), world.nodes, never);
    expect(verdict.refusals.get('a')).toMatchObject({ reasons: ['not a'], unresolvable: true });
    expect([...verdict.scores]).toEqual([
      ['b', 20],
      ['c', 80],
    ]);
    await expect(
      ask({ ...config, nodeCacheCapable: true }).consult(testPod('web'), world.nodes, never),
    ).rejects.toThrow(/nodeCacheCapable: false/);
    // Who is not Go leaves parts out that Go sends empty.
    const bare = (name: string) => ({ metadata: { name } });
    const question = { Pod: testPod('web'), Nodes: { items: [bare('a'), bare('b')] } };
    const sparing = await (await fetch(`${url}/filter`, { method: 'POST', body: JSON.stringify(question) })).json();
    expect(sparing).toMatchObject({ Nodes: { items: [bare('b')] }, Error: '' });

    const low = boundTo(testPod('low', { requests: { cpu: '3' } }), 'a');
    const full = snapshotOf(nodes, [low, boundTo(testPod('more', { requests: { cpu: '4' } }), 'b')]);
    const known = await serve(extenderOf(profile({ plugins: [resourceFit()] }), { snapshot: () => full }));
    const all = ask({ urlPrefix: known, filterVerb: 'filter', preemptVerb: 'preempt', nodeCacheCapable: true });
    const big = testPod('big', { requests: { cpu: '2' } });
    expect([...(await all.consult(big, world.nodes, never)).nodes]).toEqual(['c']);
    const candidates = [{ node: 'a', victims: [low], broken: 0 }];
    expect(await all.preempt(big, { node: 'a', victims: [low], candidates }, never)).toMatchObject({ node: 'a' });
    const vast = testPod('vast', { requests: { cpu: '5' } });
    expect(await all.preempt(vast, { node: 'a', victims: [low], candidates }, never)).toBeUndefined();
  });
});

describe('a live scheduler with extenders', () => {
  async function plane(
    options: SchedulerOptions | ((client: () => Client) => Promise<SchedulerOptions>),
  ): Promise<Client> {
    const server = apiServer({ store: memoryStore(), listen: false });
    const clientFor = () => server.clientFor({ username: 'test', groups: ['system:masters'] });
    const composition = compose(
      { log: silentLogger },
      server,
      scheduler(typeof options === 'function' ? await options(clientFor) : options),
    );
    const controller = new AbortController();
    const running = composition.run({ signal: controller.signal });
    stops.push(async () => {
      controller.abort();
      await running;
    });
    await composition.ready;
    const client = clientFor();
    for (const { metadata, spec, status } of nodes) {
      const made = await client.create(Node, { metadata: { name: metadata.name, labels: metadata.labels! }, spec });
      await client.updateStatus(Node, { ...made, status });
    }
    return client;
  }
  const add = (client: Client, name: string, requests: Record<string, string> = {}, spec: object = {}) =>
    client.create(Pod, {
      metadata: { name, namespace: 'default' },
      spec: { containers: [{ name: 'main', image: 'i', resources: { requests, limits: requests } }], ...spec },
    });
  const nodeOf = async (client: Client, name: string) =>
    (await client.get(Pod, { namespace: 'default', name })).spec.nodeName;

  it('places by their word, explains it, and leaves others alone while they think', async () => {
    let release = (): void => {};
    const thinking = new Promise<void>(resolve => {
      release = resolve;
    });
    const url = await serve({
      async filter({ nodeNames }) {
        await thinking;
        return { nodes: nodeNames.filter(name => name !== 'a'), failed: { a: 'no address' } };
      },
      prioritize: () => ({ b: 1, c: 10 }),
    });
    const rules = scheduler({});
    const client = await plane({
      profiles: rules.profiles,
      extenders: [
        {
          urlPrefix: url,
          filterVerb: 'filter',
          prioritizeVerb: 'prioritize',
          weight: 100,
          httpTimeout: '20s',
          managedResources: [{ name: 'example.com/ip', ignoredByScheduler: true }],
        },
      ],
    });
    await add(client, 'slow', { 'example.com/ip': '1' });
    await add(client, 'quick');
    await expect.poll(() => nodeOf(client, 'quick'), { timeout: 8_000 }).toBeTruthy();
    expect(await nodeOf(client, 'slow')).toBeUndefined();
    release();
    await expect.poll(() => nodeOf(client, 'slow'), { timeout: 8_000 }).toBe('c');
  });

  it('does not give room twice that another pod took meanwhile', async () => {
    let release = (): void => {};
    const thinking = new Promise<void>(resolve => {
      release = resolve;
    });
    let calls = 0;
    const url = await serve({
      async filter({ nodeNames }) {
        calls += 1;
        await thinking;
        return { nodes: nodeNames };
      },
    });
    const managedResources = [{ name: 'example.com/ip', ignoredByScheduler: true }];
    const client = await plane({
      extenders: [{ urlPrefix: url, filterVerb: 'filter', httpTimeout: '20s', managedResources }],
    });
    const onC = { nodeSelector: { 'kubernetes.io/hostname': 'c' } };
    await add(client, 'slow', { 'example.com/ip': '1', cpu: '3' }, onC);
    await expect.poll(() => calls, { timeout: 8_000 }).toBe(1);
    await add(client, 'quick', { cpu: '3' }, onC);
    await expect.poll(() => nodeOf(client, 'quick'), { timeout: 8_000 }).toBe('c');
    release();
    const message = async () =>
      (await client.get(Pod, { namespace: 'default', name: 'slow' })).status.conditions?.[0]?.message;
    await expect.poll(message, { timeout: 8_000 }).toContain('Insufficient cpu');
    expect(await nodeOf(client, 'slow')).toBeUndefined();
  });

  it('keeps a pod pending with their reasons, and tries again when they failed', async () => {
    let calls = 0;
    const url = await serve({
      filter({ pod, nodeNames }) {
        if (pod.metadata.name === 'refused')
          return { nodes: [], failed: Object.fromEntries(nodeNames.map(name => [name, 'no address'])) };
        if (++calls === 1) throw new Error('pool is loading');
        return { nodes: nodeNames };
      },
    });
    const client = await plane({ extenders: [{ urlPrefix: url, filterVerb: 'filter', nodeCacheCapable: true }] });
    await add(client, 'refused');
    await expect
      .poll(
        async () => (await client.get(Pod, { namespace: 'default', name: 'refused' })).status.conditions?.[0]?.message,
        { timeout: 8_000 },
      )
      .toMatch(/3 no address/);
    await add(client, 'again');
    await expect.poll(() => nodeOf(client, 'again'), { timeout: 8_000 }).toBeTruthy();
    const events = await client.list(Event, { namespace: 'default', fieldSelector: 'reason=FailedScheduling' });
    expect(events.items.map(each => each.message).join()).toContain('pool is loading');
  });

  it('lets an extender bind, and preempts where it allows', async () => {
    const bound: string[] = [];
    const client = await plane(async clientOf => {
      const url = await serve({
        bind: async question => {
          await extenderOf(profile({ plugins: [] }), { client: clientOf() }).bind!(question);
          bound.push(question.podName);
        },
        preempt: ({ victims }) => new Map([...victims].filter(([node]) => node === 'b')),
      });
      return { extenders: [{ urlPrefix: url, bindVerb: 'bind', preemptVerb: 'preempt' }] };
    });
    await client.create(PriorityClass, { metadata: { name: 'high' }, value: 100 });
    for (const name of ['a', 'b', 'c'])
      await add(client, `on-${name}`, { cpu: '3' }, { nodeSelector: { 'kubernetes.io/hostname': name } });
    for (const name of ['a', 'b', 'c'])
      await expect.poll(() => nodeOf(client, `on-${name}`), { timeout: 8_000 }).toBe(name);
    expect(bound.sort()).toEqual(['on-a', 'on-b', 'on-c']);
    await add(client, 'urgent', { cpu: '3' }, { priorityClassName: 'high' });
    await expect
      .poll(async () => (await client.get(Pod, { namespace: 'default', name: 'urgent' })).status.nominatedNodeName, {
        timeout: 8_000,
      })
      .toBe('b');
  });
});
