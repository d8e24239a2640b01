/** Semantics of the plugins that look at volumes: tables after the API's documentation and kube-scheduler's observable behaviour. */
import type { corev1, KubeObject, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { Plugin } from '../framework/plugin.js';
import { boundTo, testNode, testPod } from '../testing/fixtures.js';
import { policyTest } from '../testing/policy-test.js';
import { nodeVolumeLimits } from './node-volume-limits.js';
import { volumeBinding } from './volume-binding.js';
import { volumeRestrictions } from './volume-restrictions.js';
import { volumeZone } from './volume-zone.js';

let count = 0;
const object = (apiVersion: string, kind: string, name: string, rest: object, namespace?: string): KubeObject => {
  count += 1;
  const metadata = {
    name,
    uid: `${kind}-${name}`,
    resourceVersion: `${count}`,
    creationTimestamp: '2026-01-01T00:00:00Z',
  };
  const { labels, ...fields } = rest as { labels?: Record<string, string> };
  return {
    apiVersion,
    kind,
    metadata: { ...metadata, ...(namespace ? { namespace } : {}), ...(labels ? { labels } : {}) },
    ...fields,
  } as KubeObject;
};
const claim = (name: string, spec: Partial<corev1.PersistentVolumeClaimSpec>): KubeObject =>
  object(
    'v1',
    'PersistentVolumeClaim',
    name,
    { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec } },
    'default',
  );
const volume = (
  name: string,
  spec: Partial<corev1.PersistentVolumeSpec>,
  labels?: Record<string, string>,
): KubeObject =>
  object('v1', 'PersistentVolume', name, {
    ...(labels ? { labels } : {}),
    spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, ...spec },
    status: { phase: spec.claimRef?.uid ? 'Bound' : 'Available' },
  });
const storageClass = (name: string, mode: string, rest: object = {}): KubeObject =>
  object('storage.k8s.io/v1', 'StorageClass', name, {
    volumeBindingMode: mode,
    provisioner: 'example.com/disk',
    ...rest,
  });
const onHost = (...hosts: string[]): Pick<corev1.PersistentVolumeSpec, 'nodeAffinity'> => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: hosts }] }],
    },
  },
});

const using = (...claims: string[]): Pod =>
  testPod('p', {
    spec: { volumes: claims.map(claimName => ({ name: claimName, persistentVolumeClaim: { claimName } })) },
  });
const inZone = (name: string, zone: string) => testNode(name, { labels: { 'topology.kubernetes.io/zone': zone } });

/** By node: `fits`, or why not. */
function verdicts(
  plugin: Plugin,
  pod: Pod,
  objects: KubeObject[],
  nodes = [testNode('a'), testNode('b')],
  pods: Pod[] = [],
) {
  const decision = policyTest({ plugins: [plugin], nodes, objects, pods }).decide(pod);
  return nodes.map(({ metadata: { name } }) => {
    const refusal = decision.refusals.get(name);
    return refusal ? `${refusal.unresolvable ? 'never: ' : ''}${refusal.reasons.join(', ')}` : 'fits';
  });
}

