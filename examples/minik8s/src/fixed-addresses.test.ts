import { describe, expect, it } from 'vitest';
import { fixedAddresses } from './fixed-addresses.js';

const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' } } as never;

describe('fixedAddresses', () => {
  it('takes private addresses as root, and puts others in their place without', () => {
    expect(fixedAddresses('root', '10.16.0.0/16', () => [])('10.6.0.1', service)).toBe('accept');
    expect(fixedAddresses('rootless', '127.16.0.0/16', () => [])('10.6.0.1', service)).toBe('substitute');
  });

  it.each([
    ['a public address', '8.8.8.8'],
    ['a pod address', '10.16.3.4'],
    ['a neighbour of the machine', '192.168.7.200'],
    ['an address just outside of a private block', '172.32.0.1'],
  ])('refuses %s', (_what, address) => {
    const policy = fixedAddresses('root', '10.16.0.0/16', () => ['127.0.0.1/8', '192.168.7.4/24']);
    expect(policy(address, service)).toBe('refuse');
  });

  it('looks at the networks again each time', () => {
    let networks: string[] = [];
    const policy = fixedAddresses('root', '10.16.0.0/16', () => networks);
    expect(policy('10.6.0.1', service)).toBe('accept');
    networks = ['10.6.0.9/24'];
    expect(policy('10.6.0.1', service)).toBe('refuse');
  });
});
