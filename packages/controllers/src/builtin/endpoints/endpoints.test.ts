import { EndpointSlice, Endpoints, Node, Pod, Service } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { Gate, lagging } from '../../testing/lagging.js';
import { endpointSlices } from './endpoint-slices.js';
import { endpoints } from './endpoints.js';
import { serviceNameLabel } from './slice-writer.js';

const namespace = 'default';
const start = () => createTestControlPlane({ controllers: [endpoints(), endpointSlices({ endpointsPerSlice: 3 })] });
type Plane = Awaited<ReturnType<typeof start>>;

interface PodShape {
  app?: string;
  ip?: string;
  ready?: boolean;
  phase?: 'Running' | 'Failed';
  port?: number;
  hostname?: string;
}
async function pod({ client }: Plane, name: string, shape: PodShape = {}) {
  const { app = 'web', ip, ready = true, phase = 'Running', port = 8080, hostname } = shape;
  const created = await client.create(Pod, {
    metadata: { name, namespace, labels: { app } },
    spec: {
      terminationGracePeriodSeconds: 30,
      ...(hostname ? { hostname, subdomain: 'web' } : {}),
      nodeName: 'n1',
      containers: [{ name: 'main', image: 'x', ports: [{ name: 'http', containerPort: port }] }],
    },
  });
  return ip ? setStatus({ client } as Plane, created, ip, ready, phase) : created;
}
async function setStatus(
  { client }: Plane,
  of: Pod,
  ip: string,
  ready: boolean,
  phase: 'Running' | 'Failed' = 'Running',
) {
  const current = await client.get(Pod, of.metadata);
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: '2026-01-01T00:00:00Z' }];
  return client.updateStatus(Pod, {
    ...current,
    status: { ...current.status, phase, podIP: ip, podIPs: [{ ip }], conditions },
  });
}
const service = ({ client }: Plane, spec: Partial<Service['spec']> = {}) =>
  client.create(Service, {
    metadata: { name: 'web', namespace, labels: { team: 'a' } },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
  });
const slicesOf = async ({ client }: Plane) =>
  (await client.list(EndpointSlice, { namespace, labelSelector: `${serviceNameLabel}=web` })).items;
const addressesOf = (subsets: Endpoints['subsets'], which: 'addresses' | 'notReadyAddresses' = 'addresses') =>
  (subsets ?? []).flatMap(subset => (subset[which] ?? []).map(each => each.ip));
const readyIn = (slices: EndpointSlice[]) =>
  slices
    .flatMap(slice => slice.endpoints.filter(each => each.conditions?.ready).map(each => each.addresses[0]!))
    .sort();

it('lists ready pods; one that is not ready, failed, without an address or of another app is no target', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await service(plane);
  await pod(plane, 'a', { ip: '10.0.0.1' });
  const slow = await pod(plane, 'b', { ip: '10.0.0.2', ready: false });
  await pod(plane, 'c', { ip: '10.0.0.3', phase: 'Failed' });
  await pod(plane, 'd');
  await pod(plane, 'e', { ip: '10.0.0.5', app: 'db' });
  const seen = await eventually(async () => {
    const { subsets } = await client.get(Endpoints, { name: 'web', namespace });
    return addressesOf(subsets, 'notReadyAddresses').length === 1 && addressesOf(subsets).length === 1 && subsets;
  });
  expect(addressesOf(seen)).toEqual(['10.0.0.1']);
  expect(addressesOf(seen, 'notReadyAddresses')).toEqual(['10.0.0.2']);
  expect(seen[0]!.ports).toEqual([{ name: 'http', port: 8080, protocol: 'TCP' }]);
  expect(seen[0]!.addresses![0]).toMatchObject({ nodeName: 'n1', targetRef: { kind: 'Pod', name: 'a' } });
  await eventually(async () => readyIn(await slicesOf(plane)).join() === '10.0.0.1');
  await setStatus(plane, slow, '10.0.0.2', true);
  await eventually(async () => readyIn(await slicesOf(plane)).join() === '10.0.0.1,10.0.0.2');
  await eventually(
    async () => addressesOf((await client.get(Endpoints, { name: 'web', namespace })).subsets).length === 2,
  );
  const [slice] = await slicesOf(plane);
  expect(slice!.metadata.labels).toMatchObject({ team: 'a', [serviceNameLabel]: 'web' });
  expect(slice!.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'Service', name: 'web', controller: true });
});

