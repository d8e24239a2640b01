/** `orbit exec` runs a command in a container, and its exit code is ours; `orbit attach` joins the one that runs already. */
import { attachToPod, execInPod } from '@orbitkit/core';
import type { Command } from 'commander';
import { containerOf, findPod } from '../pods.js';
import { type RemoteTerminalFlags, withRemoteTerminal } from '../remote-terminal.js';
import { type GlobalFlags, globalFlags, withSession } from '../session.js';
import { CommandError, type Terminal } from '../terminal.js';

interface ExecFlags extends GlobalFlags, RemoteTerminalFlags {
  container?: string;
}

export function execCommand(program: Command, terminal: Terminal): void {
  const stream = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .argument('<pod>', 'POD or TYPE/NAME')
      .option('-i, --stdin', 'pass standard input on')
      .option('-t, --tty', 'with a terminal')
      .option('-c, --container <name>');

  async function run(word: string, words: readonly string[] | undefined, command: Command): Promise<void> {
    const flags = globalFlags(command) as ExecFlags;
    const code = await withSession(flags, terminal, async session => {
      const pod = await findPod(session, word);
      const target = {
        namespace: pod.metadata.namespace,
        pod: pod.metadata.name,
        container: containerOf(pod, flags.container, text => terminal.stderr.write(text)),
      };
      return withRemoteTerminal(flags, terminal, streams =>
        words
          ? execInPod(session.client, { ...target, ...streams, command: words })
          : attachToPod(session.client, { ...target, ...streams }),
      );
    });
    if (code !== 0) throw new CommandError(`command terminated with exit code ${code}`, code);
  }

  stream('exec', 'run a command in a container: orbit exec web -- ls -l, orbit exec -it web -- sh')
    .argument('<command...>', 'after --')
    .action((word: string, words: string[], _options, command) => run(word, words, command));
  stream('attach', 'join what a container runs: orbit attach -i web').action((word: string, _options, command) =>
    run(word, undefined, command),
  );
}
