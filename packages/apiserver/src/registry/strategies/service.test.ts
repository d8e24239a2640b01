import { Service } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryStore } from '../../storage/memory.js';
import { addressRange } from '../address-range.js';
import { type Fixture, fixture } from '../resources-fixture.js';
import { substituteAddressAnnotation } from './service-allocation.js';

const options = { services: { clusterIpRange: '10.50.0.0/28', nodePortRange: { from: 30000, to: 30003 } } };
let cluster: Fixture;
beforeEach(async () => {
  cluster = await fixture(options);
});
afterEach(() => cluster[Symbol.asyncDispose]());

const key = (name: string) => ({ name, namespace: 'default' });
const refusal = (write: Promise<unknown>) =>
  write.then(
    () => undefined,
    error => error,
  );
const service = (name: string, spec: Record<string, unknown> = {}) => ({
  metadata: { name, namespace: 'default' },
  spec: { ports: [{ port: 80 }], ...spec },
});
const create = (name: string, spec?: Record<string, unknown>, dryRun = false) =>
  cluster.create(Service, service(name, spec), { dryRun });

describe('cluster addresses', () => {
  it('are given from the range', async () => {
    const made = await create('a');
    const { clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy, sessionAffinity, type } = made['spec'];
    expect(addressRange('10.50.0.0/28').contains(clusterIP)).toBe(true);
    expect({ clusterIPs, ipFamilies, ipFamilyPolicy, sessionAffinity, type }).toEqual({
      clusterIPs: [clusterIP],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      sessionAffinity: 'None',
      type: 'ClusterIP',
    });
  });

  it('are given to one service each, also to many at once, until the range is full', async () => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => create(`s${i}`)));
    const given = results.flatMap(each =>
      each.status === 'fulfilled' ? [each.value['spec'].clusterIP as string] : [],
    );
    // 16 addresses, without the first and the last, and without the one that is kept for the API.
    expect(given).toHaveLength(13);
    expect(new Set(given).size).toBe(13);
    expect(given).not.toContain('10.50.0.1');
    const failed = results.find(each => each.status === 'rejected') as PromiseRejectedResult;
    expect(failed.reason.message).toContain('the range 10.50.0.0/28 is full');
    await cluster.delete(Service, key(results[0]!.status === 'fulfilled' ? 's0' : 's1'));
    expect((await create('after'))['spec'].clusterIP).toBeDefined();
  });

  it('that are asked for are given if they are free and in range', async () => {
    expect((await create('a', { clusterIP: '10.50.0.9' }))['spec'].clusterIPs).toEqual(['10.50.0.9']);
    const taken = await refusal(create('b', { clusterIP: '10.50.0.9' }));
    expect(taken).toMatchObject({ code: 422, reason: 'Invalid' });
    expect(taken.message).toBe(
      'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.50.0.9"]: failed to allocate IP 10.50.0.9: provided IP is already allocated',
    );
    const outside = await refusal(create('b', { clusterIP: '10.6.0.1' }));
    expect(outside).toMatchObject({ code: 422 });
    expect(outside.message).toContain('not in the valid range. The range of valid IPs is 10.50.0.0/28');
    expect(await refusal(create('b', { clusterIP: 'nonsense' }))).toMatchObject({ code: 422 });
    await cluster.delete(Service, key('a'));
    expect((await create('b', { clusterIP: '10.50.0.9' }))['spec'].clusterIP).toBe('10.50.0.9');
  });

  it('of a refused or dry create are free again', async () => {
    expect(await refusal(create('Bad_Name', { clusterIP: '10.50.0.9' }))).toMatchObject({ code: 422 });
    await create('dry', { clusterIP: '10.50.0.9' }, true);
    expect((await create('dry2', {}, true))['spec'].clusterIP).toBeDefined();
    await create('a', { clusterIP: '10.50.0.9' });
    expect(await refusal(create('a', { clusterIP: '10.50.0.8' }))).toMatchObject({ code: 409 });
    expect((await create('b', { clusterIP: '10.50.0.8' }))['spec'].clusterIP).toBe('10.50.0.8');
  });

  it('are not for headless and external ones', async () => {
    expect((await create('headless', { clusterIP: 'None' }))['spec']).toMatchObject({
      clusterIP: 'None',
      clusterIPs: ['None'],
    });
    const external = await create('external', { type: 'ExternalName', externalName: 'example.com', ports: undefined });
    expect(external['spec'].clusterIP).toBeUndefined();
  });

  it('stay with an update that leaves them out, and may not change', async () => {
    const made = await create('a');
    const updated = await cluster.update(Service, service('a', { ports: [{ port: 81 }] }));
    expect(updated['spec'].clusterIP).toBe(made['spec'].clusterIP);
    expect(updated['spec'].ports[0].port).toBe(81);
    expect(updated.metadata.generation).toBeUndefined();
    const free = made['spec'].clusterIP === '10.50.0.2' ? '10.50.0.3' : '10.50.0.2';
    const other = await refusal(cluster.patch(Service, key('a'), { spec: { clusterIP: free, clusterIPs: [free] } }));
    expect(other).toMatchObject({ code: 422 });
    expect(other.message).toContain('may not change once set');
  });

  it('are given and given back when the type changes', async () => {
    const made = await create('a', { clusterIP: '10.50.0.9' });
    await cluster.update(Service, { ...made, spec: { type: 'ExternalName', externalName: 'example.com' } });
    expect((await create('b', { clusterIP: '10.50.0.9' }))['spec'].clusterIP).toBe('10.50.0.9');
    const back = await cluster.patch(Service, key('a'), {
      spec: { type: 'ClusterIP', externalName: null, ports: [{ port: 80 }] },
    });
    expect(back['spec'].clusterIP).toMatch(/^10\.50\.0\./);
  });

  it("of a dead server's claim are found to be free after a minute; of services without claims they are not", async () => {
    let now = Date.UTC(2026, 0, 1);
    const clock = {
      now: () => now,
      sleep: async () => undefined,
      setTimer: (_: number, __: () => void) => ({ cancel: () => undefined }),
    };
    const store = await memoryStore()();
    {
      await using first = await fixture({ ...options, store, clock });
      await first.create(Service, service('a', { clusterIP: '10.50.0.9' }));
      await first.create(Service, service('gone', { clusterIP: '10.50.0.8' }));
    }
    // `gone` vanishes without its claim, `a` loses its claim.
    const drop = async (path: string) => store.txn([], { type: 'delete', key: path });
    await drop('/registry/core/services/default/gone');
    await drop('/registry/internal.orbitkit.dev/clusterips/10.50.0.9');
    await using second = await fixture({ ...options, store, clock });
    expect(await refusal(second.create(Service, service('b', { clusterIP: '10.50.0.9' })))).toMatchObject({
      code: 422,
    });
    expect(await refusal(second.create(Service, service('c', { clusterIP: '10.50.0.8' })))).toMatchObject({
      code: 422,
    });
    now += 61_000;
    expect((await second.create(Service, service('c', { clusterIP: '10.50.0.8' })))['spec'].clusterIP).toBe(
      '10.50.0.8',
    );
    expect(await refusal(second.create(Service, service('b', { clusterIP: '10.50.0.9' })))).toMatchObject({
      code: 422,
    });
    await store.close();
  });

  it('are never given twice by two servers over one store', async () => {
    const store = await memoryStore()();
    await using one = await fixture({ ...options, store });
    await using two = await fixture({ ...options, store });
    const made = await Promise.all(
      Array.from({ length: 12 }, (_, i) => (i % 2 ? one : two).create(Service, service(`s${i}`))),
    );
    expect(new Set(made.map(each => each['spec'].clusterIP)).size).toBe(12);
    await store.close();
  });
});

