/** What is mirrored, case by case, after the documentation of Services without selectors and of EndpointSlices. */
import { type Client, type Draft, EndpointSlice, Endpoints, Event, Service } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { endpointSliceMirroring } from './endpoint-slice-mirroring.js';
import { serviceNameLabel } from './slice-writer.js';

const namespace = 'default';
let plane: TestControlPlane;
let client: Client;
beforeAll(async () => {
  plane = await createTestControlPlane({ controllers: [endpointSliceMirroring()] });
  client = plane.client;
});
afterAll(() => plane[Symbol.asyncDispose]());

let made = 0;
/** A service and its Endpoints, under a name of their own. */
async function given(spec: object | undefined, subsets: Endpoints['subsets'], metadata: object = {}) {
  const name = `s${made++}`;
  if (spec) {
    const ports = [{ port: 80 }];
    await client.create(Service, { metadata: { name, namespace }, spec: { ports, ...spec } } as Draft<Service>);
  }
  await client.create(Endpoints, { metadata: { name, namespace, ...metadata }, subsets } as Draft<Endpoints>);
  return name;
}
const slicesOf = async (name: string) =>
  (await client.list(EndpointSlice, { namespace, labelSelector: `${serviceNameLabel}=${name}` })).items;
/** `family ports: addresses`, those that are not ready with a minus. */
const shown = async (name: string) =>
  (await slicesOf(name))
    .map(({ addressType, ports, endpoints }) => {
      const open = (ports ?? []).map(({ name: port, port: number }) => `${port}=${number}`).sort();
      const addresses = endpoints.map(({ addresses: [ip], conditions }) => (conditions?.ready ? ip : `-${ip}`)).sort();
      return `${addressType} ${open}: ${addresses}`;
    })
    .sort();
const at = (...ips: string[]) => ips.map(ip => ({ ip }));
const port = (name: string, number: number) => ({ name, port: number });

describe('Endpoints', () => {
  it.each<[string, object | undefined, Endpoints['subsets'], object, string[]]>([
    ['of a service without a selector', {}, [{ addresses: at('1.1.1.1') }], {}, ['IPv4 : 1.1.1.1']],
    [
      'ready or not',
      {},
      [{ addresses: at('1.1.1.1'), notReadyAddresses: at('1.1.1.2'), ports: [port('a', 1)] }],
      {},
      ['IPv4 a=1: -1.1.1.2,1.1.1.1'],
    ],
    [
      'by ports',
      {},
      [
        { addresses: at('1.1.1.1'), ports: [port('a', 1)] },
        { addresses: at('1.1.1.2'), ports: [port('a', 2)] },
      ],
      {},
      ['IPv4 a=1: 1.1.1.1', 'IPv4 a=2: 1.1.1.2'],
    ],
    [
      'an address with two ports in two subsets has both',
      {},
      [
        { addresses: at('1.1.1.1', '1.1.1.2'), ports: [port('a', 1)] },
        { addresses: at('1.1.1.1'), ports: [port('b', 2)] },
      ],
      {},
      ['IPv4 a=1,b=2: 1.1.1.1', 'IPv4 a=1: 1.1.1.2'],
    ],
    [
      'by family',
      { ipFamilyPolicy: 'SingleStack' },
      [{ addresses: at('1.1.1.1', 'fd00::1') }],
      {},
      ['IPv4 : 1.1.1.1', 'IPv6 : fd00::1'],
    ],
  ])('%s', async (_what, spec, subsets, metadata, expected) => {
    const name = await given(spec, subsets, metadata);
    await plane.eventually(async () => (await shown(name)).join('; ') === expected.join('; '));
  });

  it.each<[string, object | undefined, object]>([
    ['without a service', undefined, {}],
    ['of a service with a selector', { selector: { a: 'b' } }, {}],
    ['that ask not to be', {}, { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } }],
    ['that are a lock', {}, { annotations: { 'control-plane.alpha.kubernetes.io/leader': '{}' } }],
  ])('%s are not mirrored', async (_what, spec, metadata) => {
    const name = await given(spec, [{ addresses: at('1.1.1.1') }], metadata);
    // One that comes later is mirrored: this one was looked at before.
    const later = await given({}, [{ addresses: at('1.1.1.9') }]);
    await plane.eventually(async () => (await slicesOf(later)).length === 1);
    await plane.consistently(async () => (await slicesOf(name)).length === 0, { forMs: 50 });
  });
});

it('hands on labels and annotations, says whose it is, and follows every change', async () => {
  const metadata = {
    labels: { team: 'a' },
    annotations: { note: 'x', 'endpoints.kubernetes.io/last-change-trigger-time': '2026-01-01T00:00:00Z' },
  };
  const address = { ip: '1.1.1.1', hostname: 'one', nodeName: 'n1' };
  const name = await given({}, [{ addresses: [address] }], metadata);
  const [slice] = await plane.eventually(async () => {
    const slices = await slicesOf(name);
    return slices.length > 0 && slices;
  });
  expect(slice!.metadata).toMatchObject({
    labels: {
      team: 'a',
      [serviceNameLabel]: name,
      'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
    },
    annotations: { note: 'x' },
    ownerReferences: [{ kind: 'Endpoints', name, controller: true }],
  });
  expect(slice!.metadata.annotations).not.toHaveProperty('endpoints.kubernetes.io/last-change-trigger-time');
  expect(slice!.endpoints).toEqual([
    { addresses: ['1.1.1.1'], conditions: { ready: true }, hostname: 'one', nodeName: 'n1' },
  ]);

  const patch = (change: object) => client.patch(Endpoints, { name, namespace }, { type: 'merge', patch: change });
  await patch({ metadata: { labels: { team: 'b' } }, subsets: [{ addresses: at('1.1.1.2') }] });
  await plane.eventually(async () => {
    const [now] = await slicesOf(name);
    return now?.metadata.labels?.['team'] === 'b' && now.endpoints[0]?.addresses[0] === '1.1.1.2';
  });
  // What others change is put back.
  await client.patch(EndpointSlice, slice!.metadata, { type: 'merge', patch: { endpoints: [] } });
  await plane.eventually(async () => (await shown(name)).join() === 'IPv4 : 1.1.1.2');
  await client.patch(Service, { name, namespace }, { type: 'merge', patch: { spec: { selector: { a: 'b' } } } });
  await plane.eventually(async () => (await slicesOf(name)).length === 0);
  await client.patch(Service, { name, namespace }, { type: 'merge', patch: { spec: { selector: null } } });
  await plane.eventually(async () => (await slicesOf(name)).length === 1);
  await client.delete(Endpoints, { name, namespace });
  await plane.eventually(async () => (await slicesOf(name)).length === 0);
});

it('leaves out what is too much, and says so', async () => {
  const many = at(...Array.from({ length: 1_002 }, (_, i) => `10.0.${i >> 8}.${i & 255}`));
  const name = await given({}, [{ addresses: many }]);
  await plane.eventually(async () => (await slicesOf(name)).flatMap(slice => slice.endpoints).length === 1_000);
  await plane.eventually(async () => {
    const { items } = await client.list(Event, { namespace, fieldSelector: `involvedObject.name=${name}` });
    return items.some(
      ({ reason, message }) => reason === 'TooManyAddressesToMirror' && message?.includes('2 addresses'),
    );
  });
});
