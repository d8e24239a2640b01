import { Service } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memoryStore } from '../../storage/memory.js';
import { addressRange, addressRanges } from '../address-range.js';
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

  it('that dead servers left behind are given again when the range is full', async () => {
    let now = Date.UTC(2026, 0, 1);
    const clock = { now: () => now, sleep: async () => undefined, setTimer: () => ({ cancel: () => undefined }) };
    const store = await memoryStore()();
    const few = { ...options, store, clock };
    {
      await using first = await fixture(few);
      for (let i = 0; i < 13; i++) await first.create(Service, service(`s${i}`));
    }
    for (let i = 0; i < 5; i++) await store.txn([], { type: 'delete', key: `/registry/core/services/default/s${i}` });
    await using second = await fixture(few);
    expect(await refusal(second.create(Service, service('too-early')))).toMatchObject({ code: 500 });
    now += 61_000;
    for (let i = 0; i < 5; i++) await second.create(Service, service(`n${i}`));
    expect(await refusal(second.create(Service, service('full')))).toMatchObject({ code: 500 });
  });

  it('come from the upper part of the range while there are any, the lower is for those who ask', async () => {
    // 254 to give: the first 16 are kept.
    await using wide = await fixture({
      services: { clusterIpRange: '10.60.0.0/24', nodePortRange: { from: 30000, to: 30099 } },
    });
    for (let i = 0; i < 40; i++) {
      const { clusterIP, ports } = (await wide.create(Service, service(`s${i}`, { type: 'NodePort' })))['spec'];
      expect(Number(clusterIP.split('.')[3])).toBeGreaterThan(16);
      expect(ports[0].nodePort).toBeGreaterThanOrEqual(30016);
    }
    const asked = await wide.create(Service, service('asked', { clusterIP: '10.60.0.5' }));
    expect(asked['spec'].clusterIP).toBe('10.60.0.5');
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

describe('families', () => {
  const both = () => fixture({ services: { clusterIpRange: '10.50.0.0/28,fd00:50::/124' } });
  const selector = { app: 'x' };
  const specIn = async (server: Fixture, name: string, spec: object) =>
    (await server.create(Service, service(name, { selector, ...spec })))['spec'];

  it('are one where the cluster has one', async () => {
    expect(await specIn(cluster, 'a', { ipFamilyPolicy: 'PreferDualStack' })).toMatchObject({
      ipFamilies: ['IPv4'],
      clusterIPs: [expect.any(String)],
    });
    expect((await refusal(create('b', { selector, ipFamilyPolicy: 'RequireDualStack' }))).message).toBe(
      'Service "b" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    );
    expect((await refusal(create('c', { selector, ipFamilies: ['IPv6'] }))).message).toContain(
      'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
    );
    expect((await refusal(create('d', { selector, ipFamilies: ['IPv4', 'IPv6'] }))).message).toContain(
      "must be 'RequireDualStack' or 'PreferDualStack' when multiple 'ipFamilies' are specified",
    );
  });

  it('are two where it has two and the service wants them, in its order', async () => {
    await using server = await both();
    expect(await specIn(server, 'single', {})).toMatchObject({ ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' });
    const dual = await specIn(server, 'dual', { ipFamilyPolicy: 'RequireDualStack' });
    expect(dual).toMatchObject({ ipFamilies: ['IPv4', 'IPv6'], clusterIP: dual.clusterIPs[0] });
    expect(dual.clusterIPs).toEqual([expect.stringMatching(/^10\.50\.0\./), expect.stringMatching(/^fd00:50::/)]);
    const six = await specIn(server, 'six', { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6'] });
    expect(six.ipFamilies).toEqual(['IPv6', 'IPv4']);
    // Those above were drawn by lot.
    const taken = [...dual.clusterIPs, ...six.clusterIPs];
    const letter = ['A', 'B', 'C'].find(each => !taken.includes(`fd00:50::${each.toLowerCase()}`))!;
    const asked = await specIn(server, 'asked', { clusterIP: `fd00:50:0::${letter}` });
    expect(asked).toMatchObject({ ipFamilies: ['IPv6'], clusterIPs: [`fd00:50:0::${letter}`] });
    const clusterIP = `fd00:50::${letter.toLowerCase()}`;
    const again = await refusal(server.create(Service, service('again', { selector, clusterIP })));
    expect(again.message).toContain('provided IP is already allocated');
  });

  it('are added and given back when the policy changes', async () => {
    await using server = await both();
    const made = await server.create(Service, service('a', { selector }));
    const [first] = made['spec'].clusterIPs;
    const more = await server.update(Service, {
      ...made,
      spec: { ...made['spec'], ipFamilyPolicy: 'RequireDualStack' },
    } as never);
    expect((more as any).spec.clusterIPs).toEqual([first, expect.stringMatching(/^fd00:50::/)]);
    const [, second] = (more as any).spec.clusterIPs;
    const less: any = await server.update(Service, {
      ...more,
      spec: { ...(more as any).spec, ipFamilyPolicy: 'SingleStack' },
    } as never);
    expect(less.spec).toMatchObject({ clusterIPs: [first], ipFamilies: ['IPv4'] });
    expect((await specIn(server, 'b', { clusterIP: second })).clusterIP).toBe(second);
  });

  it('of a headless service without selector are those of its endpoints', async () => {
    expect((await create('a', { clusterIP: 'None' }))['spec']).toMatchObject({
      clusterIPs: ['None'],
      ipFamilies: ['IPv4', 'IPv6'],
      ipFamilyPolicy: 'RequireDualStack',
    });
    expect((await create('b', { clusterIP: 'None', selector }))['spec']).toMatchObject({
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
    });
  });

  it('of ranges are two at most, and differ', () => {
    expect(() => addressRanges('10.0.0.0/24,10.1.0.0/24')).toThrow(/one of IPv4 and one of IPv6/);
    expect(() => addressRanges('fd00::/64')).toThrow(/at most \/108/);
    expect(addressRange('fd00::/126')).toMatchObject({ size: 2, first: 'fd00::1', family: 'IPv6' });
    expect(addressRange('fd00::/126').contains('fd00::3')).toBe(false);
  });
});
