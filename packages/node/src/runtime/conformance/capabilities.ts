/**
 * Clauses about capabilities. What is reported is proven; what is reported absent is shown to be absent, so that the
 * report is truthful in both directions.
 */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Capability, Mount } from '../contract.js';
import { ask, type Laboratory } from './laboratory.js';
import { type Clause, rejects } from './lifecycle.js';
import type { Workload, Workloads } from './subject.js';

const megabyte = 2 ** 20;

export function capabilityClauses(clause: Clause, workloads: Workloads, expected: ReadonlySet<Capability>): void {
  clause('the capabilities are those that the runtime is documented to have', async lab => {
    assert.deepEqual([...lab.runtime.capabilities].sort(), [...expected].sort());
  });

  for (const capability of ['attach', 'port-forward'] as const) {
    if (expected.has(capability)) continue;
    clause(`without ${capability} the call is Unsupported`, async lab => {
      const { sandbox, id } = await lab.pod(workloads.sleeps);
      const call =
        capability === 'attach'
          ? lab.runtime.attach(id, { tty: false, onStdout: () => {}, onStderr: () => {} })
          : lab.runtime.portForward(sandbox.id, 1);
      await rejects(call, 'Unsupported');
    });
  }
  if (workloads.real) isolationClauses(clause, workloads, workloads.real, expected);
}

