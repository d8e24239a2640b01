import { describe, expect, test } from 'vitest';
import { isStatusError, type StatusError } from '../errors/status-error.js';
import { ConfigMap, Deployment, Lease, Pod, ReplicaSet, Secret, Service } from './generated/kinds.js';
import type { Kind } from './kind.js';

const pod = (spec: object, more: object = {}): object => ({ metadata: { name: 'a' }, spec, ...more });

function refusal(kind: Kind<any>, value: unknown): StatusError {
  try {
    kind.decode(value);
  } catch (error) {
    if (isStatusError(error)) return error;
    throw error;
  }
  throw new Error('was accepted');
}

describe('what is missing', () => {
  test('kind and apiVersion are filled in, and come first', () => {
    const { object } = Deployment.decode({ metadata: { name: 'a' } });
    expect(Object.keys(object).slice(0, 2)).toEqual(['apiVersion', 'kind']);
    expect([object.apiVersion, object.kind]).toEqual(['apps/v1', 'Deployment']);
  });

  test('spec and status are there when the type has them by value, and only then', () => {
    expect(Deployment.decode({}).object).toEqual({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: {},
      spec: expect.anything(),
      status: {},
    });
    expect(ConfigMap.decode({}).object).toEqual({ apiVersion: 'v1', kind: 'ConfigMap', metadata: {} });
  });

  test('what Go always writes is filled with its zero', () => {
    expect(ReplicaSet.decode({}).object.status).toEqual({ replicas: 0 });
    const status = { containerStatuses: [{ name: 'a' }] };
    expect(Pod.decode(pod({}, { status })).object.status.containerStatuses).toEqual([
      { name: 'a', image: '', imageID: '', ready: false, restartCount: 0 },
    ]);
  });

  test('null is absent', () => {
    const { object } = Pod.decode({
      metadata: { name: 'a', creationTimestamp: null, labels: null },
      spec: { nodeName: null },
      status: null,
    });
    expect(object).toEqual({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: {}, status: {} });
  });

  test('null among elements is the zero of the element', () => {
    expect(ConfigMap.decode({ data: { a: null } }).object.data).toEqual({ a: '' });
    const spec = { containers: [{ name: 'c', args: ['x', null], resources: { limits: { cpu: null } } }] };
    expect(Pod.decode(pod(spec)).object.spec.containers[0]).toEqual({
      name: 'c',
      args: ['x', ''],
      resources: { limits: { cpu: '0' } },
    });
  });
});

describe('zero values', () => {
  test('go away where Go would omit them, and stay behind pointers', () => {
    const { object } = Pod.decode(
      pod({
        hostNetwork: false,
        nodeName: '',
        containers: [{ name: 'a', image: '', env: [], tty: false }],
        volumes: [],
        nodeSelector: {},
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 0,
      }),
    );
    expect(object.spec).toEqual({
      containers: [{ name: 'a' }],
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
    });
    expect(Deployment.decode({ spec: { replicas: 0 } }).object.spec.replicas).toBe(0);
  });

  test('an empty struct stays: it says which one', () => {
    const spec = { containers: [], volumes: [{ name: 'v', emptyDir: {} }], securityContext: {} };
    expect(Pod.decode(pod(spec)).object.spec).toEqual(spec);
  });
});

describe('unknown fields', () => {
  test('are named by path in the order in which they stand, and dropped', () => {
    const { object, unknownFields } = Deployment.decode({
      foo: 1,
      metadata: { name: 'a', labls: {} },
      spec: { template: { spec: { containers: [{ name: 'a' }, { name: 'b', immage: 'x' }] } } },
    });
    expect(unknownFields).toEqual(['foo', 'metadata.labls', 'spec.template.spec.containers[1].immage']);
    expect(JSON.stringify(object)).not.toMatch(/foo|labls|immage/);
  });

  test('letters count in their case', () => {
    expect(Pod.decode(pod({ nodename: 'n' })).unknownFields).toEqual(['spec.nodename']);
  });

  test('a key named __proto__ changes no prototype', () => {
    const { object, unknownFields } = Pod.decode(
      JSON.parse('{"metadata":{"name":"a","labels":{"__proto__":"x"}},"spec":{"__proto__":{"hostNetwork":true}}}'),
    );
    expect(unknownFields).toEqual(['spec.__proto__']);
    expect(object.spec.hostNetwork).toBeUndefined();
    expect(Object.keys(object.metadata.labels!)).toEqual(['__proto__']);
  });
});

