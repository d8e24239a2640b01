/**
 * Connections to what listens on a pod's own localhost. The daemon has no way in, so a program of ours enters the network of the pod's sandbox:
 * where the daemon runs on this machine, and we are root. Anywhere else there is none, and only the pod's address is reached.
 *
 * The sandbox's process is found by its number, which the daemon gave a moment ago; that it still is the sandbox's is seen by its control group.
 */
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { dialers } from '../process/helper/dialer.js';

export interface DockerSandbox {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  /** Of the sandbox's own process. */
  readonly pid: number;
}

export interface PodLocalhost {
  /** Undefined: there is no way in from here. @throws RuntimeError ConnectionRefused when nothing listens there. */
  connect(sandbox: DockerSandbox, port: number): Promise<Socket | undefined>;
  /** The sandbox is about to be stopped. */
  end(sandboxId: string): void;
  close(): void;
}

export function podLocalhost(): PodLocalhost {
  const dialing = dialers((_id, { pid }: DockerSandbox, command) => ({
    argv: ['nsenter', `--net=/proc/${pid}/ns/net`, '--', ...command],
    cwd: '/',
    reports: false,
  }));
  const entered = new Set<string>();
  const end = (id: string): void => {
    if (entered.delete(id)) dialing.end(id);
  };
  return {
    async connect(sandbox, port) {
      if (process.geteuid?.() !== 0) return undefined;
      const groups = await readFile(`/proc/${sandbox.pid}/cgroup`, 'utf8').catch(() => '');
      if (!groups.includes(sandbox.id)) return undefined;
      entered.add(sandbox.id);
      return dialing.connect(sandbox.id, sandbox, port);
    },
    end,
    close() {
      for (const id of [...entered]) end(id);
    },
  };
}
