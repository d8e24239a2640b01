/**
 * Which processes belong to which container, by the mark in their environment.
 *
 * Looking through /proc costs milliseconds on a machine with many processes, so those who ask at the same time are answered
 * by one look, which is never older than the question. What was read of a process is kept as long as it lives; that it has
 * no mark is believed only once it is two seconds old: between fork and exec it has its parent's environment, and in the
 * middle of exec it has none. One without any is looked at again before an answer is given.
 */
import { readFileSync } from 'node:fs';
import {
  allProcesses,
  environmentOf,
  type ProcessInfo,
  type ProcessTable,
  processTable,
  ticksPerSecond,
} from '../process-table.js';
import { containerMark } from './isolation.js';

const settledTicks = 2 * ticksPerSecond;
const againMs = 5;
const againMost = 40;
/** Threads of the kernel are its children. They have no environment, ever. */
const kernelThreads = 2;

export interface Census {
  marked: ReadonlyMap<string, readonly ProcessInfo[]>;
  table: ProcessTable;
}

export function processCensus(): () => Promise<Census> {
  /** By pid and start time; an empty text for none. */
  let known = new Map<string, string>();
  let next: Promise<Census> | undefined;

  /** Undefined when a process was just beginning. */
  function look(last: boolean): Census | undefined {
    const uptimeTicks = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * ticksPerSecond;
    const marked = new Map<string, ProcessInfo[]>();
    const seen = new Map<string, string>();
    const processes = allProcesses();
    for (const info of processes) {
      const key = `${info.pid}/${info.startTime}`;
      const settled = uptimeTicks - Number(info.startTime) > settledTicks;
      let mark = known.get(key);
      if (mark === undefined) {
        const environment = environmentOf(info.pid);
        if (environment?.length === 0 && !settled && !last && info.parent !== kernelThreads) return undefined;
        mark = environment?.find(entry => entry.startsWith(`${containerMark}=`))?.slice(containerMark.length + 1) ?? '';
      }
      if (mark !== '' || settled) seen.set(key, mark);
      if (mark === '') continue;
      const group = marked.get(mark);
      if (group) group.push(info);
      else marked.set(mark, [info]);
    }
    known = seen;
    return { marked, table: processTable(processes) };
  }

  async function take(): Promise<Census> {
    // A turn later: who asks in this one is answered by the same look.
    await new Promise(resolve => setImmediate(resolve));
    next = undefined;
    for (let tries = 1; ; tries += 1) {
      const found = look(tries >= againMost);
      if (found) return found;
      await new Promise(resolve => setTimeout(resolve, againMs));
    }
  }

  return () => {
    next ??= take();
    return next;
  };
}
