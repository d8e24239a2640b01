/**
 * Services in the kernel, as a program under Node's own test runner: it must run as root in a network namespace of its own.
 * Two nodes of the process runtime on one machine, pods on both, and the rules of each. Arguments: `{ programDirectory }`.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { EndpointSlice, type Metrics, Service, silentLogger, systemClock } from '@orbitkit/core';
import { fakeApi } from '../../../agent/testing/fake-api.js';
import { ask, Laboratory } from '../../../runtime/conformance/laboratory.js';
import type { Sandbox } from '../../../runtime/contract.js';
import { processSubject, processWorkloads } from '../../../runtime/process/testing/subject.js';
import { networkDevices } from '../../network-devices.js';
import { deviceName, nftablesDataPath, tableName } from '../nftables.js';
import type { ServicePort } from '../service-port.js';
import { serviceProxy } from '../service-proxy.js';
import { service as serviceObject, slice } from './objects.js';

const { programDirectory } = JSON.parse(process.argv[2] ?? '{}') as { programDirectory: string };
const real = processWorkloads.real!;
const serviceCIDR = '10.97.0.0/16';
const serverPort = 8_080;
const one = { cluster: 'test', nodeName: 'n1', serviceCIDR };
const two = { cluster: 'test', nodeName: 'n2', serviceCIDR };

interface Pod {
  name: string;
  id: string;
  sandbox: Sandbox;
  laboratory: Laboratory;
}

let laboratories: Laboratory[] = [];
let cleanups: (() => Promise<void>)[] = [];
let pods: Pod[] = [];
const paths = [nftablesDataPath(one), nftablesDataPath(two)];
const [path, second] = paths as [(typeof paths)[0], (typeof paths)[0]];

async function pod(laboratory: Laboratory, name: string): Promise<Pod> {
  const sandbox = await laboratory.sandbox({ name });
  const id = await laboratory.started(sandbox, real.listens('0.0.0.0', serverPort, name));
  await laboratory.eventually('the server', () => ask(sandbox.ip!, serverPort));
  return { name, id, sandbox, laboratory };
}

const service = (
  name: string,
  clusterIP: string,
  members: readonly Pod[],
  more: Partial<ServicePort> = {},
): ServicePort => ({
  key: `default/${name}`,
  namespace: 'default',
  name,
  clusterIP,
  protocol: 'TCP',
  port: 80,
  endpoints: members.map(({ sandbox }) => ({ ip: sandbox.ip!, port: serverPort })),
  ...more,
});

async function counts(requests: number, request: () => Promise<string | undefined>): Promise<Record<string, number>> {
  const hits: Record<string, number> = {};
  for (let index = 0; index < requests; index += 1) {
    const answer = (await request()) ?? 'refused';
    hits[answer] = (hits[answer] ?? 0) + 1;
  }
  return hits;
}

/** One connection from inside a pod. */
async function askFrom({ laboratory, id }: Pod, host: string, port: number): Promise<string> {
  const program = `let t = ''; require('net').connect(+process.argv[2], process.argv[1]).on('data', d => t += d)
    .on('error', e => { console.log(e.code); process.exit(); }).on('end', () => { console.log(t); process.exit(); }); setTimeout(() => process.exit(1), 5000);`;
  return (await laboratory.exec(id, [process.execPath, '-e', program, host, `${port}`])).stdout.trim();
}

/** The registry of `metrics()` is a package that a bundle does not find. */
const unmeasured: Metrics = {
  counter: () => ({ inc() {}, series: () => ({ inc() {} }) }),
  gauge: () => ({ set() {}, inc() {}, dec() {}, series: () => ({ add() {} }) }),
  histogram: () => ({ observe() {}, series: () => ({ observe() {} }) }),
  text: async () => '',
};

const nft = (...args: string[]) => execFileSync('nft', args, { encoding: 'utf8' });

/** A way to the outside, and a firewall like Docker's: it drops what is forwarded. */
const outside = 'up0';
const forwarding = () => readFileSync(`/proc/sys/net/ipv4/conf/${outside}/forwarding`, 'utf8').trim();
const firewall = () => execFileSync('iptables', ['-S', 'FORWARD'], { encoding: 'utf8' }).trim();

