import { describe, expect, test } from 'vitest';
import { Pod } from '../generated/kinds.js';
import { faults } from './rules-testing.js';

const container = { name: 'c', image: 'nginx' };
const withSpec = (spec: object): object => ({
  metadata: { name: 'a', namespace: 'default' },
  spec: { containers: [container], ...spec },
});
const of = (spec: object): string[] => faults(Pod, withSpec(spec));
const ofContainer = (more: object): string[] => of({ containers: [{ ...container, ...more }] });

describe('ports', () => {
  const ports = (...list: object[]): string[] => ofContainer({ ports: list });
  test.each<[object[], string[]]>([
    [[{ containerPort: 80 }, { containerPort: 80 }], []],
    [[{ containerPort: 0 }], ['spec.containers[0].ports[0].containerPort: Required value']],
    [
      [{ containerPort: 65536 }],
      ['spec.containers[0].ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive'],
    ],
    [
      [{ containerPort: 1, hostPort: -1 }],
      ['spec.containers[0].ports[0].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive'],
    ],
    [
      [{ containerPort: 1, protocol: 'ICMP' }],
      ['spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"'],
    ],
    [
      [
        { containerPort: 1, name: 'web' },
        { containerPort: 2, name: 'web' },
      ],
      ['spec.containers[0].ports[1].name: Duplicate value: "web"'],
    ],
    [
      [{ containerPort: 1, name: '80' }],
      ['spec.containers[0].ports[0].name: Invalid value: "80": must contain at least one letter (a-z)'],
    ],
    [
      [{ containerPort: 1, name: 'averyverylongname' }],
      ['spec.containers[0].ports[0].name: Invalid value: "averyverylongname": must be no more than 15 characters'],
    ],
    [
      [{ containerPort: 1, name: 'a--b' }],
      ['spec.containers[0].ports[0].name: Invalid value: "a--b": must not contain consecutive hyphens'],
    ],
    [
      [
        { containerPort: 1, hostPort: 8 },
        { containerPort: 2, hostPort: 8 },
      ],
      ['spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//8"'],
    ],
    [
      [
        { containerPort: 1, hostPort: 8 },
        { containerPort: 2, hostPort: 8, protocol: 'UDP' },
      ],
      [],
    ],
  ])('%j', (list, expected) => expect(ports(...list)).toEqual(expected));

  test('a port of the host belongs to one container', () => {
    const other = { name: 'd', image: 'x', ports: [{ containerPort: 2, hostPort: 8 }] };
    expect(of({ containers: [{ ...container, ports: [{ containerPort: 1, hostPort: 8 }] }, other] })).toEqual([
      'spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//8"',
    ]);
  });

  test('on the network of the host they are the same', () => {
    expect(
      of({ hostNetwork: true, containers: [{ ...container, ports: [{ containerPort: 80, hostPort: 81 }] }] }),
    ).toEqual([
      'spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true',
    ]);
  });
});