describe('VolumeBinding', () => {
  const all = (text: string) => [text, text];
  const conflict = "never: node(s) didn't match PersistentVolume's node affinity";
  const none = "never: node(s) didn't find available persistent volumes to bind";
  const unbound = 'never: pod has unbound immediate PersistentVolumeClaims';
  const wait = storageClass('wait', 'WaitForFirstConsumer');
  const local = storageClass('local', 'WaitForFirstConsumer', { provisioner: 'kubernetes.io/no-provisioner' });
  const now = storageClass('now', 'Immediate');
  const wanted = (more: Partial<corev1.PersistentVolumeClaimSpec> = {}) =>
    claim('data', { storageClassName: 'local', ...more });
  const offered = (more: Partial<corev1.PersistentVolumeSpec> = {}, labels?: Record<string, string>) =>
    volume('v', { storageClassName: 'local', ...more }, labels);

  it.each<[string, KubeObject[], string[]]>([
    ['no such claim', [], all('never: persistentvolumeclaim "data" not found')],
    ['bound, the volume may be anywhere', [claim('data', { volumeName: 'v' }), volume('v', {})], all('fits')],
    ['bound, the volume is on b', [claim('data', { volumeName: 'v' }), volume('v', onHost('b'))], [conflict, 'fits']],
    [
      'bound to a volume that is gone',
      [claim('data', { volumeName: 'v' })],
      all('never: node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)'),
    ],
    [
      'Immediate and not bound yet',
      [now, claim('data', { storageClassName: 'now' }), volume('v', { storageClassName: 'now' })],
      all(unbound),
    ],
    ['of no class and not bound yet', [claim('data', { storageClassName: '' })], all(unbound)],
    ['of a class that is not there', [claim('data', { storageClassName: 'gone' })], all(unbound)],
    ['WaitForFirstConsumer, provisioned anywhere', [wait, claim('data', { storageClassName: 'wait' })], all('fits')],
    [
      'WaitForFirstConsumer, provisioned for allowed topologies only',
      [
        storageClass('wait', 'WaitForFirstConsumer', {
          allowedTopologies: [{ matchLabelExpressions: [{ key: 'kubernetes.io/hostname', values: ['a'] }] }],
        }),
        claim('data', { storageClassName: 'wait' }),
      ],
      ['fits', none],
    ],
    ['without a provisioner, and no volume', [local, wanted()], all(none)],
    ['without a provisioner, a volume on b', [local, wanted(), offered(onHost('b'))], [none, 'fits']],
    ['a volume of another class', [local, wanted(), offered({ storageClassName: 'other' })], all(none)],
    [
      'a volume that is too small',
      [local, wanted({ resources: { requests: { storage: '2Gi' } } }), offered()],
      all(none),
    ],
    ['a volume without the access mode', [local, wanted({ accessModes: ['ReadWriteMany'] }), offered()], all(none)],
    ['a volume of the other mode', [local, wanted({ volumeMode: 'Block' }), offered()], all(none)],
    [
      'a volume that the selector leaves out',
      [local, wanted({ selector: { matchLabels: { disk: 'ssd' } } }), offered({}, { disk: 'hdd' })],
      all(none),
    ],
    [
      'a volume that the selector takes',
      [local, wanted({ selector: { matchLabels: { disk: 'ssd' } } }), offered({}, { disk: 'ssd' })],
      all('fits'),
    ],
    [
      'a volume that belongs to another claim',
      [local, wanted(), offered({ claimRef: { namespace: 'default', name: 'other', uid: 'x' } })],
      all(none),
    ],
    [
      'a volume kept for this claim',
      [local, wanted(), offered({ claimRef: { namespace: 'default', name: 'data' } })],
      all('fits'),
    ],
  ])('%s', (_what, objects, expected) => {
    expect(verdicts(volumeBinding(), using('data'), objects)).toEqual(expected);
  });

  it('a claim that is being deleted refuses every node', () => {
    const leaving = claim('data', { volumeName: 'v' });
    (leaving.metadata as { deletionTimestamp?: string }).deletionTimestamp = '2026-01-01T00:00:00Z';
    expect(verdicts(volumeBinding(), using('data'), [leaving, volume('v', {})])).toEqual(
      all('never: persistentvolumeclaim "data" is being deleted'),
    );
  });
  it('two claims need two volumes on one node', () => {
    const claims = ['one', 'two'].map(name => claim(name, { storageClassName: 'local' }));
    const volumes = ['v1', 'v2', 'v3'].map((name, i) =>
      volume(name, { storageClassName: 'local', ...onHost(i < 2 ? 'a' : 'b') }),
    );
    expect(verdicts(volumeBinding(), using('one', 'two'), [local, ...claims, ...volumes])).toEqual(['fits', none]);
  });
  it('a generic ephemeral volume has the claim of pod and volume', () => {
    const pod = testPod('p', { spec: { volumes: [{ name: 'scratch', ephemeral: {} }] } });
    expect(verdicts(volumeBinding(), pod, [])).toEqual(all('never: persistentvolumeclaim "p-scratch" not found'));
    expect(verdicts(volumeBinding(), pod, [claim('p-scratch', { volumeName: 'v' }), volume('v', {})])).toEqual(
      all('fits'),
    );
  });
});

describe('VolumeRestrictions', () => {
  const taken = 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode';
  const there = (name: string) =>
    boundTo({ ...using('data'), metadata: { ...using('data').metadata, name, uid: name } }, 'a');
  it.each<[string, NonNullable<corev1.PersistentVolumeClaimSpec['accessModes']>, Pod[], string[]]>([
    ['ReadWriteOncePod, nobody has it', ['ReadWriteOncePod'], [], ['fits', 'fits']],
    [
      'ReadWriteOncePod, a pod on a has it: ending that one would help, on a',
      ['ReadWriteOncePod'],
      [there('q')],
      [taken, `never: ${taken}`],
    ],
    ['ReadWriteOnce is of a node, and no matter here', ['ReadWriteOnce'], [there('q')], ['fits', 'fits']],
    ['ReadWriteMany', ['ReadWriteMany'], [there('q')], ['fits', 'fits']],
  ])('%s', (_what, accessModes, pods, expected) => {
    const objects = [claim('data', { volumeName: 'v', accessModes }), volume('v', {})];
    expect(verdicts(volumeRestrictions(), using('data'), objects, undefined, pods)).toEqual(expected);
  });
  it('the same name in another namespace is another claim', () => {
    const elsewhere = there('q');
    const pods = [{ ...elsewhere, metadata: { ...elsewhere.metadata, namespace: 'other' } }];
    const objects = [claim('data', { accessModes: ['ReadWriteOncePod'] })];
    expect(verdicts(volumeRestrictions(), using('data'), objects, undefined, pods)).toEqual(['fits', 'fits']);
  });
});

