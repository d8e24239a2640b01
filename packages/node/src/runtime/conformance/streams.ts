/** Clauses about logs, exec, attach, port-forward, events and statistics. */
import assert from 'node:assert/strict';
import type { Capability } from '../contract.js';
import { readAll } from './laboratory.js';
import { type Clause, rejects } from './lifecycle.js';
import type { Workloads } from './subject.js';

const logLine = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(Z|[+-]\d\d:\d\d) (stdout|stderr) [FP] .*$/;

async function* chunks(...texts: string[]): AsyncIterable<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

export function logClauses(clause: Clause, workloads: Workloads): void {
  clause('the log is in CRI format, at the path of this attempt, with both streams', async lab => {
    const config = await lab.sandboxConfig();
    const sandbox = await lab.sandbox(config);
    const id = await lab.started(sandbox, workloads.prints('one\ntwo\n', 'bad\n'), { attempt: 2 });
    const text = await lab.log(id, log => log.includes('two') && log.includes('bad'));
    const { logPath } = await lab.runtime.containerStatus(id);
    assert.equal(logPath, `${config.logDirectory}/main/2.log`);
    const lines = text.trimEnd().split('\n');
    for (const line of lines) assert.match(line, logLine);
    const parts = (stream: string) =>
      lines.filter(line => line.includes(` ${stream} `)).map(line => line.split(' F ')[1]);
    assert.deepEqual(parts('stdout'), ['one', 'two']);
    assert.deepEqual(parts('stderr'), ['bad']);
  });

  clause('a last line without its end is in the log once the container has ended', async lab => {
    const { id } = await lab.pod(workloads.prints('whole\nhalf', 'errors\n'));
    // What goes to stderr comes after it.
    await lab.log(id, log => log.includes('errors'));
    await lab.runtime.stopContainer(id, 10_000);
    const text = await lab.log(id, log => log.includes('half'));
    assert.match(text, / stdout [FP] half\n/);
  });
}

export function execClauses(clause: Clause, workloads: Workloads): void {
  const { exec } = workloads;
  clause('exec gives both streams and the exit code', async lab => {
    const { id } = await lab.pod(workloads.sleeps);
    assert.deepEqual(await lab.exec(id, exec.prints('out', 'err')), { code: 0, stdout: 'out', stderr: 'err' });
    assert.equal((await lab.exec(id, exec.exits(7))).code, 7);
  });

  clause('exec passes its input, whole and to its end', async lab => {
    const { id } = await lab.pod(workloads.sleeps);
    const big = 'x'.repeat(300_000);
    const result = await lab.exec(id, exec.cat, { stdin: chunks('hello ', big) });
    assert.equal(result.code, 0);
    assert.equal(result.stdout.length, 6 + big.length);
    assert.ok(result.stdout.startsWith('hello x'));
  });

  clause('exec rejects when the signal aborts, and the container goes on', async lab => {
    const { id } = await lab.pod(workloads.sleeps);
    const abort = new AbortController();
    const running = lab.exec(id, exec.sleeps, { signal: abort.signal });
    setTimeout(() => abort.abort(new Error('enough')), 100);
    await assert.rejects(running, /enough/);
    assert.equal((await lab.runtime.containerStatus(id)).state, 'running');
  });

  clause('exec in a container that does not run is NotRunning; of a missing program StartFailed', async lab => {
    const sandbox = await lab.sandbox();
    const created = await lab.created(sandbox, workloads.sleeps, { name: 'created' });
    await rejects(lab.exec(created, exec.exits(0)), 'NotRunning');
    const ended = await lab.started(sandbox, workloads.exits(0), { name: 'ended' });
    await lab.exited(ended);
    await rejects(lab.exec(ended, exec.exits(0)), 'NotRunning');
    await rejects(lab.exec('no-such-container', exec.exits(0)), 'NotFound');
    const running = await lab.started(sandbox, workloads.sleeps, { name: 'running' });
    await rejects(lab.exec(running, exec.missing), 'StartFailed');
  });

  if (exec.variable) {
    const variable = exec.variable;
    clause("exec sees the container's environment, which is what the config says and not the host's", async lab => {
      process.env.ORBITKIT_LEAK = 'leaked';
      const { id } = await lab.pod(workloads.sleeps, { env: [{ name: 'GREETING', value: 'hello there' }] });
      assert.equal((await lab.exec(id, variable('GREETING'))).stdout.trim(), 'hello there');
      assert.equal((await lab.exec(id, variable('ORBITKIT_LEAK'))).stdout.trim(), '');
      delete process.env.ORBITKIT_LEAK;
    });
  }

  if (exec.terminalSize) {
    const command = exec.terminalSize;
    clause('exec with a terminal has one, of the size that was asked for', async lab => {
      const { id } = await lab.pod(workloads.sleeps);
      const resize = (async function* () {
        yield { width: 91, height: 33 };
      })();
      const result = await lab.exec(id, command, { tty: true, resize });
      assert.match(result.stdout, /33 91\r?\n/);
    });
  }
}

