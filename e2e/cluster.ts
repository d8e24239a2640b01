/**
 * A cluster of real processes for the end-to-end tests: `orbit up`, or every role as its own process over HTTPS.
 *
 * The processes run the built `packages/cli/bin/orbit.js`, in a temporary directory, on ports and addresses of their own, as an ordinary
 * user: when the tests run as root, as user 65534 (`ORBITKIT_E2E_USER=root` keeps root, whose pods then have namespaces).
 * `stop` ends everything with SIGTERM, expects exit code 0 of each, reports what was left and ends that too; nothing outlives it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Client,
  createClient,
  type ExecOptions,
  execInPod,
  kubeconfigTransport,
  loadKubeconfig,
  Node,
} from '@orbitkit/core';

const orbitProgram = fileURLToPath(new URL('../packages/cli/bin/orbit.js', import.meta.url));
const readyMs = 40_000;
const stopMs = 60_000;
/** A helper of the process runtime ends by itself, at the latest 5 s after its agent has. */
export const lingerMs = 8_000;

export type Layout = 'one process' | 'own processes';
export const layouts: Layout[] = ['one process', 'own processes'];

export interface ClusterOptions {
  /** Default `one process`. */
  layout?: Layout;
  /** Default 2. */
  nodes?: number;
  /** Further words for `orbit up`, or for the roles that know them. */
  timing?: { nodeGrace: number; eviction: number; heartbeat: number };
  /** Words for who schedules. */
  scheduler?: readonly string[];
}

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** Runs a command in a container to its end, 30 s at the most. */
export async function ranInPod(
  client: Client,
  target: Omit<ExecOptions, 'onStdout' | 'onStderr' | 'signal'>,
): Promise<Ran> {
  const ran: Ran = { code: -1, out: '', err: '' };
  ran.code = await execInPod(client, {
    ...target,
    onStdout: bytes => {
      ran.out += Buffer.from(bytes).toString();
    },
    onStderr: bytes => {
      ran.err += Buffer.from(bytes).toString();
    },
    signal: AbortSignal.timeout(30_000),
  });
  return ran;
}

export interface RunOptions {
  input?: string;
  env?: Record<string, string>;
  timeoutMs?: number;
}

export interface TestCluster {
  directory: string;
  kubeconfig: string;
  client: Client;
  layout: Layout;
  /** `up`, or `apiserver`, `scheduler`, `controller-manager`, `n1`… */
  start(role: string): Promise<void>;
  /** SIGKILL, or the signal named; resolves when the process has ended, to its exit code. */
  kill(role: string, signal?: NodeJS.Signals): Promise<number | null>;
  pid(role: string): number;
  orbit(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Any program as the cluster's user, with its kubeconfig. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<Ran>;
  spawn(program: string, args: readonly string[], env?: Record<string, string>): ChildProcess;
  exec(pod: string, command: readonly string[], container?: string): Promise<Ran>;
  /** A file in the cluster's directory that its user may read. */
  file(name: string, text: string, mode?: number): Promise<string>;
  /** Processes of this cluster, pods included. */
  processes(): Found[];
  /** The process that a pod's container runs. */
  podProcess(pod: string): Found | undefined;
  stop(): Promise<void>;
}

export interface Found {
  pid: number;
  /** Clock ticks since boot; with the pid it names one process for ever. */
  startTime: string;
  parent: number;
  command: string;
  environment: string[];
}

const asRoot = process.geteuid?.() === 0 && process.env['ORBITKIT_E2E_USER'] === 'root';
const user = process.geteuid?.() === 0 && !asRoot ? { uid: 65_534, gid: 65_534 } : {};

export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const { layout = 'one process', nodes = 2, timing, scheduler = [] } = options;
  const directory = await mkdtemp(join(tmpdir(), 'orbitkit-e2e-'));
  await chmod(directory, 0o755);
  if (user.uid !== undefined) await chown(directory, user.uid, user.gid);
  const dataDir = join(directory, 'data');
  const kubeconfig = join(dataDir, 'kubeconfig');
  const running = new Map<string, ChildProcess>();
  const environment = (more: Record<string, string> = {}) => ({
    PATH: process.env['PATH'] ?? '',
    LANG: 'C.UTF-8',
    HOME: directory,
    KUBECONFIG: kubeconfig,
    ...more,
  });
  let listen = '127.0.0.1:0';

