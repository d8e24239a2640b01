/**
 * Clauses about what the process runtime survives: its agent killed, its helper killed, at any moment. Runner-neutral as the
 * conformance suite, so that they run as root in a network namespace too.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Laboratory } from '../../conformance/laboratory.js';
import type { Subject, TestRunner } from '../../conformance/subject.js';
import type { ContainerStatus, Runtime } from '../../contract.js';
import { processCensus } from '../isolation/census.js';
import { type ProcessRuntime, type ProcessRuntimeOptions, processRuntime } from '../process-runtime.js';
import { isRunning, processInfo } from '../process-table.js';
import { gone, processSubject, processWorkloads } from './subject.js';

/** Writes a number every 5 ms, and hears SIGTERM. */
const counts = ['sh', '-c', 'trap "exit 0" TERM; i=0; while :; do i=$((i+1)); echo $i; sleep 0.005; done'] as const;
const clauseMs = 60_000;
const marked = async (id: string) => (await processCensus()()).marked.get(id) ?? [];

/** What of a log's text was written, parts joined: the lines. */
function linesOf(log: string): string[] {
  return log
    .trimEnd()
    .split('\n')
    .map(line => line.split(' '))
    .map(([, , flag, ...text]) => (flag === 'F' ? `${text.join(' ')}\n` : text.join(' ')))
    .join('')
    .trimEnd()
    .split('\n');
}

function assertContinuous(log: string, atLeast: number): void {
  const numbers = linesOf(log).map(Number);
  assert.ok(numbers.length >= atLeast, `${numbers.length} lines, wanted ${atLeast}`);
  for (const [index, number] of numbers.entries()) assert.equal(number, index + 1, `line ${index + 1} of the log`);
}

