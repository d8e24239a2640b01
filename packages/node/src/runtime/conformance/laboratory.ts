/**
 * Makes pods for one clause and takes them away after it, whatever came of it. All waiting is bounded.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { ContainerConfig, ContainerStatus, ExecRequest, Runtime, Sandbox, SandboxConfig } from '../contract.js';
import type { Subject, Workload } from './subject.js';

const waitMs = 20_000;
const pollMs = 20;

export class Laboratory {
  readonly runtime: Runtime;
  readonly subject: Subject;
  private readonly sandboxes = new Set<string>();
  private static sequence = 0;

  constructor(subject: Subject, runtime = subject.runtime) {
    this.subject = subject;
    this.runtime = runtime;
  }

  async sandboxConfig(changes: Partial<SandboxConfig> = {}): Promise<SandboxConfig> {
    Laboratory.sequence += 1;
    const unique = `${process.pid}-${Laboratory.sequence}`;
    const name = changes.name ?? `pod-${unique}`;
    const logDirectory = join(this.subject.logDirectory, name);
    await mkdir(logDirectory, { recursive: true });
    return {
      name,
      namespace: 'conformance',
      uid: `uid-${unique}`,
      attempt: 0,
      hostname: name,
      labels: { suite: 'conformance' },
      annotations: {},
      logDirectory,
      hostNetwork: false,
      podCIDR: this.subject.podCIDR,
      portMappings: [],
      ...changes,
    };
  }

  async sandbox(changes: Partial<SandboxConfig> = {}): Promise<Sandbox> {
    const sandbox = await this.runtime.runSandbox(await this.sandboxConfig(changes));
    this.sandboxes.add(sandbox.id);
    return sandbox;
  }

  config(workload: Workload, changes: Partial<ContainerConfig> = {}): ContainerConfig {
    return {
      name: 'main',
      attempt: 0,
      env: [],
      mounts: [],
      resources: {},
      ports: [],
      labels: {},
      annotations: {},
      stdin: false,
      tty: false,
      ...workload,
      ...changes,
    };
  }

  async created(sandbox: Sandbox, workload: Workload, changes: Partial<ContainerConfig> = {}): Promise<string> {
    const { image, command } = workload;
    const options = command ? { command } : {};
    if (!(await this.runtime.imageStatus(image, options))) await this.runtime.pullImage(image, options);
    return this.runtime.createContainer(sandbox.id, this.config(workload, changes));
  }

  async started(sandbox: Sandbox, workload: Workload, changes: Partial<ContainerConfig> = {}): Promise<string> {
    const id = await this.created(sandbox, workload, changes);
    await this.runtime.startContainer(id);
    return id;
  }

  /** A pod of one container. */
  async pod(workload: Workload, changes: Partial<ContainerConfig> = {}): Promise<{ sandbox: Sandbox; id: string }> {
    const sandbox = await this.sandbox();
    return { sandbox, id: await this.started(sandbox, workload, changes) };
  }

  /** Asks again and again until the answer is not undefined or false. */
  async eventually<T>(what: string, ask: () => Promise<T | undefined | false>, boundMs = waitMs): Promise<T> {
    const end = Date.now() + boundMs;
    for (;;) {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
      if (Date.now() > end) throw new Error(`waited ${boundMs} ms for ${what}`);
      await new Promise(resolve => setTimeout(resolve, pollMs));
    }
  }

  exited(id: string): Promise<ContainerStatus> {
    return this.eventually(`container ${id} to end`, async () => {
      const status = await this.runtime.containerStatus(id);
      return status.state === 'exited' && status;
    });
  }

  log(id: string, until: (text: string) => boolean): Promise<string> {
    return this.eventually(`the log of ${id}`, async () => {
      const { logPath } = await this.runtime.containerStatus(id);
      const text = await readFile(logPath, 'utf8').catch(() => '');
      return until(text) && text;
    });
  }

  async exec(
    id: string,
    command: readonly string[],
    changes: Partial<ExecRequest> = {},
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const stdout: Uint8Array[] = [];
    const stderr: Uint8Array[] = [];
    const code = await this.runtime.exec(id, {
      command,
      tty: false,
      onStdout: chunk => void stdout.push(chunk),
      onStderr: chunk => void stderr.push(chunk),
      ...changes,
    });
    return { code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.sandboxes) await this.runtime.removeSandbox(id);
  }
}

/** Everything that a stream says until it ends. */
export async function readAll(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** What a TCP server says, or undefined when it refuses. */
export async function ask(host: string, port: number): Promise<string | undefined> {
  const socket = connect({ host, port });
  socket.setTimeout(3_000, () => socket.destroy(new Error(`no answer from ${host}:${port}`)));
  try {
    return await readAll(socket);
  } catch (error) {
    if (['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].includes((error as NodeJS.ErrnoException).code ?? '')) return;
    throw error;
  } finally {
    socket.destroy();
  }
}
