/**
 * The machine's processes, as /proc tells (proc(5)).
 *
 * A process is identified by its pid and its start time together: pids are used again, and a start time in clock ticks
 * since boot is not. Everything here reads synchronously; /proc never waits for a disk.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: what /proc counts CPU time in on every Linux that Node runs on. */
export const ticksPerSecond = 100;
const pageBytes = 4_096;

export interface ProcessIdentity {
  pid: number;
  /** Clock ticks since boot, as text: field 22 of /proc/<pid>/stat. */
  startTime: string;
}

export interface ProcessInfo extends ProcessIdentity {
  parent: number;
  group: number;
  session: number;
  /** `Z` is a zombie: it has ended. */
  state: string;
  /** CPU time of it and of its children that have been waited for, nanoseconds. */
  cpuNanos: number;
  residentBytes: number;
  /** The device of its controlling terminal, `/dev/pts/3`. */
  terminal?: string;
}

/** Undefined when there is no such process. */
export function processInfo(pid: number): ProcessInfo | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The command name in field 2 may hold blanks and brackets: fields are counted from its last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (field: number) => Number(fields[field - 3]);
  const terminal = pseudoTerminal(number(7));
  return {
    ...(terminal ? { terminal } : {}),
    pid,
    startTime: fields[22 - 3] ?? '',
    state: fields[0] ?? '?',
    parent: number(4),
    group: number(5),
    session: number(6),
    cpuNanos: (number(14) + number(15) + number(16) + number(17)) * (1e9 / ticksPerSecond),
    residentBytes: number(24) * pageBytes,
  };
}

/** Device numbers of pseudo terminals: major 136 to 143 (admin guide, devices.txt); the number's layout is proc(5)'s. */
function pseudoTerminal(device: number): string | undefined {
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  return major >= 136 && major <= 143 ? `/dev/pts/${(major - 136) * 256 + minor}` : undefined;
}

/** Whether this very process runs (a zombie does not). */
export function isRunning({ pid, startTime }: ProcessIdentity): boolean {
  const info = processInfo(pid);
  return info !== undefined && info.startTime === startTime && info.state !== 'Z' && info.state !== 'X';
}

export function allProcesses(): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const info = processInfo(Number(name));
    if (info && info.state !== 'Z') found.push(info);
  }
  return found;
}

/** A table of processes, looked at from both sides. */
export interface ProcessTable {
  bySession(session: number): readonly ProcessInfo[];
  byParent(parent: number): readonly ProcessInfo[];
}

export function processTable(processes: readonly ProcessInfo[] = allProcesses()): ProcessTable {
  const group = (key: 'session' | 'parent') => {
    const groups = new Map<number, ProcessInfo[]>();
    for (const info of processes) {
      const known = groups.get(info[key]);
      if (known) known.push(info);
      else groups.set(info[key], [info]);
    }
    return (of: number) => groups.get(of) ?? [];
  };
  return { bySession: group('session'), byParent: group('parent') };
}

/** A process's environment as it was when it began; empty while it begins (execve), undefined when it may not be read. */
export function environmentOf(pid: number): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').filter(Boolean);
  } catch {
    return undefined;
  }
}

export function commandLineOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** Differs after every boot: what was recorded before it does not run. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

/** Sends a signal to a process group; false when it is gone. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  return signalProcess(-group, signal);
}

export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
