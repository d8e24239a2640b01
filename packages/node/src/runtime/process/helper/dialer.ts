/**
 * Connections to what listens on a pod's own localhost: one program in the pod's network makes them all.
 *
 * The program is reached over a socket in the file system, which network namespaces share; each connection to it names a port and becomes
 * a connection to that port. It is started with the first, and ends when it had none for `idleMs`, when the sandbox is stopped, or with
 * the helper, whichever comes first.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RuntimeError, type SandboxConfig } from '../../contract.js';
import type { Launch } from '../isolation/isolation.js';
import { startProgram } from './launch.js';

const idleMs = 30_000;

/** Two bytes, the port, open a connection; one comes back when it stands, and the bytes of either side follow. */
const program = `const { createServer, connect } = require('net');
const { rmSync } = require('fs');
const { dirname } = require('path');
const [path, idle] = [process.argv[1], +process.argv[2]];
let open = 0;
const leave = () => process.exit();
let timer = setTimeout(leave, idle);
process.on('exit', () => rmSync(dirname(path), { recursive: true, force: true }));
createServer({ allowHalfOpen: true }, client => {
  open++; clearTimeout(timer);
  client.on('error', () => client.destroy());
  client.on('close', () => { if (--open === 0) timer = setTimeout(leave, idle); });
  client.on('readable', function take() {
    const head = client.read(2);
    if (!head) return;
    client.off('readable', take);
    const port = connect({ host: '127.0.0.1', port: head.readUInt16BE(), allowHalfOpen: true });
    port.on('error', () => client.destroy());
    port.on('close', () => client.destroySoon());
    client.on('close', () => port.destroy());
    port.on('connect', () => { client.write('+'); port.pipe(client); client.pipe(port); });
  });
}).listen(path, () => process.stdout.write('+'));
process.stdin.on('close', leave).on('error', leave).resume();`;

interface Dialer {
  path: string;
  end(): void;
}

/** What names a pod to people; whatever else `launchIn` needs to enter its network. */
type Pod = Pick<SandboxConfig, 'namespace' | 'name'>;

export interface Dialers<C extends Pod = SandboxConfig> {
  /** @throws RuntimeError ConnectionRefused when nothing listens there. */
  connect(sandboxId: string, config: C, port: number): Promise<Socket>;
  /** The sandbox is about to be stopped. */
  end(sandboxId: string): void;
}

/** @param launchIn How a command is started in the network of a sandbox. */
export function dialers<C extends Pod>(
  launchIn: (sandboxId: string, config: C, command: readonly string[]) => Launch,
): Dialers<C> {
  const running = new Map<string, Promise<Dialer>>();

  async function start(sandboxId: string, config: C): Promise<Dialer> {
    const directory = await mkdtemp(join(tmpdir(), 'orbitkit-dial-'));
    const path = join(directory, 's');
    const forget = () => {
      if (running.get(sandboxId) === made) running.delete(sandboxId);
      void rm(directory, { recursive: true, force: true });
    };
    const made = running.get(sandboxId);
    const command = [process.execPath, '-e', program, path, `${idleMs}`, sandboxId];
    const env = { PATH: process.env['PATH'] ?? '' };
    try {
      const launch = launchIn(sandboxId, config, command);
      const { child, exit } = await startProgram(launch, env, ['pipe', 'pipe', 'pipe']);
      child.stdin!.on('error', () => undefined);
      child.stderr!.resume();
      void exit.then(forget);
      const listens = await new Promise<boolean>(resolve => {
        child.stdout!.once('data', () => resolve(true));
        child.once('exit', () => resolve(false));
      });
      if (!listens)
        throw new RuntimeError('Unavailable', `the network of pod ${config.namespace}/${config.name} was not entered`);
      return { path, end: () => void child.stdin!.destroy() };
    } catch (error) {
      forget();
      throw error;
    }
  }

  function dialerOf(sandboxId: string, config: C): Promise<Dialer> {
    let dialer = running.get(sandboxId);
    if (!dialer) {
      dialer = Promise.resolve().then(() => start(sandboxId, config));
      running.set(sandboxId, dialer);
    }
    return dialer;
  }

  return {
    async connect(sandboxId, config, port) {
      const refused = () =>
        new RuntimeError(
          'ConnectionRefused',
          `nothing listens on port ${port} in pod ${config.namespace}/${config.name}`,
        );
      for (let again = true; ; again = false) {
        const socket = connect({ path: (await dialerOf(sandboxId, config)).path, allowHalfOpen: true });
        const outcome = await new Promise<'open' | 'refused' | 'left'>(resolve => {
          let reached = false;
          socket.once('connect', () => {
            reached = true;
            const head = Buffer.alloc(2);
            head.writeUInt16BE(port);
            socket.write(head);
          });
          socket.once('readable', () => resolve(socket.read(1) === null ? 'refused' : 'open'));
          socket.once('close', () => resolve(reached ? 'refused' : 'left'));
          socket.on('error', () => undefined);
        });
        if (outcome === 'open') return socket;
        socket.destroy();
        // It has ended for its idleness just now: the next one is another.
        if (outcome === 'refused' || !again) throw refused();
        running.delete(sandboxId);
      }
    },
    end(sandboxId) {
      void running.get(sandboxId)?.then(
        dialer => dialer.end(),
        () => undefined,
      );
    },
  };
}
