/**
 * What the machine as a whole must let through while pods with networks of their own are there: packets that come back from
 * the outside, and, where another program's firewall drops what is forwarded (Docker's does), packets of pods.
 *
 * It is shared by all nodes of the machine. Whoever switches something on notes it in a file under /run; whoever is the last
 * to have pods puts it back.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, runCommand } from '../../../network/command.js';

const notes = '/run/orbitkit-forwarding';
const firewallNote = 'firewall';

/** `pattern` is iptables' form of the pods' device names: `orb+`. */
export async function letThrough(pattern: string): Promise<void> {
  const device = defaultDevice();
  if (device && readFileSync(forwardingOf(device), 'utf8').trim() !== '1') {
    note(`device-${device}`);
    writeFileSync(forwardingOf(device), '1');
  }
  if (existsSync(join(notes, firewallNote)) || !(await firewallDrops())) return;
  note(firewallNote);
  for (const rule of rules(pattern)) await runCommand('iptables', ['-I', 'FORWARD', ...rule]);
}

/** Puts everything back. Only when no pods are left on the machine. */
export async function letThroughNoMore(pattern: string): Promise<void> {
  if (!existsSync(notes)) return;
  for (const name of readdirSync(notes)) {
    const device = /^device-(.+)$/.exec(name)?.[1];
    if (device && existsSync(forwardingOf(device))) writeFileSync(forwardingOf(device), '0');
    if (name !== firewallNote) continue;
    for (const rule of rules(pattern)) {
      await runCommand('iptables', ['-D', 'FORWARD', ...rule]).catch(error => {
        // Somebody flushed the chain: then it is gone, as wanted.
        if (!(error instanceof CommandError)) throw error;
      });
    }
  }
  rmSync(notes, { recursive: true, force: true });
}

function note(name: string): void {
  mkdirSync(notes, { recursive: true, mode: 0o700 });
  writeFileSync(join(notes, name), '');
}

const forwardingOf = (device: string) => `/proc/sys/net/ipv4/conf/${device}/forwarding`;
const rules = (pattern: string) => [
  ['-i', pattern, '-j', 'ACCEPT'],
  ['-o', pattern, '-j', 'ACCEPT'],
];

async function firewallDrops(): Promise<boolean> {
  try {
    return (await runCommand('iptables', ['-S', 'FORWARD'])).startsWith('-P FORWARD DROP');
  } catch (error) {
    if (error instanceof CommandError) return false;
    throw error;
  }
}

function defaultDevice(): string | undefined {
  const route = readFileSync('/proc/net/route', 'utf8')
    .split('\n')
    .slice(1)
    .map(line => line.split('\t'))
    .find(fields => fields[1] === '00000000' && fields[7] === '00000000');
  return route?.[0];
}