export function survivalClauses(
  options: Pick<ProcessRuntimeOptions, 'mode' | 'programDirectory'> & { podCIDR: string },
  runner: TestRunner,
): void {
  runner.describe(`what the process runtime survives, ${options.mode} mode`, () => {
    let subject: Subject & { dataDir: string };
    let runtime: ProcessRuntime;
    runner.beforeAll(async () => {
      subject = await processSubject(options);
      runtime = subject.runtime as ProcessRuntime;
    }, clauseMs);
    runner.afterAll(() => subject.cleanup(), clauseMs);

    const clause = (name: string, body: (lab: Laboratory) => Promise<void>) =>
      runner.it(
        name,
        async () => {
          const lab = new Laboratory(subject);
          try {
            await body(lab);
          } finally {
            await lab[Symbol.asyncDispose]();
          }
        },
        clauseMs,
      );

    async function killHelper(): Promise<void> {
      const pid = await runtime.helperPid();
      process.kill(pid, 'SIGKILL');
      await gone(`helper ${pid}`, () => !isRunning({ pid, startTime: processInfo(pid)?.startTime ?? '' }));
    }

    /** Asked again until the runtime has found its helper again. */
    const status = (lab: Laboratory, id: string, from: Runtime = runtime): Promise<ContainerStatus> =>
      lab.eventually('the helper', () =>
        from.containerStatus(id).catch(error => {
          if (error.reason === 'Unavailable') return undefined;
          throw error;
        }),
      );

    clause('the agent killed: same processes, no gap in the logs, the exit code of what ended meanwhile', async lab => {
      const program = join(options.programDirectory!, 'agent-main.js');
      const args = { runtime: { ...options, dataDir: subject.dataDir }, counts };
      const agent = spawn(process.execPath, [program, JSON.stringify(args)], { stdio: ['ignore', 'pipe', 'inherit'] });
      const line = await new Promise<string>((resolve, reject) => {
        agent.stdout.once('data', chunk => resolve(`${chunk}`));
        agent.once('exit', code => reject(new Error(`the agent ended with ${code}`)));
      });
      const ids = JSON.parse(line) as { counts: string; ends: string; sleeps: string };
      const before = await runtime.containerStatus(ids.counts);
      const identity = { pid: before.pid!, startTime: processInfo(before.pid!)!.startTime };
      agent.kill('SIGKILL');
      const ended = await lab.exited(ids.ends);
      assert.equal(ended.exitCode, 42);
      assert.equal(ended.reason, 'Error');
      assert.deepEqual(await runtime.containerStatus(ids.counts), before);
      assert.ok(isRunning(identity));
      assertContinuous(await lab.log(ids.counts, text => text.split('\n').length > 150), 150);
      for (const { id } of await runtime.listSandboxes()) await runtime.removeSandbox(id);
      assert.ok(!isRunning(identity));
    });

    clause('the helper killed five times: same process, no gap in the log, exec and stop as before', async lab => {
      const { id } = await lab.pod({ image: 'busybox', command: counts });
      const before = await runtime.containerStatus(id);
      for (let round = 1; round <= 5; round += 1) {
        await lab.log(id, text => text.split('\n').length > round * 20);
        await killHelper();
        // It goes on writing into its pipe while nobody reads.
        await new Promise(resolve => setTimeout(resolve, 50));
        assert.deepEqual(await status(lab, id), before);
      }
      assertContinuous(await lab.log(id, text => text.split('\n').length > 200), 200);
      assert.equal((await lab.exec(id, processWorkloads.exec.exits(7))).code, 7);
      await runtime.stopContainer(id, 10_000);
      const after = await runtime.containerStatus(id);
      assert.equal(after.state, 'exited');
      assert.equal(after.exitCode, 255, 'the exit code of a process that is not a child cannot be learnt');
      assert.equal(after.reason, 'ContainerStatusUnknown');
    });

    clause('what ended while no helper was is known to have ended, and its exit code not to be known', async lab => {
      const { id } = await lab.pod(processWorkloads.sleeps);
      const { pid } = await runtime.containerStatus(id);
      await killHelper();
      process.kill(-pid!, 'SIGKILL');
      const ended = await lab.eventually('its end', async () => {
        const found = await status(lab, id);
        return found.state === 'exited' && found;
      });
      assert.equal(ended.exitCode, 255);
      assert.equal(ended.reason, 'ContainerStatusUnknown');
      assert.ok(ended.message);
      const next = await lab.sandbox();
      await lab.started(next, processWorkloads.sleeps);
    });

    clause('the helper killed in the middle of starts: each container runs once or not at all', async lab => {
      for (const delay of [5, 20, 60]) {
        const sandbox = await lab.sandbox();
        const ids = await Promise.all(
          Array.from({ length: 8 }, (_, index) => lab.created(sandbox, processWorkloads.sleeps, { name: `c${index}` })),
        );
        const starts = Promise.allSettled(ids.map(id => runtime.startContainer(id)));
        await new Promise(resolve => setTimeout(resolve, delay));
        await killHelper();
        await starts;
        for (const id of ids) {
          const { state, pid } = await status(lab, id);
          const running = (await marked(id)).filter(({ pid, session }) => pid === session);
          assert.deepEqual(
            running.map(process => process.pid),
            state === 'running' ? [pid] : [],
            `${state} after ${delay} ms`,
          );
        }
        await runtime.removeSandbox(sandbox.id);
        for (const id of ids) assert.deepEqual(await marked(id), []);
      }
    });

    clause('what leaves its session ends with its container nevertheless', async lab => {
      const script =
        'setsid sh -c "sleep 600" & (setsid sleep 601 &) ; trap "exit 0" TERM; echo ready; wait; sleep 600';
      const { id } = await lab.pod({ image: 'busybox', command: ['sh', '-c', script] });
      await lab.log(id, text => text.includes('ready'));
      const before = await lab.eventually('its descendants', async () => {
        const found = await marked(id);
        return found.length >= 3 && found;
      });
      await runtime.stopContainer(id, 5_000);
      for (const identity of before) assert.ok(!isRunning(identity), `process ${identity.pid} is still there`);
    });

    clause('the socket is the owner’s alone, and one directory has one helper', async () => {
      const directory = join(subject.dataDir, 'process-runtime');
      await runtime.version();
      assert.equal(statSync(join(directory, 'helper.sock')).mode & 0o777, 0o600);
      assert.equal(statSync(join(directory, 'state')).mode & 0o777, 0o700);
      const others = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const other = processRuntime({ ...options, dataDir: subject.dataDir });
          const pid = await other.helperPid();
          await other.close();
          return pid;
        }),
      );
      assert.deepEqual(new Set(others), new Set([await runtime.helperPid()]));
    });

    clause('a helper with nothing to do ends when it is let go, and the next finds what ended', async () => {
      const open = () => processRuntime({ ...options, dataDir: join(subject.dataDir, 'second') });
      const first = open();
      const lab = new Laboratory(subject, first);
      const { sandbox, id } = await lab.pod(processWorkloads.exits(9));
      await lab.exited(id);
      await first.stopSandbox(sandbox.id);
      const pid = await first.helperPid();
      await first.close();
      await gone(`helper ${pid}`, () => !existsSync(`/proc/${pid}`));
      const second = open();
      assert.equal((await second.containerStatus(id)).exitCode, 9);
      assert.notEqual(await second.helperPid(), pid);
      await second.shutdown();
    });
  });
}
