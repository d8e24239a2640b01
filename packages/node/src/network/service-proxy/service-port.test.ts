import type { EndpointSlice, Service } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { servicePorts } from './service-port.js';
import { service, slice } from './testing/objects.js';

const of = (services: Service[], slices: EndpointSlice[] = [], node = 'n1') => servicePorts(services, slices, node);

describe('servicePorts', () => {
  it('has an entry per port, with the endpoints of the port of that name', () => {
    const web = service('web', '127.9.0.1', [
      { name: 'http', port: 80, nodePort: 30_080 },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ]);
    const slices = [
      slice('web', [{ ip: '127.8.0.3' }, { ip: '127.8.0.2' }], [{ name: 'http', port: 8_080 }]),
      slice('web', [{ ip: '127.8.0.2' }], [{ name: 'dns', port: 5_353, protocol: 'UDP' }]),
    ];
    expect(of([web], slices)).toEqual([
      {
        key: 'default/web:dns/UDP',
        namespace: 'default',
        name: 'web',
        clusterIP: '127.9.0.1',
        protocol: 'UDP',
        port: 53,
        endpoints: [{ ip: '127.8.0.2', port: 5_353 }],
      },
      {
        key: 'default/web:http',
        namespace: 'default',
        name: 'web',
        clusterIP: '127.9.0.1',
        protocol: 'TCP',
        port: 80,
        nodePort: 30_080,
        endpoints: [
          { ip: '127.8.0.2', port: 8_080 },
          { ip: '127.8.0.3', port: 8_080 },
        ],
      },
    ]);
  });

  it('leaves out what is not ready; without any ready, takes what still serves while it ends', () => {
    const web = service('web', '127.9.0.1', [{ port: 80 }]);
    const unready = { ip: '127.8.0.4', conditions: { ready: false } };
    const leaving = { ip: '127.8.0.5', conditions: { ready: false, serving: true, terminating: true } };
    const ready = { ip: '127.8.0.6', conditions: { ready: true } };
    const unknown = { ip: '127.8.0.7', conditions: {} };
    const ips = (...endpoints: any[]) =>
      of([web], [slice('web', endpoints, [{ port: 1 }])])[0]!.endpoints.map(({ ip }) => ip);
    expect(ips(unready, leaving, ready, unknown)).toEqual(['127.8.0.6', '127.8.0.7']);
    expect(ips(unready, leaving)).toEqual(['127.8.0.5']);
    expect(ips(unready)).toEqual([]);
  });

  it('counts an endpoint that stands in two slices once, and joins slices', () => {
    const web = service('web', '127.9.0.1', [{ port: 80 }]);
    const one = slice('web', [{ ip: '127.8.0.2' }, { ip: '127.8.0.3' }], [{ port: 1 }]);
    const two = slice('web', [{ ip: '127.8.0.3' }, { ip: '127.8.0.4' }], [{ port: 1 }]);
    expect(of([web], [one, two])[0]!.endpoints).toHaveLength(3);
  });

  it('knows session affinity, with its default time', () => {
    const sticky = service('web', '127.9.0.1', [{ port: 80 }]);
    sticky.spec.sessionAffinity = 'ClientIP';
    expect(of([sticky])[0]!.affinitySeconds).toBe(10_800);
    sticky.spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: 7 } };
    expect(of([sticky])[0]!.affinitySeconds).toBe(7);
  });

  it('keeps to the own node where the traffic policy says so', () => {
    const local = service('web', '127.9.0.1', [{ port: 80 }]);
    local.spec.internalTrafficPolicy = 'Local';
    const slices = [
      slice(
        'web',
        [
          { ip: '127.8.0.2', nodeName: 'n1' },
          { ip: '127.8.0.3', nodeName: 'n2' },
        ],
        [{ port: 1 }],
      ),
    ];
    expect(of([local], slices)[0]!.endpoints).toEqual([{ ip: '127.8.0.2', port: 1 }]);
  });

  it('passes over what has no cluster address that it could serve', () => {
    const external = service('external', '', [{ port: 80 }]);
    external.spec.type = 'ExternalName';
    const headless = service('headless', 'None', [{ port: 80 }]);
    const six = service('six', 'fd00::1', [{ port: 80 }]);
    const sctp = service('sctp', '127.9.0.1', [{ port: 80, protocol: 'SCTP' }]);
    const otherSlice = slice('web', [{ ip: 'fd00::2' }], [{ port: 1 }]);
    otherSlice.addressType = 'IPv6';
    expect(of([external, headless, six, sctp], [otherSlice])).toEqual([]);
  });
});
