/** `orbit scale`: how many replicas, through the scale subresource of any kind that has one. */
import type { Command } from 'commander';
import { type GlobalFlags, globalFlags, keyIn, objectName, targetsOf, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';

interface ScaleFlags extends GlobalFlags {
  replicas?: string;
  currentReplicas?: string;
}
interface Scale {
  spec: { replicas?: number };
}

export function scaleCommand(program: Command, terminal: Terminal): void {
  program
    .command('scale')
    .description('set the number of replicas: orbit scale deployment/web --replicas 3')
    .argument('<type...>', 'TYPE NAME... or TYPE/NAME...')
    .requiredOption('--replicas <n>', 'how many')
    .option('--current-replicas <n>', 'only if there are this many now')
    .action(async (words: string[], _options, command) => {
      const flags = globalFlags(command) as ScaleFlags;
      const replicas = count('--replicas', flags.replicas!);
      const expected =
        flags.currentReplicas === undefined ? undefined : count('--current-replicas', flags.currentReplicas);
      await withSession(flags, terminal, async session => {
        const { targets } = targetsOf(session, words);
        if (targets.length === 0) throw new CommandError('name what to scale: TYPE NAME or TYPE/NAME');
        for (const { kind, name } of targets) {
          if (!kind.subresources.includes('scale')) throw new CommandError(`${kind.plural} have no scale`);
          const key = keyIn(session, kind, name);
          if (expected !== undefined) {
            const now = (await session.client.getSubresource<Scale>(kind, key, 'scale')).spec.replicas ?? 0;
            if (now !== expected)
              throw new CommandError(`${objectName(kind, name)} has ${now} replicas, not ${expected}`);
          }
          await session.client.patch(
            kind,
            key,
            { type: 'merge', patch: { spec: { replicas } } },
            { subresource: 'scale', signal: terminal.signal },
          );
          await write(terminal.stdout, `${objectName(kind, name)} scaled\n`);
        }
      });
    });
}

function count(flag: string, text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new CommandError(`${flag} ${text}: a whole number, 0 or more`);
  return number;
}
