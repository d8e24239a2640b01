/** `orbit exec`: runs a command in a container; its exit code is ours. */
import { execInPod } from '@orbitkit/core';
import type { Command } from 'commander';
import { containerOf, findPod } from '../pods.js';
import { type GlobalFlags, globalFlags, withSession } from '../session.js';
import { CommandError, type Terminal } from '../terminal.js';

interface ExecFlags extends GlobalFlags {
  stdin?: boolean;
  tty?: boolean;
  container?: string;
}

export function execCommand(program: Command, terminal: Terminal): void {
  program
    .command('exec')
    .description('run a command in a container: orbit exec web -- ls -l, orbit exec -it web -- sh')
    .argument('<pod>', 'POD or TYPE/NAME')
    .argument('<command...>', 'after --')
    .option('-i, --stdin', 'pass standard input on')
    .option('-t, --tty', 'with a terminal')
    .option('-c, --container <name>')
    .action(async (word: string, words: string[], _options, command) => {
      const flags = globalFlags(command) as ExecFlags;
      const tty = !!flags.tty && !!terminal.stdin.isTTY;
      if (flags.tty && !tty) terminal.stderr.write('Standard input is not a terminal; -t is left out\n');
      const code = await withSession(flags, terminal, async session => {
        const pod = await findPod(session, word);
        const container = containerOf(pod, flags.container, text => terminal.stderr.write(text));
        if (tty) terminal.stdin.setRawMode?.(true);
        try {
          return await execInPod(session.client, {
            namespace: pod.metadata.namespace,
            pod: pod.metadata.name,
            container,
            command: words,
            tty,
            signal: terminal.signal,
            ...(flags.stdin ? { stdin: terminal.stdin as unknown as AsyncIterable<Uint8Array> } : {}),
            ...(tty ? { resize: sizes(terminal) } : {}),
            onStdout: chunk => void terminal.stdout.write(chunk),
            onStderr: chunk => void terminal.stderr.write(chunk),
          });
        } finally {
          if (tty) terminal.stdin.setRawMode?.(false);
          if (flags.stdin) (terminal.stdin as NodeJS.ReadStream).destroy?.();
        }
      });
      if (code !== 0) throw new CommandError(`command terminated with exit code ${code}`, code);
    });
}

/** The terminal's size now and after each change. */
async function* sizes({ stdout, signal }: Terminal): AsyncGenerator<{ width: number; height: number }> {
  while (!signal.aborted) {
    yield { width: stdout.columns ?? 80, height: stdout.rows ?? 24 };
    await new Promise<void>(resolve => {
      stdout.once('resize', resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}
