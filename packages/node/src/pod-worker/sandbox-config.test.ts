import type { Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { sandboxConfigOf } from './sandbox-config.js';

const portMappings = async (hostPortIP?: string) => {
  const ports = [
    { containerPort: 80, hostPort: 8_080 },
    { containerPort: 81, hostPort: 8_081, hostIP: '127.0.0.9' },
    { containerPort: 82 },
  ];
  const pod = {
    metadata: { name: 'p', namespace: 'default', uid: 'u' },
    spec: { containers: [{ name: 'c', image: 'i', ports }] },
  } as unknown as Pod;
  const config = await sandboxConfigOf({
    pod,
    attempt: 0,
    agentId: 'a',
    podDirectory: '/nowhere',
    nodeHostname: 'n',
    clusterDNS: [],
    clusterDomain: 'cluster.local',
    ...(hostPortIP ? { hostPortIP } : {}),
  });
  return config.portMappings;
};

describe('host ports of a sandbox', () => {
  it('are those that the pod asks for, on every address unless it names one', async () => {
    expect(await portMappings()).toEqual([
      { containerPort: 80, hostPort: 8_080, protocol: 'TCP' },
      { containerPort: 81, hostPort: 8_081, hostIP: '127.0.0.9', protocol: 'TCP' },
    ]);
  });

  it("lie on the node's own address where it has one, and the pod names none", async () => {
    expect((await portMappings('127.0.0.2')).map(({ hostIP }) => hostIP)).toEqual(['127.0.0.2', '127.0.0.9']);
  });
});