describe('environment', () => {
  const env = (...list: object[]): string[] => ofContainer({ env: list });
  test.each<[object, string[]]>([
    [{ name: 'A.b-C', value: 'x' }, []],
    [{ value: 'x' }, ['spec.containers[0].env[0].name: Required value']],
    [
      { name: 'a=b' },
      [expect.stringMatching(/env\[0\]\.name: Invalid value: "a=b": a valid environment variable name/)],
    ],
    [
      { name: 'a', valueFrom: {} },
      [
        'spec.containers[0].env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
      ],
    ],
    [
      { name: 'a', value: 'x', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty'],
    ],
    [
      { name: 'a', valueFrom: { fieldRef: { fieldPath: 'metadata.name' }, configMapKeyRef: { name: 'x', key: 'y' } } },
      ['spec.containers[0].env[0].valueFrom: Invalid value: "": may not have more than one field specified at a time'],
    ],
    [{ name: 'a', valueFrom: { fieldRef: { fieldPath: "metadata.labels['a/b']" } } }, []],
    [
      { name: 'a', valueFrom: { fieldRef: { fieldPath: 'spec.containers' } } },
      [
        expect.stringMatching(
          /fieldRef\.fieldPath: Unsupported value: "spec\.containers": supported values: "metadata\.name"/,
        ),
      ],
    ],
    [
      { name: 'a', valueFrom: { fieldRef: {} } },
      ['spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Required value'],
    ],
    [
      { name: 'a', valueFrom: { configMapKeyRef: { key: '' } } },
      [
        'spec.containers[0].env[0].valueFrom.configMapKeyRef.name: Required value',
        'spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Required value',
      ],
    ],
    [
      { name: 'a', valueFrom: { resourceFieldRef: { resource: 'x' } } },
      [expect.stringMatching(/resourceFieldRef\.resource: Unsupported value: "x"/)],
    ],
  ])('%j', (variable, expected) => expect(env(variable)).toEqual(expected));

  test('envFrom has one source', () => {
    expect(ofContainer({ envFrom: [{ configMapRef: { name: 'x' } }] })).toEqual([]);
    expect(ofContainer({ envFrom: [{}] })).toEqual([
      'spec.containers[0].envFrom[0]: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
    ]);
    expect(ofContainer({ envFrom: [{ configMapRef: { name: 'x' }, secretRef: { name: 'x' } }] })[0]).toMatch(
      'may not have more than one field specified at a time',
    );
  });
});

describe('volumes and mounts', () => {
  const mounted = (volumes: object[], volumeMounts: object[]): string[] =>
    of({ volumes, containers: [{ ...container, volumeMounts }] });
  const v = { name: 'v', emptyDir: {} };
  test.each<[object[], object[], string[]]>([
    [
      [v],
      [
        { name: 'v', mountPath: '/a' },
        { name: 'v', mountPath: '/b', subPath: 'x/y' },
      ],
      [],
    ],
    [[v], [{ name: 'w', mountPath: '/a' }], ['spec.containers[0].volumeMounts[0].name: Not found: "w"']],
    [[v], [{ name: 'v' }], ['spec.containers[0].volumeMounts[0].mountPath: Required value']],
    [
      [v],
      [
        { name: 'v', mountPath: '/a' },
        { name: 'v', mountPath: '/a' },
      ],
      ['spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique'],
    ],
    [
      [v],
      [{ name: 'v', mountPath: '/a', subPath: '/x' }],
      ['spec.containers[0].volumeMounts[0].subPath: Invalid value: "/x": must be a relative path'],
    ],
    [
      [v],
      [{ name: 'v', mountPath: '/a', subPath: 'x/../y' }],
      ['spec.containers[0].volumeMounts[0].subPath: Invalid value: "x/../y": must not contain \'..\''],
    ],
    [[v, v], [], ['spec.volumes[1].name: Duplicate value: "v"']],
    [[{ name: 'V', emptyDir: {} }], [], [expect.stringMatching(/spec\.volumes\[0\]\.name: Invalid value: "V"/)]],
    [
      [{ ...v, hostPath: { path: '/x' } }],
      [],
      ['spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type'],
    ],
    [
      [{ name: 'v', hostPath: { path: '/a/../b' } }],
      [],
      ['spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not contain \'..\''],
    ],
    [
      [{ name: 'v', hostPath: { path: '/a', type: 'Nope' } }],
      [],
      [expect.stringMatching(/hostPath\.type: Unsupported value: "Nope"/)],
    ],
    [[{ name: 'v', configMap: {} }], [], ['spec.volumes[0].configMap.name: Required value']],
    [
      [{ name: 'v', secret: { defaultMode: 512 } }],
      [],
      [
        'spec.volumes[0].secret.secretName: Required value',
        'spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive',
      ],
    ],
    [
      [{ name: 'v', configMap: { name: 'x', items: [{ key: 'a', path: '../b' }] } }],
      [],
      ['spec.volumes[0].configMap.items[0].path: Invalid value: "../b": must not contain \'..\''],
    ],
    [
      [{ name: 'v', persistentVolumeClaim: {} }],
      [],
      ['spec.volumes[0].persistentVolumeClaim.claimName: Required value'],
    ],
    [
      [{ name: 'v', nfs: { server: 's', path: 'rel' } }],
      [],
      ['spec.volumes[0].nfs.path: Invalid value: "rel": must be an absolute path'],
    ],
    [
      [{ name: 'v', projected: { sources: [{}] } }],
      [],
      ['spec.volumes[0].projected.sources[0]: Required value: must specify a projection type'],
    ],
    [
      [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't', expirationSeconds: 1 } }] } }],
      [],
      [expect.stringMatching('may not specify a duration less than 10 minutes')],
    ],
    [
      [{ name: 'v', downwardAPI: { items: [{ path: 'p' }] } }],
      [],
      ['spec.volumes[0].downwardAPI.items[0]: Required value: one of fieldRef and resourceFieldRef is required'],
    ],
  ])('%j %j', (volumes, mounts, expected) => expect(mounted(volumes, mounts)).toEqual(expected));
});

