/**
 * `orbit clear`: takes everything that users made out of a cluster: their namespaces, and their objects in `default`.
 *
 * It asks first (`--yes` answers), and refuses a server that is not orbitkit's unless its context or kubeconfig was named.
 */
import { createInterface } from 'node:readline/promises';
import { type DiscoveredKind, isNotFound, Namespace, requestJson } from '@orbitkit/core';
import type { Command } from 'commander';
import { during } from '../progress.js';
import { type GlobalFlags, globalFlags, type Session, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';

const kept = new Set(['default', 'kube-system', 'kube-public', 'kube-node-lease']);
/** What the machinery itself keeps in `default`; controllers would make it again, or it goes with its owner. */
const machinery = new Set(['events', 'endpoints', 'endpointslices', 'leases']);

export function clearCommand(program: Command, terminal: Terminal): void {
  program
    .command('clear')
    .description('delete everything that users made: all their namespaces, and their objects in "default"')
    .option('-y, --yes', 'do not ask')
    .action(async (_options, command) => {
      const flags = globalFlags(command) as GlobalFlags & { yes?: boolean };
      await withSession(flags, terminal, async session => {
        const { gitVersion } = await requestJson<{ gitVersion: string }>(session.client.transport, {
          method: 'GET',
          path: '/version',
        });
        if (!gitVersion.includes('orbitkit') && !session.contextNamed) {
          throw new CommandError(
            `${session.server} is not an orbitkit server (${gitVersion}); to clear it all the same, name it with --context or --kubeconfig`,
          );
        }
        if (!flags.yes) await confirm(session, terminal);
        const count = await during(terminal, 'clearing', () => clear(session, terminal.signal));
        await write(terminal.stdout, `cleared: ${count} objects deleted\n`);
      });
    });
}

async function confirm(session: Session, terminal: Terminal): Promise<void> {
  if (!terminal.stdin.isTTY) throw new CommandError('clear deletes everything; say --yes when nobody is there to ask');
  const lines = createInterface({ input: terminal.stdin, output: terminal.stderr as NodeJS.WritableStream });
  try {
    const answer = await lines.question(`Delete everything in ${session.server}? Type "yes": `, {
      signal: terminal.signal,
    });
    if (answer.trim() !== 'yes') throw new CommandError('nothing was deleted');
  } finally {
    lines.close();
  }
}

async function clear(session: Session, signal: AbortSignal): Promise<number> {
  let count = 0;
  const remove = async (kind: DiscoveredKind | typeof Namespace, key: { name: string; namespace?: string }) => {
    try {
      await session.client.delete(kind as DiscoveredKind, key, { propagationPolicy: 'Background', signal });
      count += 1;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  };
  const namespaces = (await session.client.list(Namespace, { signal })).items.map(each => each.metadata.name);
  for (const name of namespaces) if (!kept.has(name)) await remove(Namespace, { name });
  // Owners first, so that controllers do not replace what is deleted.
  const kinds = session.kinds.kinds.filter(
    kind =>
      kind.namespaced && kind.verbs.includes('delete') && kind.verbs.includes('list') && !machinery.has(kind.plural),
  );
  const rank = (kind: DiscoveredKind) => (kind.plural === 'pods' ? 2 : kind.plural === 'replicasets' ? 1 : 0);
  for (const kind of kinds.sort((a, b) => rank(a) - rank(b))) {
    const list = await session.client.list(kind, { namespace: 'default', signal });
    for (const item of list.items) {
      const { name } = item.metadata;
      if (kind.plural === 'services' && name === 'kubernetes') continue;
      if (kind.plural === 'serviceaccounts' && name === 'default') continue;
      if (kind.plural === 'configmaps' && name === 'kube-root-ca.crt') continue;
      await remove(kind, { name, namespace: 'default' });
    }
  }
  return count;
}
