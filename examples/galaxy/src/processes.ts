/** Starts a Galaxy as separate processes, each with its own certificates, and stops them all. Used by the example, tests and the benchmark. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createAuthority } from '@orbitkit/apiserver/pki';
import { issueIdentity, type MemberKind } from '@orbitkit/galaxy';

export interface GalaxySize {
  gateways: number;
  dispatchers: number;
  schedulers: number;
  nodes: number;
  runtime: 'process' | 'simulated';
  cpuMillis?: number;
  memoryBytes?: number;
}

export interface RoleProcess {
  kind: MemberKind;
  name: string;
  address: string;
  child: ChildProcess;
}

export interface GalaxyProcesses {
  token: string;
  /** Base URLs. */
  gateways: string[];
  roles: RoleProcess[];
  start(kind: MemberKind, name: string): Promise<RoleProcess>;
  kill(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  stop(): Promise<void>;
}

const startMs = 20_000;
const stopMs = 12_000;

export async function startGalaxy(directory: string, size: GalaxySize): Promise<GalaxyProcesses> {
  const authority = await createAuthority({ dir: join(directory, 'pki'), commonName: 'galaxy-ca' });
  const token = randomBytes(32).toString('hex');
  const program = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../dist/role.js' : './role.js', import.meta.url),
  );
  const roles: RoleProcess[] = [];
  const gateways: string[] = [];
  let coordinatorAddress = '';
  let nodeNumber = 0;

  async function start(kind: MemberKind, name: string): Promise<RoleProcess> {
    await issueIdentity(authority, name);
    const words = [program, kind, name, '--dir', directory];
    if (coordinatorAddress) words.push('--coordinator', coordinatorAddress);
    if (kind === 'gateway') words.push('--token', token);
    if (kind === 'node') {
      nodeNumber += 1;
      words.push(
        '--runtime',
        size.runtime,
        '--cpu',
        String(size.cpuMillis ?? 4_000),
        '--memory',
        String(size.memoryBytes ?? 4 * 1024 ** 3),
      );
      if (size.runtime === 'process') words.push('--cidr', `127.77.${nodeNumber}.0/24`);
    }
    const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
    const address = await new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${kind} ${name} did not start within ${startMs} ms`)), startMs);
      child.once('exit', code => reject(new Error(`${kind} ${name} ended with exit code ${code} before it served`)));
      createInterface({ input: child.stdout! }).once('line', line => {
        clearTimeout(timer);
        resolve((JSON.parse(line) as { address: string }).address);
      });
    });
    const role: RoleProcess = { kind, name, address, child };
    roles.push(role);
    if (kind === 'coordinator') coordinatorAddress = address;
    if (kind === 'gateway') gateways.push(address);
    return role;
  }

  function ended(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise(resolve => child.once('exit', () => resolve()));
  }

  const galaxy: GalaxyProcesses = {
    token,
    gateways,
    roles,
    start,
    async kill(name, signal) {
      const at = roles.findIndex(role => role.name === name);
      const [role] = at < 0 ? [] : roles.splice(at, 1);
      if (!role) throw new Error(`no role is named ${name}`);
      role.child.kill(signal);
      await ended(role.child);
    },
    async stop() {
      const order: MemberKind[] = ['gateway', 'dispatcher', 'scheduler', 'node', 'coordinator'];
      for (const kind of order) {
        await Promise.all(
          roles
            .filter(role => role.kind === kind)
            .map(async ({ child }) => {
              child.kill('SIGTERM');
              const timer = setTimeout(() => child.kill('SIGKILL'), stopMs);
              await ended(child);
              clearTimeout(timer);
            }),
        );
      }
    },
  };
  try {
    await start('coordinator', 'coordinator-1');
    const all: [MemberKind, number][] = [
      ['node', size.nodes],
      ['scheduler', size.schedulers],
      ['dispatcher', size.dispatchers],
      ['gateway', size.gateways],
    ];
    for (const [kind, count] of all) {
      await Promise.all(Array.from({ length: count }, (_, index) => start(kind, `${kind}-${index + 1}`)));
    }
    await settled(galaxy, size);
  } catch (error) {
    await galaxy.stop();
    throw error;
  }
  return galaxy;
}

/** Waits until every gateway knows every member. */
async function settled({ gateways, token }: GalaxyProcesses, size: GalaxySize): Promise<void> {
  const wanted = size.gateways + size.dispatchers + size.schedulers + size.nodes;
  const deadline = Date.now() + startMs;
  for (const gateway of gateways) {
    for (;;) {
      const answer = await fetch(`${gateway}/v1/members`, { headers: { authorization: `Bearer ${token}` } });
      const { members } = (await answer.json()) as { members: unknown[] };
      if (members.length >= wanted) break;
      if (Date.now() > deadline)
        throw new Error(`only ${members.length} of ${wanted} members joined within ${startMs} ms`);
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  }
}
