/**
 * Where a port below 1024 answers when an ordinary user may not bind it: on the same address, 8000 higher (80 → 8080,
 * 443 → 8443). One rule for pods (`PORT`), services, host ports, port-forward and probes, so that whoever knows the
 * documented port knows the substitute.
 */
import { readFileSync } from 'node:fs';

const substituteOffset = 8_000;

/** The port that answers in place of `port` when low ports cannot be bound. */
export function substitutePort(port: number, lowPorts: boolean | { has(capability: 'low-ports'): boolean }): number {
  const bindable = typeof lowPorts === 'boolean' ? lowPorts : lowPorts.has('low-ports');
  return bindable || port >= 1_024 ? port : port + substituteOffset;
}

/**
 * Whether this process may bind ports below 1024: as root, or where the machine says so
 * (`net.ipv4.ip_unprivileged_port_start`, as in most containers).
 */
export function mayBindLowPorts(): boolean {
  if (process.geteuid?.() === 0) return true;
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) <= 1;
  } catch {
    return false;
  }
}