export function attachClauses(clause: Clause, workloads: Workloads): void {
  clause('attach passes input and output, and resolves when the container ends', async lab => {
    const { id } = await lab.pod(workloads.echoes, { stdin: true });
    let output = '';
    let end = () => {};
    const stdin = (async function* () {
      yield Buffer.from('marco\n');
      await new Promise<void>(resolve => {
        end = resolve;
      });
    })();
    const attached = lab.runtime.attach(id, {
      stdin,
      tty: false,
      onStdout: chunk => {
        output += Buffer.from(chunk).toString();
      },
      onStderr: () => {},
    });
    await lab.eventually('the echo', async () => output.includes('marco'));
    await lab.runtime.stopContainer(id, 1_000);
    await attached;
    end();
  });

  clause("with stdinOnce the first attached input's end is the container's", async lab => {
    const { id } = await lab.pod(workloads.echoes, { stdin: true, stdinOnce: true });
    let output = '';
    // A look without input ends nothing.
    const look = new AbortController();
    const looking = lab.runtime.attach(id, {
      tty: false,
      signal: look.signal,
      onStdout: () => {},
      onStderr: () => {},
    });
    look.abort();
    await looking;
    await lab.runtime.attach(id, {
      stdin: chunks('marco\n', 'polo\n'),
      tty: false,
      onStdout: chunk => {
        output += Buffer.from(chunk).toString();
      },
      onStderr: () => {},
    });
    assert.equal((await lab.exited(id)).exitCode, 0);
    assert.match(output, /marco\r?\n[\s\S]*polo/);
  });

  clause('attach resolves when its signal aborts, and the container goes on', async lab => {
    const { id } = await lab.pod(workloads.echoes, { stdin: true });
    const abort = new AbortController();
    const attached = lab.runtime.attach(id, {
      tty: false,
      signal: abort.signal,
      onStdout: () => {},
      onStderr: () => {},
    });
    setTimeout(() => abort.abort(), 50);
    await attached;
    assert.equal((await lab.runtime.containerStatus(id)).state, 'running');
  });

  clause('attach to a container that does not run is NotRunning', async lab => {
    const sandbox = await lab.sandbox();
    const id = await lab.created(sandbox, workloads.echoes, { stdin: true });
    await rejects(lab.runtime.attach(id, { tty: false, onStdout: () => {}, onStderr: () => {} }), 'NotRunning');
  });
}

export function portForwardClauses(clause: Clause, workloads: Workloads, capabilities: ReadonlySet<Capability>): void {
  const served = workloads.serves ?? {
    workload: workloads.real!.listens('pod', 7_391, 'forwarded'),
    port: 7_391,
  };
  clause('port-forward is a byte stream to a port of the sandbox', async lab => {
    const { sandbox } = await lab.pod(served.workload, {
      ports: [{ containerPort: served.port, protocol: 'TCP' }],
    });
    const answer = await lab.eventually('the server', async () => {
      try {
        const stream = await lab.runtime.portForward(sandbox.id, served.port);
        stream.end('ping');
        return await readAll(stream);
      } catch {
        return;
      }
    });
    assert.equal(answer, 'forwarded');
  });

  const { real } = workloads;
  if (real && capabilities.has('private-localhost')) {
    clause("port-forward reaches what listens on the pod's own localhost", async lab => {
      const { sandbox } = await lab.pod(real.listens('127.0.0.1', 7_393, 'inside'));
      const answers = await lab.eventually('the server', async () => {
        try {
          // Together: they enter the network once.
          const streams = await Promise.all([1, 2].map(() => lab.runtime.portForward(sandbox.id, 7_393)));
          for (const stream of streams) stream.end('ping');
          return await Promise.all(streams.map(readAll));
        } catch {
          return;
        }
      });
      assert.deepEqual(answers, ['inside', 'inside']);
    });
  }

  clause('port-forward to a port where nothing listens is ConnectionRefused', async lab => {
    const { sandbox } = await lab.pod(workloads.sleeps);
    await rejects(lab.runtime.portForward(sandbox.id, 7_392), 'ConnectionRefused');
    await rejects(lab.runtime.portForward('no-such-sandbox', 7_392), 'NotFound');
  });
}

export function observationClauses(clause: Clause, workloads: Workloads): void {
  clause('version names the runtime', async lab => {
    const { name, version } = await lab.runtime.version();
    assert.ok(name);
    assert.ok(version);
  });

  clause('an event hints at the sandbox that changed; the stream ends with its signal', async lab => {
    const abort = new AbortController();
    const events = lab.runtime.events(abort.signal);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { sandboxId } of events) seen.push(sandboxId ?? '*');
    })();
    const { sandbox, id } = await lab.pod(workloads.exits(0));
    await lab.exited(id);
    await lab.eventually('an event', async () => seen.includes(sandbox.id) || seen.includes('*'));
    abort.abort();
    await reading;
  });

  clause('statistics are given for what runs, and CPU time never goes back', async lab => {
    const { id } = await lab.pod(workloads.sleeps);
    const of = async () => (await lab.runtime.stats()).find(stats => stats.id === id);
    const first = await lab.eventually('statistics', of);
    const second = await lab.eventually('statistics', of);
    assert.ok(Math.abs(first.timestamp - Date.now()) < 60_000);
    assert.ok(first.memoryWorkingSetBytes >= 0);
    assert.ok(second.cpuNanos >= first.cpuNanos);
    await lab.runtime.stopContainer(id, 1_000);
    assert.equal(await of(), undefined);
  });
}
