/** The simulated runtime: the contract, and what only a simulation can do. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { manualClock } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runtimeConformance, type Workload, type Workloads } from '../conformance/index.js';
import { type ContainerConfig, RuntimeError, type SandboxConfig } from '../contract.js';
import { type SimulatedProgram, type SimulatedRuntime, simulatedRuntime } from './index.js';

const image = 'simulated/any';
const workload = (name: string, ...args: string[]): Workload => ({ image, command: [name, ...args] });
const workloads: Workloads = {
  sleeps: workload('sleeps'),
  stubborn: workload('stubborn'),
  exits: code => workload('exits', `${code}`),
  killsItself: workload('killed'),
  prints: (stdout, stderr) => workload('prints', stdout, stderr),
  echoes: workload('echoes'),
  unstartable: workload('unstartable'),
  unknownImage: 'simulated/unknown',
  exec: {
    prints: (stdout, stderr) => ['prints', stdout, stderr],
    exits: code => ['exits', `${code}`],
    cat: ['cat'],
    sleeps: ['sleeps'],
    missing: ['missing'],
  },
  serves: { workload: workload('serves'), port: 7_000 },
};

function program({ command = [] }: ContainerConfig): SimulatedProgram {
  const [name, one = '', two = ''] = command;
  const lines = (text: string) => text.split('\n').filter(line => line !== '');
  switch (name) {
    case 'stubborn':
      return { ignoresTerm: true, output: ['ready'] };
    case 'exits':
      return { runMs: 5, exitCode: Number(one) };
    case 'killed':
      return { runMs: 0, exitCode: 137 };
    case 'prints':
      return {
        output: [...lines(one), ...lines(two).map(text => ({ afterMs: 0, stream: 'stderr' as const, text }))],
        exec: () => ({ exitCode: 5 }),
      };
    case 'unstartable':
      return { startError: 'no such program: scripted' };
    case 'echoes':
      return { echoes: true };
    case 'serves':
      return { ports: { 7000: () => 'forwarded' } };
    default:
      return {
        exec([command, one, two]) {
          if (command === 'prints') return { stdout: one ?? '', stderr: two ?? '' };
          if (command === 'exits') return { exitCode: Number(one) };
          if (command === 'cat') return { echo: true };
          if (command === 'sleeps') return { runMs: 60_000 };
          return { startError: 'no such program: scripted' };
        },
      };
  }
}

runtimeConformance(
  {
    name: 'simulated',
    workloads,
    capabilities: [...simulatedRuntime().capabilities],
    async create() {
      const logDirectory = await mkdtemp(join(tmpdir(), 'simulated-'));
      const runtime = simulatedRuntime({
        program,
        pullable: name => name !== workloads.unknownImage || `${name} is scripted to be unknown`,
      });
      return {
        runtime,
        logDirectory,
        podCIDR: '10.1.0.0/24',
        reopen: async () => runtime.reopen(),
        async cleanup() {
          await runtime.close();
          await rm(logDirectory, { recursive: true });
        },
      };
    },
  },
  { describe, it, beforeAll, afterAll },
);

const sandboxConfig = (name: string): SandboxConfig => ({
  name,
  namespace: 'default',
  uid: name,
  attempt: 0,
  hostname: name,
  labels: {},
  annotations: {},
  logDirectory: '/nonexistent/never-written',
  hostNetwork: false,
  portMappings: [],
});
const containerConfig: ContainerConfig = {
  name: 'main',
  attempt: 0,
  image,
  env: [],
  mounts: [],
  resources: {},
  ports: [],
  labels: {},
  annotations: {},
  stdin: false,
  tty: false,
};

async function running(runtime: SimulatedRuntime, name = 'one'): Promise<string> {
  const { id } = await runtime.runSandbox(sandboxConfig(name));
  const container = await runtime.createContainer(id, containerConfig);
  await runtime.startContainer(container);
  return container;
}

describe('a simulation', () => {
  it('moves only with its clock', async () => {
    const clock = manualClock();
    const runtime = simulatedRuntime({
      clock,
      startMs: 250,
      images: [image],
      program: () => ({ runMs: 1_000, exitCode: 3, usage: { cpuMillis: 500, memoryBytes: 7 } }),
    });
    const { id } = await runtime.runSandbox(sandboxConfig('one'));
    const container = await runtime.createContainer(id, containerConfig);
    const starting = runtime.startContainer(container);
    expect((await runtime.containerStatus(container)).state).toBe('created');
    await clock.advance(250);
    await starting;
    await clock.advance(999);
    expect((await runtime.containerStatus(container)).state).toBe('running');
    expect((await runtime.stats())[0]).toMatchObject({ cpuNanos: 999 * 500_000, memoryWorkingSetBytes: 7 });
    await clock.advance(1);
    expect(await runtime.containerStatus(container)).toMatchObject({ state: 'exited', exitCode: 3, reason: 'Error' });
  });

  it('ends a container when told, with a reason', async () => {
    const runtime = simulatedRuntime({ images: [image] });
    const container = await running(runtime);
    runtime.exit(container, 137, 'OOMKilled');
    expect(await runtime.containerStatus(container)).toMatchObject({ exitCode: 137, reason: 'OOMKilled' });
  });

  it('fails the next calls as asked, and changes nothing then', async () => {
    const runtime = simulatedRuntime({ images: [image] });
    runtime.failNext('runSandbox', new RuntimeError('Unavailable', 'scripted'), 2);
    await expect(runtime.runSandbox(sandboxConfig('one'))).rejects.toThrow('scripted');
    await expect(runtime.runSandbox(sandboxConfig('one'))).rejects.toThrow('scripted');
    expect(await runtime.listSandboxes()).toEqual([]);
    await runtime.runSandbox(sandboxConfig('one'));
  });

  it('is unavailable as a whole while containers go on', async () => {
    const clock = manualClock();
    const runtime = simulatedRuntime({ clock, images: [image], program: () => ({ runMs: 10 }) });
    const container = await running(runtime);
    runtime.setUnavailable('the machine does not answer');
    await expect(runtime.listSandboxes()).rejects.toMatchObject({ reason: 'Unavailable' });
    await clock.advance(10);
    runtime.setUnavailable(undefined);
    expect((await runtime.containerStatus(container)).state).toBe('exited');
  });

  it('carries ten thousand pods on a few hundred megabytes and no files', async () => {
    const runtime = simulatedRuntime({ images: [image] });
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < 10_000; index += 1) await running(runtime, `pod-${index}`);
    expect(new Set((await runtime.listSandboxes()).map(({ ip }) => ip)).size).toBe(10_000);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 2 ** 20);
  });

  it('refuses to go on after close, while another runtime over the machine does', async () => {
    const runtime = simulatedRuntime({ images: [image] });
    const container = await running(runtime);
    const other = runtime.reopen();
    await runtime.close();
    await expect(runtime.listSandboxes()).rejects.toMatchObject({ reason: 'Unavailable' });
    expect((await other.containerStatus(container)).state).toBe('running');
    await other.close();
  });
});