describe('addresses outside the range, by policy', () => {
  it('are accepted as they are', async () => {
    await using open = await fixture({ services: { ...options.services, addressPolicy: () => 'accept' } });
    const made = await open.create(Service, service('a', { clusterIP: '10.6.0.1' }));
    expect(made['spec'].clusterIPs).toEqual(['10.6.0.1']);
    expect(await refusal(open.create(Service, service('b', { clusterIP: '10.6.0.1' })))).toMatchObject({ code: 422 });
    await open.delete(Service, key('a'));
    await open.create(Service, service('b', { clusterIP: '10.6.0.1' }));
  });

  it('get a substitute that answers, says which, and keeps it', async () => {
    await using open = await fixture({ services: { ...options.services, addressPolicy: () => 'substitute' } });
    const made = await open.create(Service, service('a', { clusterIP: '10.6.0.1' }));
    const substitute = made.metadata.annotations?.[substituteAddressAnnotation];
    expect(made['spec'].clusterIP).toBe('10.6.0.1');
    expect(substitute).toMatch(/^10\.50\.0\./);
    expect(open.warnings).toEqual([
      `spec.clusterIP: 10.6.0.1 lies outside 10.50.0.0/28; the service answers on ${substitute}`,
    ]);
    const updated = await open.update(Service, service('a', { clusterIP: '10.6.0.1', ports: [{ port: 81 }] }));
    expect(updated.metadata.annotations?.[substituteAddressAnnotation]).toBe(substitute);
    expect(await refusal(open.create(Service, service('b', { clusterIP: substitute })))).toMatchObject({ code: 422 });
    await open.delete(Service, key('a'));
    await open.create(Service, service('b', { clusterIP: substitute }));
  });
});

