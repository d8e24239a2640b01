/** `orbit auth can-i | whoami`: what one may do, and who one is, as the server sees it. */
import {
  SelfSubjectAccessReview,
  SelfSubjectReview,
  type SelfSubjectReview as SelfSubjectReviewObject,
} from '@orbitkit/core';
import type { Command } from 'commander';
import { type GlobalFlags, globalFlags, type Session, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';

interface CanIFlags extends GlobalFlags {
  subresource?: string;
  allNamespaces?: boolean;
  quiet?: boolean;
}

export function authCommand(program: Command, terminal: Terminal): void {
  const auth = program.command('auth').description('who you are and what you may do');

  auth
    .command('can-i')
    .description('whether an action is allowed; the exit code says the same')
    .argument('<verb>', 'get, list, create, …, or * for all')
    .argument('<type>', 'pods, deployments.apps, pods/NAME, or a path such as /metrics')
    .option('-n, --namespace <name>', 'the namespace')
    .option('-A, --all-namespaces', 'in every namespace')
    .option('--subresource <name>', 'log, exec, scale, …')
    .option('-q, --quiet', 'only the exit code')
    .action(async (verb: string, type: string, _options, command) => {
      const flags = globalFlags(command) as CanIFlags;
      await withSession(flags, terminal, async session => {
        const review = await session.client.create(SelfSubjectAccessReview, {
          metadata: {},
          spec: specOf(session, verb, type, flags),
        } as never);
        const { allowed, reason, evaluationError } = review.status;
        const why = [reason, evaluationError].filter(Boolean).join(', ');
        if (!flags.quiet) await write(terminal.stdout, `${allowed ? 'yes' : `no${why ? ` - ${why}` : ''}`}\n`);
        if (!allowed) throw new CommandError('');
      });
    });

  auth
    .command('whoami')
    .description('the user that the server takes you for')
    .action(async (_options, command) => {
      await withSession(globalFlags(command), terminal, async session => {
        const review: SelfSubjectReviewObject = await session.client.create(SelfSubjectReview, {
          metadata: {},
        } as never);
        const { username, uid, groups = [], extra = {} } = review.status.userInfo ?? {};
        const rows = [
          ['ATTRIBUTE', 'VALUE'],
          ['Username', username ?? ''],
          ...(uid ? [['UID', uid]] : []),
          ['Groups', `[${groups.join(' ')}]`],
          ...Object.entries(extra).map(([key, values]) => [`Extra: ${key}`, `[${values.join(' ')}]`]),
        ];
        const width = Math.max(...rows.map(([name = '']) => name.length)) + 3;
        await write(
          terminal.stdout,
          `${rows.map(([name = '', value = '']) => name.padEnd(width) + value).join('\n')}\n`,
        );
      });
    });
}

function specOf(session: Session, verb: string, type: string, flags: CanIFlags): object {
  if (type.startsWith('/')) return { nonResourceAttributes: { verb, path: type } };
  const slash = type.indexOf('/');
  const name = slash < 0 ? undefined : type.slice(slash + 1);
  const word = slash < 0 ? type : type.slice(0, slash);
  const kind = word === '*' ? undefined : known(session, word);
  const namespaced = (kind?.namespaced ?? true) && !flags.allNamespaces;
  return {
    resourceAttributes: {
      verb,
      group: kind?.group ?? (word === '*' ? '*' : word.slice(word.indexOf('.') + 1 || word.length)),
      resource: kind?.plural ?? word.split('.')[0],
      ...(flags.subresource ? { subresource: flags.subresource } : {}),
      ...(name ? { name } : {}),
      ...(namespaced ? { namespace: session.namespace } : {}),
    },
  };
}

/** A type that the server does not know may still be asked about. */
function known(session: Session, word: string) {
  try {
    return session.kinds.byName(word.toLowerCase());
  } catch {
    return undefined;
  }
}
