/**
 * An agent to be killed: starts pods, says so on a line, and then waits. Arguments: one JSON object, `AgentArguments`.
 */
import { Laboratory } from '../../conformance/laboratory.js';
import { type ProcessRuntimeOptions, processRuntime } from '../process-runtime.js';
import { processWorkloads } from './subject.js';

export interface AgentArguments {
  runtime: ProcessRuntimeOptions & { podCIDR: string };
  /** A program that counts on its standard output. */
  counts: readonly string[];
}

const { runtime: options, counts } = JSON.parse(process.argv[2] ?? '{}') as AgentArguments;
const runtime = processRuntime(options);
const lab = new Laboratory({
  runtime,
  reopen: async () => runtime,
  logDirectory: options.dataDir,
  podCIDR: options.podCIDR,
  cleanup: async () => {},
});
const { id } = await lab.pod({ image: 'busybox', command: counts });
const ends = await lab.pod({ image: 'busybox', command: ['sh', '-c', 'sleep 1; exit 42'] });
const { id: sleeps } = await lab.pod(processWorkloads.sleeps);
console.log(JSON.stringify({ counts: id, ends: ends.id, sleeps }));
setInterval(() => {}, 1_000);
