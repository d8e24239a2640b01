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
    expect(refusalOf(one, [other], 110) !== undefined).toBe(refused);
    expect(refusalOf(other, [one], 110) !== undefined).toBe(refused);
  });

  it('more pods than fit', () => {
    expect(refusalOf(pod([]), [pod([])], 1)).toMatchObject({ reason: 'OutOfpods' });
    expect(refusalOf(pod([]), [pod([])], 2)).toBeUndefined();
  });
});