describe('VolumeZone', () => {
  const no = 'never: node(s) had no available volume zone';
  const nodes = [inZone('a', 'z1'), inZone('b', 'z2')];
  const bound = claim('data', { volumeName: 'v' });
  it.each<[string, KubeObject[], string[]]>([
    ['no labels', [bound, volume('v', {})], ['fits', 'fits']],
    ['its zone', [bound, volume('v', {}, { 'topology.kubernetes.io/zone': 'z2' })], [no, 'fits']],
    ['several zones', [bound, volume('v', {}, { 'topology.kubernetes.io/zone': 'z1__z2' })], ['fits', 'fits']],
    ['the older label', [bound, volume('v', {}, { 'failure-domain.beta.kubernetes.io/zone': 'z2' })], [no, 'fits']],
    ['a region that no node has', [bound, volume('v', {}, { 'topology.kubernetes.io/region': 'r1' })], [no, no]],
    ['not bound yet', [claim('data', {})], ['fits', 'fits']],
  ])('%s', (_what, objects, expected) => {
    expect(verdicts(volumeZone(), using('data'), objects, nodes)).toEqual(expected);
  });
  it('a node without zones takes any', () => {
    const objects = [bound, volume('v', {}, { 'topology.kubernetes.io/zone': 'z2' })];
    expect(verdicts(volumeZone(), using('data'), objects, [testNode('a')])).toEqual(['fits']);
  });
});

describe('NodeVolumeLimits', () => {
  const no = 'node(s) exceed max volume count';
  const driver = 'example.com/disk';
  const limit = (node: string, most?: number): KubeObject =>
    object('storage.k8s.io/v1', 'CSINode', node, {
      spec: {
        drivers: [{ name: driver, nodeID: node, ...(most === undefined ? {} : { allocatable: { count: most } }) }],
      },
    });
  const disk = (name: string, of = driver) => [
    claim(name, { volumeName: `v-${name}` }),
    volume(`v-${name}`, { csi: { driver: of, volumeHandle: name } }),
  ];
  const there = (name: string, ...claims: string[]) => {
    const pod = using(...claims);
    return boundTo({ ...pod, metadata: { ...pod.metadata, name, uid: name } }, 'a');
  };
  const three = ['x', 'y', 'z'].flatMap(name => disk(name));
  const waits = [storageClass('wait', 'WaitForFirstConsumer'), claim('new', { storageClassName: 'wait' })];
  it.each<[string, KubeObject[], Pod[], Pod, string]>([
    ['no volumes', [limit('a', 0)], [], testPod('p'), 'fits'],
    ['no limit known', three, [there('q', 'x', 'y')], using('z'), 'fits'],
    ['no limit of the driver', [limit('a'), ...three], [there('q', 'x', 'y')], using('z'), 'fits'],
    ['room', [limit('a', 3), ...three], [there('q', 'x', 'y')], using('z'), 'fits'],
    ['full', [limit('a', 2), ...three], [there('q', 'x', 'y')], using('z'), no],
    ['full, with a volume that is there', [limit('a', 2), ...three], [there('q', 'x', 'y')], using('y'), 'fits'],
    ['a volume counts once', [limit('a', 2), ...three], [there('q', 'x'), there('r', 'x')], using('z'), 'fits'],
    ['its own two are too many', [limit('a', 1), ...three], [], using('x', 'y'), no],
    [
      'another driver',
      [limit('a', 2), ...three, ...disk('w', 'example.com/other')],
      [there('q', 'x', 'y')],
      using('w'),
      'fits',
    ],
    [
      'a volume that is to be provisioned',
      [limit('a', 2), ...three, ...waits],
      [there('q', 'x', 'y')],
      using('new'),
      no,
    ],
    ['and room for it', [limit('a', 3), ...three, ...waits], [there('q', 'x', 'y')], using('new'), 'fits'],
    [
      'a volume that is no CSI volume',
      [limit('a', 0), claim('data', { volumeName: 'v' }), volume('v', {})],
      [],
      using('data'),
      'fits',
    ],
  ])('%s', (_what, objects, pods, pod, expected) => {
    expect(verdicts(nodeVolumeLimits(), pod, objects, [testNode('a')], pods)).toEqual([expected]);
  });
  it('sees a limit that changes, and a volume that comes while nothing happens on the node', () => {
    const test = policyTest({
      plugins: [nodeVolumeLimits()],
      nodes: [testNode('a')],
      objects: [limit('a', 1), ...three],
    });
    expect(test.place(using('x'))).toBe('a');
    expect(test.decide(using('y')).outcome).toBe('unschedulable');
    test.state.objects.set(limit('a', 2));
    expect(test.decide(using('y')).outcome).toBe('placed');
  });
});
