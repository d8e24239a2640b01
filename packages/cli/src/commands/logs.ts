/** `orbit logs`: what a container wrote, and with `-f` what it writes. */
import { podLogs } from '@orbitkit/core';
import type { Command } from 'commander';
import { containerOf, findPod } from '../pods.js';
import { type GlobalFlags, globalFlags, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';

interface LogsFlags extends GlobalFlags {
  follow?: boolean;
  container?: string;
  tail?: string;
  since?: string;
  previous?: boolean;
  timestamps?: boolean;
}

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };

export function logsCommand(program: Command, terminal: Terminal): void {
  program
    .command('logs')
    .description('show what a container wrote: orbit logs web, orbit logs -f deploy/web')
    .argument('<pod>', 'POD or TYPE/NAME')
    .argument('[container]')
    .option('-f, --follow', 'stay and show what comes')
    .option('-c, --container <name>')
    .option('--tail <lines>', 'only the last lines')
    .option('--since <time>', 'only newer than this: 30s, 5m, 1h')
    .option('-p, --previous', 'of the container before its last restart')
    .option('--timestamps', 'with the time of each line')
    .action(async (word: string, second: string | undefined, _options, command) => {
      const flags = globalFlags(command) as LogsFlags;
      const tailLines = flags.tail === undefined || flags.tail === '-1' ? undefined : Number(flags.tail);
      if (tailLines !== undefined && !(Number.isInteger(tailLines) && tailLines >= 0))
        throw new CommandError(`--tail ${flags.tail}: a whole number of lines`);
      const since = flags.since === undefined ? undefined : /^(\d+)([smh])$/.exec(flags.since);
      if (since === null) throw new CommandError(`--since ${flags.since}: a number with s, m or h`);
      await withSession(flags, terminal, async session => {
        const pod = await findPod(session, word);
        const container = containerOf(pod, flags.container ?? second, text => terminal.stderr.write(text));
        const chunks = podLogs(session.client, {
          namespace: pod.metadata.namespace,
          pod: pod.metadata.name,
          container,
          signal: terminal.signal,
          ...(flags.follow ? { follow: true } : {}),
          ...(flags.previous ? { previous: true } : {}),
          ...(flags.timestamps ? { timestamps: true } : {}),
          ...(tailLines === undefined ? {} : { tailLines }),
          ...(since ? { sinceSeconds: Number(since[1]) * units[since[2]!]! } : {}),
        });
        for await (const chunk of chunks) await write(terminal.stdout, chunk);
      });
    });
}