it('a pod that terminates is no target of Endpoints, and in slices is serving but not ready', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await service(plane);
  const going = await pod(plane, 'a', { ip: '10.0.0.1' });
  await eventually(async () => readyIn(await slicesOf(plane)).length === 1);
  await client.delete(Pod, going.metadata);
  await eventually(async () => {
    const [slice] = await slicesOf(plane);
    const conditions = slice!.endpoints[0]?.conditions;
    return conditions?.terminating === true && conditions.serving === true && conditions.ready === false;
  });
  await eventually(async () => ((await client.get(Endpoints, { name: 'web', namespace })).subsets ?? []).length === 0);
  await client.delete(Pod, going.metadata, { gracePeriodSeconds: 0 });
  await eventually(async () => (await slicesOf(plane)).every(slice => slice.endpoints.length === 0));
  // One empty slice stays, which says that nobody is there.
  expect((await slicesOf(plane)).length).toBe(1);
});

it('publishNotReadyAddresses makes everyone a target; headless services without ports have endpoints too', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await service(plane, { clusterIP: 'None', publishNotReadyAddresses: true, ports: [] });
  await pod(plane, 'a', { ip: '10.0.0.1', ready: false, hostname: 'first' });
  await eventually(async () => readyIn(await slicesOf(plane)).join() === '10.0.0.1');
  const [slice] = await slicesOf(plane);
  expect(slice!.ports ?? []).toEqual([]);
  expect(slice!.endpoints[0]).toMatchObject({ hostname: 'first', conditions: { ready: true, serving: false } });
  expect(slice!.metadata.labels?.['service.kubernetes.io/headless']).toBe('');
  const { subsets } = await eventually(async () => {
    const object = await client.get(Endpoints, { name: 'web', namespace });
    return addressesOf(object.subsets).length === 1 && object;
  });
  expect(subsets![0]!.ports).toBeUndefined();
});

it('a named port that differs between pods puts them into different slices and subsets', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await service(plane);
  await pod(plane, 'a', { ip: '10.0.0.1', port: 8080 });
  await pod(plane, 'b', { ip: '10.0.0.2', port: 9090 });
  const slices = await eventually(async () => {
    const found = await slicesOf(plane);
    return readyIn(found).length === 2 && found;
  });
  expect(slices.map(slice => [slice.ports![0]!.port, slice.endpoints[0]!.addresses[0]]).sort()).toEqual([
    [8080, '10.0.0.1'],
    [9090, '10.0.0.2'],
  ]);
  const { subsets } = await client.get(Endpoints, { name: 'web', namespace });
  expect(subsets!.length).toBe(2);
});

it('services without a selector are left to their users; a service that goes takes its endpoints along', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await client.create(Service, { metadata: { name: 'manual', namespace }, spec: { ports: [{ port: 80 }] } });
  await client.create(Endpoints, {
    metadata: { name: 'manual', namespace },
    subsets: [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 80 }] }],
  });
  await service(plane);
  await pod(plane, 'a', { ip: '10.0.0.1' });
  await eventually(async () => readyIn(await slicesOf(plane)).length === 1);
  await client.delete(Service, { name: 'web', namespace });
  await eventually(async () => (await slicesOf(plane)).length === 0);
  await eventually(async () => {
    const { items } = await client.list(Endpoints, { namespace, fieldSelector: 'metadata.name=web' });
    return items.length === 0;
  });
  const manual = await client.get(Endpoints, { name: 'manual', namespace });
  expect(addressesOf(manual.subsets)).toEqual(['192.0.2.1']);
});

it('PreferClose: an endpoint that is ready hints at its own zone, and at none when that is no longer wished', async () => {
  await using plane = await start();
  const { client, eventually } = plane;
  await client.create(Node, { metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'east' } } });
  await service(plane, { trafficDistribution: 'PreferClose' });
  await pod(plane, 'a', { ip: '10.0.0.1' });
  await pod(plane, 'b', { ip: '10.0.0.2', ready: false });
  const hints = async () =>
    (await slicesOf(plane))
      .flatMap(slice => slice.endpoints)
      .map(each => `${each.addresses[0]} ${each.hints?.forZones?.map(zone => zone.name) ?? ''}`)
      .sort()
      .join();
  await eventually(async () => (await hints()) === '10.0.0.1 east,10.0.0.2 ');
  const patch = { spec: { trafficDistribution: null } };
  await client.patch(Service, { name: 'web', namespace }, { type: 'merge', patch });
  await eventually(async () => (await hints()) === '10.0.0.1 ,10.0.0.2 ');
});

it('while its cache lags it makes no duplicate slices', async () => {
  const gate = new Gate();
  await using plane = await createTestControlPlane({ controllers: [lagging(endpointSlices(), EndpointSlice, gate)] });
  gate.close();
  await service(plane);
  for (let i = 1; i <= 5; i++) await pod(plane, `p${i}`, { ip: `10.0.0.${i}` });
  await plane.eventually(async () => (await slicesOf(plane)).length > 0);
  expect((await slicesOf(plane)).length).toBe(1);
  gate.open();
  await plane.eventually(async () => readyIn(await slicesOf(plane)).length === 5);
  expect((await slicesOf(plane)).length).toBe(1);
});
