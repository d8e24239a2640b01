/** `orbit port-forward`: ports of this machine that lead to ports of a pod, until it is interrupted. */
import { once } from 'node:events';
import { type AddressInfo, createServer, isIP, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { type Client, forwardToPod, type Pod, Service } from '@orbitkit/core';
import type { Command } from 'commander';
import { findPod } from '../pods.js';
import { type GlobalFlags, globalFlags, keyIn, kindOf, type Session, withSession } from '../session.js';
import { CommandError, type Terminal } from '../terminal.js';

interface PortForwardFlags extends GlobalFlags {
  address: string;
}

export interface PortPair {
  /** 0 takes any free one. */
  local: number;
  /** Number or name. */
  remote: string;
}

export function portForwardCommand(program: Command, terminal: Terminal): void {
  program
    .command('port-forward')
    .description('reach a port of a pod here: orbit port-forward svc/web 8080:80, orbit port-forward web :http')
    .argument('<pod>', 'POD or TYPE/NAME')
    .argument('<ports...>', 'LOCAL:REMOTE, PORT for both, or :REMOTE for any free one')
    .option('--address <ip>', 'where to listen', '127.0.0.1')
    .action(async (word: string, ports: string[], _options, command) => {
      const flags = globalFlags(command) as PortForwardFlags;
      if (isIP(flags.address) === 0) throw new CommandError(`--address ${flags.address}: an IP address is required`);
      const pairs = ports.map(portPair);
      await withSession(flags, terminal, async session => {
        const pod = await findPod(session, word);
        const service = await serviceOf(session, word);
        const targets = pairs.map(pair => ({ ...pair, port: portOf(pod, pair.remote, service) }));
        const servers = new Set<Server>();
        try {
          for (const { local, port } of targets) {
            const server = forwarding(session.client, pod, port, terminal);
            servers.add(server);
            server.listen(local, flags.address);
            await once(server, 'listening').catch(error => {
              throw new CommandError(`port ${local} of ${flags.address}: ${error.message}`);
            });
            const bound = (server.address() as AddressInfo).port;
            const host = flags.address.includes(':') ? `[${flags.address}]` : flags.address;
            terminal.stdout.write(`Forwarding from ${host}:${bound} -> ${port}\n`);
          }
          if (!terminal.signal.aborted) await once(terminal.signal, 'abort');
        } finally {
          for (const server of servers) server.close();
        }
      });
    });
}

/** @throws CommandError */
export function portPair(text: string): PortPair {
  const match = /^(?:(\d{0,5}):)?([\w-]+)$/.exec(text);
  const isPort = (number: string) => !/^\d+$/.test(number) || (Number(number) > 0 && Number(number) < 65_536);
  if (!match || !isPort(match[2]!) || Number(match[1] ?? 0) > 65_535)
    throw new CommandError(`${text}: ports are written 8080:80, 80 or :80, the remote one as number or name`);
  const [, local, remote] = match;
  if (local === undefined && !/^\d+$/.test(remote!))
    throw new CommandError(`${text}: a port by name needs a local one before it, e.g. :${remote}`);
  return { local: Number(local ?? remote), remote: remote! };
}

async function serviceOf(session: Session, word: string): Promise<Service | undefined> {
  const slash = word.indexOf('/');
  if (slash < 0 || kindOf(session, word.slice(0, slash)).kind !== 'Service') return undefined;
  return session.client.get(Service, keyIn(session, kindOf(session, 'services'), word.slice(slash + 1)));
}

/** The pod's port that a number or name means; through a service, the port to which it leads. @throws CommandError */
export function portOf(pod: Pod, remote: string, service?: Service): number {
  let target: string | number = remote;
  if (service) {
    const port = service.spec?.ports?.find(each => each.name === remote || String(each.port) === remote);
    if (!port) throw new CommandError(`service ${service.metadata.name} has no port ${remote}`);
    target = port.targetPort ?? port.port;
  }
  if (/^\d+$/.test(String(target))) return Number(target);
  const named = pod.spec.containers.flatMap(({ ports }) => ports ?? []).find(({ name }) => name === target);
  if (!named) throw new CommandError(`pod ${pod.metadata.name} has no port named ${target}`);
  return named.containerPort;
}

/** Each connection has one of its own to the pod; one that fails is told and the others go on. */
function forwarding(client: Client, pod: Pod, port: number, terminal: Terminal): Server {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, async socket => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    const over = new AbortController();
    socket.once('close', () => over.abort(new Error('the connection was closed')));
    // Errors are told by the pipelines.
    socket.on('error', () => undefined);
    try {
      const remote = await forwardToPod(client, {
        namespace: pod.metadata.namespace,
        pod: pod.metadata.name,
        port,
        signal: AbortSignal.any([terminal.signal, over.signal]),
      });
      await Promise.all([pipeline(socket, remote, { end: true }), pipeline(remote, socket, { end: true })]);
    } catch (error) {
      if (!over.signal.aborted && !terminal.signal.aborted)
        terminal.stderr.write(`port ${port}: ${error instanceof Error ? error.message : String(error)}\n`);
    } finally {
      socket.destroy();
    }
  });
  terminal.signal.addEventListener('abort', () => {
    for (const socket of open) socket.destroy();
  });
  return server;
}
