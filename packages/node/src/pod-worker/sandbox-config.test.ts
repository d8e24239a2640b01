import type { corev1, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { sandboxConfigOf } from './sandbox-config.js';

const configOf = (spec: Partial<corev1.PodSpec> = {}, options = {}, name = 'web-1') =>
  sandboxConfigOf({
    pod: {
      metadata: { name, namespace: 'shop', uid: 'u-1', labels: { app: 'web' }, annotations: { note: 'x' } },
      spec: { containers: [{ name: 'app' }], ...spec },
    } as unknown as Pod,
    attempt: 2,
    agentId: 'agent-1',
    podDirectory: '/data/pods/u-1',
    nodeHostname: 'machine',
    podCIDR: '10.1.0.0/24',
    clusterDNS: ['10.0.0.10'],
    clusterDomain: 'cluster.local',
    ...options,
  });

describe('sandboxConfigOf', () => {
  it("names the pod, its logs and its range, and marks it as this agent's", async () => {
    expect(await configOf()).toMatchObject({
      name: 'web-1',
      namespace: 'shop',
      uid: 'u-1',
      attempt: 2,
      hostname: 'web-1',
      logDirectory: '/data/pods/u-1/logs',
      podCIDR: '10.1.0.0/24',
      labels: {
        app: 'web',
        'orbitkit.dev/agent': 'agent-1',
        'orbitkit.dev/pod-uid': 'u-1',
        'orbitkit.dev/termination-grace-seconds': '30',
      },
      annotations: { note: 'x' },
    });
  });

  it('a host name has 63 characters at most', async () => {
    expect((await configOf({}, {}, `${'a'.repeat(62)}-b`)).hostname).toBe('a'.repeat(62));
    expect((await configOf({ hostname: 'own' })).hostname).toBe('own');
  });

  it('with host network it is the node: its name, no range, no mappings', async () => {
    const containers = [{ name: 'app', ports: [{ containerPort: 80, hostPort: 80 }] }];
    const config = await configOf({ hostNetwork: true, containers });
    expect(config).toMatchObject({ hostname: 'machine', hostNetwork: true, portMappings: [] });
    expect(config.podCIDR).toBeUndefined();
  });

  it('maps host ports', async () => {
    const ports: corev1.ContainerPort[] = [
      { containerPort: 80, hostPort: 8080, hostIP: '127.0.0.1' },
      { containerPort: 53, hostPort: 53, protocol: 'UDP' },
      { containerPort: 90 },
    ];
    expect((await configOf({ containers: [{ name: 'app', ports }] })).portMappings).toEqual([
      { containerPort: 80, hostPort: 8080, hostIP: '127.0.0.1', protocol: 'TCP' },
      { containerPort: 53, hostPort: 53, protocol: 'UDP' },
    ]);
  });
});

describe('name resolution', () => {
  const cluster = {
    servers: ['10.0.0.10'],
    searches: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
    options: ['ndots:5'],
  };
  it.each<[string, Partial<corev1.PodSpec>, object, object | undefined]>([
    ['ClusterFirst', {}, {}, cluster],
    ['ClusterFirst without cluster DNS', {}, { clusterDNS: [] }, undefined],
    ['ClusterFirst with host network', { hostNetwork: true }, {}, undefined],
    ['ClusterFirstWithHostNet', { hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }, {}, cluster],
    ['Default', { dnsPolicy: 'Default' }, {}, undefined],
    [
      'None',
      {
        dnsPolicy: 'None',
        dnsConfig: {
          nameservers: ['1.1.1.1'],
          searches: ['x'],
          options: [{ name: 'ndots', value: '2' }, { name: 'edns0' }],
        },
      },
      {},
      { servers: ['1.1.1.1'], searches: ['x'], options: ['ndots:2', 'edns0'] },
    ],
    [
      'ClusterFirst and more',
      { dnsConfig: { searches: ['x', 'cluster.local'], options: [{ name: 'ndots', value: '1' }] } },
      {},
      { ...cluster, searches: [...cluster.searches, 'x'], options: ['ndots:1'] },
    ],
  ])('%s', async (_name, spec, options, expected) => {
    expect((await configOf(spec, options)).dns).toEqual(expected);
  });
});