describe('values of the wrong type are refused in the words of Go, with the exact path as the cause', () => {
  test.each<[Kind<any>, unknown, string, string]>([
    [ConfigMap, { data: { a: 1 } }, 'number into Go struct field ConfigMap.data of type string', 'data.a'],
    [ConfigMap, { data: [] }, 'array into Go struct field ConfigMap.data of type map[string]string', 'data'],
    [
      Deployment,
      { spec: { replicas: '3' } },
      'string into Go struct field DeploymentSpec.spec.replicas of type int32',
      'spec.replicas',
    ],
    [
      Deployment,
      { spec: { replicas: 1.5 } },
      'number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32',
      'spec.replicas',
    ],
    [
      Deployment,
      { spec: { replicas: 2 ** 31 } },
      'number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32',
      'spec.replicas',
    ],
    [Deployment, { spec: 'x' }, 'string into Go struct field Deployment.spec of type v1.DeploymentSpec', 'spec'],
    [
      Pod,
      pod({ containers: {} }),
      'object into Go struct field PodSpec.spec.containers of type []v1.Container',
      'spec.containers',
    ],
    [
      Pod,
      pod({ containers: [{ env: [{ name: 'a' }, { name: 'b', value: 3 }] }] }),
      'number into Go struct field EnvVar.spec.containers.env.value of type string',
      'spec.containers[0].env[1].value',
    ],
    [
      Service,
      { spec: { ports: [{ protocol: 6 }] } },
      'number into Go struct field ServicePort.spec.ports.protocol of type v1.Protocol',
      'spec.ports[0].protocol',
    ],
    [
      Pod,
      pod({ hostNetwork: 'yes' }),
      'string into Go struct field PodSpec.spec.hostNetwork of type bool',
      'spec.hostNetwork',
    ],
  ])('%#', (kind, value, message, field) => {
    const error = refusal(kind, value);
    expect(error.reason).toBe('BadRequest');
    expect(error.message).toBe(
      `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: json: cannot unmarshal ${message}`,
    );
    expect(error.details.causes).toEqual([{ reason: 'FieldValueTypeInvalid', message: expect.any(String), field }]);
  });

  test('a body that is no object, or of another kind or version', () => {
    expect(refusal(Pod, []).message).toMatch('cannot unmarshal array into Go value of type v1.Pod');
    expect(refusal(Pod, 'x').message).toMatch('cannot unmarshal string into Go value of type v1.Pod');
    expect(refusal(ConfigMap, { kind: 'Secret', apiVersion: 'v1' }).message).toMatch(
      'Secret in version "v1" cannot be handled as a ConfigMap',
    );
    expect(refusal(Pod, { kind: 'Pod', apiVersion: 'apps/v1' }).message).toBe(
      'the API version in the data (apps/v1) does not match the expected API version (v1)',
    );
  });

  test.each<[Kind<any>, unknown, RegExp]>([
    [Secret, { data: { a: 'a b' } }, /illegal base64 data at input byte 1 \(at data\.a\)/],
    [
      Pod,
      { metadata: { creationTimestamp: 'today' } },
      /parsing time "today" as "2006-01-02T15:04:05Z07:00".*metadata\.creationTimestamp/,
    ],
    [
      Pod,
      pod({ containers: [{ resources: { limits: { cpu: '1Zi' } } }] }),
      /quantities must match the regular expression.*spec\.containers\[0\]\.resources\.limits\.cpu/,
    ],
    [
      Pod,
      pod({ containers: [{ resources: { limits: { cpu: '1iK' } } }] }),
      /unable to parse quantity's suffix|quantities must match/,
    ],
    [
      Service,
      { spec: { ports: [{ targetPort: true }] } },
      /cannot unmarshal bool .*targetPort of type intstr\.IntOrString/,
    ],
  ])('a form of its own %#', (kind, value, message) => {
    expect(refusal(kind, value).message).toMatch(message);
  });
});

describe('forms', () => {
  test('times lose their fraction and zone, micro times get six digits', () => {
    const { metadata } = Pod.decode({
      metadata: { creationTimestamp: '2026-11-21T02:48:12.123Z', deletionTimestamp: '2026-11-21T02:48:12+02:00' },
    }).object;
    expect([metadata.creationTimestamp, metadata.deletionTimestamp]).toEqual([
      '2026-11-21T02:48:12Z',
      '2026-11-21T00:48:12Z',
    ]);
    expect(Lease.decode({ spec: { renewTime: '2026-11-21T02:48:12.5Z' } }).object.spec.renewTime).toBe(
      '2026-11-21T02:48:12.500000Z',
    );
  });

  test('quantities keep their text; numbers become text', () => {
    const limits = { cpu: 0.5, memory: '1024Mi', a: 1e3, 'b.c/d': ' 1 ' };
    expect(
      Pod.decode(pod({ containers: [{ name: 'a', resources: { limits } }] })).object.spec.containers[0]!.resources!
        .limits,
    ).toEqual({ cpu: '0.5', memory: '1024Mi', a: '1000', 'b.c/d': '1' });
  });

  test('free JSON is kept as it is', () => {
    const fieldsV1 = { 'f:metadata': { '.': {}, x: null, y: [] } };
    const { object } = Pod.decode({ metadata: { managedFields: [{ fieldsV1: structuredClone(fieldsV1) }] } });
    expect(object.metadata.managedFields![0]!.fieldsV1).toEqual(fieldsV1);
  });
});

test('decoding twice changes nothing more', () => {
  const once = Pod.decode(
    pod({ containers: [{ name: 'a', ports: [{ containerPort: 80 }], bogus: 1 }], hostNetwork: false }),
  ).object;
  const twice = Pod.decode(structuredClone(once));
  expect(twice.object).toEqual(once);
  expect(twice.unknownFields).toEqual([]);
});