before(
  async () => {
    const lines = [
      `link add ${outside} type veth peer name up1`,
      `addr add 192.0.2.2/24 dev ${outside}`,
      `link set ${outside} up`,
      'link set up1 up',
      'route add default via 192.0.2.1',
    ];
    execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
    execFileSync('iptables', ['-P', 'FORWARD', 'DROP']);
    assert.equal(forwarding(), '0');
    for (const podCIDR of ['10.213.1.0/24', '10.213.2.0/24']) {
      const subject = await processSubject({ mode: 'root', programDirectory, podCIDR });
      laboratories.push(new Laboratory(subject));
      cleanups.push(() => subject.cleanup());
    }
    const [first, other] = laboratories as [Laboratory, Laboratory];
    pods = [await pod(first, 'a'), await pod(first, 'b'), await pod(other, 'c')];
  },
  { timeout: 60_000 },
);
after(
  async () => {
    for (const open of paths) await open.close();
    for (const laboratory of laboratories) await laboratory[Symbol.asyncDispose]();
    for (const cleanup of cleanups) await cleanup();
    laboratories = [];
    cleanups = [];
    assert.ok(!nft('list', 'tables').includes('orbit'), 'no table is left');
    assert.deepEqual(
      networkDevices().filter(name => !['lo', outside, 'up1'].includes(name)),
      [],
      'no device is left',
    );
    assert.ok(!existsSync('/run/orbitkit-forwarding'), 'no note of what was switched on is left');
    assert.equal(forwarding(), '0', 'what was switched on is off again');
    assert.equal(firewall(), '-P FORWARD DROP', 'the firewall is as it was');
  },
  { timeout: 60_000 },
);

