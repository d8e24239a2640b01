import { describe, expect, test } from 'vitest';
import { Pod } from '../generated/kinds.js';
import { faults } from './rules-testing.js';

const container = { name: 'c', image: 'nginx' };
const withSpec = (spec: object): object => ({
  metadata: { name: 'a', namespace: 'default' },
  spec: { containers: [container], ...spec },
});
const of = (spec: object): string[] => faults(Pod, withSpec(spec));

test('a pod in order', () => expect(of({})).toEqual([]));

describe('containers', () => {
  test.each<[object, string[]]>([
    [{ containers: [] }, ['spec.containers: Required value']],
    [
      { containers: [{ name: '', image: '' }] },
      ['spec.containers[0].name: Required value', 'spec.containers[0].image: Required value'],
    ],
    [{ containers: [container, container] }, ['spec.containers[1].name: Duplicate value: "c"']],
    [{ initContainers: [container] }, ['spec.initContainers[0].name: Duplicate value: "c"']],
    [
      { containers: [{ name: 'c', image: ' x' }] },
      ['spec.containers[0].image: Invalid value: " x": must not have leading or trailing whitespace'],
    ],
    [
      { restartPolicy: 'Sometimes' },
      ['spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"'],
    ],
    [
      { containers: [{ ...container, imagePullPolicy: 'x' }] },
      [
        'spec.containers[0].imagePullPolicy: Unsupported value: "x": supported values: "Always", "IfNotPresent", "Never"',
      ],
    ],
    [
      { containers: [{ ...container, restartPolicy: 'Always' }] },
      ['spec.containers[0].restartPolicy: Forbidden: may not be set for non-init containers'],
    ],
    [
      { terminationGracePeriodSeconds: -1 },
      ['spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0'],
    ],
    [
      { activeDeadlineSeconds: 0 },
      ['spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive'],
    ],
    [
      { initContainers: [{ name: 'i', image: 'x', livenessProbe: { exec: { command: ['x'] } } }] },
      [
        'spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
      ],
    ],
    [
      {
        initContainers: [
          { name: 'i', image: 'x', restartPolicy: 'Always', livenessProbe: { exec: { command: ['x'] } } },
        ],
      },
      [],
    ],
    [
      { ephemeralContainers: [{ name: 'e', image: 'x', targetContainerName: 'zz' }] },
      ['spec.ephemeralContainers[0].targetContainerName: Not found: "zz"'],
    ],
    [
      { hostAliases: [{ ip: 'x' }] },
      ['spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    ],
    [
      { nodeSelector: { a: '-' } },
      [expect.stringMatching('spec.nodeSelector: Invalid value: "-": a valid label must be')],
    ],
    [{ hostname: 'a.b' }, [expect.stringMatching('spec.hostname: Invalid value: "a.b"')]],
    [
      { securityContext: { runAsUser: -1 } },
      ['spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive'],
    ],
    [{ schedulingGates: [{ name: 'a' }, { name: 'a' }] }, ['spec.schedulingGates[1]: Duplicate value: "a"']],
    [
      { dnsPolicy: 'None' },
      ['spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None'],
    ],
  ])('%j', (spec, expected) => expect(of(spec)).toEqual(expected));
});

describe('affinity, tolerations, spread', () => {
  const required = (terms: object): string[] =>
    of({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } } });
  const node = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms';
  test('node affinity', () => {
    const expression = (more: object): string[] =>
      required({ nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', ...more }] }] });
    expect(expression({ operator: 'In', values: ['x'] })).toEqual([]);
    expect(required({ nodeSelectorTerms: [] })).toEqual([
      `${node}: Required value: must have at least one node selector term`,
    ]);
    expect(expression({ operator: 'In' })).toEqual([
      `${node}[0].matchExpressions[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
    ]);
    expect(expression({ operator: 'Exists', values: ['x'] })).toEqual([
      `${node}[0].matchExpressions[0].values: Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
    ]);
    expect(expression({ operator: 'Gt', values: ['1', '2'] })).toEqual([
      `${node}[0].matchExpressions[0].values: Required value: must be specified single value when \`operator\` is 'Lt' or 'Gt'`,
    ]);
    expect(expression({ operator: 'Near', values: ['x'] })[0]).toMatch('operator: Unsupported value: "Near"');
  });
  test('pod affinity', () => {
    const term = (more: object): string[] =>
      of({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [more] } } });
    const at = 'spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]';
    expect(term({ topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { a: 'b' } } })).toEqual([]);
    expect(term({})).toEqual([`${at}.topologyKey: Required value: can not be empty`]);
    expect(
      term({ topologyKey: 'a', labelSelector: { matchExpressions: [{ key: 'a', operator: 'Is', values: ['x'] }] } }),
    ).toEqual([`${at}.labelSelector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator`]);
    const weighted = {
      affinity: {
        podAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 101, podAffinityTerm: { topologyKey: 'a' } }],
        },
      },
    };
    expect(of(weighted)[0]).toMatch('weight: Invalid value: 101: must be in the range 1-100');
  });
  test.each<[object, string[]]>([
    [{ operator: 'Exists' }, []],
    [{ key: 'a', value: 'b', effect: 'NoSchedule' }, []],
    [
      {},
      [
        'spec.tolerations[0].operator: Invalid value: "": operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ],
    ],
    [
      { key: 'a', operator: 'Like' },
      ['spec.tolerations[0].operator: Unsupported value: "Like": supported values: "Equal", "Exists"'],
    ],
    [
      { key: 'a', effect: 'Never' },
      [
        'spec.tolerations[0].effect: Unsupported value: "Never": supported values: "NoExecute", "NoSchedule", "PreferNoSchedule"',
      ],
    ],
    [
      { key: 'a', effect: 'NoSchedule', tolerationSeconds: 3 },
      [
        'spec.tolerations[0].effect: Invalid value: "NoSchedule": effect must be \'NoExecute\' when `tolerationSeconds` is set',
      ],
    ],
    [
      { key: 'a', operator: 'Exists', value: 'x' },
      [expect.stringMatching("value must be empty when `operator` is 'Exists'")],
    ],
  ])('toleration %j', (toleration, expected) => expect(of({ tolerations: [toleration] }).sort()).toEqual(expected));
  test('spread', () => {
    const spread = (more: object): string[] =>
      of({
        topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'a', whenUnsatisfiable: 'DoNotSchedule', ...more }],
      });
    expect(spread({})).toEqual([]);
    expect(spread({ maxSkew: 0 })).toEqual([
      'spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero',
    ]);
    expect(spread({ whenUnsatisfiable: 'Panic' })[0]).toMatch('Unsupported value: "Panic"');
  });
});

