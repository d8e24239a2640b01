/** Clauses about what root mode gives beyond the contract's capabilities. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { ask, Laboratory, readAll } from '../../conformance/laboratory.js';
import { rejects } from '../../conformance/lifecycle.js';
import type { Subject, TestRunner } from '../../conformance/subject.js';
import type { ContainerConfig } from '../../contract.js';
import { allProcesses } from '../process-table.js';
import { processSubject, processWorkloads } from './subject.js';

const { real } = processWorkloads;
/** Programs that make connections in a sandbox's network. */
const dialersIn = (sandboxId: string): number[] =>
  allProcesses()
    .map(({ pid }) => pid)
    .filter(pid => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return words.includes('orbitkit-dial-') && words.includes(sandboxId);
      } catch {
        return false;
      }
    });
const shell = (script: string) => ({ image: 'busybox', command: ['sh', '-c', script] });

export function rootClauses(options: { programDirectory: string; podCIDR: string }, runner: TestRunner): void {
  runner.describe('what root mode gives', () => {
    let subject: Subject;
    runner.beforeAll(async () => {
      subject = await processSubject({ mode: 'root', ...options });
    }, 60_000);
    runner.afterAll(() => subject.cleanup(), 60_000);

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
        30_000,
      );

    /** What a program prints before it ends with 0. */
    async function said(lab: Laboratory, script: string, changes: Partial<ContainerConfig> = {}): Promise<string> {
      const { id } = await lab.pod(shell(script), changes);
      const { exitCode } = await lab.exited(id);
      const log = await lab.log(id, () => true);
      assert.equal(exitCode, 0, log);
      return log
        .trimEnd()
        .split('\n')
        .map(line => line.split(' F ')[1])
        .join('\n');
    }

    clause('another user, by number and by name, with a directory of its own; exec is that user too', async lab => {
      const script = 'id -u; id -g; id -G; echo mine > file && cat file; sleep 600';
      const { id } = await lab.pod(shell(script), { user: { uid: 4_321, gid: 1_234 } });
      const log = await lab.log(id, text => text.includes('mine'));
      assert.deepEqual(log.match(/ F .*/g), [' F 4321', ' F 1234', ' F 1234', ' F mine']);
      assert.equal((await lab.exec(id, ['id', '-u'])).stdout.trim(), '4321');
      assert.equal(await said(lab, 'id -un', { user: { username: 'nobody' } }), 'nobody');
      const sandbox = await lab.sandbox();
      await rejects(lab.created(sandbox, shell('true'), { user: { username: 'no-such-user' } }), 'InvalidConfig');
    });

    clause('what a container writes beside its volumes ends with it, and the machine never sees it', async lab => {
      const { id } = await lab.pod(shell('echo here > /etc/orbitkit-test && mkdir /orbitkit-test && sleep 600'));
      await lab.eventually(
        'the file',
        async () => (await lab.exec(id, ['cat', '/etc/orbitkit-test'])).stdout === 'here\n',
      );
      assert.ok(!existsSync('/etc/orbitkit-test'));
      assert.ok(!existsSync('/orbitkit-test'));
      const other = await lab.pod(processWorkloads.sleeps);
      assert.notEqual((await lab.exec(other.id, ['cat', '/etc/orbitkit-test'])).code, 0);
    });

    clause('a read-only root file system, with a directory of its own that is not', async lab => {
      const script = 'if echo x > /etc/orbitkit-test; then exit 1; fi; echo x > file && echo kept';
      assert.match(await said(lab, script, { readOnlyRootFilesystem: true }), /kept$/);
    });

    clause('a host name, and names from the pod’s DNS settings', async lab => {
      const sandbox = await lab.sandbox({
        hostname: 'web-0',
        dns: { servers: ['10.96.0.10'], searches: ['default.svc.cluster.local'], options: ['ndots:5'] },
      });
      const id = await lab.started(sandbox, shell('hostname; cat /etc/resolv.conf /etc/hosts; sleep 600'));
      const log = await lab.log(id, text => text.includes(`${sandbox.ip} web-0`));
      for (const text of ['F web-0', 'F nameserver 10.96.0.10', 'F search default.svc', 'F options ndots:5']) {
        assert.ok(log.includes(text), log);
      }
    });

    clause('sysctls of the network', async lab => {
      const sandbox = await lab.sandbox({ sysctls: { 'net.ipv4.ip_unprivileged_port_start': '42' } });
      const id = await lab.started(sandbox, processWorkloads.sleeps);
      const path = '/proc/sys/net/ipv4/ip_unprivileged_port_start';
      assert.equal((await lab.exec(id, ['cat', path])).stdout.trim(), '42');
    });

    clause('the host network, where it is asked for', async lab => {
      const sandbox = await lab.sandbox({ hostNetwork: true });
      const id = await lab.started(sandbox, real!.listens('127.0.0.1', 7_399, 'host'));
      await lab.eventually('the server', async () => (await ask('127.0.0.1', 7_399)) === 'host');
      await lab.runtime.stopContainer(id, 1_000);
    });

    clause('host ports, and port-forward to a server on the pod’s own localhost', async lab => {
      const sandbox = await lab.sandbox({
        portMappings: [{ containerPort: 80, hostPort: 8_480, hostIP: '127.0.0.1', protocol: 'TCP' }],
      });
      await lab.started(sandbox, real!.listens('0.0.0.0', 80, 'mapped'), { name: 'open' });
      await lab.eventually('the host port', async () => (await ask('127.0.0.1', 8_480).catch(() => '')) === 'mapped');
      await lab.started(sandbox, real!.listens('127.0.0.1', 7_398, 'inside'), { name: 'inside' });
      const answer = await lab.eventually('the server', async () => {
        const stream = await lab.runtime.portForward(sandbox.id, 7_398).catch(() => undefined);
        return stream && readAll(stream);
      });
      assert.equal(answer, 'inside');
    });

    clause('a thousand numbers through a forwarded port, and back', async lab => {
      const program = `require('net').createServer(s => s.pipe(s)).listen(7397, '127.0.0.1')`;
      const { sandbox } = await lab.pod({ image: 'x', command: [process.execPath, '-e', program] });
      const stream = await lab.eventually('the server', () =>
        lab.runtime.portForward(sandbox.id, 7_397).catch(() => undefined),
      );
      const text = Array.from({ length: 100_000 }, (_, index) => `${index}\n`).join('');
      stream.end(text);
      assert.equal(await readAll(stream), text);
    });

    clause('one program in the pod’s network makes all connections there, and ends with the sandbox', async lab => {
      const sandbox = await lab.sandbox();
      await lab.started(sandbox, real!.listens('127.0.0.1', 7_396, 'inside'));
      const forward = async () => readAll(await lab.runtime.portForward(sandbox.id, 7_396));
      await lab.eventually('the server', () => forward().catch(() => undefined));
      assert.deepEqual(await Promise.all(Array.from({ length: 8 }, forward)), Array(8).fill('inside'));
      assert.equal(dialersIn(sandbox.id).length, 1);
      assert.equal(
        await rejects(lab.runtime.portForward(sandbox.id, 7_395), 'ConnectionRefused').then(() => true),
        true,
      );
      await lab.runtime.stopSandbox(sandbox.id);
      await lab.eventually('its end', async () => dialersIn(sandbox.id).length === 0);
    });

    clause('a container that dies in the middle of its start says why', async lab => {
      const sandbox = await lab.sandbox();
      const mounts = [{ hostPath: '/no/such/source', containerPath: '/data', readOnly: false }];
      const id = await lab.created(sandbox, processWorkloads.sleeps, { mounts });
      const error = await rejects(lab.runtime.startContainer(id), 'StartFailed');
      assert.match(error.message, /no\/such\/source/);
      assert.equal((await lab.runtime.containerStatus(id)).reason, 'StartError');
    });
  });
}
