/** `orbit scheduler record`: nodes, pods and where they went, as JSON lines, for `orbit simulate` to replay. */
import { systemClock } from '@orbitkit/core';
import { type Command, InvalidArgumentError } from 'commander';
import { globalFlags, withSession } from '../session.js';
import type { Terminal } from '../terminal.js';

const secondsOf = (text: string): number => {
  const seconds = Number(text);
  if (!(seconds > 0)) throw new InvalidArgumentError('give seconds, more than 0');
  return seconds;
};

export function schedulerRecordCommand(scheduler: Command, terminal: Terminal): void {
  scheduler
    .command('record')
    .description("what the cluster's schedulers decide, as JSON lines to replay: until interrupted")
    .option('--for <seconds>', 'end after so many seconds', secondsOf)
    .action(async (options: { for?: number }, command) => {
      const { recordCluster } = await import('@orbitkit/scheduler/simulator');
      await withSession(globalFlags(command), terminal, async ({ client }) => {
        const end = new AbortController();
        const timer =
          options.for === undefined ? undefined : systemClock.setTimer(options.for * 1_000, () => end.abort());
        try {
          await recordCluster({
            client,
            clock: systemClock,
            signal: AbortSignal.any([terminal.signal, end.signal]),
            write: line => void terminal.stdout.write(line),
          });
        } finally {
          timer?.cancel();
        }
      });
    });
}
