/**
 * The MiniK8s distribution as a process for tests, in one of three places:
 *
 * - `rootless`: the process runtime as an ordinary user (65534 when the tests run as root), on loopback;
 * - `root`: the process runtime as root, inside a network namespace made here (entered with `nsenter --net`: `ip netns exec` would
 *   mount another /sys, without the control groups);
 * - `docker`: the daemon of `$DOCKER_HOST`, whose network namespace must be the one that we are in.
 *
 * `stop` sends SIGTERM, expects exit code 0, and takes away what is left; what was left is an error.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSession } from '@orbitkit/cli';
import { type Client, Pod, type Service } from '@orbitkit/core';
import { applyOlder, type CompatReport } from '@orbitkit/example-minik8s/apply';
import { eventually, type Ran, ranInPod } from '../cluster.js';
import { makeImages, removeContainers } from './docker-images.js';
import { openGate } from './gate.js';
import { takeTurn } from './turn.js';

export type Place = 'rootless' | 'root' | 'docker';

export interface Distribution {
  place: Place;
  directory: string;
  kubeconfig: string;
  client: Client;
  /** Applies files with the compatibility of older manifests. */
  apply(...files: string[]): Promise<CompatReport>;
  /** The text that an HTTP server there answers with, asked from the machine. @throws on refusal and on a status of 400 and above. */
  ask(host: string, port: number, path?: string): Promise<string>;
  exec(pod: string, command: readonly string[], options?: { container?: string; namespace?: string }): Promise<Ran>;
  /** The text that a container of the pod gets from there, by its Python (or the machine's). */
  askFrom(pod: string, url: string, options?: { container?: string; namespace?: string }): Promise<string>;
  /** Where a port is: without root, one below 1024 is 8000 higher. */
  port(asked: number): number;
  /** The address that answers for a service: without root, the substitute of a fixed one. */
  addressOf(service: Service): string;
  /** Where a mount is, for a command in the container: without root, below its working directory. */
  at(mountPath: string): string;
  /** Where the host ports of a node are: several nodes on one machine have an address of loopback each. */
  machineOf(nodeName: string | undefined): string;
  /** The pod, once it is as asked. */
  pod(name: string, is: (pod: Pod) => boolean, options?: { namespace?: string; timeoutMs?: number }): Promise<Pod>;
  stop(): Promise<void>;
}

const upProgram = fileURLToPath(new URL('../../examples/minik8s/dist/up.js', import.meta.url));
const ordinary = { uid: 65_534, gid: 65_534 };
const readyMs = 60_000;
const stopMs = 60_000;
const turnMs = 240_000;
/** For the hooks that start and stop it: others may be before it. */
export const startMs = turnMs + 120_000;

