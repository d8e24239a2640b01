import type { corev1, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { refusalOf } from './admission.js';

const pod = (ports: corev1.ContainerPort[], spec = {}) =>
  ({
    metadata: { name: 'p', namespace: 'd' },
    spec: { containers: [{ name: 'app', ports }], ...spec },
  }) as unknown as Pod;
const port = (hostPort: number, more: Partial<corev1.ContainerPort> = {}): corev1.ContainerPort => ({
  containerPort: 80,
  hostPort,
  ...more,
});

describe('refusalOf', () => {
  it.each<[string, Pod, Pod, boolean]>([
    ['the same port', pod([port(80)]), pod([port(80)]), true],
    ['another port', pod([port(80)]), pod([port(81)]), false],
    ['another protocol', pod([port(80)]), pod([port(80, { protocol: 'UDP' })]), false],
    ['two addresses', pod([port(80, { hostIP: '127.0.0.1' })]), pod([port(80, { hostIP: '127.0.0.2' })]), false],
    ['one address and all', pod([port(80, { hostIP: '127.0.0.1' })]), pod([port(80)]), true],
    ['container ports alone', pod([{ containerPort: 80 }]), pod([{ containerPort: 80 }]), false],
    ['host network', pod([{ containerPort: 80 }], { hostNetwork: true }), pod([port(80)]), true],
  ])('%s', (_name, one, other, refused) => {
    expect(refusalOf(one, [other], { pods: '110' }) !== undefined).toBe(refused);
    expect(refusalOf(other, [one], { pods: '110' }) !== undefined).toBe(refused);
  });

  it('more pods than fit', () => {
    expect(refusalOf(pod([]), [pod([])], { pods: '1' })).toMatchObject({ reason: 'OutOfpods' });
    expect(refusalOf(pod([]), [pod([])], { pods: '2' })).toBeUndefined();
  });

  const asking = (requests: Record<string, string>, more = {}) =>
    ({
      metadata: { name: 'p', namespace: 'd' },
      spec: { containers: [{ name: 'app', resources: { requests } }] },
      ...more,
    }) as unknown as Pod;
  const node = { cpu: '2', memory: '1Gi', pods: '110' };

  it('more than is left, in the words of the kubelet', () => {
    expect(refusalOf(asking({ cpu: '600m' }), [asking({ cpu: '1500m' })], node)).toEqual({
      reason: 'OutOfcpu',
      message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000",
    });
    expect(refusalOf(asking({ cpu: '500m' }), [asking({ cpu: '1500m' })], node)).toBeUndefined();
    expect(refusalOf(asking({ memory: '600Mi' }), [asking({ memory: '500Mi' })], node)?.reason).toBe('OutOfmemory');
    const gpus = { ...node, 'example.com/gpu': '1' };
    expect(refusalOf(asking({ 'example.com/gpu': '2' }), [], gpus)?.reason).toBe('OutOfexample.com/gpu');
    expect(refusalOf(asking({ 'example.com/gpu': '2' }), [], node)).toBeUndefined();
  });

  it('not for pods that ask for nothing, nor on account of pods that have ended', () => {
    const full = asking({ cpu: '2' });
    expect(refusalOf(asking({}), [full], node)).toBeUndefined();
    expect(refusalOf(asking({ cpu: '0' }), [full], { pods: '110' })).toBeUndefined();
    const ended = asking({ cpu: '2' }, { status: { phase: 'Succeeded' } });
    expect(refusalOf(full, [ended], { ...node, pods: '1' })).toBeUndefined();
  });
});