  function wordsOf(role: string): string[] {
    const pace = timing ? ['--node-grace', String(timing.nodeGrace), '--eviction', String(timing.eviction)] : [];
    const heartbeat = timing ? ['--heartbeat', String(timing.heartbeat)] : [];
    if (role === 'up') return ['up', '--listen', listen, '--nodes', String(nodes), ...pace, ...heartbeat, ...scheduler];
    if (role === 'apiserver') return [role, '--listen', listen];
    if (role === 'controller-manager') return [role, ...pace];
    if (role === 'scheduler') return [role, ...scheduler];
    return ['node', '--name', role, '--stop-pods', ...heartbeat, ...(role === 'n1' ? [] : ['--no-service-proxy'])];
  }

  const spawnAs = (program: string, args: readonly string[], env?: Record<string, string>) =>
    spawn(program, args, { ...user, cwd: directory, env: environment(env), stdio: ['pipe', 'pipe', 'pipe'] });

  async function start(role: string): Promise<void> {
    if (running.has(role)) throw new Error(`${role} runs already`);
    const child = spawnAs(process.execPath, [orbitProgram, ...wordsOf(role), '--data-dir', dataDir]);
    child.stdin?.end();
    running.set(role, child);
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const failed = (why: string) => {
        clearTimeout(timer);
        reject(new Error(`${role} ${why}; it said:\n${said.slice(-4_000)}`));
      };
      const timer = setTimeout(() => failed(`was not ready within ${readyMs} ms`), readyMs);
      const listenTo = (chunk: Buffer) => {
        if (said.length < 200_000) said += chunk;
        const ready = /^orbit (?:is up|.* is ready): (\S+?),?(?:\s|$)/m.exec(said);
        if (!ready) return;
        if (role === 'up' || role === 'apiserver') listen = new URL(ready[1]!).host;
        clearTimeout(timer);
        resolve();
      };
      child.stdout?.on('data', listenTo);
      child.stderr?.on('data', chunk => {
        if (process.env['ORBITKIT_E2E_LOG']) process.stderr.write(`${role}: ${chunk}`);
        listenTo(chunk);
      });
      child.once('exit', (code, signal) => failed(`ended with ${code ?? signal}`));
      child.once('error', error => failed(error.message));
    });
  }

  async function kill(role: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    const child = running.get(role);
    if (!child) throw new Error(`${role} does not run`);
    running.delete(role);
    const ended = exitOf(child);
    child.kill(signal);
    return bounded(ended, stopMs, `${role} to end after ${signal}`);
  }

  const run = (program: string, args: readonly string[], { input, env, timeoutMs = 30_000 }: RunOptions = {}) =>
    collect(spawnAs(program, args, env), [program.split('/').at(-1), ...args].join(' '), input, timeoutMs);

  /** The directory stands in the environment or command line of everything that belongs to the cluster. */
  const processes = () =>
    allProcesses().filter(
      ({ command, environment: own }) =>
        command.includes(directory) || own.some(variable => variable.includes(directory)),
    );

  const roles =
    layout === 'one process'
      ? ['up']
      : [
          'apiserver',
          'controller-manager',
          'scheduler',
          ...Array.from({ length: nodes }, (_, index) => `n${index + 1}`),
        ];
  let client: Client | undefined;

  async function stop(): Promise<void> {
    const problems: string[] = [];
    const end = async (names: string[]) => {
      await Promise.all(
        names.map(async role => {
          const code = await kill(role, 'SIGTERM').catch(error => (error as Error).message);
          if (code !== 0) problems.push(`${role} ended with ${code}`);
        }),
      );
    };
    await client?.close();
    await end([...running.keys()].filter(role => /^n\d/.test(role)));
    await end([...running.keys()].filter(role => role !== 'apiserver'));
    await end([...running.keys()]);
    await eventually('nothing is left', () => processes().length === 0, lingerMs).catch(() => {});
    for (const { pid, command } of processes()) {
      problems.push(`left behind: ${pid} ${command}`);
      try {
        process.kill(pid, 'SIGKILL');
      } catch {}
    }
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    if (problems.length > 0) throw new Error(`the cluster did not stop cleanly:\n${problems.join('\n')}`);
  }

  try {
    if (layout === 'one process') await start('up');
    else {
      await start('apiserver');
      await Promise.all(roles.slice(1).map(start));
    }
    client = createClient(kubeconfigTransport(await loadKubeconfig(kubeconfig)));
    const cluster: TestCluster = {
      directory,
      kubeconfig,
      client,
      layout,
      start,
      kill,
      pid: role => running.get(role)?.pid ?? Number.NaN,
      orbit: (args, more) => run(process.execPath, [orbitProgram, ...args], more),
      run,
      spawn: spawnAs,
      exec: (pod, command, container) =>
        ranInPod(client!, { namespace: 'default', pod, command, ...(container ? { container } : {}) }),
      async file(name, text, mode = 0o644) {
        const path = join(directory, name);
        await writeFile(path, text, { mode });
        if (user.uid !== undefined) await chown(path, user.uid, user.gid);
        return path;
      },
      processes,
      podProcess(pod) {
        const own = processes().filter(found => found.environment.includes(`ORBIT_POD=${pod}`));
        return own.find(({ parent }) => own.every(({ pid }) => pid !== parent));
      },
      stop,
    };
    await eventually('every node is ready', async () => {
      const { items } = await client!.list(Node);
      const ready = items.filter(node => node.status?.conditions?.some(c => c.type === 'Ready' && c.status === 'True'));
      if (ready.length !== nodes) throw new Error(`${ready.length} of ${nodes}`);
    });
    return cluster;
  } catch (error) {
    await stop().catch(problem => console.error((problem as Error).message));
    throw error;
  }
}

