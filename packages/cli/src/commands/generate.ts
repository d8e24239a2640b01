/**
 * `orbit generate types`: TypeScript of kinds, one file a group, from definitions (`-f`), from OpenAPI v3 documents (`--openapi`), or from the cluster: the
 * kinds that its definitions define, or with `--group` whatever those groups serve.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CustomResourceDefinition, requestJson } from '@orbitkit/core';
import type { Command } from 'commander';
import { readNamed } from '../files.js';
import { readManifests } from '../manifests.js';
import { type GlobalFlags, globalFlags, type Session, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';
import { type KindSource, kindsOfDefinition, kindsOfOpenApi } from './generate/kind-source.js';
import { typesOfGroup } from './generate/type-writer.js';
import { pathIn } from './options.js';

interface GenerateFlags extends GlobalFlags {
  filename: string[];
  openapi: string[];
  group: string[];
  output: string;
}

const gather = (value: string, before: string[]): string[] => [...before, value];

export function generateCommand(program: Command, terminal: Terminal): void {
  program
    .command('generate')
    .description('write code: orbit generate types -f crd.yaml -o src/types')
    .command('types')
    .description('TypeScript of kinds, one file a group')
    .option('-f, --filename <file>', 'a file or folder with CustomResourceDefinitions; may be repeated', gather, [])
    .option('--openapi <file>', 'an OpenAPI v3 document in JSON; may be repeated', gather, [])
    .option('--group <name>', "of the cluster: this API group; may be repeated; '' is the core group", gather, [])
    .option('-o, --output <folder>', 'where the files go', '.')
    .action(async (_options, command) => {
      const flags = globalFlags(command) as GenerateFlags;
      const kinds = await sourcesOf(flags, terminal);
      if (kinds.length === 0) throw new CommandError(noKinds(flags));
      const folder = pathIn(terminal, flags.output);
      await mkdir(folder, { recursive: true });
      const groups = new Map<string, KindSource[]>();
      for (const kind of kinds) groups.set(kind.group, [...(groups.get(kind.group) ?? []), kind]);
      for (const [group, members] of groups) {
        const file = join(folder, `${group || 'core'}.ts`);
        await writeFile(file, typesOfGroup(members));
        const names = [...new Set(members.map(({ kind }) => kind))].join(', ');
        await write(terminal.stdout, `${file}: ${names}\n`);
      }
    });
}

const noKinds = ({ filename, openapi }: GenerateFlags): string =>
  filename.length + openapi.length > 0
    ? `there is no kind in ${[...filename, ...openapi].join(', ')}: CustomResourceDefinitions (-f) or an OpenAPI v3 document (--openapi) are required`
    : 'the cluster has no CustomResourceDefinitions; name files with -f, or an API group that it serves with --group, e.g. --group apps';

async function sourcesOf(flags: GenerateFlags, terminal: Terminal): Promise<KindSource[]> {
  const { filename, openapi } = flags;
  if (filename.length + openapi.length === 0)
    return withSession(flags, terminal, session =>
      flags.group.length > 0 ? fromGroups(session, flags.group, terminal) : fromDefinitions(session, terminal),
    );
  const kinds: KindSource[] = [];
  if (filename.length > 0) {
    for (const { object } of await readManifests(
      filename.map(each => pathIn(terminal, each)),
      terminal,
    )) {
      // Definitions often come with other things in one file.
      if (object.kind === 'CustomResourceDefinition')
        kinds.push(...kindsOfDefinition(object, object.metadata.name ?? 'a definition without a name'));
    }
  }
  for (const file of openapi) kinds.push(...kindsOfOpenApi(await readJson(file, terminal), file));
  return kinds;
}

async function readJson(file: string, terminal: Terminal): Promise<unknown> {
  const text = await readNamed(terminal, '--openapi', file);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandError(`--openapi ${file}: ${(error as Error).message}`);
  }
}

async function fromDefinitions({ client }: Session, { signal }: Terminal): Promise<KindSource[]> {
  const { items } = await client.list(CustomResourceDefinition, { signal });
  return items.flatMap(definition => kindsOfDefinition(definition, definition.metadata.name));
}

async function fromGroups({ client }: Session, groups: readonly string[], { signal }: Terminal): Promise<KindSource[]> {
  const read = (path: string) => requestJson<any>(client.transport, { method: 'GET', path, signal });
  const index = (await read('/openapi/v3')).paths as Record<string, { serverRelativeURL: string }>;
  const kinds: KindSource[] = [];
  for (const group of groups) {
    const prefix = group === '' || group === 'core' ? 'api/' : `apis/${group}/`;
    const documents = Object.entries(index).filter(([path]) => path.startsWith(prefix) && path !== prefix);
    if (documents.length === 0) throw new CommandError(`the cluster serves no group "${group}"`);
    for (const [path, { serverRelativeURL }] of documents)
      kinds.push(...kindsOfOpenApi(await read(serverRelativeURL), path));
  }
  return kinds;
}