export async function startDistribution(place: Place, nodes = 3): Promise<Distribution> {
  const directory = mkdtempSync(join(tmpdir(), `minik8s-${place}-`));
  chmodSync(directory, 0o755);
  const user = place === 'rootless' && process.geteuid?.() === 0 ? ordinary : undefined;
  if (user) chownSync(directory, user.uid, user.gid);
  const undo: (() => Promise<unknown> | unknown)[] = [];
  const namespace = place === 'root' ? basename(directory) : undefined;
  const enter = namespace ? ['nsenter', `--net=/run/netns/${namespace}`] : [];
  const dataDir = join(directory, 'data');

  async function stop(): Promise<void> {
    const problems: string[] = [];
    for (const step of undo.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        problems.push((error as Error).message);
      }
    }
    problems.push(...left(directory));
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    if (problems.length > 0) throw new Error(`the distribution did not end cleanly:\n${problems.join('\n')}`);
  }

  try {
    // In a namespace of its own nobody is in the way.
    if (!namespace) undo.push(await takeTurn(turnMs));
    if (place === 'docker') undo.push(makeImages());
    if (namespace) {
      execFileSync('ip', ['netns', 'add', namespace]);
      undo.push(() => execFileSync('ip', ['netns', 'delete', namespace]));
      execFileSync('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
    }
    const words = ['--data-dir', dataDir, '--listen', '127.0.0.1:0', '--nodes', String(nodes)];
    if (place === 'docker') words.push('--runtime', 'docker');
    const [program, ...rest] = [...enter, process.execPath, upProgram, ...words];
    const env: Record<string, string> = { PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8', HOME: directory };
    if (process.env['DOCKER_HOST']) env['DOCKER_HOST'] = process.env['DOCKER_HOST'];
    const child = spawn(program!, rest, { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'], ...user });
    if (place === 'docker') {
      const names = Array.from({ length: nodes }, (_, index) => join(dataDir, 'nodes', `n${index + 1}`));
      undo.push(() => removeContainers(names));
    }
    undo.push(() => end(child));
    const url = await readyLine(child);

    const gate = await openGate(enter, join(directory, 'gate'));
    undo.push(() => gate.close());
    const kubeconfig = join(directory, 'kubeconfig');
    const local = namespace ? await gate.forward(url.hostname, Number(url.port)) : Number(url.port);
    const text = readFileSync(join(dataDir, 'kubeconfig'), 'utf8');
    writeFileSync(kubeconfig, text.replaceAll(url.host, `${url.hostname}:${local}`), { mode: 0o600 });
    if (user) chownSync(kubeconfig, user.uid, user.gid);
    const session = await openSession({ kubeconfig }, quiet());
    undo.push(() => session.close());
    const { client } = session;
    const rootless = place === 'rootless';
    const lowest = rootless ? Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8')) : 0;
    const exec: Distribution['exec'] = (pod, command, { container, namespace: in_ = 'default' } = {}) =>
      ranInPod(session.client, { namespace: in_, pod, command: [...command], ...(container ? { container } : {}) });
    return {
      place,
      directory,
      kubeconfig,
      client,
      stop,
      apply: (...files) => applyOlder(session, files, AbortSignal.timeout(60_000)),
      async ask(host, port, path = '/') {
        const socket = await gate.connect(host, port);
        return answerOf(socket, host, path);
      },
      exec,
      async askFrom(pod, url, options) {
        const script =
          'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode(), end="")';
        const ran = await exec(pod, ['python3', '-c', script, url], options);
        if (ran.code !== 0) throw new Error(`${url} from ${pod}: ${ran.err}`);
        return ran.out;
      },
      port: asked => (rootless && asked < 1_024 && lowest > asked ? asked + 8_000 : asked),
      addressOf: ({ metadata, spec }) =>
        (rootless && metadata.annotations?.['orbitkit.dev/cluster-ip-substitute']) || spec.clusterIP!,
      at: mountPath => (rootless ? `.${mountPath}` : mountPath),
      machineOf: (nodeName = '') => `127.0.0.${nodeName.slice(1)}`,
      pod: (name, is, { namespace: in_ = 'default', timeoutMs = 30_000 } = {}) =>
        eventually(
          `pod ${name}`,
          async () => {
            const pod = await client.get(Pod, { namespace: in_, name });
            if (!is(pod)) throw new Error(JSON.stringify(pod.status));
            return pod;
          },
          timeoutMs,
        ),
    };
  } catch (error) {
    await stop().catch(problem => console.error((problem as Error).message));
    throw error;
  }
}

export const isReady = (pod: Pod): boolean =>
  pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;

const quiet = () => ({
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: { write: () => true } as unknown as NodeJS.WriteStream,
  env: {},
  cwd: tmpdir(),
  signal: new AbortController().signal,
});

function answerOf(
  socket: Awaited<ReturnType<Awaited<ReturnType<typeof openGate>>['connect']>>,
  host: string,
  path: string,
) {
  return new Promise<string>((resolve, reject) => {
    const request = get({ host, path, createConnection: () => socket, timeout: 10_000 }, response => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', chunk => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => {
        if ((response.statusCode ?? 500) < 400) resolve(text);
        else reject(new Error(`${host}${path} answered ${response.statusCode}: ${text}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error(`${host}${path}: no answer within 10 s`)));
    request.on('error', reject);
  }).finally(() => socket.destroy());
}

function readyLine(child: ChildProcess): Promise<URL> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = (why: string) => {
      clearTimeout(timer);
      reject(new Error(`minik8s ${why}; it said:\n${said.slice(-4_000)}`));
    };
    const timer = setTimeout(() => fail(`was not ready within ${readyMs} ms`), readyMs);
    const listen = (chunk: Buffer) => {
      if (process.env['ORBITKIT_E2E_LOG']) process.stderr.write(chunk);
      if (said.length < 100_000) said += chunk;
      const found = /^minik8s is up: (\S+),/m.exec(said);
      if (!found) return;
      clearTimeout(timer);
      resolve(new URL(found[1]!));
    };
    child.stdout?.on('data', listen);
    child.stderr?.on('data', listen);
    child.once('error', error => fail(error.message));
    child.once('exit', (code, signal) => fail(`ended with ${code ?? signal}`));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null)
    throw new Error(`minik8s had ended with ${child.exitCode ?? child.signalCode}`);
  const ended = new Promise<number | NodeJS.Signals | null>(done =>
    child.once('exit', (code, signal) => done(code ?? signal)),
  );
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopMs);
  const how = await ended.finally(() => clearTimeout(timer));
  if (how !== 0) throw new Error(`minik8s ended with ${how}`);
}

/** Processes and mounts that name the directory; ended and undone here. */
function left(directory: string): string[] {
  const found: string[] = [];
  for (const pid of execFileSync('ls', ['/proc'], { encoding: 'utf8' }).split('\n')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const text = ['cmdline', 'environ'].map(file => tryRead(`/proc/${pid}/${file}`)).join('\0');
    if (!text.includes(directory)) continue;
    found.push(`process ${pid}: ${tryRead(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`);
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {}
  }
  if (tryRead('/proc/mounts').includes(directory)) found.push(`mounts below ${directory}`);
  return found;
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** Folders for files that every place's user may read and write. */
export function sharedFolder(parent: string, name: string): string {
  const folder = join(parent, name);
  if (!existsSync(folder)) mkdirSync(folder);
  chmodSync(folder, 0o777);
  return folder;
}
