import { describe, expect, it } from 'vitest';
import { type ConditionLike, findCondition, isConditionTrue, removeCondition, setCondition } from './conditions.js';
import { addFinalizer, hasFinalizer, removeFinalizer } from './finalizers.js';
import { resolvePercent } from './int-or-percent.js';
import {
  dns1035LabelProblem,
  dnsLabelProblem,
  dnsSubdomainProblem,
  labelValueProblem,
  qualifiedNameProblem,
} from './names.js';
import {
  controllerOf,
  controllerReference,
  isControlledBy,
  ownedBy,
  setControllerReference,
} from './owner-references.js';
import { formatMicroTime, formatTime, parseTime } from './time.js';

const at = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

describe('conditions', () => {
  const ready: ConditionLike = { type: 'Ready', status: 'True', reason: 'Up', message: '' };

  it('get the time of their change of status, and keep it while the status stays', () => {
    const first = setCondition(undefined, ready, at);
    expect(first).toEqual([{ ...ready, lastTransitionTime: '2026-01-02T03:04:05Z' }]);
    const reworded = setCondition(first, { ...ready, message: 'fine' }, at + 60_000);
    expect(reworded[0]).toMatchObject({ message: 'fine', lastTransitionTime: '2026-01-02T03:04:05Z' });
    const changed = setCondition(reworded, { ...ready, status: 'False' }, at + 120_000);
    expect(changed[0]).toMatchObject({ status: 'False', lastTransitionTime: '2026-01-02T03:06:05Z' });
    expect(first[0]?.message).toBe('');
  });

  it('are the same array when nothing changes', () => {
    const conditions = setCondition(undefined, ready, at);
    expect(setCondition(conditions, { ...ready }, at + 1_000)).toBe(conditions);
    expect(removeCondition(conditions, 'Other')).toBe(conditions);
    expect(removeCondition(conditions, 'Ready')).toEqual([]);
  });

  it('are found by type', () => {
    const conditions = setCondition(setCondition(undefined, ready, at), { type: 'Paused', status: 'Unknown' }, at);
    expect(findCondition(conditions, 'Paused')?.status).toBe('Unknown');
    expect([
      isConditionTrue(conditions, 'Ready'),
      isConditionTrue(conditions, 'Paused'),
      isConditionTrue(undefined, 'X'),
    ]).toEqual([true, false, false]);
  });
});

describe('owner references', () => {
  const meta = (name: string, uid: string) => ({
    name,
    uid,
    namespace: 'ns',
    resourceVersion: '1',
    creationTimestamp: '',
  });
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: meta('rs', 'u1') };
  const other = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: meta('rs2', 'u2') };

  it('make one owner the controller', () => {
    const pod = {
      metadata: {
        name: 'p',
        namespace: 'ns',
        ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: 'x', uid: 'u9' }],
      },
    };
    setControllerReference(owner, pod);
    setControllerReference(owner, pod);
    expect(pod.metadata.ownerReferences).toHaveLength(2);
    expect(controllerOf(pod)).toEqual(controllerReference(owner));
    expect([ownedBy(pod, owner), isControlledBy(pod, owner), ownedBy(pod, other), isControlledBy(pod, other)]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(() => setControllerReference(other, pod)).toThrow('p is already controlled by ReplicaSet rs');
  });

  it('stay within a namespace', () => {
    expect(() => setControllerReference(owner, { metadata: { name: 'p', namespace: 'elsewhere' } })).toThrow(
      'cannot own p',
    );
    const { namespace, ...clusterScoped } = owner.metadata;
    expect(() =>
      setControllerReference({ ...owner, metadata: clusterScoped }, { metadata: { name: 'p', namespace: 'any' } }),
    ).not.toThrow();
    expect(namespace).toBe('ns');
  });
});

describe('finalizers', () => {
  it('are added and removed once', () => {
    const object: { metadata: { finalizers?: string[] } } = { metadata: {} };
    expect([addFinalizer(object, 'a/b'), addFinalizer(object, 'a/b'), hasFinalizer(object, 'a/b')]).toEqual([
      true,
      false,
      true,
    ]);
    expect([removeFinalizer(object, 'a/b'), removeFinalizer(object, 'a/b'), hasFinalizer(object, 'a/b')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('resolvePercent', () => {
  it('rounds as the field wants', () => {
    expect([
      resolvePercent('25%', 10, 'up'),
      resolvePercent('25%', 10, 'down'),
      resolvePercent('0%', 10, 'up'),
      resolvePercent('100%', 7, 'down'),
      resolvePercent(3, 10, 'up'),
    ]).toEqual([3, 2, 0, 7, 3]);
    for (const text of ['25', '%', '2.5%', 'x%', ''])
      expect(() => resolvePercent(text, 10, 'up')).toThrow('neither a number nor a percentage');
  });
});

describe('times', () => {
  it('are written as the API wants them', () => {
    expect([formatTime(at), formatMicroTime(at)]).toEqual(['2026-01-02T03:04:05Z', '2026-01-02T03:04:05.678000Z']);
    expect([
      parseTime(formatMicroTime(at)),
      parseTime('2026-01-02T03:04:05Z'),
      parseTime(undefined),
      parseTime('soon'),
    ]).toEqual([at, at - 678, undefined, undefined]);
  });
});

describe('names', () => {
  it('are checked as Kubernetes does', () => {
    const good = [
      dnsLabelProblem('a-1'),
      dnsSubdomainProblem('a.b-c'),
      dns1035LabelProblem('a1'),
      qualifiedNameProblem('example.com/My_Name.1'),
      qualifiedNameProblem('x'),
      labelValueProblem(''),
      labelValueProblem('A_b.c-1'),
    ];
    expect(good.filter(problem => problem !== undefined)).toEqual([]);
    const bad = [
      dnsLabelProblem('a.b'),
      dnsLabelProblem('A'),
      dnsLabelProblem('a'.repeat(64)),
      dnsSubdomainProblem('a..b'),
      dnsSubdomainProblem('-a'),
      dnsSubdomainProblem('a'.repeat(254)),
      dns1035LabelProblem('1a'),
      qualifiedNameProblem('a/b/c'),
      qualifiedNameProblem('/x'),
      qualifiedNameProblem('x/'),
      qualifiedNameProblem('Upper.com/x'),
      labelValueProblem('a b'),
      labelValueProblem('-'),
      labelValueProblem('a'.repeat(64)),
    ];
    expect(bad.filter(problem => problem === undefined)).toEqual([]);
  });
});
