import { describe, expect, test } from 'vitest';
import { Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR } from '../generated/kinds.js';
import { faults } from './rules-testing.js';

const metadata = { name: 'x', namespace: 'default' };

describe('ingresses', () => {
  const backend = { service: { name: 's', port: { number: 80 } } };
  const withPath = (path: object) => ({
    rules: [{ http: { paths: [{ path: '/', pathType: 'Prefix', backend, ...path }] } }],
  });
  const of = (spec: object, more: object = {}): string[] =>
    faults(Ingress, { metadata: { ...metadata, ...more }, spec });
  const at = 'spec.rules[0].http.paths[0]';
  test.each<[object, string[]]>([
    [{ defaultBackend: backend }, []],
    [withPath({}), []],
    [{ rules: [{ host: '*.example.com' }] }, []],
    [{}, ['spec: Invalid value: []: either `defaultBackend` or `rules` must be specified']],
    [
      { rules: [{ host: '10.0.0.1' }] },
      ['spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'],
    ],
    [
      { rules: [{ host: 'Upper' }] },
      [expect.stringContaining('spec.rules[0].host: Invalid value: "Upper": a lowercase RFC 1123')],
    ],
    [{ rules: [{ host: 'a.*.b' }] }, [expect.stringContaining('a wildcard DNS-1123 subdomain must start with')]],
    [{ rules: [{ http: {} }] }, ['spec.rules[0].http.paths: Required value']],
    [withPath({ pathType: undefined }), [`${at}.pathType: Required value: pathType must be specified`]],
    [
      withPath({ pathType: 'Regex' }),
      [`${at}.pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"`],
    ],
    [withPath({ path: 'a' }), [`${at}.path: Invalid value: "a": must be an absolute path`]],
    [withPath({ path: '/a//b' }), [`${at}.path: Invalid value: "/a//b": must not contain '//'`]],
    [withPath({ path: '/a/..' }), [`${at}.path: Invalid value: "/a/..": cannot end with '/..'`]],
    [withPath({ pathType: 'ImplementationSpecific', path: '' }), []],
    [withPath({ backend: {} }), [`${at}.backend: Required value: must specify a service or a resource`]],
    [
      withPath({ backend: { service: { name: 's' } } }),
      [`${at}.backend.service.port: Required value: port name or number is required`],
    ],
    [
      withPath({ backend: { service: { name: 's', port: { name: 'n', number: 1 } } } }),
      [`${at}.backend.service.port: Invalid value: "": cannot set both port name & port number`],
    ],
    [
      withPath({ backend: { ...backend, resource: { kind: 'K', name: 'n' } } }),
      [`${at}.backend: Invalid value: "": cannot set both resource and service backends`],
    ],
    [
      { defaultBackend: backend, tls: [{ hosts: ['a', 'B'] }] },
      [expect.stringContaining('spec.tls[0].hosts[1]: Invalid value: "B"')],
    ],
  ])('%j', (spec, expected) => expect(of(spec)).toEqual(expected));
  test('one way to name the class', () => {
    const annotations = { 'kubernetes.io/ingress.class': 'old' };
    expect(of({ defaultBackend: backend, ingressClassName: 'new' }, { annotations })).toEqual([
      'metadata.annotations.kubernetes.io/ingress.class: Invalid value: "old": can not be set when the class field is also set',
    ]);
  });
});

describe('ingress classes', () => {
  const of = (spec: object, previous?: object): string[] =>
    faults(IngressClass, { metadata: { name: 'x' }, spec }, previous && { metadata: { name: 'x' }, spec: previous });
  const controller = 'example.com/c';
  const parameters = { kind: 'P', name: 'n' };
  test.each<[object, string[]]>([
    [{ controller }, []],
    [{ controller, parameters }, []],
    [{}, ['spec.controller: Required value']],
    [
      { controller: 'plain' },
      ['spec.controller: Invalid value: "plain": must be a domain-prefixed path (such as "acme.io/foo")'],
    ],
    [
      { controller, parameters: {} },
      [
        'spec.parameters.kind: Required value: kind is required',
        'spec.parameters.name: Required value: name is required',
      ],
    ],
    [
      { controller, parameters: { ...parameters, scope: 'Namespace' } },
      ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
    ],
    [
      { controller, parameters: { ...parameters, namespace: 'n' } },
      ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
    ],
    [
      { controller, parameters: { ...parameters, scope: 'Galaxy' } },
      ['spec.parameters.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespace"'],
    ],
  ])('%j', (spec, expected) => expect(of(spec)).toEqual(expected));
  test('the controller stays', () => {
    expect(of({ controller: 'example.com/d' }, { controller })).toEqual([
      'spec.controller: Invalid value: "example.com/d": field is immutable',
    ]);
  });
});