describe('probes', () => {
  const probe = (livenessProbe: object): string[] => ofContainer({ livenessProbe });
  test.each<[object, string[]]>([
    [{ httpGet: { port: 'web' } }, []],
    [{}, ['spec.containers[0].livenessProbe: Required value: must specify a handler type']],
    [
      { exec: { command: ['x'] }, tcpSocket: { port: 1 } },
      ['spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type'],
    ],
    [{ exec: {} }, ['spec.containers[0].livenessProbe.exec.command: Required value']],
    [
      { httpGet: { port: 0 } },
      ['spec.containers[0].livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive'],
    ],
    [
      { httpGet: { port: 1, scheme: 'GOPHER' } },
      [
        'spec.containers[0].livenessProbe.httpGet.scheme: Unsupported value: "GOPHER": supported values: "HTTP", "HTTPS"',
      ],
    ],
    [
      { tcpSocket: { port: 1 }, periodSeconds: -1 },
      ['spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0'],
    ],
    [
      { tcpSocket: { port: 1 }, successThreshold: 2 },
      ['spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1'],
    ],
    [
      { tcpSocket: { port: 1 }, terminationGracePeriodSeconds: 0 },
      ['spec.containers[0].livenessProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0'],
    ],
  ])('%j', (given, expected) => expect(probe(given)).toEqual(expected));
});

// Requests follow limits by default, and so do their faults.
describe('resources', () => {
  const resources = (given: object): string[] => ofContainer({ resources: given });
  const at = 'spec.containers[0].resources';
  test.each<[object, string[]]>([
    [{ requests: { cpu: '1' }, limits: { cpu: '1000m' } }, []],
    [
      { requests: { cpu: '2' }, limits: { cpu: '1' } },
      [`${at}.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`],
    ],
    [
      { limits: { cpu: '-1' } },
      [
        `${at}.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0`,
        `${at}.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0`,
      ],
    ],
    [
      { limits: { gpu: '1' } },
      [
        `${at}.limits: Invalid value: "gpu": must be a standard resource for containers`,
        `${at}.requests: Invalid value: "gpu": must be a standard resource for containers`,
      ],
    ],
    [{ limits: { 'example.com/gpu': '1' } }, []],
    [
      { limits: { 'example.com/gpu': '500m' } },
      [
        `${at}.limits[example.com/gpu]: Invalid value: "500m": must be an integer`,
        `${at}.requests[example.com/gpu]: Invalid value: "500m": must be an integer`,
      ],
    ],
    [
      { requests: { 'example.com/gpu': '1' } },
      [`${at}.limits: Required value: Limit must be set for non overcommitable resources`],
    ],
    [
      { requests: { 'example.com/gpu': '1' }, limits: { 'example.com/gpu': '2' } },
      [`${at}.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2`],
    ],
  ])('%j', (given, expected) => {
    expect(resources(given)).toEqual(expected);
  });
});
