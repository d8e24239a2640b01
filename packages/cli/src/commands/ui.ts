/** `orbit ui`: a live view of any kind that the server serves. */
import type { Command } from 'commander';
import { type GlobalFlags, globalFlags, withSession } from '../session.js';
import { CommandError, type Terminal } from '../terminal.js';

export function uiCommand(program: Command, terminal: Terminal): void {
  program
    .command('ui')
    .description('a live view of the cluster in the terminal')
    .argument('[type]', 'what to show first', 'pods')
    .option('-A, --all-namespaces', 'objects of every namespace')
    .action(async (type: string, _options, command) => {
      const flags = globalFlags(command) as GlobalFlags & { allNamespaces?: boolean };
      if (!terminal.stdin.isTTY || !terminal.stdout.isTTY)
        throw new CommandError('orbit ui needs a terminal; for scripts there is orbit get -w');
      // Ink and React are loaded by this command alone.
      const [{ render }, { createElement }, { App }] = await Promise.all([
        import('ink'),
        import('react'),
        import('../ui/app.js'),
      ]);
      await withSession(flags, terminal, async session => {
        const enter = '\x1b[?1049h\x1b[H';
        const leave = '\x1b[?1049l';
        terminal.stdout.write(enter);
        try {
          const app = render(
            createElement(App, {
              session,
              kind: type,
              namespace: flags.allNamespaces ? '' : session.namespace,
              signal: terminal.signal,
              colors: !terminal.env.NO_COLOR,
            }),
            {
              stdin: terminal.stdin as NodeJS.ReadStream,
              stdout: terminal.stdout as NodeJS.WriteStream,
              exitOnCtrlC: false,
            },
          );
          await app.waitUntilExit();
        } finally {
          terminal.stdout.write(leave);
        }
      });
    });
}