/** Asks again every 50 ms until it does not throw (or answer false); then throws what it last threw. */
export async function eventually<T>(what: string, ask: () => Promise<T> | T, timeoutMs = 30_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== false) return answer;
      last = new Error('not yet');
    } catch (error) {
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`${what}: not within ${timeoutMs} ms: ${(last as Error).message}`, { cause: last });
    }
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

/** The program's output and exit code; it is killed after the bound. */
async function collect(child: ChildProcess, what: string, input: string | undefined, timeoutMs: number): Promise<Ran> {
  const ran: Ran = { code: -1, out: '', err: '' };
  child.stdout?.on('data', chunk => {
    ran.out += chunk;
  });
  child.stderr?.on('data', chunk => {
    ran.err += chunk;
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(input ?? '');
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve);
    child.once('error', reject);
  });
  const code = await closed.finally(() => clearTimeout(timer));
  if (code === null) throw new Error(`${what}: killed after ${timeoutMs} ms; it said: ${ran.out}${ran.err}`);
  ran.code = code;
  return ran;
}

const exitOf = (child: ChildProcess): Promise<number | null> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve(child.exitCode)
    : new Promise(resolve => child.once('exit', resolve));

async function bounded<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`waited ${timeoutMs} ms for ${what}`)), timeoutMs);
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** What runs on this machine, as far as this user may see it; zombies do not run. */
function allProcesses(): Found[] {
  return readdirSync('/proc').flatMap(name => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (fields[0] === 'Z') return [];
      const list = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'latin1').split('\0').filter(Boolean);
      return [
        {
          pid,
          startTime: fields[19] ?? '',
          parent: Number(fields[1]),
          command: list('cmdline').join(' '),
          environment: list('environ'),
        },
      ];
    } catch {
      return [];
    }
  });
}