describe('network policies', () => {
  const of = (spec: object): string[] => faults(NetworkPolicy, { metadata, spec: { podSelector: {}, ...spec } });
  const port = (value: object) => ({ ingress: [{ ports: [value] }] });
  const from = (peer: object) => ({ ingress: [{ from: [peer] }] });
  test.each<[object, string[]]>([
    [{}, []],
    [port({ port: 80, endPort: 90 }), []],
    [from({ podSelector: {}, namespaceSelector: {} }), []],
    [from({ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }), []],
    [port({ port: 0 }), ['spec.ingress[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive']],
    [
      port({ port: 'http', endPort: 9 }),
      ['spec.ingress[0].ports[0].endPort: Invalid value: 9: may not be specified when `port` is non-numeric'],
    ],
    [
      port({ endPort: 9 }),
      ['spec.ingress[0].ports[0].endPort: Invalid value: 9: must specify `port` if `endPort` is set'],
    ],
    [
      port({ port: 80, endPort: 9 }),
      ['spec.ingress[0].ports[0].endPort: Invalid value: 9: must be greater than or equal to `port`'],
    ],
    [
      port({ protocol: 'ICMP', port: 1 }),
      ['spec.ingress[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'],
    ],
    [from({}), ['spec.ingress[0].from[0]: Required value: must specify a peer']],
    [
      from({ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }),
      ['spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer'],
    ],
    [from({ ipBlock: {} }), ['spec.ingress[0].from[0].ipBlock.cidr: Required value']],
    [
      from({ ipBlock: { cidr: '10.0.0.0/8', except: ['11.0.0.0/16', '10.0.0.0/8'] } }),
      [
        'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
        'spec.ingress[0].from[0].ipBlock.except[1]: Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`',
      ],
    ],
    [
      { policyTypes: ['Sideways'] },
      ['spec.policyTypes[0]: Unsupported value: "Sideways": supported values: "Egress", "Ingress"'],
    ],
    [
      { policyTypes: ['Ingress', 'Egress', 'Ingress'] },
      ['spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two policyTypes'],
    ],
    [
      { podSelector: { matchLabels: { '-': 'x' } } },
      [expect.stringContaining('spec.podSelector.matchLabels: Invalid value: "-"')],
    ],
  ])('%j', (spec, expected) => expect(of(spec)).toEqual(expected));
});

test('addresses are named by themselves', () => {
  const address = (name: string, spec: object) => ({ metadata: { name }, spec });
  const parentRef = { resource: 'services', name: 's', namespace: 'n' };
  expect(faults(IPAddress, address('10.0.0.1', { parentRef }))).toEqual([]);
  expect(faults(IPAddress, address('fd00::1', { parentRef }))).toEqual([]);
  expect(faults(IPAddress, address('x', {}))).toEqual([
    'metadata.name: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    'spec.parentRef: Required value',
  ]);
  const moved = { parentRef: { ...parentRef, name: 't' } };
  expect(faults(IPAddress, address('10.0.0.1', moved), address('10.0.0.1', { parentRef }))).toEqual([
    expect.stringMatching('^spec.parentRef: Invalid value: .*field is immutable$'),
  ]);
});

test('service ranges: one of each family', () => {
  const range = (...cidrs: string[]) => ({ metadata: { name: 'x' }, spec: { cidrs } });
  expect(faults(ServiceCIDR, range('10.0.0.0/16', 'fd00::/64'))).toEqual([]);
  expect(faults(ServiceCIDR, range())).toEqual(['spec.cidrs: Required value: at least one CIDR required']);
  expect(faults(ServiceCIDR, range('10.0.0.0'))).toEqual([expect.stringContaining('must be a valid CIDR value')]);
  expect(faults(ServiceCIDR, range('10.0.0.0/16', '11.0.0.0/16'))).toEqual([
    expect.stringContaining('may specify no more than one IP for each IP family'),
  ]);
  expect(faults(ServiceCIDR, range('10.0.0.0/16', 'fd00::/64'), range('10.0.0.0/16'))).toEqual([]);
  expect(faults(ServiceCIDR, range('11.0.0.0/16'), range('10.0.0.0/16'))).toEqual([
    'spec.cidrs: Invalid value: ["11.0.0.0/16"]: field is immutable',
  ]);
});
