import { networkInterfaces } from 'node:os';

/**
 * Every IPv4 address by which this machine is reached: 127.0.0.1 and those of its interfaces. What must answer on all of
 * them listens on each, not on 0.0.0.0: that would take the port from every pod in 127/8 too.
 */
export function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces())
    .flat()
    .filter(entry => entry?.family === 'IPv4')
    .map(entry => entry!.address);
  return [...new Set(['127.0.0.1', ...all])];
}