describe('updates', () => {
  const update = (from: object, to: object): string[] => faults(Pod, withSpec(to), withSpec(from));
  test.each<[string, object, object]>([
    ['an image', {}, { containers: [{ ...container, image: 'nginx:2', imagePullPolicy: 'Always' }] }],
    ['a shorter deadline', { activeDeadlineSeconds: 5 }, { activeDeadlineSeconds: 3 }],
    ['a first deadline', {}, { activeDeadlineSeconds: 3 }],
    ['one more toleration', {}, { tolerations: [{ operator: 'Exists' }] }],
    ['the first node', {}, { nodeName: 'n' }],
    ['fewer gates', { schedulingGates: [{ name: 'a' }] }, {}],
    ['nothing', { volumes: [{ name: 'v' }] }, { volumes: [{ name: 'v', emptyDir: {} }] }],
  ])('may change %s', (_, from, to) => expect(update(from, to)).toEqual([]));

  test.each<[string, object, object, string]>([
    [
      'the node',
      { nodeName: 'a' },
      { nodeName: 'b' },
      'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`',
    ],
    ['a command', {}, { containers: [{ ...container, command: ['x'] }] }, 'changed: spec.containers'],
    ['the restart policy', {}, { restartPolicy: 'Never' }, 'changed: spec.restartPolicy'],
    [
      'the containers',
      {},
      { containers: [container, { ...container, name: 'd' }] },
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ],
    [
      'a longer deadline',
      { activeDeadlineSeconds: 3 },
      { activeDeadlineSeconds: 5 },
      'spec.activeDeadlineSeconds: Invalid value: 5: must be less than or equal to previous value',
    ],
    [
      'no deadline',
      { activeDeadlineSeconds: 3 },
      {},
      'spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value',
    ],
    [
      'fewer tolerations',
      { tolerations: [{ operator: 'Exists' }] },
      {},
      'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
    ],
    [
      'a new gate',
      {},
      { schedulingGates: [{ name: 'a' }] },
      'spec.schedulingGates: Forbidden: only deletion is allowed',
    ],
    [
      'ephemeral containers, which have a subresource',
      {},
      { ephemeralContainers: [{ name: 'e', image: 'x' }] },
      'changed: spec.ephemeralContainers',
    ],
  ])('may not change %s', (_, from, to, message) => expect(update(from, to).join('\n')).toContain(message));
});