describe('services in the kernel', () => {
  it('lets pods of two nodes reach each other, by their own addresses', async () => {
    const [a, , c] = pods as [Pod, Pod, Pod];
    assert.equal(await askFrom(a, c.sandbox.ip!, serverPort), 'c');
    assert.equal(await askFrom(c, a.sandbox.ip!, serverPort), 'a');
    assert.equal(forwarding(), '1');
    assert.equal(firewall().split('\n').length, 3);
  });

  it('gives connections from the host and from a pod to the endpoints in turn', async () => {
    await path.apply([service('web', '10.6.0.1', pods)]);
    assert.deepEqual(await counts(30, () => ask('10.6.0.1', 80)), { a: 10, b: 10, c: 10 });
    assert.deepEqual(await counts(6, () => askFrom(pods[2]!, '10.6.0.1', 80)), { a: 2, b: 2, c: 2 });
    const loop = service('alone', '10.97.0.9', [pods[0]!]);
    await path.apply([service('web', '10.6.0.1', pods), loop]);
    assert.equal(await askFrom(pods[0]!, '10.97.0.9', 80), 'a', 'a pod reaches itself through its service');
  });

  it('gives none to what is not an endpoint any more, and goes on', async () => {
    await path.apply([service('web', '10.6.0.1', pods)]);
    await path.apply([service('web', '10.6.0.1', pods.slice(0, 2))]);
    assert.deepEqual(await counts(20, () => ask('10.6.0.1', 80)), { a: 10, b: 10 });
  });

  it('refuses without endpoints, when the service is gone, and where no service is', async () => {
    await path.apply([service('web', '10.6.0.1', [])]);
    assert.equal(await ask('10.6.0.1', 80), undefined);
    assert.equal(await askFrom(pods[0]!, '10.6.0.1', 80), 'ECONNREFUSED');
    await path.apply([service('web', '10.6.0.1', pods)]);
    assert.ok(await ask('10.6.0.1', 80));
    await path.apply([]);
    assert.equal(await ask('10.6.0.1', 80), undefined);
    assert.equal(await askFrom(pods[0]!, '10.6.0.1', 80), 'ECONNREFUSED');
    assert.equal(await ask('10.97.3.4', 80), undefined);
    await path.apply([service('web', '10.6.0.1', pods)]);
    assert.ok(await ask('10.6.0.1', 80), 'the address may come back');
  });

  it('keeps a client on its endpoint, also while other services change', async () => {
    const sticky = service('sticky', '10.97.0.5', pods, { affinitySeconds: 60 });
    await path.apply([sticky]);
    const mine = await ask('10.97.0.5', 80);
    await path.apply([sticky, service('web', '10.6.0.1', pods)]);
    assert.deepEqual(await counts(10, () => ask('10.97.0.5', 80)), { [mine!]: 10 });
    const theirs = await askFrom(pods[1]!, '10.97.0.5', 80);
    assert.deepEqual(await counts(4, () => askFrom(pods[1]!, '10.97.0.5', 80)), { [theirs]: 4 });
    const rest = pods.filter(({ name }) => name !== mine);
    await path.apply([service('sticky', '10.97.0.5', rest, { affinitySeconds: 60 })]);
    const next = await ask('10.97.0.5', 80);
    assert.ok(next && next !== mine);
  });

  it('answers on a node port at every address of the machine but loopback', async () => {
    await path.apply([service('web', '10.6.0.1', pods, { nodePort: 30_080 })]);
    const addresses = Object.values(networkInterfaces())
      .flat()
      .map(entry => entry!.address)
      .filter(address => address.startsWith('10.'));
    assert.ok(addresses.length >= 2);
    for (const address of addresses) assert.ok(await ask(address, 30_080), address);
    assert.ok(await askFrom(pods[0]!, addresses[1]!, 30_080));
  });

  it('goes on when its table was removed under it', async () => {
    await path.apply([service('web', '10.6.0.1', pods)]);
    nft('delete', 'table', 'ip', tableName(one));
    await path.apply([service('web', '10.6.0.1', pods.slice(0, 1))]);
    assert.equal(await ask('10.6.0.1', 80), 'a');
  });

  it('carries on with the rules of another node when one ends, and leaves nothing of its own', async () => {
    const services = [service('web', '10.6.0.1', pods)];
    await path.apply(services);
    await second.apply(services);
    assert.deepEqual(await counts(9, () => ask('10.6.0.1', 80)), { a: 3, b: 3, c: 3 });
    await path.close();
    await path.close();
    assert.ok(!nft('list', 'tables').includes(tableName(one)));
    assert.ok(!networkDevices().includes(deviceName(one)));
    assert.deepEqual(await counts(9, () => ask('10.6.0.1', 80)), { a: 3, b: 3, c: 3 });
  });

  it('takes over what an ended proxy of the same name left', async () => {
    await second.apply([service('old', '10.97.0.7', pods)]);
    const heir = nftablesDataPath(two);
    await heir.apply([service('web', '10.6.0.1', pods)]);
    assert.ok(await ask('10.6.0.1', 80));
    assert.equal(await ask('10.97.0.7', 80), undefined);
    await heir.close();
  });

  it('serves as a component: from the API to the kernel, node ports on loopback too, and takes all back', async () => {
    const api = fakeApi({ now: Date.now });
    const web = serviceObject('web', '10.6.0.1', [{ port: 80, nodePort: 30_081 }]);
    await api.client.create(Service, web);
    const members = pods.map(({ sandbox }) => ({ ip: sandbox.ip! }));
    const endpoints = await api.client.create(EndpointSlice, slice('web', members, [{ port: serverPort }]));
    const stop = new AbortController();
    let ready = () => {};
    const isReady = new Promise<void>(resolve => {
      ready = resolve;
    });
    const run = serviceProxy({ ...one, cluster: 'component' }).run({
      signal: stop.signal,
      clock: systemClock,
      log: silentLogger,
      metrics: unmeasured,
      client: api.client,
      ready: () => ready(),
      provideClient() {},
    });
    await Promise.race([isReady, run]);
    assert.deepEqual(await counts(9, () => ask('10.6.0.1', 80)), { a: 3, b: 3, c: 3 });
    assert.deepEqual(await counts(9, () => ask('127.0.0.1', 30_081)), { a: 3, b: 3, c: 3 });
    endpoints.endpoints[0]!.conditions = { ready: false };
    await api.client.update(EndpointSlice, endpoints);
    await pods[0]!.laboratory.eventually('the change', async () => {
      const hits = await counts(6, () => ask('10.6.0.1', 80));
      return !('a' in hits) && hits.b === 3;
    });
    stop.abort();
    await run;
    assert.ok(!nft('list', 'tables').includes('component'));
  });

  it('carries a thousand services in one transaction', async () => {
    const many = Array.from({ length: 1_000 }, (_, index) =>
      service(`many-${index}`, `10.97.${Math.floor(index / 200)}.${(index % 200) + 10}`, pods),
    );
    const before = performance.now();
    await path.apply(many);
    const all = performance.now() - before;
    await path.apply([...many.slice(1), service('web', '10.6.0.1', pods)]);
    console.log(`1000 services: ${Math.round(all)} ms; one change: ${Math.round(performance.now() - before - all)} ms`);
    assert.deepEqual(await counts(3, () => ask('10.97.4.60', 80)), { a: 1, b: 1, c: 1 });
  });
});
