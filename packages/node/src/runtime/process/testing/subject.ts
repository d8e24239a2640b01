/** The process runtime as a subject of the conformance suite, and what must be gone after it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Subject, shellWorkloads } from '../../conformance/index.js';
import { nodeDigits } from '../node-digits.js';
import { type ProcessRuntimeOptions, processRuntime } from '../process-runtime.js';

export const processWorkloads = shellWorkloads({
  image: 'busybox',
  unknownImage: 'example.org/nobody/knows:this',
  interpreter: { node: process.execPath },
});

export async function processSubject(
  options: Pick<ProcessRuntimeOptions, 'mode' | 'programDirectory'> & { podCIDR: string },
): Promise<Subject & { dataDir: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'process-runtime-'));
  const open = () => processRuntime({ ...options, dataDir });
  const runtime = open();
  await runtime.version();
  const node = nodeDigits(join(dataDir, 'process-runtime'));
  return {
    runtime,
    dataDir,
    logDirectory: dataDir,
    podCIDR: options.podCIDR,
    reopen: async () => open(),
    async cleanup() {
      const helper = await runtime.helperPid();
      await runtime.shutdown();
      await gone(`process ${helper}`, () => !existsSync(`/proc/${helper}`));
      // A helper that began while another had the directory already ends by itself, on a busy machine a moment later.
      let left: string[] = [];
      const nothingLeft = () => {
        left = leftovers(node, dataDir);
        return left.length === 0;
      };
      await gone('what it leaves behind', nothingLeft).catch(() => {});
      await rm(dataDir, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
    },
  };
}

/** What a node with these digits has on the machine. */
function leftovers(node: string, dataDir: string): string[] {
  const found: string[] = [];
  const look = (directory: string, belongs: (name: string) => boolean) => {
    if (!existsSync(directory)) return;
    for (const name of readdirSync(directory)) if (belongs(name)) found.push(join(directory, name));
  };
  look('/run/netns', name => name.startsWith(`orbit-${node}`));
  for (const controller of ['.', 'cpu', 'cpuacct', 'memory', 'unified', 'cpu,cpuacct']) {
    look(join('/sys/fs/cgroup', controller), name => name === `orbitkit-${node}`);
  }
  if (readFileSync('/proc/mounts', 'utf8').includes(dataDir)) found.push(`mounts below ${dataDir}`);
  look(join(dataDir, 'process-runtime'), () => true);
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(dataDir)) found.push(`process ${name}`);
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

export async function gone(what: string, check: () => boolean, boundMs = 10_000): Promise<void> {
  const end = Date.now() + boundMs;
  while (!check()) {
    if (Date.now() > end) throw new Error(`waited ${boundMs} ms for the end of ${what}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}