describe('node ports', () => {
  it('are given from their range, kept, and given back', async () => {
    const made = await create('a', {
      type: 'NodePort',
      ports: [
        { name: 'x', port: 80 },
        { name: 'y', port: 81, nodePort: 30001 },
      ],
    });
    const [x, y] = made['spec'].ports.map((each: any) => each.nodePort);
    expect(y).toBe(30001);
    expect(x).not.toBe(30001);
    expect(x).toBeGreaterThanOrEqual(30000);
    const taken = await refusal(create('b', { type: 'NodePort', ports: [{ port: 80, nodePort: 30001 }] }));
    expect(taken.message).toContain('spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated');
    const outside = await refusal(create('b', { type: 'NodePort', ports: [{ port: 80, nodePort: 20000 }] }));
    expect(outside.message).toContain(
      'provided port is not in the valid range. The range of valid ports is 30000-30003',
    );
    const updated = await cluster.update(Service, service('a', { type: 'NodePort', ports: [{ name: 'x', port: 80 }] }));
    expect(updated['spec'].ports).toMatchObject([{ name: 'x', nodePort: x }]);
    expect(
      (await create('b', { type: 'NodePort', ports: [{ port: 80, nodePort: 30001 }] }))['spec'].ports[0].nodePort,
    ).toBe(30001);
    const plain = await cluster.patch(Service, key('b'), { spec: { type: 'ClusterIP' } });
    expect(plain['spec'].ports[0].nodePort).toBeUndefined();
    await create('c', { type: 'NodePort', ports: [{ port: 80, nodePort: 30001 }] });
  });

  it('may be one for two protocols of one service', async () => {
    const ports = [
      { name: 't', port: 53, protocol: 'TCP', nodePort: 30002 },
      { name: 'u', port: 53, protocol: 'UDP', nodePort: 30002 },
    ];
    const made = await create('dns', { type: 'NodePort', ports });
    expect(made['spec'].ports.map((each: any) => each.nodePort)).toEqual([30002, 30002]);
  });

  it('run out', async () => {
    const ports = [1, 2, 3, 4].map(port => ({ name: `p${port}`, port }));
    await create('all', { type: 'NodePort', ports, clusterIP: '10.50.0.6' });
    const error = await refusal(create('one', { type: 'NodePort', clusterIP: '10.50.0.7' }));
    expect(error.message).toContain('the range 30000-30003 is full');
    expect((await create('two', { clusterIP: '10.50.0.7' }))['spec'].clusterIP).toBe('10.50.0.7');
  });
});

describe('address ranges', () => {
  it('hold all but the first and the last address', () => {
    const range = addressRange('10.6.0.0/30');
    expect([0, 1].map(index => range.at(index))).toEqual(['10.6.0.1', '10.6.0.2']);
    expect(range.size).toBe(2);
    for (const outside of ['10.6.0.0', '10.6.0.3', '10.6.0.4', '10.5.0.1', 'x', '10.6.0'])
      expect(range.contains(outside)).toBe(false);
    expect(addressRange('127.96.0.7/16').first).toBe('127.96.0.1');
    for (const bad of ['10.0.0.0', '10.0.0.0/31', '300.0.0.0/8', 'fd00::/64'])
      expect(() => addressRange(bad)).toThrow('not a range');
  });
});
