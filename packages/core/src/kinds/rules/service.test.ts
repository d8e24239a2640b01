import { describe, expect, test } from 'vitest';
import { EndpointSlice, Endpoints, Service } from '../generated/kinds.js';
import { faults } from './rules-testing.js';

const metadata = { name: 'a', namespace: 'default' };
const base = { ports: [{ port: 80 }], selector: { app: 'a' } };
const of = (more: object, previous?: object): string[] =>
  faults(Service, { metadata, spec: { ...base, ...more } }, previous && { metadata, spec: { ...base, ...previous } });

describe('services', () => {
  test.each<[object, string[]]>([
    [{}, []],
    [{ ports: [] }, ['spec.ports: Required value']],
    [{ ports: [], clusterIP: 'None' }, []],
    [{ ports: [], type: 'ExternalName', externalName: 'example.com' }, []],
    [{ type: 'ExternalName' }, ['spec.externalName: Required value']],
    [
      { type: 'ExternalName', externalName: 'a_b' },
      [expect.stringMatching('spec.externalName: Invalid value: "a_b": a lowercase RFC 1123 subdomain')],
    ],
    [
      { type: 'ExternalName', externalName: 'a.b', clusterIP: '10.0.0.1' },
      ["spec.clusterIPs: Forbidden: may not be set when `type` is 'ExternalName'"],
    ],
    [
      { type: 'Portal' },
      [
        'spec.type: Unsupported value: "Portal": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
      ],
    ],
    [
      { sessionAffinity: 'Cookie' },
      ['spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"'],
    ],
    [
      { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } },
      [expect.stringMatching('must be greater than 0 and less than 86400')],
    ],
    [
      { clusterIP: 'x' },
      ['spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    ],
    [
      { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.2'] },
      ['spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`'],
    ],
    [
      { type: 'NodePort', clusterIP: 'None' },
      ['spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services'],
    ],
    [
      { clusterIP: '::1', ipFamilies: ['IPv4'] },
      ['spec.clusterIPs[0]: Invalid value: "::1": expected an IPv4 value as indicated by `ipFamilies[0]`'],
    ],
    [{ externalIPs: ['x'] }, [expect.stringMatching('spec.externalIPs\\[0\\]: Invalid value: "x"')]],
    [{ selector: { a: '-' } }, [expect.stringMatching('spec.selector: Invalid value: "-"')]],
    [
      { externalTrafficPolicy: 'Local' },
      [
        expect.stringMatching(
          'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
        ),
      ],
    ],
    [
      { loadBalancerSourceRanges: ['10.0.0.0/8'] },
      ["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    ],
    [
      { type: 'LoadBalancer', loadBalancerSourceRanges: ['10.0.0.0'] },
      [expect.stringMatching('must be a valid CIDR value')],
    ],
  ])('%j', (more, expected) => expect(of(more)).toEqual(expected));
});

describe('ports', () => {
  const ports = (list: object[], type = 'ClusterIP'): string[] => of({ ports: list, type });
  test.each<[object[], string, string[]]>([
    [[{ port: 0 }], 'ClusterIP', ['spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive']],
    [
      [{ port: 1 }, { port: 2 }],
      'ClusterIP',
      ['spec.ports[0].name: Required value', 'spec.ports[1].name: Required value'],
    ],
    [
      [
        { name: 'a', port: 1 },
        { name: 'a', port: 2 },
      ],
      'ClusterIP',
      ['spec.ports[1].name: Duplicate value: "a"'],
    ],
    [
      [
        { name: 'a', port: 1 },
        { name: 'b', port: 1 },
      ],
      'ClusterIP',
      ['spec.ports[1]: Duplicate value: {"protocol":"TCP","port":1}'],
    ],
    [
      [
        { name: 'a', port: 1 },
        { name: 'b', port: 1, protocol: 'UDP' },
      ],
      'ClusterIP',
      [],
    ],
    [
      [{ port: 1, targetPort: 70000 }],
      'ClusterIP',
      ['spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive'],
    ],
    [
      [{ port: 1, targetPort: 'A' }],
      'ClusterIP',
      [
        'spec.ports[0].targetPort: Invalid value: "A": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
      ],
    ],
    [
      [{ port: 1, nodePort: 30000 }],
      'ClusterIP',
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    [[{ port: 1, nodePort: 30000 }], 'NodePort', []],
    [
      [{ port: 1, nodePort: 70000 }],
      'NodePort',
      ['spec.ports[0].nodePort: Invalid value: 70000: must be between 1 and 65535, inclusive'],
    ],
    [
      [
        { name: 'a', port: 1, nodePort: 30000 },
        { name: 'b', port: 2, nodePort: 30000 },
      ],
      'NodePort',
      ['spec.ports[1].nodePort: Duplicate value: 30000'],
    ],
  ])('%j %s', (list, type, expected) => expect(ports(list, type)).toEqual(expected));
});

describe('an address once given stays', () => {
  const given = { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'] };
  test.each<[string, object, string[]]>([
    ['the same', given, []],
    [
      'another',
      { clusterIP: '10.0.0.2', clusterIPs: ['10.0.0.2'] },
      ['spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set'],
    ],
    ['none', {}, ['spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset']],
    ['no longer a service with an address', { type: 'ExternalName', externalName: 'a.b' }, []],
  ])('%s', (_, to, expected) => expect(of(to, given)).toEqual(expected));
});

describe('endpoints', () => {
  const subset = (more: object): string[] => faults(Endpoints, { metadata, subsets: [more] });
  test('subsets', () => {
    expect(subset({ addresses: [{ ip: '127.3.0.1' }], ports: [{ port: 80 }] })).toEqual([]);
    expect(subset({})).toEqual(['subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`']);
    expect(subset({ addresses: [{ ip: 'web' }] })[0]).toMatch(
      'subsets[0].addresses[0].ip: Invalid value: "web": must be a valid IP address',
    );
    expect(subset({ notReadyAddresses: [{ ip: '0.0.0.0' }] })[0]).toMatch('may not be unspecified');
    expect(subset({ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 1 }, { port: 2 }] })).toEqual([
      'subsets[0].ports[0].name: Required value',
      'subsets[0].ports[1].name: Required value',
    ]);
  });

  const slice = (more: object, previous?: object): string[] =>
    faults(
      EndpointSlice,
      { metadata, addressType: 'IPv4', ...more },
      previous && { metadata, addressType: 'IPv4', ...previous },
    );
  test('slices', () => {
    expect(slice({ endpoints: [{ addresses: ['127.0.0.1'] }], ports: [{ port: 80 }] })).toEqual([]);
    expect(slice({ addressType: 'Radio' })[0]).toBe(
      'addressType: Unsupported value: "Radio": supported values: "FQDN", "IPv4", "IPv6"',
    );
    expect(slice({ endpoints: [{ addresses: [] }] })).toEqual([
      'endpoints[0].addresses: Required value: must contain at least 1 address',
    ]);
    expect(slice({ endpoints: [{ addresses: ['::1'] }] })).toEqual([
      'endpoints[0].addresses[0]: Invalid value: "::1": must be a valid IPv4 address',
    ]);
    expect(slice({ ports: [{ name: 'a' }, { name: 'a' }] })).toEqual(['ports[1].name: Duplicate value: "a"']);
    expect(slice({ addressType: 'IPv6' }, {})).toEqual(['addressType: Invalid value: "IPv6": field is immutable']);
    expect(slice({ endpoints: Array.from({ length: 1001 }, () => ({ addresses: ['10.0.0.1'] })) })).toEqual([
      'endpoints: Too many: 1001: must have at most 1000 items',
    ]);
  });
});
