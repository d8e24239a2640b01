import { readFileSync } from 'node:fs';

/**
 * Names of this network namespace's devices. From /proc: what /sys shows belongs to the namespace in which it was mounted.
 */
export function networkDevices(): string[] {
  return readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .filter(line => line.includes(':'))
    .map(line => line.slice(0, line.indexOf(':')).trim());
}