function isolationClauses(
  clause: Clause,
  workloads: Workloads,
  real: NonNullable<Workloads['real']>,
  expected: ReadonlySet<Capability>,
): void {
  const whether = (capability: Capability) => (expected.has(capability) ? 'present' : 'absent');

  async function served(lab: Laboratory, workload: Workload, port: number) {
    const { sandbox, id } = await lab.pod(workload, { ports: [{ containerPort: port, protocol: 'TCP' }] });
    return { sandbox, id };
  }
  const settled = (lab: Laboratory, id: string, ip: string, port: number) =>
    lab.eventually('the server to answer or end', async () => {
      if ((await lab.runtime.containerStatus(id)).state === 'exited') return 'ended';
      return ask(ip, port);
    });

  clause('a server on its pod IP answers there, from the host and from another pod', async lab => {
    const { sandbox, id } = await served(lab, real.listens('pod', 7_380, 'hello'), 7_380);
    assert.equal(await settled(lab, id, sandbox.ip!, 7_380), 'hello');
    const other = await lab.pod(workloads.sleeps);
    const result = await lab.exec(other.id, real.connects(sandbox.ip!, 7_380));
    assert.equal(result.code, 0, result.stderr);
  });

  clause(`private-ports (${whether('private-ports')}): two servers on 0.0.0.0 with one port`, async lab => {
    const one = await served(lab, real.listens('0.0.0.0', 7_381, 'one'), 7_381);
    assert.equal(await settled(lab, one.id, one.sandbox.ip!, 7_381), 'one');
    const two = await served(lab, real.listens('0.0.0.0', 7_381, 'two'), 7_381);
    if (expected.has('private-ports')) {
      assert.equal(await settled(lab, two.id, two.sandbox.ip!, 7_381), 'two');
      assert.equal(await ask(one.sandbox.ip!, 7_381), 'one');
    } else {
      const status = await lab.exited(two.id);
      assert.notEqual(status.exitCode, 0);
    }
  });

  clause(
    `private-localhost (${whether('private-localhost')}): 127.0.0.1 of a pod, from itself and another`,
    async lab => {
      const { id } = await served(lab, real.listens('127.0.0.1', 7_382, 'mine'), 7_382);
      await lab.eventually(
        'the server',
        async () => (await lab.exec(id, real.connects('127.0.0.1', 7_382))).code === 0,
      );
      const other = await lab.pod(workloads.sleeps);
      const { code } = await lab.exec(other.id, real.connects('127.0.0.1', 7_382));
      assert.equal(code === 0, !expected.has('private-localhost'));
    },
  );

  clause('containers of one pod share localhost', async lab => {
    const { sandbox } = await served(lab, real.listens('127.0.0.1', 7_383, 'shared'), 7_383);
    const beside = await lab.started(sandbox, workloads.sleeps, { name: 'beside' });
    await lab.eventually(
      'the server',
      async () => (await lab.exec(beside, real.connects('127.0.0.1', 7_383))).code === 0,
    );
  });

  clause(`low-ports (${whether('low-ports')}): a server on port 89`, async lab => {
    const { sandbox, id } = await served(lab, real.listens('pod', 89, 'low'), 89);
    const answer = await settled(lab, id, sandbox.ip!, 89);
    assert.equal(answer, expected.has('low-ports') ? 'low' : 'ended');
  });

  clause(`mount-paths (${whether('mount-paths')}): a volume at its path, read-only where it says so`, async lab => {
    const directory = await mkdtemp(join(lab.subject.logDirectory, 'volume-'));
    await Promise.all(['rw', 'ro'].map(name => mkdir(join(directory, name))));
    await writeFile(join(directory, 'ro', 'word'), 'from the host');
    await writeFile(join(directory, 'file'), 'one file');
    const at = '/orbitkit-conformance/deep';
    const mounts: Mount[] = [
      { hostPath: join(directory, 'rw'), containerPath: `${at}/rw`, readOnly: false },
      { hostPath: join(directory, 'ro'), containerPath: `${at}/ro`, readOnly: true },
      { hostPath: join(directory, 'file'), containerPath: `${at}/file.txt`, readOnly: true },
    ];
    const { id } = await lab.pod(workloads.sleeps, { mounts });
    const read = await lab.exec(id, real.reads(`${at}/ro/word`));
    if (!expected.has('mount-paths')) {
      assert.notEqual(read.code, 0);
    } else {
      assert.equal(read.stdout, 'from the host');
      assert.equal((await lab.exec(id, real.reads(`${at}/file.txt`))).stdout, 'one file');
      assert.equal((await lab.exec(id, real.writes(`${at}/rw/answer`, 'back'))).code, 0);
      assert.equal((await readFile(join(directory, 'rw', 'answer'), 'utf8')).trim(), 'back');
      assert.notEqual((await lab.exec(id, real.writes(`${at}/ro/word`, 'no'))).code, 0);
      assert.equal(await readFile(join(directory, 'ro', 'word'), 'utf8'), 'from the host');
      await assert.rejects(readFile(`${at}/ro/word`), 'nothing of it is on the host');
    }
    await rm(directory, { recursive: true });
  });

  // Where nothing is enforced the limit is so small that also the share of a busy machine is far above it.
  const cpuLimitMillis = expected.has('cpu-limits') ? 200 : 20;
  clause(`cpu-limits (${whether('cpu-limits')}): a busy loop with a limit of ${cpuLimitMillis}m`, async lab => {
    const { id } = await lab.pod(real.busy, { resources: { cpuLimitMillis } });
    const measure = () => lab.eventually('statistics', async () => (await lab.runtime.stats()).find(s => s.id === id));
    const from = await measure();
    await new Promise(resolve => setTimeout(resolve, 2_000));
    const to = await measure();
    const cores = (to.cpuNanos - from.cpuNanos) / 1e6 / (to.timestamp - from.timestamp);
    if (expected.has('cpu-limits')) assert.ok(cores > 0.05 && cores < 0.35, `used ${cores.toFixed(2)} cores`);
    else assert.ok(cores > 0.05, `used ${cores.toFixed(2)} cores`);
  });

  clause(`memory-limits (${whether('memory-limits')}): 256 MiB with a limit of 96 MiB`, async lab => {
    const { id } = await lab.pod(real.hog, { resources: { memoryLimitBytes: 96 * megabyte } });
    if (expected.has('memory-limits')) {
      const status = await lab.exited(id);
      assert.equal(status.reason, 'OOMKilled');
      assert.equal(status.exitCode, 137);
    } else {
      await lab.eventually('the memory to be taken', async () => {
        const stats = (await lab.runtime.stats()).find(s => s.id === id);
        return (stats?.memoryWorkingSetBytes ?? 0) > 200 * megabyte;
      });
    }
  });
}
