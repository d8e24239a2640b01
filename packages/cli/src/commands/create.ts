/** `orbit create`: new objects from manifests, a namespace by name, or a service account's token. */
import type { Command } from 'commander';
import { eachManifest, readManifests } from '../manifests.js';
import { type GlobalFlags, globalFlags, keyIn, kindOf, objectName, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';
import { fileOption } from './apply.js';
import { createToken, type TokenFlags } from './create-token.js';
import { writeOptions } from './write-options.js';

interface CreateFlags extends GlobalFlags, TokenFlags {
  filename?: string[];
  recursive?: boolean;
  dryRun?: string;
  validate?: string;
}

export function createCommand(program: Command, terminal: Terminal): void {
  program
    .command('create')
    .description('create objects that are not there yet')
    .argument('[type]', 'namespace: orbit create namespace NAME; token: orbit create token SERVICEACCOUNT')
    .argument('[name]')
    .option(...fileOption)
    .option('-R, --recursive', 'subfolders too')
    .option('--dry-run <mode>', 'server: validate everything, change nothing')
    .option('--validate <how>', 'strict, warn or ignore unknown fields', 'strict')
    .option('--audience <audience...>', 'token: for whom; default: this API')
    .option('--duration <time>', 'token: how long it is good, e.g. 10m or 24h; default: an hour')
    .option('--bound-object-kind <kind>', 'token: ends with this Pod, Secret or Node')
    .option('--bound-object-name <name>')
    .action(async (type: string | undefined, name: string | undefined, _options, command) => {
      const flags = globalFlags(command) as CreateFlags;
      const options = writeOptions(flags, terminal);
      if (type !== undefined && !flags.filename) {
        await withSession(flags, terminal, async session => {
          if (type === 'token' && name !== undefined) {
            await write(terminal.stdout, `${await createToken(session, name, flags)}\n`);
            return;
          }
          const kind = kindOf(session, type);
          if (kind.kind !== 'Namespace' || name === undefined) {
            throw new CommandError(
              'only "create namespace NAME" and "create token NAME" work without -f; give other objects as a manifest: orbit create -f FILE',
            );
          }
          await session.client.create(kind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, options);
          await write(terminal.stdout, `namespace/${name} created\n`);
        });
        return;
      }
      const manifests = await readManifests(flags.filename ?? [], terminal, flags.recursive);
      await withSession(flags, terminal, session =>
        eachManifest(manifests, terminal, async ({ object }) => {
          const kind = session.kinds.byKind(object.apiVersion, object.kind);
          const key = keyIn(session, kind, object.metadata.name, object.metadata.namespace);
          const created = await session.client.create(
            kind,
            { ...object, metadata: { ...object.metadata, ...key } },
            options,
          );
          await write(
            terminal.stdout,
            `${objectName(kind, created.metadata.name)} created${flags.dryRun ? ' (server dry run)' : ''}\n`,
          );
        }),
      );
    });
}
