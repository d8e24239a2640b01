/**
 * `orbit store`: checks the store of a cluster that does not run, and repairs a damaged one with what is intact in it. `orbit encryption`:
 * new keys for what is encrypted at rest.
 */
import { join } from 'node:path';
import type { Command } from 'commander';
import { answered, serverTransport } from '../server-transport.js';
import { defaultStateDirectory, type GlobalFlags, globalFlags } from '../session.js';
import { CommandError, type Terminal } from '../terminal.js';
import { pathIn } from './options.js';

interface StoreCommandFlags extends GlobalFlags {
  dataDir: string;
}

export function storeCommands(program: Command, terminal: Terminal): void {
  const store = program.command('store').description('check and repair the store of a cluster that does not run');
  const onDirectory = (of: Command, name: string, description: string) =>
    of
      .command(name)
      .description(description)
      .option('--data-dir <dir>', 'of the cluster', defaultStateDirectory(terminal.env));
  const storeIn = (command: Command): string =>
    join(pathIn(terminal, (globalFlags(command) as StoreCommandFlags).dataDir), 'store');
  const missing = (dir: string) => (error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new CommandError(`${dir}: there is no store`);
    throw error;
  };

  onDirectory(store, 'check', 'say whether the store is intact, and else what is lost').action(
    async (_flags, command) => {
      const { checkDirectory } = await import('@orbitkit/apiserver');
      const dir = storeIn(command);
      const { intact, revision, entries, problem, findings } = await checkDirectory(dir).catch(missing(dir));
      if (intact) {
        terminal.stdout.write(`${dir}: intact, ${entries} objects, revision ${revision}\n`);
        return;
      }
      for (const finding of findings) terminal.stdout.write(`${finding}\n`);
      terminal.stdout.write(`${entries} objects can be read; the highest revision found is ${revision}\n`);
      throw new CommandError(problem ?? `${dir} is damaged`);
    },
  );

  onDirectory(store, 'repair', 'make a damaged store one that opens, with what is intact; its files are kept').action(
    async (_flags, command) => {
      const { repairDirectory } = await import('@orbitkit/apiserver');
      const dir = storeIn(command);
      const { entries, findings, movedTo } = await repairDirectory(dir).catch(missing(dir));
      for (const finding of findings) terminal.stdout.write(`${finding}\n`);
      terminal.stdout.write(
        movedTo === undefined
          ? `${dir}: intact, nothing was changed\n`
          : `${dir}: ${entries} objects are there again; the files from before are in ${movedTo}\n`,
      );
    },
  );

  const encryption = program.command('encryption').description('keys of what is encrypted at rest');
  onDirectory(encryption, 'add-key', 'a new key that encrypts from the next start of the server on')
    .option('--encryption-config <file>', 'default: DIR/encryption.yaml')
    .action(async (_flags, command) => {
      const { addEncryptionKey } = await import('@orbitkit/apiserver');
      const flags = globalFlags(command) as StoreCommandFlags & { encryptionConfig?: string };
      const file = pathIn(terminal, flags.encryptionConfig ?? join(flags.dataDir, 'encryption.yaml'));
      const name = await addEncryptionKey(file);
      terminal.stdout.write(
        `${file}: ${name} was added. Restart every server with it, then run "orbit encryption rewrite"; older keys may go after that\n`,
      );
    });
  encryption
    .command('rewrite')
    .description('the running server writes everything anew that is not encrypted as its configuration says')
    .action(async (_flags, command) => {
      const transport = await serverTransport(globalFlags(command), terminal);
      try {
        const path = '/orbitkit/encryption/rewrite';
        const response = await answered(
          await transport.request({ method: 'POST', path, signal: terminal.signal, timeoutMs: 30 * 60_000 }),
        );
        const result = JSON.parse(Buffer.from(await response.bytes()).toString());
        terminal.stdout.write(`${result.rewritten} of ${result.examined} entries were written anew\n`);
        for (const key of result.unreadable)
          terminal.stderr.write(`${key} cannot be decrypted; it was left as it is\n`);
        if (result.unreadable.length > 0)
          throw new CommandError(`${result.unreadable.length} entries cannot be decrypted`);
      } finally {
        await transport.close();
      }
    });
}
