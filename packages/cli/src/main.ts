/** The `orbit` program: parses the command line, runs a command, and turns every reported error into a non-zero exit code. */
import { readFileSync } from 'node:fs';
import { isStatusError } from '@orbitkit/core';
import { isManifestError } from '@orbitkit/core/manifest';
import { Command, CommanderError, Option } from 'commander';
import { applyCommand } from './commands/apply.js';
import { authCommand } from './commands/auth.js';
import { certificateCommand } from './commands/certificate.js';
import { clearCommand } from './commands/clear.js';
import { copyCommand } from './commands/copy.js';
import { createCommand } from './commands/create.js';
import { deleteCommand } from './commands/delete.js';
import { describeCommand } from './commands/describe.js';
import { editCommand } from './commands/edit.js';
import { execCommand } from './commands/exec.js';
import { generateCommand } from './commands/generate.js';
import { getCommand } from './commands/get.js';
import { logsCommand } from './commands/logs.js';
import { portForwardCommand } from './commands/port-forward.js';
import { roleCommands } from './commands/roles.js';
import { scaleCommand } from './commands/scale.js';
import { signingKeysCommand } from './commands/signing-keys.js';
import { simulateCommand } from './commands/simulate.js';
import { snapshotCommand } from './commands/snapshot.js';
import { storeCommands } from './commands/store.js';
import { topCommand } from './commands/top.js';
import { uiCommand } from './commands/ui.js';
import { upCommand } from './commands/up.js';
import { CommandError, type Terminal } from './terminal.js';

/** In the order in which the help lists them. */
const commandGroups: readonly (readonly [
  heading: string,
  adds: readonly ((program: Command, terminal: Terminal) => void)[],
])[] = [
  ['Run a cluster:', [upCommand, roleCommands]],
  ['Objects:', [getCommand, describeCommand, applyCommand, createCommand, editCommand, deleteCommand, scaleCommand]],
  ['Pods and nodes:', [logsCommand, execCommand, portForwardCommand, copyCommand, topCommand]],
  ['The cluster as a whole:', [uiCommand, clearCommand, snapshotCommand, storeCommands]],
  ['Who may do what:', [authCommand, certificateCommand, signingKeysCommand]],
  ['Without a cluster:', [simulateCommand, generateCommand]],
];

/** The whole command line, which writes to this terminal alone. @returns What `execute` parses with; for help texts and completions. */
export function program(terminal: Terminal): Command {
  const command = new Command('orbit')
    .description('Kubernetes you can import: run and drive orbitkit clusters')
    .option(
      '--kubeconfig <file>',
      'the kubeconfig; else $KUBECONFIG, the state of a running `orbit up`, ~/.kube/config',
    )
    .option('--context <name>', 'a context of the kubeconfig')
    .option('-n, --namespace <name>', 'the namespace; else that of the context')
    .version(versionOf(), '--version', 'the version of orbit')
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows what there is)')
    .exitOverride()
    .configureOutput({
      writeOut: text => void terminal.stdout.write(text),
      writeErr: text => void terminal.stderr.write(text),
      // As all errors of orbit begin.
      outputError: (text, write) => write(text.replace(/^error:/, 'Error:')),
    });
  for (const [heading, adds] of commandGroups) {
    command.commandsGroup(heading);
    for (const add of adds) add(command, terminal);
  }
  for (const each of command.commands) {
    if (!withoutNamespace.has(each.name())) takes(each, new Option('-n, --namespace <name>', 'the namespace'));
    if (!withoutServer.has(each.name())) takeClusterOptions(each);
    each.exitOverride();
  }
  return command;
}

/** Of a machine, or of a cluster as a whole. */
const withoutNamespace = new Set(
  'up apiserver scheduler controller-manager node certificate clear simulate snapshot store encryption generate signing-keys'.split(
    ' ',
  ),
);
const withoutServer = new Set(['up', 'apiserver', 'simulate', 'store']);

function takes(command: Command, option: Option): void {
  if (command.options.every(({ long }) => long !== option.long)) command.addOption(option);
}

/** As with kubectl these may stand anywhere; the help of `orbit` alone tells of them. */
function takeClusterOptions(command: Command): void {
  takes(command, new Option('--kubeconfig <file>').hideHelp());
  takes(command, new Option('--context <name>').hideHelp());
  for (const each of command.commands) takeClusterOptions(each);
}

/** Beside the sources as beside what is built of them. */
const versionOf = (): string =>
  (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;

/** Runs a command line; answers the exit code. Never rejects. */
export async function execute(words: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await program(terminal).parseAsync([...words], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    if (terminal.signal.aborted) return 130;
    if (error instanceof CommandError) {
      if (error.message) terminal.stderr.write(`Error: ${error.message}\n`);
      return error.exitCode;
    }
    if (isStatusError(error)) {
      // What has a cause was noticed here: no server said it.
      const from = error.cause === undefined ? ` from server${error.reason ? ` (${error.reason})` : ''}` : '';
      terminal.stderr.write(`Error${from}: ${error.message}\n`);
      return 1;
    }
    if (isManifestError(error)) {
      terminal.stderr.write(`Error: ${error.message}\n`);
      return 1;
    }
    terminal.stderr.write(`Error: ${error instanceof Error ? error.message : String(error)}\n`);
    if (terminal.env.ORBIT_DEBUG && error instanceof Error) terminal.stderr.write(`${error.stack}\n`);
    return 1;
  }
}

/** The process's own entry. */
export async function run(argv: readonly string[]): Promise<void> {
  const controller = new AbortController();
  let signals = 0;
  const stop = () => {
    signals += 1;
    // The second one is meant: whatever hangs is left.
    if (signals > 1) process.exit(130);
    controller.abort(new Error('interrupted'));
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.stdout.on('error', error => {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0);
    throw error;
  });
  process.exitCode = await execute(argv.slice(2), {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: controller.signal,
  });
  process.off('SIGINT', stop);
  process.off('SIGTERM', stop);
}
