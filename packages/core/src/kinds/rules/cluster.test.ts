import { describe, expect, test } from 'vitest';
import { Binding, ConfigMap, Event, Lease, Namespace, Node, Secret } from '../generated/kinds.js';
import { TokenRequest } from '../virtual.js';
import { faults } from './rules-testing.js';

const metadata = { name: 'a', namespace: 'default' };
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('config maps', () => {
  const of = (map: object, previous?: object): string[] =>
    faults(ConfigMap, { metadata, ...map }, previous && { metadata, ...previous });
  test('keys', () => {
    expect(of({ data: { 'a.b-c_D': 'x' }, binaryData: { e: 'AA==' } })).toEqual([]);
    expect(of({ data: { 'a/b': '' } })[0]).toMatch(
      'data[a/b]: Invalid value: "a/b": a valid config key must consist of',
    );
    expect(of({ data: { '..': '' } })).toEqual([`data[..]: Invalid value: "..": must not be '..'`]);
    expect(of({ data: { a: '' }, binaryData: { a: 'AA==' } })).toEqual([
      'data[a]: Invalid value: "a": duplicate of key present in binaryData',
    ]);
  });
  test('size', () => {
    expect(of({ data: { a: 'x'.repeat(1024 * 1024) } })).toEqual([]);
    expect(of({ data: { a: 'x'.repeat(1024 * 1024), b: 'x' } })).toEqual([
      'data: Too long: may not be more than 1048576 bytes',
    ]);
  });
  test('immutable', () => {
    const before = { data: { a: 'x' }, immutable: true };
    expect(of(before, before)).toEqual([]);
    expect(of({ data: { a: 'y' }, immutable: true }, before)).toEqual([
      'data: Forbidden: field is immutable when `immutable` is set',
    ]);
    expect(of({ data: { a: 'x' } }, before)).toEqual([
      'immutable: Forbidden: field is immutable when `immutable` is set',
    ]);
    expect(of({ data: { a: 'y' } }, { data: { a: 'x' } })).toEqual([]);
  });
});

describe('secrets', () => {
  const of = (secret: object, previous?: object): string[] =>
    faults(Secret, { metadata, ...secret }, previous && { metadata, ...previous });
  test.each<[string, object, string[]]>([
    ['Opaque', { a: base64('x') }, []],
    ['kubernetes.io/tls', {}, ['data[tls.crt]: Required value', 'data[tls.key]: Required value']],
    ['kubernetes.io/tls', { 'tls.crt': '', 'tls.key': '' }, []],
    ['kubernetes.io/basic-auth', {}, ['data[username]: Required value', 'data[password]: Required value']],
    ['kubernetes.io/basic-auth', { password: base64('x') }, []],
    ['kubernetes.io/ssh-auth', {}, ['data[ssh-privatekey]: Required value']],
    ['kubernetes.io/dockerconfigjson', { '.dockerconfigjson': base64('{"auths":{}}') }, []],
    [
      'kubernetes.io/dockerconfigjson',
      { '.dockerconfigjson': base64('{"hunter2"') },
      ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": must be a JSON object'],
    ],
    [
      'kubernetes.io/service-account-token',
      {},
      ['metadata.annotations[kubernetes.io/service-account.name]: Required value'],
    ],
  ])('%s %j', (type, data, expected) => expect(of({ type, data })).toEqual(expected));
  test('the type stays', () => {
    expect(of({ type: 'other' }, { type: 'Opaque' })).toEqual(['type: Invalid value: "other": field is immutable']);
    expect(of({ stringData: { a: 'x' } }, { data: { a: base64('x') }, immutable: true })).toEqual([
      'immutable: Forbidden: field is immutable when `immutable` is set',
    ]);
  });
});

test('namespaces', () => {
  expect(faults(Namespace, { metadata: { name: 'a' }, spec: { finalizers: ['kubernetes'] } })).toEqual([]);
  expect(faults(Namespace, { metadata: { name: 'a' }, spec: { finalizers: ['mine'] } })[0]).toMatch(
    'spec.finalizers[0]: Invalid value: "mine"',
  );
});

describe('nodes', () => {
  const of = (spec: object, status: object = {}, previous?: object): string[] =>
    faults(Node, { metadata: { name: 'n' }, spec, status }, previous && { metadata: { name: 'n' }, spec: previous });
  test('taints', () => {
    expect(
      of({
        taints: [
          { key: 'a', value: 'b', effect: 'NoSchedule' },
          { key: 'a', effect: 'NoExecute' },
        ],
      }),
    ).toEqual([]);
    expect(of({ taints: [{ key: 'a' }] })).toEqual(['spec.taints[0].effect: Required value']);
    expect(of({ taints: [{ key: 'a', effect: 'Sometimes' }] })[0]).toMatch(
      'spec.taints[0].effect: Unsupported value: "Sometimes"',
    );
    const twice = { key: 'a', effect: 'NoExecute' };
    expect(of({ taints: [twice, { ...twice, value: 'x' }] })).toEqual([
      'spec.taints[1]: Duplicate value: {"key":"a","effect":"NoExecute","value":"x"}',
    ]);
  });
  test('addresses and capacity', () => {
    expect(
      of({ podCIDR: '10.0.0.0/24', podCIDRs: ['10.0.0.0/24'] }, { capacity: { cpu: '4', 'example.com/x': '1' } }),
    ).toEqual([]);
    expect(of({ podCIDR: '10.0.0.0/99' })[0]).toMatch('must be a valid CIDR value');
    expect(of({}, { capacity: { cpu: '-4' } })[0]).toBe(
      'status.capacity[cpu]: Invalid value: "-4": must be greater than or equal to 0',
    );
    const address = { type: 'InternalIP', address: '1.2.3.4' };
    expect(of({}, { addresses: [address, address] })).toEqual([
      'status.addresses[1]: Duplicate value: {"type":"InternalIP","address":"1.2.3.4"}',
    ]);
  });
  test('what a provider gave stays', () => {
    expect(of({ providerID: 'b' }, {}, { providerID: 'a' })).toEqual([
      'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
    ]);
    expect(of({ providerID: 'b', podCIDRs: ['10.0.0.0/24'] }, {}, {})).toEqual([]);
  });
});

test('leases', () => {
  expect(faults(Lease, { metadata, spec: { leaseDurationSeconds: 15, holderIdentity: 'x' } })).toEqual([]);
  expect(faults(Lease, { metadata, spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } })).toEqual([
    'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
    'spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0',
  ]);
});

test('events live where their object lives', () => {
  const of = (namespace: string, about?: string): string[] =>
    faults(Event, { metadata: { name: 'e', namespace }, involvedObject: { kind: 'Pod', name: 'p', namespace: about } });
  expect(of('a', 'a')).toEqual([]);
  expect(of('default')).toEqual([]);
  expect(of('a', 'b')).toEqual(['involvedObject.namespace: Invalid value: "b": does not match event.namespace']);
  expect(of('a')).toEqual(['involvedObject.namespace: Invalid value: "": does not match event.namespace']);
});

test('bindings name a node', () => {
  expect(faults(Binding, { metadata, target: { kind: 'Node', name: 'n' } })).toEqual([]);
  expect(faults(Binding, { metadata })).toEqual(['target.name: Required value']);
  expect(faults(Binding, { metadata, target: { kind: 'Pod', name: 'n' } })[0]).toMatch(
    'target.kind: Unsupported value: "Pod"',
  );
});

test('a token lasts ten minutes or more', () => {
  expect(faults(TokenRequest, { metadata, spec: { audiences: [], expirationSeconds: 599 } })).toEqual([
    'spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
  ]);
});
